"""Labels and predictions, checked before they are counted."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Classes = NDArray[np.int64]


def check_labels(labels: ArrayLike, predicted: ArrayLike, num_classes: int) -> tuple[Classes, Classes]:
    """Return labels and predictions, (N,) each, as integers below the number of classes.

    Raises:
        ValueError: If the shapes differ or a class is out of range.
    """
    truth, guess = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if truth.ndim != 1 or truth.shape != guess.shape:
        raise ValueError(f"labels and predictions must be (N,) each, got {truth.shape} and {guess.shape}")
    for what, values in (("label", truth), ("prediction", guess)):
        outside = values[(values < 0) | (values >= num_classes)]
        if outside.size:
            raise ValueError(f"{what} {outside[0]} is none of the {num_classes} classes, 0 to {num_classes - 1}")
    return truth, guess
