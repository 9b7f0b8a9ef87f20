"""Train or evaluate one few-shot method: command line to frozen configuration to trainer to result.json."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from runs.arguments import build_parser
from runs.errors import EXPECTED_ERRORS, one_line


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; bad input is one line on stderr and exit status 1.

    AMU_RAFT_TRACEBACK=1 shows where an error came from.
    """
    arguments = build_parser().parse_args(argv)
    try:
        run(arguments)
    except KeyboardInterrupt:
        print("stopped; the same command resumes from the last checkpoint", file=sys.stderr)
        return 130
    except EXPECTED_ERRORS as error:
        if os.environ.get("AMU_RAFT_TRACEBACK"):
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


def run(arguments: Any) -> dict[str, Any]:
    """Do one run and return what its result.json holds; empty if nothing was to be trained or evaluated."""
    from runs.config import build_plan
    from runs.session import execute

    warnings.formatwarning = lambda message, *_args, **_kwargs: f"warning: {message}\n"
    return execute(build_plan(arguments))


if __name__ == "__main__":
    sys.exit(main())
