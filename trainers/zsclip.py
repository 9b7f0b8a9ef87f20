"""Zero-shot CLIP as a trainer; the method is amu_raft/methods/zero_shot.py."""

from amu_raft.methods import zero_shot
from trainers.base.registering import register_trainer

ZeroshotCLIP = register_trainer(zero_shot.ZeroshotCLIP, __name__)
