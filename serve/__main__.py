"""Load a model and serve it until Ctrl-C."""

import os
import sys
from collections.abc import Sequence

from serve.arguments import build_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; an error is one line on stderr and exit status 1.

    AMU_RAFT_TRACEBACK=1 shows where an error came from.
    """
    arguments = build_parser().parse_args(argv)
    try:
        from serve.server import serve

        serve(arguments)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        if os.environ.get("AMU_RAFT_TRACEBACK"):
            raise
        remedy = "; pip install -c constraints.txt -r requirements-serve.txt" if isinstance(error, ImportError) else ""
        print(f"error: {' '.join(str(error).split()) or type(error).__name__}{remedy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
