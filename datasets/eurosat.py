"""EuroSAT: ten kinds of land seen by the Sentinel-2 satellites."""

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from datasets.coop_layout import CoopDataset
from datasets.making_splits import read_and_split_data
from datasets.split_file import Split

NEW_CLASSNAMES = {
    "AnnualCrop": "Annual Crop Land",
    "Forest": "Forest",
    "HerbaceousVegetation": "Herbaceous Vegetation Land",
    "Highway": "Highway or Road",
    "Industrial": "Industrial Buildings",
    "Pasture": "Pasture Land",
    "PermanentCrop": "Permanent Crop Land",
    "Residential": "Residential Buildings",
    "River": "River",
    "SeaLake": "Sea or Lake",
}


@DATASET_REGISTRY.register()
class EuroSAT(CoopDataset):
    """EuroSAT in CoOp's layout: the archive's folder ``2750`` of colour images, classes under readable names."""

    dataset_dir = "eurosat"
    image_folder = "2750"
    split_file = "split_zhou_EuroSAT.json"
    templates = ("a centered satellite photo of {}.",)
    prompt_file = "eurosat_prompt.json"

    @classmethod
    def make_split(cls, folder: Path) -> Split:
        """Divide each class 50/20/30 into train, val and test."""
        return read_and_split_data(cls.published_file(folder, cls.image_folder), new_cnames=NEW_CLASSNAMES)
