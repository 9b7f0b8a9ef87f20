"""The command amu-raft: what it is called for is a subcommand, whose parser and work are at its own place."""

import argparse
import io
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from amu_raft import __version__
from amu_raft.backbones import fetch_weights
from amu_raft.command import carry_out
from amu_raft.export import arguments as export_arguments
from amu_raft.export import command as export_command
from amu_raft.features import store_command
from amu_raft.fit import command as fit_command
from amu_raft.images.doctor import command as doctor_command
from amu_raft.prediction import arguments as predict_arguments
from amu_raft.prediction import command as predict_command
from amu_raft.serve import arguments as serve_arguments
from amu_raft.serve import command as serve_command

DESCRIPTION = "Few-shot adaptation of CLIP to your own images."
SHELLS = ("bash", "zsh", "tcsh")
# What a shell completes, by metavar.
_FILES, _FOLDERS = ("PATH", "FILE", "IMAGE|FOLDER|-", "FOLDER", "MODULE"), ("DIR",)


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        about: What the list of subcommands says.
        build_parser: Makes its parser by a function that is given, under a name that is given.
        work: Does it; the exit status, None for 0.
        endings: What ``carry_out`` says and returns after Ctrl-C.
    """

    about: str
    build_parser: Callable[..., argparse.ArgumentParser]
    work: Callable[[Namespace], int | None]
    endings: Mapping[str, Any] = field(default_factory=dict)


COMMANDS = {
    "fit": Command("adapt CLIP to a folder of your images", fit_command.build_parser, fit_command.fit),
    "predict": Command(
        "classify pictures with a trained model", predict_arguments.build_parser, predict_command.predict
    ),
    "serve": Command(
        "serve a trained model as a web page and a REST interface",
        serve_arguments.build_parser,
        serve_command.serve,
        {"interrupted": 0},
    ),
    "export": Command("write a trained model as ONNX", export_arguments.build_parser, export_command.export),
    "doctor": Command("examine your images before training", doctor_command.build_parser, doctor_command.doctor),
    "weights": Command(
        "fetch official weights and verify those that are there",
        fetch_weights.build_parser,
        fetch_weights.fetch_weights,
        {"stopped": fetch_weights.STOPPED},
    ),
    "store": Command("list, check and tidy the feature store", store_command.build_parser, store_command.look_after),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with those of all subcommands."""
    parser = argparse.ArgumentParser(prog="amu-raft", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"amu-raft {__version__}")
    parser.add_argument(
        "--print-completion", action=_PrintCompletion, choices=SHELLS, help="print a completion script for a shell"
    )
    commands = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        command.build_parser(partial(commands.add_parser, name, help=command.about), prog=f"amu-raft {name}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without a letter shows its number instead
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    command = COMMANDS[arguments.subcommand]
    if "opts" in arguments and not any(word.startswith("--") for word in rest):
        # argparse gives words after a flag to no positional argument that was over before the flag.
        arguments.opts, rest = [*arguments.opts, *rest], []
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return carry_out(partial(command.work, arguments), **command.endings)


class _PrintCompletion(argparse.Action):
    """Prints a script by shtab, which nothing else needs, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, _arguments: Any, shell: Any, _flag: str | None = None) -> None:
        import shtab

        kinds = {**dict.fromkeys(_FILES, shtab.FILE), **dict.fromkeys(_FOLDERS, shtab.DIRECTORY)}
        for action in _actions(parser):
            if action.metavar in kinds:
                action.complete = kinds[action.metavar]  # type: ignore[attr-defined, index]
        print(shtab.complete(parser, shell))
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    found = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [inner for choice in action.choices.values() for inner in _actions(choice)]
    return found


if __name__ == "__main__":
    sys.exit(main())
