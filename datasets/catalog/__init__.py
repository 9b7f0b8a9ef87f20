"""The benchmarks as data: where their files come from, what they must hold and where they belong.

Everything that is known lies in ``benchmarks.yaml``; another file of the same form (own mirrors, other checksums) is
read with ``read_catalog(path)``. Nothing here touches the network or a data root.
"""

import difflib
from collections.abc import Mapping, Sequence

from datasets.catalog.entries import ClassNamesCheck, Download, Entry, Move, Part, Place, Source
from datasets.catalog.reading import BENCHMARKS, read_catalog

__all__ = [
    "BENCHMARKS",
    "ClassNamesCheck",
    "Download",
    "Entry",
    "Move",
    "Part",
    "Place",
    "Source",
    "find_entries",
    "read_catalog",
]


def find_entries(names: Sequence[str], catalog: Mapping[str, Entry]) -> list[Entry]:
    """Return the data sets that are asked for, each once, in the order of asking.

    Args:
        names: Registry names, configuration stems, folder names (in any case) or "all".
        catalog: As ``read_catalog`` returns it.

    Raises:
        ValueError: If a name is none of these; the nearest ones are named.
    """
    known = {alias.lower(): entry for entry in catalog.values() for alias in (entry.directory, entry.stem, entry.name)}
    found: dict[str, Entry] = {}
    for name in names:
        if name.lower() == "all":
            found.update({entry.name: entry for entry in catalog.values()})
        elif name.lower() in known:
            entry = known[name.lower()]
            found[entry.name] = entry
        else:
            near = difflib.get_close_matches(name.lower(), known, n=3)
            nearest = f"; nearest: {', '.join(dict.fromkeys(known[alias].name for alias in near))}" if near else ""
            raise ValueError(f"unknown data set {name!r}{nearest}; known: all, {', '.join(catalog)}")
    return list(found.values())
