"""Evaluators and their registry."""

from dassl.evaluation.build import build_evaluator
from dassl.evaluation.evaluator import Classification, EvaluatorBase
from dassl.evaluation.registry import EVALUATOR_REGISTRY

__all__ = ["EVALUATOR_REGISTRY", "Classification", "EvaluatorBase", "build_evaluator"]
