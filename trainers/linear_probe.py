"""The linear probes as trainers; the room is amu_raft/methods/linear_probe.py."""

from amu_raft.methods import linear_probe
from trainers.base.registering import register_trainer

LinearProbe = register_trainer(linear_probe.LinearProbe, __name__)
PixelProbe = register_trainer(linear_probe.PixelProbe, __name__)
