"""Show which data sets are whole.

    python -m datasets.doctor --root DATA                   all fifteen
    python -m datasets.doctor Caltech101 dtd --root DATA    some of them, by any of their names
    python -m datasets.doctor eurosat --root DATA --deep    open and decode every image as well

Exit status: 0 if all that were asked for are whole, 1 if not, 2 for arguments that make no sense.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from datasets.catalog import Entry, find_entries, read_catalog
from datasets.catalog.root import data_root
from datasets.doctor.finding import Finding
from datasets.doctor.inspection import inspect
from datasets.doctor.table import format_findings
from features.extraction import progress


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, print the table and return the exit status."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        entries = find_entries(arguments.names or ["all"], read_catalog(arguments.catalog))
        check_root(arguments.root)
        findings = examine(entries, arguments.root, deep=arguments.deep)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        print(format_findings(findings), flush=True)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
    return 0 if all(finding.state == "whole" for finding in findings) else 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m datasets.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="registry name, configuration stem or folder; default all")
    add("--root", type=data_root, required=True, metavar="DIR", help="folder that holds the data sets (DATASET.ROOT)")
    add("--deep", action="store_true", help="open and decode every image; minutes to hours")
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


def examine(entries: Sequence[Entry], root: Path, *, deep: bool) -> list[Finding]:
    """Inspect data sets one after the other, with a bar where it takes long.

    Raises:
        ValueError: If the catalog holds a data set that is not registered.
    """
    return [inspect(entry, root, deep=deep) for entry in progress(list(entries), "Data sets")]


if __name__ == "__main__":
    sys.exit(main())
