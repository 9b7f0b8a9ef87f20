"""RAFT as a trainer; the method is amu_raft/methods/raft."""

from amu_raft.methods import raft
from trainers.base.registering import register_trainer

RAFT = register_trainer(raft.RAFT, __name__)
