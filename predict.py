"""Classify pictures with a trained model: model folder and paths to rows."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial

from amu_raft.command import carry_out
from amu_raft.prediction.arguments import build_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return carry_out(partial(_predict, build_parser().parse_args(argv)))


def _predict(arguments: Namespace) -> int:
    from amu_raft.prediction.session import predict

    try:
        return 0 if predict(arguments) else 1
    except BrokenPipeError:
        # Nobody reads the rows any more; what is left in the buffer must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
