"""What lies in a folder of own images and is not read."""

import os
from collections import Counter
from pathlib import Path

from amu_raft.images.files import is_image, is_ours
from amu_raft.images.names import CLASSNAMES_FILE
from amu_raft.images.own_images import PROMPT_FILE
from amu_raft.wording import plural, printable, shortened

SHOWN = 8  # endings in a line


def describe_other_files(root: Path, *, with_classes: bool) -> list[str]:
    """Return a line for each kind of thing that training leaves out.

    Args:
        root: The folder.
        with_classes: Whether its sub-folders are classes, so that images beside them are left out.
    """
    endings: Counter[str] = Counter()
    hidden, links, loose = 0, [], 0
    for parent, folders, files in os.walk(root):
        hidden += sum(not is_ours(name) for name in folders)
        folders[:] = filter(is_ours, folders)
        if Path(parent) != root:  # beside the classes links are followed
            links += [Path(parent, name).name for name in folders if Path(parent, name).is_symlink()]
        for name in files:
            if name in (CLASSNAMES_FILE, PROMPT_FILE) and Path(parent) == root:
                continue
            if name.startswith("."):
                hidden += 1
            elif not is_image(name):
                endings[Path(name).suffix.lower() or "none"] += 1
            elif Path(parent) == root and with_classes:
                loose += 1
    return _lines(endings, hidden, links, loose)


def _lines(endings: Counter[str], hidden: int, links: list[str], loose: int) -> list[str]:
    lines = []
    if endings:
        shown = ", ".join(f"{printable(ending)} {number}" for ending, number in endings.most_common(SHOWN))
        more = f" and {len(endings) - SHOWN} other endings" if len(endings) > SHOWN else ""
        lines.append(f"files that are not images by their ending, not read: {shown}{more}")
    if hidden:
        lines.append(f"hidden files and folders, and those of the system, not read: {hidden}")
    if links:
        lines.append(f"links to folders within classes, not followed: {shortened(map(printable, links), 3)}")
    if loose:
        lines.append(f"{plural(loose, 'image')} beside the class folders, not read")
    return lines
