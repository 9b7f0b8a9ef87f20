"""Digits: 1,797 real scans of handwritten digits that come with scikit-learn."""

import numpy as np
from PIL import Image

from dassl.data.datasets import DATASET_REGISTRY
from datasets.generated_images import GeneratedDataset

SCAN_LEVELS = 16  # the scans have grey levels 0 to 16
SIZE = 64  # pixels


@DATASET_REGISTRY.register()
class Digits(GeneratedDataset):
    """Handwritten digits, 8 x 8 scans enlarged bicubically to 64 x 64 RGB, about 180 of each.

    Source:
        scikit-learn's ``load_digits``: the test part of the UCI Optical Recognition of Handwritten Digits data.
    """

    dataset_dir = "digits"
    split_file = "split_zhou_Digits.json"
    templates = ("a photo of the digit {}.",)
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

    def draw_class(self, label: int) -> list[tuple[str, Image.Image]]:
        """Return the scans of a digit; the stem is the position in scikit-learn's arrays."""
        from sklearn.datasets import load_digits  # takes a second, needed once

        scans, target = load_digits(return_X_y=True)
        return [(f"{index:04d}", enlarge(scans[index].reshape(8, 8))) for index in np.flatnonzero(target == label)]


def enlarge(scan: "np.typing.NDArray[np.float64]") -> Image.Image:
    """Turn a scan, (8, 8) with values 0 to 16, into an RGB image of SIZE x SIZE pixels."""
    grey = np.rint(scan * (255 / SCAN_LEVELS)).astype(np.uint8)
    return Image.fromarray(grey).resize((SIZE, SIZE), Image.Resampling.BICUBIC).convert("RGB")
