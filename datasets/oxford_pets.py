"""Oxford-IIIT Pets: 37 breeds of cats and dogs."""

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY, Datum
from datasets.coop_layout import CoopDataset
from datasets.split_file import Split, read_split, require_images, save_split, split_trainval
from datasets.subsampling import subsample_classes


@DATASET_REGISTRY.register()
class OxfordPets(CoopDataset):
    """Oxford-IIIT Pets in CoOp's layout, with the static functions that other CoOp-style code takes from this class."""

    dataset_dir = "oxford_pets"
    image_folder = "images"
    split_file = "split_zhou_OxfordPets.json"
    templates = ("a photo of a {}, a type of pet.",)

    read_split = staticmethod(read_split)
    save_split = staticmethod(save_split)
    split_trainval = staticmethod(split_trainval)
    subsample_classes = staticmethod(subsample_classes)

    def make_split(self) -> Split:
        """Make the split from ``annotations/``: the published test part, and 80/20 of trainval for train and val."""
        train, val = split_trainval(self.read_annotations("trainval.txt"))
        return Split(train, val, self.read_annotations("test.txt"))

    def read_annotations(self, name: str) -> list[Datum]:
        """Read lines "<Breed_name>_<number> <label from 1> <species> <breed of that species>".

        Raises:
            FileNotFoundError: If the list or an image in it is missing.
            ValueError: If a line does not fit.
        """
        path = Path(self.dataset_dir, "annotations", name)
        if not path.is_file():
            raise FileNotFoundError(
                f"neither {self.split_path} nor {path} exists; download {self.split_file}, or unpack annotations.tar.gz"
            )
        items = [self._parse(line, path) for line in path.read_text().splitlines() if line and line[0] != "#"]
        require_images([image for image, _, _ in items], listed_in=path)
        return [Datum(impath=image, label=label, classname=breed) for image, label, breed in items]

    def _parse(self, line: str, path: Path) -> tuple[str, int, str]:
        try:
            image, label, _, _ = line.split()
            breed, _ = image.rsplit("_", 1)
            return str(Path(self.image_dir, f"{image}.jpg")), int(label) - 1, breed.lower()
        except ValueError:
            raise ValueError(f"{path}: {line!r} is not '<Breed>_<number> <label> <species> <breed>'") from None
