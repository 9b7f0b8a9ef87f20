"""AMU-Tuning as a trainer; the method is amu_raft/methods/amu."""

from amu_raft.methods import amu
from trainers.base.registering import register_trainer

AMU = register_trainer(amu.AMU, __name__)
