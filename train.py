"""Train or evaluate one few-shot method: command line to frozen configuration to trainer to result.json."""

import sys
import warnings
from collections.abc import Sequence
from typing import Any

from amu_raft.command import carry_out
from experiments.runs.arguments import build_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    arguments = build_parser().parse_args(argv)

    def work() -> None:
        run(arguments)

    return carry_out(work, stopped="stopped; the same command resumes from the last checkpoint")


def run(arguments: Any) -> dict[str, Any]:
    """Do one run and return what its result.json holds; empty if nothing was to be trained or evaluated."""
    from experiments.runs.config import build_plan
    from experiments.runs.session import execute

    warnings.formatwarning = lambda message, *_args, **_kwargs: f"warning: {message}\n"
    return execute(build_plan(arguments))


if __name__ == "__main__":
    sys.exit(main())
