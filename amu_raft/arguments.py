"""What command lines have in common: how a parser is made, and flags that mean the same in each. Nothing heavy."""

import argparse
from collections.abc import Callable
from typing import Any

MakeParser = Callable[..., argparse.ArgumentParser]  # ArgumentParser itself, or what adds a subcommand
_SHARED: dict[str, dict[str, Any]] = {
    "--model": {"required": True, "metavar": "DIR", "help": "run folder of a finished training, or a copy of it"},
    "--weights": {"metavar": "PATH", "help": "folder of official weight files (or one file), as for train.py"},
    "--device": {"help": "such as cpu or cuda; default cuda where there is one"},
    "--import": {
        "dest": "modules",
        "action": "append",
        "default": [],
        "metavar": "MODULE",
        "help": "module or file that registers a method of your own; give it several times",
    },
}


def new_parser(make: MakeParser, prog: str, description: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """Return a parser whose texts keep their lines and whose flags are written out."""
    return make(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_shared(parser: argparse.ArgumentParser, *flags: str) -> None:
    """Add flags that several commands have."""
    for flag in flags:
        parser.add_argument(flag, **_SHARED[flag])


def positive(text: str) -> int:
    """Return a whole number from 1; the type of an argument."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is wanted, got {text!r}")
    return int(text)
