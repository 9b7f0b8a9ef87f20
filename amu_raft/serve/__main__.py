"""Load a model and serve it until Ctrl-C."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial

from amu_raft.command import carry_out, need_packages
from amu_raft.serve.arguments import build_parser

NEEDED = ("fastapi", "uvicorn", "python_multipart")


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status; Ctrl-C is how it is meant to end."""
    return carry_out(partial(_serve, build_parser().parse_args(argv)), interrupted=0)


def _serve(arguments: Namespace) -> None:
    need_packages(NEEDED, "requirements-serve.txt")
    from amu_raft.serve.server import serve

    serve(arguments)


if __name__ == "__main__":
    sys.exit(main())
