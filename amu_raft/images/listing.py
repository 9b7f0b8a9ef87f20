"""The user's own images by class, as a folder or a list has them, before anything is divided or drawn."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amu_raft.wording import is_text, quoted, shortened

SPLIT_NAMES = ("train", "val", "test")
UNDIVIDED = "all"
# Part by its spelling.
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
Classes = dict[str, list[Path]]


@dataclass(frozen=True)
class Listing:
    """Which images there are.

    Attributes:
        layout: How they lie, in words.
        parts: Images by class, classes sorted, for "train" and perhaps "val" and "test"; or "all" for what is not
            divided yet.
    """

    layout: str
    parts: Mapping[str, Classes]

    @property
    def classes(self) -> list[str]:
        """The classes that are trained on, in the order of their labels."""
        return list(self.trained)

    @property
    def trained(self) -> Classes:
        """Images by class of the part that training images are drawn from."""
        return self.parts["train"] if "train" in self.parts else self.parts[UNDIVIDED]


def check_listing(listing: Listing, source: Path) -> Listing:
    """Return a listing that can be trained on; warn of classes without test images.

    Raises:
        ValueError: If there are fewer than two classes, names that are no text, or images of classes that are not
            trained on.
    """
    classes = listing.classes
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no classes"
        raise ValueError(f"{source} has {found}; expected two or more, as in {source}/<class>/<image>.jpg")
    broken = [name for name in classes if not is_text(name)]
    if broken:
        raise ValueError(f"{source} has class names that are no UTF-8: {quoted(broken)}; rename the folders")
    for part, images in listing.parts.items():
        if unknown := [name for name in images if name not in listing.trained]:
            raise ValueError(f"{source} has {part} images of {shortened(unknown)}, but no training images of it")
    lacking = [name for name in classes if not listing.parts.get("test", listing.trained).get(name)]
    if lacking:
        warnings.warn(f"{source} has no test images of {shortened(lacking)}", stacklevel=2)
    return listing
