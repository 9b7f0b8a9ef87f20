"""ImageFolder: the user's own images, in folders or in a list, never written to."""

from pathlib import Path
from typing import TYPE_CHECKING

from amu_raft.images.own_images import PROMPT_FILE, TEMPLATES, OwnImages, folder_of, read_own_images
from amu_raft.images.readable import check_readable
from dassl.data.datasets import DATASET_REGISTRY
from datasets.few_shot import FewShotDataset
from datasets.listed_item import listed_item
from datasets.split_file import Split

if TYPE_CHECKING:
    from yacs.config import CfgNode


@DATASET_REGISTRY.register()
class ImageFolder(FewShotDataset):
    """Images in DATASET.ROOT, a folder or a list; docs/own_images.md tells what they may look like.

    Attributes:
        prompt_file: "prompts.json" where that file lies beside the images, else "".
        has_own_prompts: Whether it does, so that its sentences are the data set's own.
    """

    templates = TEMPLATES

    def __init__(self, cfg: "CfgNode") -> None:
        if not cfg.DATASET.ROOT:
            raise ValueError("DATASET.ROOT is not given; ImageFolder reads a folder or a list: pass --data PATH")
        source = Path(cfg.DATASET.ROOT).expanduser().absolute()
        own = read_own_images(source)
        if own.division:
            print(f"{source}: {own.division}")
        split = make_split(own)
        folder = folder_of(source)
        self.dataset_dir = str(folder)
        self.has_own_prompts = (folder / PROMPT_FILE).is_file()
        self.prompt_file = PROMPT_FILE if self.has_own_prompts else ""  # type: ignore[misc]
        self._keys = {item.impath: own.classes[item.label] for item in split.train}
        super().__init__(cfg, split, source=source, root=folder)
        self._source = source

    def check_images(self) -> None:
        """Refuse images of this run that a glance shows to be damaged.

        Raises:
            OSError: Naming the first of them.
        """
        parts = (self.train_x, self.val, self.test)
        check_readable((item.impath for part in parts for item in part or ()), self._source)

    @property
    def class_keys(self) -> list[str]:
        """Folders, or labels of the list, in label order: names may repeat, they do not."""
        keys = {item.label: self._keys[item.impath] for item in self.train_x}
        return [key for _, key in sorted(keys.items())]


def make_split(own: OwnImages) -> Split:
    """Return own images as items of a data set, part by part and class by class."""
    labels = {key: label for label, key in enumerate(own.classes)}
    return Split(
        **{
            part: [
                listed_item(str(path), labels[key], own.names[labels[key]])
                for key, paths in classes.items()
                for path in paths
            ]
            for part, classes in own.parts.items()
        }
    )
