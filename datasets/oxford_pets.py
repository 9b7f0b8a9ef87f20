"""Oxford-IIIT Pets: 37 breeds of cats and dogs."""

from pathlib import Path

from amu_raft.images.list_file import class_number, read_list
from dassl.data.datasets import DATASET_REGISTRY, Datum
from datasets.coop_layout import CoopDataset
from datasets.split_file import Row, Split, existing_part, read_split, save_split, split_trainval
from datasets.subsampling import subsample_classes


@DATASET_REGISTRY.register()
class OxfordPets(CoopDataset):
    """Oxford-IIIT Pets in CoOp's layout, with the static functions that other CoOp-style code takes from this class."""

    dataset_dir = "oxford_pets"
    image_folder = "images"
    split_file = "split_zhou_OxfordPets.json"
    templates = ("a photo of a {}, a type of pet.",)
    prompt_file = "oxford_pets_prompt.json"

    read_split = staticmethod(read_split)
    save_split = staticmethod(save_split)
    split_trainval = staticmethod(split_trainval)
    subsample_classes = staticmethod(subsample_classes)

    @classmethod
    def make_split(cls, folder: Path) -> Split:
        """Make the split from ``annotations/``: the published test part, and 80/20 of trainval for train and val."""
        test = cls.read_annotations(folder, "test.txt")
        train, val = split_trainval(cls.read_annotations(folder, "trainval.txt"))
        return Split(train, val, test)

    @classmethod
    def read_annotations(cls, folder: Path, name: str) -> list[Datum]:
        """Read lines "<Breed_name>_<number> <label from 1> <species> <breed of that species>".

        Raises:
            FileNotFoundError: If the list or an image in it is missing.
            ValueError: If a line does not fit.
        """

        def parse(line: str) -> Row:
            image, label, _, _ = line.split()
            breed, _ = image.rsplit("_", 1)
            path = str(folder / cls.image_folder / f"{image}.jpg")
            return Row(path, class_number(label), breed.lower())

        path = cls.published_file(folder, "annotations", name)
        rows = read_list(path, parse, form="'<Breed>_<number> <label from 1> <species> <breed>'")
        return existing_part(rows, listed_in=path)
