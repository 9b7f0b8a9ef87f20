# mypy: ignore-errors
"""The data sets of this repository."""

from toysets import blobs

__all__ = ["blobs"]
