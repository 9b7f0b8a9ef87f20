"""The command that looks after the feature store. It stands beside the package, with which torch would come."""

import argparse
import sys
from pathlib import Path

from amu_raft.arguments import MakeParser, new_parser

DESCRIPTION = """List, check and tidy the feature store.

ls lists the entries, verify compares them with their checksums, gc removes what is of no use and what goes beyond the
limit, the entries that were used longest ago first.

Exit status 1 if verify finds damage, 2 if nothing can be done."""


def build_parser(
    make: MakeParser = argparse.ArgumentParser, *, prog: str = "amu-raft store"
) -> argparse.ArgumentParser:
    """Return the parser."""
    parser = new_parser(make, prog, DESCRIPTION)
    add = parser.add_argument
    add("command", choices=("ls", "verify", "gc"))
    add("--store", type=Path, metavar="DIR", help="folder of the store; default features/ in the project's cache")
    add("--limit", type=_limit, metavar="SIZE", help="gc: bytes to keep at most, such as 10G; default 50G")
    parser.set_defaults(refuse=parser.error)
    return parser


def _limit(text: str) -> int:
    from amu_raft.features.store.sizes import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None  # argparse keeps the message of no other error


def look_after(arguments: argparse.Namespace) -> int:
    """Do it; the exit status is 1 if ``verify`` finds damage, 2 if nothing can be done."""
    from amu_raft.features.store.layout import StoreFolder, default_folder
    from amu_raft.features.store.storage import DEFAULT_LIMIT
    from amu_raft.features.store.tending import list_entries, tidy, verify_entries

    if arguments.limit is not None and arguments.command != "gc":
        arguments.refuse(f"--limit is for gc, {arguments.command} removes nothing")
    path = arguments.store or default_folder()
    if path.exists() and not path.is_dir():
        arguments.refuse(f"--store {path} is no folder")
    store = StoreFolder(path)
    try:
        if arguments.command == "gc":
            return tidy(store, DEFAULT_LIMIT if arguments.limit is None else arguments.limit)
        if not store.entries():
            print(f"The feature store {path} is empty")
            return 0
        return list_entries(store) if arguments.command == "ls" else verify_entries(store)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
