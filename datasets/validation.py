"""Whether a data set has images of its own to choose settings on."""

import os
from typing import Any


def has_own_validation(dataset: Any) -> bool:
    """Tell whether there are validation images and none of them is a test image.

    ImageNet in CoOp's protocol uses one set as both; choosing on it would be choosing on the test set.

    Args:
        dataset: A toolbox data set, whoever wrote it.
    """
    val = {item.impath for item in dataset.val or ()}
    if not val or not val.isdisjoint(item.impath for item in dataset.test):
        return False  # without asking the file system about 100,000 paths, as ImageNet's validation set would
    resolved = set(map(os.path.realpath, val))
    return resolved.isdisjoint(os.path.realpath(item.impath) for item in dataset.test)
