"""Base of the data sets that ImageNet classifiers are evaluated on: V2, Sketch, A and R."""

from pathlib import Path
from typing import TYPE_CHECKING

from dassl.data.datasets import DatasetBase
from datasets.class_names import find_classnames, name_folders, note_shared_names, read_classnames
from datasets.coop_layout import CoopDataset
from datasets.few_shot import check_subsample
from datasets.listed_item import listed_item
from datasets.split_file import Row
from datasets.wnid_folders import Listing, list_images, require_images_of_each, scan_classes

if TYPE_CHECKING:
    from yacs.config import CfgNode


class ImageNetVariant(CoopDataset):
    """Images in ROOT/<dataset_dir>/<image_folder>/<class folder>/, all of them test images.

    They are ``train_x`` as well, as in CoOp, because the classes are read from there; there is no validation part, and
    neither shots nor base and new classes are taken. The names are those of classnames.txt in the data set's folder or
    in ROOT/imagenet.
    """

    evaluation_only = True
    templates = ("a photo of a {}.",)
    prompt_file = "imagenet_prompt.json"

    def __init__(self, cfg: "CfgNode") -> None:
        if (subsample := check_subsample(cfg)) != "all":
            raise ValueError(
                f"DATASET.SUBSAMPLE_CLASSES is {subsample!r}, which does not apply to {type(self).__name__}: "
                "it serves for evaluation on all its classes; accepted is all"
            )
        folder = self.find_root(cfg) / type(self).dataset_dir
        self.prepare_folder(folder)
        self.dataset_dir = str(folder)
        self.image_dir = str(folder / self.image_folder)
        classes = self.read_classes(folder)
        self._wnids = [wnid for wnid, _ in classes.values()]
        items = [listed_item(*row) for row in self._list_rows(folder, classes)]
        DatasetBase.__init__(self, train_x=items, test=items)
        note_shared_names(type(self).__name__, self.lab2cname)

    def prepare_folder(self, folder: Path) -> None:
        """Check that the folder of images is there.

        Raises:
            FileNotFoundError: If it is not.
        """
        self._require_images_folder(folder)

    @classmethod
    def read_rows(cls, folder: Path) -> dict[str, list[Row]]:
        """List the images that lie in the class folders, as "test".

        Raises:
            FileNotFoundError: If the folder of images or classnames.txt is missing.
            ValueError: If a class folder has no images or no name.
        """
        cls._require_images_folder(folder)
        return {"test": cls._list_rows(folder, cls.read_classes(folder))}

    @classmethod
    def read_classes(cls, folder: Path) -> dict[str, tuple[str, str]]:
        """Return wnid and name by class folder, in the order of the labels.

        Raises:
            FileNotFoundError: If classnames.txt is missing.
            ValueError: If a folder has no name there.
        """
        named_in = find_classnames(folder)
        wnids, _ = scan_classes(folder / cls.image_folder)
        names = name_folders(wnids, read_classnames(named_in), listed_in=folder / cls.image_folder, named_in=named_in)
        return {wnid: (wnid, name) for wnid, name in zip(wnids, names, strict=True)}

    @classmethod
    def _require_images_folder(cls, folder: Path) -> None:
        images = folder / cls.image_folder
        remedy = f"correct DATASET.ROOT, or get it: {cls.prepare_command(folder)}"
        if not images.is_dir():
            raise FileNotFoundError(f"{cls.__name__} needs the folder {images} with its class folders; {remedy}")
        if not scan_classes(images)[0]:
            raise ValueError(f"{images} has no class folders; {remedy}")

    @classmethod
    def _list_rows(cls, folder: Path, classes: dict[str, tuple[str, str]]) -> list[Row]:
        images = folder / cls.image_folder
        listing: Listing = {name: list_images(images / name) for name in classes}
        require_images_of_each(listing, images)
        return [
            Row(str(images / name / image), label, classname)
            for label, (name, (_, classname)) in enumerate(classes.items())
            for image in listing[name]
        ]

    @property
    def prompt_path(self) -> Path:
        """Where the sentences for ImageNet's classes are looked for."""
        return Path(self.dataset_dir).parent / "imagenet" / self.prompt_file

    @property
    def class_keys(self) -> list[str]:
        """The wnids in label order; unlike the names, no two are the same."""
        return list(self._wnids)
