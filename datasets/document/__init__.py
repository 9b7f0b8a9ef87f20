"""docs/DATASETS.md, written from the catalog: ``python -m datasets.document``."""

from datasets.document.page import render

__all__ = ["render"]
