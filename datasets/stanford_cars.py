"""Stanford Cars: 196 makes, models and years."""

from pathlib import Path
from typing import Any

from dassl.data.datasets import DATASET_REGISTRY, Datum
from datasets.coop_layout import CoopDataset
from datasets.mat_file import class_labels, read_mat
from datasets.split_file import Row, Split, existing_part, split_trainval


@DATASET_REGISTRY.register()
class StanfordCars(CoopDataset):
    """Stanford Cars in CoOp's layout: paths start at the data set's folder, class names with the year."""

    dataset_dir = "stanford_cars"
    image_folder = ""
    split_file = "split_zhou_StanfordCars.json"
    templates = ("a photo of a {}.",)
    prompt_file = "stanford_cars_prompt.json"

    @classmethod
    def make_split(cls, folder: Path) -> Split:
        """Make the split from the annotations: the published test part, and 80/20 of ``cars_train`` for train and val.

        Raises:
            FileNotFoundError: If an annotation file or an image is missing.
            ValueError: If an annotation file is damaged.
        """
        meta = cls.published_file(folder, "devkit", "cars_meta.mat")
        names = read_mat(meta, class_names, form="the names of the classes, as 'class_names'")
        test_labels = cls.published_file(folder, "cars_test_annos_withlabels.mat")
        test = read_annotations(test_labels, folder / "cars_test", names)
        train_labels = cls.published_file(folder, "devkit", "cars_train_annos.mat")
        train, val = split_trainval(read_annotations(train_labels, folder / "cars_train", names))
        return Split(train, val, test)


def class_names(variables: dict[str, Any]) -> list[str]:
    """Take the class names out of a MATLAB file and move the year, their last word, to the front.

    Raises:
        ValueError: If they are no texts.
    """
    names = variables["class_names"].tolist()
    if not isinstance(names, list) or not all(isinstance(name, str) and name.split() for name in names):
        raise ValueError(f"class names {names!r}")
    return [" ".join((name.split(" ")[-1], *name.split(" ")[:-1])) for name in names]


def read_annotations(path: Path, image_dir: Path, names: list[str]) -> list[Datum]:
    """Read file name and class number, counted from 1, of every image.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If the file is damaged or holds something else.
    """

    def convert(variables: dict[str, Any]) -> list[Row]:
        annotations = variables["annotations"].ravel()
        labels = class_labels(annotations["class"])
        return [
            Row(str(image_dir / file), label, names[label])
            for file, label in zip(annotations["fname"].tolist(), labels, strict=True)
        ]

    rows = read_mat(path, convert, form=f"file names and classes 1 to {len(names)}, as 'annotations'")
    return existing_part(rows, listed_in=path)
