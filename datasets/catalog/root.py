"""The data root on a command line."""

import argparse
from pathlib import Path


def data_root(text: str) -> Path:
    """Read --root, which an unset variable leaves empty: that must not come to mean the current folder.

    Raises:
        argparse.ArgumentTypeError: If it is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; give the folder of the data sets (is a variable not set?)")
    return Path(text)
