# mypy: ignore-errors
"""The trainers of this repository; importing one registers it."""

from methods import ensemble, loops, multimodal, prompts, two_parts

__all__ = ["ensemble", "loops", "multimodal", "prompts", "two_parts"]
