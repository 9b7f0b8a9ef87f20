"""What a process has taken. Imports nothing heavy, which would count as well."""

from pathlib import Path


def highest_memory() -> float:
    """Return the highest resident memory of this process so far in MiB.

    Raises:
        RuntimeError: Where there is no /proc. What getrusage says would be the parent's highest, if that is more.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError as error:
        raise RuntimeError("memory can be measured on Linux only") from error
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
