"""The command that examines own images: its arguments, and what it prints."""

import argparse
import os
import sys
from pathlib import Path

from amu_raft.arguments import MakeParser, new_parser
from amu_raft.images.doctor import SHOTS

DESCRIPTION = """Examine your own images before training: every file is read and decoded, nothing is written.

Exit status 0 if they are ready to train on, 1 if not."""


def build_parser(
    make: MakeParser = argparse.ArgumentParser, *, prog: str = "amu-raft doctor"
) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = new_parser(make, prog, DESCRIPTION)
    add = parser.add_argument
    add("folder", metavar="FOLDER", type=Path, help="folder of images, or a list of them (.csv, .tsv, .jsonl)")
    shots = f"training images per class that a run shall draw; default {SHOTS}"
    add("--shots", type=int, metavar="K", default=SHOTS, help=shots)
    return parser


def doctor(arguments: argparse.Namespace) -> int:
    """Print what the folder or list holds.

    Returns:
        0 if it is ready to train on, 1 if not.

    Raises:
        ValueError: If --shots is below 1.
    """
    text, ready = examine_own(arguments.folder, shots=arguments.shots)
    show(text)
    return 0 if ready else 1


def examine_own(source: Path, *, shots: int = SHOTS) -> tuple[str, bool]:
    """Examine own images; return the report and whether they are ready to train on.

    Raises:
        ValueError: If the shots are below 1.
    """
    from amu_raft.images.doctor.examination import examine  # torch comes with it, which --help does not need
    from amu_raft.images.doctor.report import format_examination

    if shots < 1:
        raise ValueError(f"--shots {shots} is below 1")
    found = examine(source.expanduser().absolute(), shots=shots)
    return format_examination(found), not found.failures


def show(text: str) -> None:
    """Print a report, whose reader, such as head, may have seen enough of it."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
