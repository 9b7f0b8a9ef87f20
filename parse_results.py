"""Read run folders and print one row per data set, trainer, config and shots: mean, spread, seeds, zero-shot.

    python parse_results.py output                      every run below output/
    python parse_results.py output/digits --ci95        95 % confidence half-widths in place of standard deviations
    python parse_results.py output --plot curves.png    accuracy over shots as well

A run is a folder with ``result.json``, as train.py writes it, or with CoOp-style ``log.txt`` files. Seeds that are
missing or did not finish are shown as such and never left out in silence.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from results.plot import plot_rows
from results.rows import summarise
from results.run_folders import KEYWORDS, TEST_ENDS, TRAINING_ENDS, find_run_folders, read_run
from results.table import FORMATS, format_rows


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, print the table and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FOLDER", help="folders of runs, of any depth")
    parser.add_argument("--keyword", choices=KEYWORDS, default="accuracy", help="score to summarise")
    parser.add_argument("--ci95", action="store_true", help="95 %% confidence half-width (Student) as the spread")
    parser.add_argument(
        "--seeds", nargs="+", type=int, help="seeds expected in every row (default: all that are found)"
    )
    parser.add_argument("--test-log", action="store_true", help="logs are of test-only runs")
    parser.add_argument(
        "--multi-exp", action="store_true", help="accepted as CoOp's; folders of any depth are read anyway"
    )
    parser.add_argument("--format", choices=FORMATS, default="github", help="form of the table")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the score over shots into a file")
    args = parser.parse_args(argv)
    try:
        ends = TEST_ENDS if args.test_log else TRAINING_ENDS
        runs = [read_run(folder, ends) for folder in find_run_folders(args.paths)]
        rows = summarise(runs, args.keyword, args.seeds, ci95=args.ci95)
        print(format_rows(rows, args.keyword, args.format, ci95=args.ci95))
        if args.plot:
            plot_rows(rows, args.keyword, args.plot)
            print(f"Plot saved to {args.plot}", file=sys.stderr)
    except (OSError, ValueError) as error:
        print(f"parse_results.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
