"""Tip-Adapter and Tip-Adapter-F as trainers; the room is amu_raft/methods/tip_adapter.py."""

from amu_raft.methods import tip_adapter
from trainers.base.registering import register_trainer

TipAdapter = register_trainer(tip_adapter.TipAdapter, __name__)
TipAdapterF = register_trainer(tip_adapter.TipAdapterF, __name__)
