"""Write a trained model as an ONNX file that needs neither torch nor this project."""

import sys
from collections.abc import Sequence
from functools import partial

from amu_raft.command import carry_out
from amu_raft.export.arguments import build_parser
from amu_raft.export.command import export


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return carry_out(partial(export, build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
