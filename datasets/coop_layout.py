"""Data sets in CoOp's layout: ROOT/<folder>/<images> and a split file beside the images."""

import contextlib
import random
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.few_shot import FewShotDataset
from datasets.split_file import Row, Split, check_split, read_rows, read_split, save_split

if TYPE_CHECKING:
    from yacs.config import CfgNode

SPLIT_SEED = 1  # the seed that CoOp's tables start with: the files of its first run give the same new split here


class CoopDataset(FewShotDataset):
    """Base of the data sets in CoOp's layout.

    A data set sets the class attributes and, if its split file can be made from the files it is published with,
    overrides ``make_split``.

    Attributes:
        dataset_dir: Folder below DATASET.ROOT; on an instance the absolute path.
        image_folder: Folder below it that the paths in the split file are relative to ("" for the folder itself).
        split_file: Name of the split file.
        templates: Sentences with "{}" for the class name.
        prompt_file: Name of the file of sentences per class.
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
            content = " and ".join(name for name in (self.image_folder or "the images", self.split_file) if name)
            raise FileNotFoundError(
                f"{type(self).__name__} needs the folder {folder} with {content}; "
                f"correct DATASET.ROOT, or get it: {self.prepare_command(folder)}"
            )

    @classmethod
    def prepare_command(cls, folder: Path) -> str:
        """Return the command that downloads what is missing in ``folder``."""
        return f"python -m datasets.prepare {cls.__name__} --root {folder.parent}"

    @classmethod
    def published_file(cls, folder: Path, *parts: str) -> Path:
        """Return the path of a file that the split is made from.

        Raises:
            FileNotFoundError: If it is not there; this is about the split file too, which would have made it needless.
        """
        path = folder.joinpath(*parts)
        if path.exists():
            return path
        missing = f"neither {folder / cls.split_file} nor {path} exists" if cls.split_file else f"no file {path}"
        raise FileNotFoundError(f"{missing}; get it: {cls.prepare_command(folder)}")

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
        if Path(self.split_path).is_file():
            return read_split(self.split_path, self.image_dir)
        split = self.new_split(Path(self.dataset_dir))
        try:
            save_split(*split, self.split_path, self.image_dir)
        except OSError as error:
            warnings.warn(f"the new split cannot be kept ({error}); every run will make it again", stacklevel=2)
        print(
            f"This split is new: its samples differ from those of the published {self.split_file}, which "
            f"{self.prepare_command(Path(self.dataset_dir))} downloads"
        )
        return split

    @classmethod
    def new_split(cls, folder: Path) -> Split:
        """Make the split and check it; the same files give the same one, whatever the seed of the run.

        The global random state is left as it is, so that this run samples the same shots as those that read the file.
        """
        state = random.getstate()
        random.seed(SPLIT_SEED)
        try:
            split = cls.make_split(folder)
        finally:
            random.setstate(state)
        check_split(split, f"the new split of {folder}")
        return split

    @classmethod
    def make_split(cls, folder: Path) -> Split:
        """Make the split from the files that the data set in ``folder`` is published with.

        It draws from Python's global ``random``.

        Raises:
            FileNotFoundError: If there is nothing to make it from, as is the rule here.
        """
        raise FileNotFoundError(
            f"no split file {folder / cls.split_file}, and {cls.__name__} has nothing to make it from; "
            f"get it: {cls.prepare_command(folder)}"
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
