"""Oxford Flowers: 102 kinds of flowers that grow in Britain."""

from pathlib import Path
from typing import Any

from amu_raft.json_file import read_json_file
from dassl.data.datasets import DATASET_REGISTRY
from datasets.coop_layout import CoopDataset
from datasets.making_splits import split_classes
from datasets.mat_file import class_labels, read_mat
from datasets.split_file import Row, Split, existing_part


@DATASET_REGISTRY.register()
class OxfordFlowers(CoopDataset):
    """Oxford Flowers in CoOp's layout, whose split is not the published one of ``setid.mat``."""

    dataset_dir = "oxford_flowers"
    image_folder = "jpg"
    split_file = "split_zhou_OxfordFlowers.json"
    templates = ("a photo of a {}, a type of flower.",)
    prompt_file = "oxford_flowers_prompt.json"

    @classmethod
    def make_split(cls, folder: Path) -> Split:
        """Divide each kind of flower 50/20/30 into train, val and test.

        Raises:
            FileNotFoundError: If the labels, their names or an image is missing.
            ValueError: If the labels or their names are damaged.
        """
        path = cls.published_file(folder, "imagelabels.mat")
        labels = read_mat(path, labels_of_images, form="one class from 1 for each image, as 'labels'")
        names = read_names(cls.published_file(folder, "cat_to_name.json"), labels)
        rows = [
            Row(str(folder / cls.image_folder / f"image_{number:05d}.jpg"), label, names[label])
            for number, label in enumerate(labels, start=1)
        ]
        return split_classes(existing_part(rows, listed_in=path))


def labels_of_images(variables: dict[str, Any]) -> list[int]:
    """Take the label of each image out of a MATLAB file.

    Raises:
        ValueError: If they are no whole numbers from 1 there.
    """
    return class_labels(variables["labels"])


def read_names(path: Path, labels: list[int]) -> dict[int, str]:
    """Read the class names by label; the file counts classes from 1.

    Raises:
        ValueError: If the file is laid out differently or lacks a class.
    """
    content = read_json_file(path, what="file of class names")
    names: dict[int, str] = {}
    for label in sorted(set(labels)):
        name = content.get(str(label + 1)) if isinstance(content, dict) else None
        if not isinstance(name, str):
            raise ValueError(f'{path} has no name of class {label + 1}; expected {{"1": "name", ...}}')
        names[label] = name
    return names
