"""Which classes a model knows, where it was trained on others than it is asked about."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class KnownClasses(NamedTuple):
    """Where the classes of a data set stand in a model that was trained on other classes.

    Attributes:
        labels: The K classes of the data set that the model knows, (K,).
        rows: The model's row of each, (K,).
        num_classes: C, all classes of the data set.
    """

    labels: Tensor
    rows: Tensor
    num_classes: int

    def pick(self, logits: Tensor) -> Tensor:
        """Take the known classes out of the model's logits, (N, rows of the model) to (N, K)."""
        return logits[:, self.rows.to(logits.device)]

    def spread(self, logits: Tensor) -> Tensor:
        """Put logits (N, K) in the places of their classes, (N, C); an unknown class gets 0."""
        spread = logits.new_zeros(logits.shape[0], self.num_classes)  # exporters take len() for a fixed number
        spread[:, self.labels.to(logits.device)] = logits
        return spread


def match_classes(trained: Sequence[str], present: Sequence[str]) -> KnownClasses:
    """Find the classes of a data set among those that a model was trained on.

    Args:
        trained: Key of each row of the model.
        present: Key of each class of the data set, in label order.

    Returns:
        The known classes in label order; of a key that is repeated the k-th occurrence matches the k-th.
    """
    row_of = {key: row for row, key in enumerate(_numbered(trained))}
    pairs = [(label, row_of[key]) for label, key in enumerate(_numbered(present)) if key in row_of]
    labels, rows = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(dim=1)
    return KnownClasses(labels, rows, len(present))


def _numbered(keys: Sequence[str]) -> list[tuple[str, int]]:
    """Add to each key how often it has occurred before."""
    seen: Counter[str] = Counter()
    numbered = []
    for key in keys:
        numbered.append((key, seen[key]))
        seen[key] += 1
    return numbered


def write_known(known: KnownClasses | None) -> list[list[int]] | None:
    """Return known classes as a model folder holds them."""
    return None if known is None else [known.labels.tolist(), known.rows.tolist()]


def read_known(written: Any, *, num_rows: int, num_classes: int) -> KnownClasses | None:
    """Return what ``write_known`` has written.

    Args:
        written: None, or two lists of whole numbers.
        num_rows: Rows of the model.
        num_classes: C.

    Raises:
        ValueError: If it is something else, or leads outside.
    """
    if written is None:
        if num_rows != num_classes:
            raise ValueError(f"the model has {num_rows} rows for {num_classes} classes")
        return None
    parts = written if isinstance(written, list) else []
    if len(parts) != 2 or not all(isinstance(part, list) and all(type(item) is int for item in part) for part in parts):
        raise ValueError(f'"known" must be null or two lists of whole numbers, got {str(written)[:40]}')
    inside = all(0 <= item < num for part, num in zip(parts, (num_classes, num_rows), strict=True) for item in part)
    if len(parts[0]) != len(parts[1]) or not inside:
        raise ValueError(f'"known" does not match {num_rows} rows of the model to {num_classes} classes')
    labels, rows = (torch.tensor(part, dtype=torch.long) for part in parts)
    return KnownClasses(labels, rows, num_classes)
