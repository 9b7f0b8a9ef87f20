"""What predict.py and amu-raft predict do with their arguments."""

import os
import sys
from argparse import Namespace

from amu_raft.strangers import import_modules


def predict(arguments: Namespace) -> int:
    """Write a row for every picture and return the exit status.

    Raises:
        ImportError: If a module that is to be imported is not there, or fails.
        OSError: If a file of the model is missing, or something cannot be written.
        ValueError: If the model is damaged or an argument means nothing.
    """
    from amu_raft.prediction import session  # torch comes with it, which --help does not need

    import_modules(arguments.modules)
    try:
        return 0 if session.predict(arguments) else 1
    except BrokenPipeError:
        # Nobody reads the rows any more; what is left in the buffer must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
