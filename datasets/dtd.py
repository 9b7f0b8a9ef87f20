"""Describable Textures (DTD): 47 textures named by adjectives."""

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from datasets.coop_layout import CoopDataset
from datasets.making_splits import read_and_split_data
from datasets.split_file import Split


@DATASET_REGISTRY.register()
class DescribableTextures(CoopDataset):
    """DTD in CoOp's layout, with the static function that other CoOp-style code takes from this class.

    The split is CoOp's own, not one of the ten in ``labels/``.
    """

    dataset_dir = "dtd"
    image_folder = "images"
    split_file = "split_zhou_DescribableTextures.json"
    templates = ("{} texture.",)
    prompt_file = "dtd_prompt.json"

    read_and_split_data = staticmethod(read_and_split_data)

    @classmethod
    def make_split(cls, folder: Path) -> Split:
        """Divide each texture 50/20/30 into train, val and test."""
        return read_and_split_data(cls.published_file(folder, cls.image_folder))
