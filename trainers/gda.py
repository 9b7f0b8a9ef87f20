"""GDA as a trainer; the room is amu_raft/methods/gda.py."""

from amu_raft.methods import gda
from trainers.base.registering import register_trainer

GDA = register_trainer(gda.GDA, __name__)
