"""Caltech-101: 100 categories of objects, the cluttered background and one of the two kinds of faces left out."""

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from datasets.coop_layout import CoopDataset
from datasets.making_splits import read_and_split_data
from datasets.split_file import Split

IGNORED = ("BACKGROUND_Google", "Faces_easy")
NEW_CLASSNAMES = {"airplanes": "airplane", "Faces": "face", "Leopards": "leopard", "Motorbikes": "motorbike"}


@DATASET_REGISTRY.register()
class Caltech101(CoopDataset):
    """Caltech-101 in CoOp's layout. Labels follow the folders' names, four of which are no class names."""

    dataset_dir = "caltech-101"
    image_folder = "101_ObjectCategories"
    split_file = "split_zhou_Caltech101.json"
    templates = ("a photo of a {}.",)
    prompt_file = "caltech101_prompt.json"

    @classmethod
    def make_split(cls, folder: Path) -> Split:
        """Divide each category 50/20/30 into train, val and test."""
        image_dir = cls.published_file(folder, cls.image_folder)
        return read_and_split_data(image_dir, ignored=IGNORED, new_cnames=NEW_CLASSNAMES)
