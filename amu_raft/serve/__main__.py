"""Load a model and serve it until Ctrl-C."""

import sys
from collections.abc import Sequence
from functools import partial

from amu_raft.command import carry_out
from amu_raft.serve.arguments import build_parser
from amu_raft.serve.command import serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status; Ctrl-C is how it is meant to end."""
    return carry_out(partial(serve, build_parser().parse_args(argv)), interrupted=0)


if __name__ == "__main__":
    sys.exit(main())
