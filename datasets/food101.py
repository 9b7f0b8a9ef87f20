"""Food-101: 101 dishes, a thousand photographs of each."""

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from datasets.coop_layout import CoopDataset
from datasets.making_splits import read_and_split_data
from datasets.split_file import Split


@DATASET_REGISTRY.register()
class Food101(CoopDataset):
    """Food-101 in CoOp's layout, whose split is not that of the lists in ``meta/``."""

    dataset_dir = "food-101"
    image_folder = "images"
    split_file = "split_zhou_Food101.json"
    templates = ("a photo of {}, a type of food.",)
    prompt_file = "food101_prompt.json"

    @classmethod
    def make_split(cls, folder: Path) -> Split:
        """Divide each dish 50/20/30 into train, val and test."""
        return read_and_split_data(cls.published_file(folder, cls.image_folder))
