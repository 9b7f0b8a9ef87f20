# mypy: ignore-errors
"""Mean accuracy over the seeds of an experiment, from their log.txt, as CoOp-style repositories compute it.

Every folder below the given one is a seed. The figure is the last accuracy after the end signal.
"""

import re
import sys
from pathlib import Path

import numpy as np

ACCURACY = re.compile(r"\* accuracy: ([\.\deE+-]+)%")


def parse(directory, end_signal="Finish training"):
    figures = []
    for folder in sorted(path for path in Path(directory).iterdir() if not path.name.startswith(".")):
        log = folder / "log.txt"
        assert log.is_file(), log
        good_to_go, last = False, None
        for line in log.read_text().splitlines():
            line = line.strip()
            if line == end_signal:
                good_to_go = True
            match = ACCURACY.search(line)
            if match and good_to_go:
                last = float(match.group(1))
        assert last is not None, f"nothing after {end_signal!r} in {log}"
        figures.append(last)
    return np.mean(figures), figures


if __name__ == "__main__":
    mean, figures = parse(sys.argv[1], *sys.argv[2:])
    print(f"* accuracy: {mean:.2f}% of {len(figures)} seeds")
