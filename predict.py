"""Classify pictures with a trained model: model folder and paths to rows."""

import os
import sys
from collections.abc import Sequence

from prediction.arguments import build_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; an error is one line on stderr and exit status 1.

    AMU_RAFT_TRACEBACK=1 shows where an error came from.
    """
    arguments = build_parser().parse_args(argv)
    try:
        from prediction.session import predict

        return 0 if predict(arguments) else 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Nobody reads the rows any more; what is left in the buffer must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (OSError, ValueError, RuntimeError, ArithmeticError) as error:
        if os.environ.get("AMU_RAFT_TRACEBACK"):
            raise
        print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
