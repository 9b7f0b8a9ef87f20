"""Make the evaluator that a configuration names."""

from typing import Any

from yacs.config import CfgNode

from dassl.evaluation.evaluator import EvaluatorBase
from dassl.evaluation.registry import EVALUATOR_REGISTRY
from dassl.utils.registry import check_availability

__all__ = ["EVALUATOR_REGISTRY", "build_evaluator"]


def build_evaluator(cfg: CfgNode, **kwargs: Any) -> EvaluatorBase:
    """Return the evaluator that ``cfg.TEST.EVALUATOR`` names, made with the keyword arguments.

    Raises:
        ValueError: If no evaluator of that name is registered.
    """
    check_availability(cfg.TEST.EVALUATOR, EVALUATOR_REGISTRY.registered_names())
    if cfg.VERBOSE:
        print(f"Loading evaluator: {cfg.TEST.EVALUATOR}")
    evaluator: EvaluatorBase = EVALUATOR_REGISTRY.get(cfg.TEST.EVALUATOR)(cfg, **kwargs)
    return evaluator
