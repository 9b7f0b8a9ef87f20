"""A bar while something is gone through."""

import os
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(items: Iterable[Item], title: str) -> Iterable[Item]:
    """Show a bar while items are gone through: on a terminal only, after a second, unless TQDM_DISABLE is set."""
    hidden = True if os.environ.get("TQDM_DISABLE") else None  # None lets tqdm ask whether there is a terminal
    return tqdm(items, desc=title, leave=False, delay=1, disable=hidden)
