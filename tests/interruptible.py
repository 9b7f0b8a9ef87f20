"""Processes that can be interrupted wherever the tests run."""

import signal


def interruptible() -> None:
    """Give a new process (``preexec_fn``) the usual Ctrl-C: of a job in the background it inherits deafness to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
