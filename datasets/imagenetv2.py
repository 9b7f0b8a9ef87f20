"""ImageNetV2 (matched frequency): ten new photographs of each of ImageNet's 1000 classes."""

from pathlib import Path

from amu_raft.wording import shortened
from dassl.data.datasets import DATASET_REGISTRY
from datasets.class_names import find_classnames, read_classnames
from datasets.imagenet_variant import ImageNetVariant
from datasets.wnid_folders import scan_classes


@DATASET_REGISTRY.register()
class ImageNetV2(ImageNetVariant):
    """ImageNetV2 in CoOp's layout: ROOT/imagenetv2/imagenetv2-matched-frequency-format-val/<0..999>/.

    A folder's number is its label, and that of the line of classnames.txt, counted from 0.
    """

    dataset_dir = "imagenetv2"
    image_folder = "imagenetv2-matched-frequency-format-val"

    @classmethod
    def read_classes(cls, folder: Path) -> dict[str, tuple[str, str]]:
        """Return wnid and name by class folder, in the order of the labels.

        Raises:
            FileNotFoundError: If classnames.txt is missing.
            ValueError: If the folders are not numbered as the lines of classnames.txt are.
        """
        named_in, images = find_classnames(folder), folder / cls.image_folder
        names = read_classnames(named_in)
        found, expected = set(scan_classes(images)[0]), {str(label) for label in range(len(names))}
        numbers = f"0 to {len(names) - 1}, the lines of {named_in}"
        if strange := sorted(found - expected):
            raise ValueError(
                f"{images} has the class folders {shortened(strange)}; expected are {numbers} "
                "(the package of December 2020, with folders named by wnids, holds other images)"
            )
        if missing := sorted(expected - found, key=int):
            raise ValueError(f"{images} lacks the class folders {shortened(missing)} of {numbers}")
        return {str(label): (wnid, name) for label, (wnid, name) in enumerate(names.items())}
