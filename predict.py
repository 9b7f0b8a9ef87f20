"""Classify pictures with a trained model: model folder and paths to rows."""

import sys
from collections.abc import Sequence
from functools import partial

from amu_raft.command import carry_out
from amu_raft.prediction.arguments import build_parser
from amu_raft.prediction.command import predict


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return carry_out(partial(predict, build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
