"""Train or evaluate one few-shot method: command line to frozen configuration to trainer to result.json."""

import sys
from collections.abc import Sequence

from amu_raft.command import carry_out
from experiments.runs.arguments import build_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    arguments = build_parser().parse_args(argv)

    def work() -> None:
        from experiments.runs.session import run  # torch: --help does without

        run(arguments)

    return carry_out(work, stopped="stopped; the same command resumes from the last checkpoint")


if __name__ == "__main__":
    sys.exit(main())
