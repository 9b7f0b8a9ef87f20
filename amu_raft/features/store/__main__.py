"""List, check and tidy the feature store: python -m amu_raft.features.store ls|verify|gc."""

import sys
from collections.abc import Sequence

from amu_raft.features.store_command import build_parser, look_after


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return look_after(build_parser(prog="python -m amu_raft.features.store").parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
