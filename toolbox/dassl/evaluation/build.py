"""The registry of evaluators."""

from typing import TYPE_CHECKING, Any

from yacs.config import CfgNode

from dassl.utils.registry import Registry, check_availability

if TYPE_CHECKING:
    from dassl.evaluation.evaluator import EvaluatorBase

EVALUATOR_REGISTRY = Registry("EVALUATOR")
"""Subclasses of EvaluatorBase."""


def build_evaluator(cfg: CfgNode, **kwargs: Any) -> "EvaluatorBase":
    """Return the evaluator that ``cfg.TEST.EVALUATOR`` names, made with the keyword arguments.

    Raises:
        ValueError: If no evaluator of that name is registered.
    """
    check_availability(cfg.TEST.EVALUATOR, EVALUATOR_REGISTRY.registered_names())
    if cfg.VERBOSE:
        print(f"Loading evaluator: {cfg.TEST.EVALUATOR}")
    evaluator: EvaluatorBase = EVALUATOR_REGISTRY.get(cfg.TEST.EVALUATOR)(cfg, **kwargs)
    return evaluator
