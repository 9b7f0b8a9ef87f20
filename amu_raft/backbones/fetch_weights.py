"""Command line: amu-raft weights NAME... fetches official weights and verifies those that are there."""

import argparse
import sys
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from amu_raft.arguments import MakeParser, new_parser
from amu_raft.backbones.official_weights import (
    OFFICIAL_FILES,
    WeightFile,
    check_entries,
    check_sha256,
    download_weights,
    locate_weights,
)
from amu_raft.command import carry_out
from amu_raft.errors import one_line

ALL = "all"
STOPPED = "stopped; the same command goes on where this one was"


def build_parser(
    make: MakeParser = argparse.ArgumentParser, *, prog: str = "python -m amu_raft.backbones.fetch_weights"
) -> argparse.ArgumentParser:
    """Return the parser."""
    names = textwrap.fill(f"names: {', '.join(OFFICIAL_FILES)}, {ALL}", 100)
    parser = new_parser(
        make,
        prog,
        "Fetch official weights; files that are there are verified instead.",
        f"{names}\n\nexit status 0: every named file is whole (with --dry-run: nothing is damaged)",
    )
    add = parser.add_argument
    add("names", nargs="+", metavar="NAME", help=f"weights, such as RN50 or mocov3_rn50, or {ALL}")
    add("--weights", type=Path, metavar="DIR", help="folder for the files; default where runs look for them")
    add("--mirror", default="", metavar="URL", help="address of a folder with copies, asked before the publisher")
    add("--dry-run", action="store_true", help="say what would be fetched, from where")
    return parser


def find_files(names: Sequence[str]) -> list[WeightFile]:
    """Return the named files, each once.

    Raises:
        ValueError: At an unknown name, with the nearest and all known ones.
    """
    for name in names:
        if name not in (*OFFICIAL_FILES, ALL):
            near = get_close_matches(name, OFFICIAL_FILES, n=1, cutoff=0.6)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"unknown weights {name!r}{hint}; choose from {', '.join([*OFFICIAL_FILES, ALL])}")
    return [entry for name, entry in OFFICIAL_FILES.items() if name in names or ALL in names]


def fetch(entry: WeightFile, folder: Path | None, *, mirror: str, dry_run: bool) -> str:
    """Verify a file that is there, fetch one that is not, and return what is to be said about it.

    Raises:
        OSError: If it cannot be fetched.
        ValueError: If it is damaged.
    """
    path = folder.expanduser() / entry.file if folder else locate_weights(entry)
    there = path.is_file()
    if not there and dry_run:
        sources = f"{mirror.rstrip('/')}/{entry.file}, else {entry.url}" if mirror else entry.url
        return f"absent: {sources} would be fetched to {path} (size unknown)"
    if not there:
        download_weights(entry, path, mirror=mirror)
    elif entry.sha256:
        check_sha256(entry, path)
    else:
        check_entries(entry, path)
    checked = "sha256 verified" if entry.sha256 else "entries verified, no checksum is published"
    return f"{'whole' if there else 'fetched'}: {path} ({checked})"


def fetch_weights(arguments: argparse.Namespace) -> int:
    """Fetch every named file; one that fails does not stop the others, and the exit status is 1 then.

    Raises:
        ValueError: If a name is unknown, or the folder is a file.
    """
    entries = find_files(arguments.names)
    if arguments.weights and arguments.weights.expanduser().is_file():
        raise ValueError(f"--weights {arguments.weights} is a file; name the folder for the files")
    failed = 0
    for entry in entries:
        try:
            said = fetch(entry, arguments.weights, mirror=arguments.mirror, dry_run=arguments.dry_run)
            print(f"{entry.name:<15} {said}")
        except (OSError, ValueError) as error:
            print(f"error: {entry.name}: {one_line(error)}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return carry_out(partial(fetch_weights, build_parser().parse_args(argv)), stopped=STOPPED)


if __name__ == "__main__":
    sys.exit(main())
