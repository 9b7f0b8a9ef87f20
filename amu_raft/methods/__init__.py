"""One method, one room: the contract, the registry, and what rooms share. docs/your_own_method.md is the way in."""

from amu_raft.methods.contract import Method, unit
from amu_raft.methods.given import (
    Branches,
    Explanation,
    Features,
    Loss,
    Released,
    Task,
    TrainingFeatures,
    Trials,
    Validation,
)
from amu_raft.methods.recipe import Recipe
from amu_raft.methods.registry import get_method, method_names, register
from amu_raft.methods.settings import MethodSettings, one_of, within

__all__ = [
    "Branches",
    "Explanation",
    "Features",
    "Loss",
    "Method",
    "MethodSettings",
    "Recipe",
    "Released",
    "Task",
    "TrainingFeatures",
    "Trials",
    "Validation",
    "get_method",
    "method_names",
    "one_of",
    "register",
    "unit",
    "within",
]
