"""Show which data sets are whole, or what a folder or list of your own images holds.

    python -m datasets.doctor --root DATA                   all fifteen
    python -m datasets.doctor Caltech101 dtd --root DATA    some of them, by any of their names
    python -m datasets.doctor eurosat --root DATA --deep    open and decode every image as well
    python -m datasets.doctor path/to/folder                your own images, before training; or a list (.csv, .jsonl)

A word that holds a "/" is a path, and so is one that names no benchmark but an existing file or folder.

Exit status: 0 if all that were asked for are whole (own images: ready to train on), 1 if not, 2 for arguments that make
no sense.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from amu_raft.images.doctor import SHOTS
from amu_raft.images.doctor.command import examine_own, show
from amu_raft.progress import progress
from datasets.catalog import Entry, find_entries, read_catalog
from datasets.catalog.root import data_root
from datasets.doctor.finding import Finding
from datasets.doctor.inspection import inspect
from datasets.doctor.table import format_findings


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, print the table and return the exit status."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        catalog = read_catalog(arguments.catalog)
        if own := own_path(arguments.names, catalog, arguments.root):
            text, whole = examine_own(own, shots=arguments.shots)
        else:
            if arguments.root is None:
                parser.error(
                    f"benchmarks need --root; own images need a path, and {arguments.names} has none that exists"
                )
            entries = find_entries(arguments.names or ["all"], catalog)
            check_root(arguments.root)
            findings = inspect_all(entries, arguments.root, deep=arguments.deep)
            text, whole = format_findings(findings), all(finding.state == "whole" for finding in findings)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(text)
    return 0 if whole else 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m datasets.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME|PATH", help="benchmarks (default all), or one folder or list of own images")
    add("--root", type=data_root, metavar="DIR", help="folder that holds the benchmarks (DATASET.ROOT)")
    add("--deep", action="store_true", help="open and decode every image, which is always done with own images")
    shots = f"own images: training images per class of a run; default {SHOTS}"
    add("--shots", type=int, metavar="K", default=SHOTS, help=shots)
    add("--catalog", type=Path, metavar="FILE", help="what is expected; default the catalog of this repository")
    return parser


def check_root(root: Path) -> None:
    """Refuse a data root that is no folder.

    Raises:
        ValueError: If it is none.
    """
    root = root.expanduser()
    if not root.is_dir():
        raise ValueError(f"--root {root} {'is a file, no folder' if root.exists() else 'does not exist'}")


def own_path(names: Sequence[str], catalog: Mapping[str, Entry], root: Path | None) -> Path | None:
    """Return the folder or list of own images that is asked for, None for benchmarks.

    Raises:
        ValueError: If it is not the only thing that is asked for, or a data root is given.
    """
    paths = [name for name in names if is_path(name, catalog)]
    if paths and len(names) > 1:
        raise ValueError(f"{paths[0]!r} is a path of own images, which is examined alone; leave the others out")
    if paths and root is not None:
        raise ValueError(f"--root goes with benchmarks; {Path(paths[0])} is a path of own images")
    return Path(paths[0]) if paths else None


def is_path(name: str, catalog: Mapping[str, Entry]) -> bool:
    """Tell a path from the name of a benchmark."""
    if os.sep in name or name.startswith("~"):
        return True
    try:
        find_entries([name], catalog)
    except ValueError:
        return bool(name) and Path(name).exists()
    return False


def inspect_all(entries: Sequence[Entry], root: Path, *, deep: bool) -> list[Finding]:
    """Inspect data sets one after the other, with a bar where it takes long.

    Raises:
        ValueError: If the catalog holds a data set that is not registered.
    """
    return [inspect(entry, root, deep=deep) for entry in progress(list(entries), "Data sets")]


if __name__ == "__main__":
    sys.exit(main())
