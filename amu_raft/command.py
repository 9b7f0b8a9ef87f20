"""How a command ends: what goes wrong is one line on stderr, and the exit status says so."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from amu_raft.errors import EXPECTED_ERRORS, one_line, remedy


def carry_out(work: Callable[[], int | None], *, stopped: str = "stopped", interrupted: int = 130) -> int:
    """Do a command's work and return its exit status, 1 at bad input or where the machine fails.

    AMU_RAFT_TRACEBACK=1 shows where an error came from.

    Args:
        work: Returns the exit status; None is 0.
        stopped: What is said after Ctrl-C.
        interrupted: The exit status then.
    """
    try:
        return work() or 0
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return interrupted
    except (*EXPECTED_ERRORS, ImportError) as error:
        if os.environ.get("AMU_RAFT_TRACEBACK"):
            raise
        print(f"error: {one_line(error)}{remedy(error)}", file=sys.stderr)
        return 1


def need_packages(names: Sequence[str], extra: str) -> None:
    """Refuse to go on without packages that only some commands need.

    Args:
        names: What is imported.
        extra: Extra of this package, and ending of the file of requirements, that brings them.

    Raises:
        ImportError: Naming them and how they are installed.
    """
    import torch  # noqa: F401  without it the whole environment is another one

    if missing := [name for name in names if find_spec(name) is None]:
        raise ImportError(
            f"{', '.join(missing)} not installed: pip install '.[{extra}]' in the folder of the project's source, or "
            f"the versions that were tested there, pip install -c constraints.txt -r requirements-{extra}.txt"
        )
