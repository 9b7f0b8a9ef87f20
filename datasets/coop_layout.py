"""Data sets in CoOp's layout: ROOT/<folder>/<images> and a split file beside the images."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.few_shot import FewShotDataset
from datasets.split_file import Row, Split, read_rows, read_split, save_split

if TYPE_CHECKING:
    from yacs.config import CfgNode


class CoopDataset(FewShotDataset):
    """Base of the data sets in CoOp's layout.

    A data set sets the four class attributes and, if its split file can be made from the files it is published with,
    overrides ``make_split``.

    Attributes:
        dataset_dir: Folder below DATASET.ROOT; on an instance the absolute path.
        image_folder: Folder below it that the paths in the split file are relative to ("" for the folder itself).
        split_file: Name of the split file.
        templates: Sentences with "{}" for the class name.
    """

    image_folder = "images"
    split_file = ""

    def __init__(self, cfg: "CfgNode") -> None:
        root = self.find_root(cfg)
        folder = root / type(self).dataset_dir
        self.prepare_folder(folder)
        self.dataset_dir = str(folder)
        self.image_dir = str(folder / self.image_folder)
        self.split_path = str(folder / self.split_file)
        split = self.load_split()
        cache_dir = folder / "split_fewshot"
        self.split_fewshot_dir = str(cache_dir)
        with contextlib.suppress(OSError):  # a read-only root serves as well; keeping a sample warns where it cannot
            cache_dir.mkdir(exist_ok=True)
        super().__init__(cfg, split, source=self.split_path, root=root, cache_dir=cache_dir)

    def find_root(self, cfg: "CfgNode") -> Path:
        """Return the absolute data root.

        Raises:
            ValueError: If DATASET.ROOT is empty.
            FileNotFoundError: If it is no folder.
        """
        if not cfg.DATASET.ROOT:
            raise ValueError(
                f"DATASET.ROOT is not given; {type(self).__name__} is read from ROOT/{type(self).dataset_dir}: "
                "pass --root DIR"
            )
        return existing_root(cfg)

    def prepare_folder(self, folder: Path) -> None:
        """Check that the data set's folder is there.

        Raises:
            FileNotFoundError: If it is not.
        """
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{type(self).__name__} needs the folder {folder} with {self.image_folder or 'the images'} "
                f"and {self.split_file}; unpack the data set there or correct DATASET.ROOT"
            )

    @classmethod
    def read_rows(cls, folder: Path) -> dict[str, list[Row]]:
        """List the images that the data set in ``folder`` consists of, whether they exist or not.

        Raises:
            FileNotFoundError: If the list itself is missing.
            ValueError: If it is damaged.
        """
        return read_rows(folder / cls.split_file, folder / cls.image_folder)

    def load_split(self) -> Split:
        """Read the split file; make and write it first if there is none."""
        if not Path(self.split_path).is_file():
            split = self.make_split()
            save_split(*split, self.split_path, self.image_dir)
            return split
        return read_split(self.split_path, self.image_dir)

    def make_split(self) -> Split:
        """Make the split from the files that the data set is published with.

        Raises:
            FileNotFoundError: If there is nothing to make it from, as is the rule here.
        """
        raise FileNotFoundError(
            f"no split file {self.split_path}, and {type(self).__name__} has nothing to make it from; "
            f"download {self.split_file} (CoOp's docs/DATASETS.md links it) to {self.dataset_dir}"
        )


def existing_root(cfg: "CfgNode") -> Path:
    """Return DATASET.ROOT as an absolute path, "~" expanded.

    Raises:
        FileNotFoundError: If it is no folder.
    """
    root = Path(cfg.DATASET.ROOT).expanduser().absolute()
    if not root.is_dir():
        state = "is a file, no folder" if root.exists() else "does not exist"
        raise FileNotFoundError(f"the data root {root} {state}; correct DATASET.ROOT, given by --root")
    return root
