"""The registry of evaluators."""

from dassl.utils.registry import Registry

EVALUATOR_REGISTRY = Registry("EVALUATOR")
"""Subclasses of EvaluatorBase."""
