"""Long names that differ somewhere in their middle: shortened so that the difference is what stays."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile

from experiments.results.figures.style import shorten

_WORD_ENDS = " ,;)]"


def shorten_distinctly(names: Sequence[str], length: int) -> dict[str, str]:
    """Return a short name for every name; where the usual shortening would make two equal, their difference is kept.

    Args:
        names: The names; equal ones count once.
        length: Characters that a short name may have, at least 8.

    Raises:
        ValueError: If the length is less than 8.
    """
    if length < 8:
        raise ValueError(f"names are shortened to 8 characters or more, not to {length}")
    found: dict[str, str] = {}
    for short, group in _alike({name: shorten(name, length) for name in names}).items():
        found |= {group[0]: short} if len(group) == 1 else _around_difference(group, length)
    for short, group in _alike(found).items():
        for number, name in enumerate(group[1:], start=2):  # hardly ever: several differences that lie far apart
            found[name] = _numbered(short, number, length, set(found.values()))
    return {name: found[name] for name in names}


def _alike(shortened: dict[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, short in shortened.items():
        groups[short].append(name)
    return groups


def _around_difference(names: Sequence[str], length: int) -> dict[str, str]:
    """Shorten names to the words between what all begin and all end with, and to some of both ends."""
    first = names[0]
    start = _common_start(names)
    start = first.rfind(" ", 0, start) + 1
    end = _common_start([name[start:][::-1] for name in names])
    while end and first[len(first) - end] not in _WORD_ENDS:
        end -= 1
    middles = {name: name[start : len(name) - end] for name in names}
    room = length - max(map(len, middles.values()))
    if room < 5:  # the differences alone are too long
        return {name: shorten(middle, length) for name, middle in middles.items()}
    head, tail = _shares(start, end, room)
    return {
        name: _cut(first[:start], head, keep_start=True) + middle + _cut(first[len(first) - end :], tail)
        for name, middle in middles.items()
    }


def _common_start(names: Sequence[str]) -> int:
    """Return how many characters all names begin with."""
    return sum(1 for _ in takewhile(lambda found: len(set(found)) == 1, zip(*names, strict=False)))


def _shares(start: int, end: int, room: int) -> tuple[int, int]:
    """Divide the characters left between both ends; what one does not need goes to the other."""
    head = min(start, max((room + 1) // 2, room - end))
    return head, min(end, room - head)


def _cut(text: str, length: int, *, keep_start: bool = False) -> str:
    if len(text) <= length:
        return text
    return f"{text[: length - 1].rstrip()}…" if keep_start else f"…{text[len(text) - length + 1 :].lstrip()}"


def _numbered(short: str, number: int, length: int, taken: set[str]) -> str:
    while True:
        remark = f" ({number})"
        name = shorten(short, length - len(remark)) + remark
        if name not in taken:
            return name
        number += 1
