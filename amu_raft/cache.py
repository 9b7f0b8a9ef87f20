"""Where the project keeps what it can fetch or compute again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the project's cache: AMU_RAFT_CACHE, else amu-raft in XDG_CACHE_HOME or ~/.cache. It may not exist yet."""
    if chosen := os.environ.get("AMU_RAFT_CACHE"):
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "amu-raft"
