"""Bars that count bytes."""

import os
import threading
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    ByteBar = tqdm[Any]


class _Bar(tqdm):  # type: ignore[type-arg]  # the class takes no argument when it runs
    """A bar with a lock of this process. tqdm's own is shared: a child killed while it draws would block its parent."""


_Bar.set_lock(threading.RLock())


def byte_bar(title: str, total: int | None, *, start: int = 0) -> "ByteBar":
    """Return a bar with rate and time left: on a terminal only, after a second, unless TQDM_DISABLE is set.

    Args:
        title: What the bar says.
        total: Bytes at its end; None where nobody knows.
        start: Bytes that were there before, which do not count for the rate.
    """
    hidden = True if os.environ.get("TQDM_DISABLE") else None  # None lets tqdm ask whether there is a terminal
    bar: ByteBar = _Bar(
        desc=title,
        total=total,
        initial=start,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        leave=False,
        delay=1,
        disable=hidden,
    )
    return bar
