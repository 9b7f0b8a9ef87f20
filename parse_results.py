"""Read run folders and print tables: a row per data set, trainer and config, a column per number of shots.

    python parse_results.py output                      every run below output/
    python parse_results.py output --spread ci95        Student's 95 % interval in place of the standard deviation
    python parse_results.py output --compare            published figures beside ours, of the same backbone and shots
    python parse_results.py output --paired AMU RAFT    their difference seed by seed, with its interval
    python parse_results.py output --html report.html   one page with tables, plots, settings and failures
    python parse_results.py output --plot curves.png    accuracy over shots as well

A run is a folder with ``result.json``, as train.py writes it, or with CoOp-style ``log.txt`` files. What is missing,
failed or did not finish is listed and never left out in silence. docs/results.md explains the tables.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.results.averages import AVERAGES
from experiments.results.references import DEFAULT_REFERENCES
from experiments.results.rows import SPREADS
from experiments.results.run_folders import KEYWORDS, TEST_ENDS, TRAINING_ENDS, Run, read_runs
from experiments.results.sections import make_sections
from experiments.results.table import FORMATS, format_sections


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="FOLDER", help="folders of runs, of any depth")
    add("--keyword", choices=KEYWORDS, default="accuracy", help="score to summarise")
    add("--spread", choices=tuple(SPREADS), default="std", help="standard deviation, or half of Student's interval")
    add("--ci95", action="store_const", const="ci95", dest="spread", help="the same as --spread ci95")
    add("--seeds", nargs="+", type=int, help="seeds expected in every cell (default: all that are found)")
    add("--average", choices=AVERAGES, default="eleven", help="over the papers' eleven data sets, or those present")
    add("--long", action="store_true", help="a row per number of shots, with macro-F1 and zero-shot accuracy")
    add(
        "--compare",
        nargs="?",
        type=Path,
        const=DEFAULT_REFERENCES,
        metavar="REF",
        help="published figures beside ours (default: docs/reference_numbers.json)",
    )
    add("--paired", nargs=2, metavar=("TRAINER", "OTHER"), help="differences of two trainers, seed by seed")
    add("--test-log", action="store_true", help="logs are of test-only runs")
    add("--multi-exp", action="store_true", help="accepted as CoOp's; folders of any depth are read anyway")
    add("--format", choices=FORMATS, default="github", help="form of the tables")
    add("--plot", type=Path, metavar="FILE", help="draw the score over shots into a file, such as curves.png")
    add("--html", type=Path, metavar="FILE", help="write one self-contained page with everything")
    add("--wrong-images", type=int, metavar="N", help="wrong images of a run in the page of --html (default 24)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, print the tables and return the exit status."""
    args = build_parser().parse_args(argv)
    try:
        _check_files(args)
        runs = read_runs(args.paths, TEST_ENDS if args.test_log else TRAINING_ENDS)
        sections = make_sections(
            runs,
            args.keyword,
            spread=args.spread,
            seeds=args.seeds,
            average=args.average,
            references=args.compare,
            pair=tuple(args.paired) if args.paired else None,
            long=args.long,
        )
        print(format_sections(sections, args.format))
        _write_files(runs, args)
    except (OSError, ValueError) as error:
        print(f"parse_results.py: {error}", file=sys.stderr)
        return 1
    return 0


def _check_files(args: argparse.Namespace) -> None:
    """Refuse files that cannot be written before anything is read or printed.

    Raises:
        OSError: If a file is a folder, its folder does not exist, or nothing can be written there.
        ValueError: If the plot's ending names no format, or the number of wrong images is none that a page can show.
    """
    for option, path in (("--plot", args.plot), ("--html", args.html)):
        if path is not None:
            _check_target(option, path)
    if args.plot is not None:
        from experiments.results.figures.output import check_format

        check_format(args.plot)
    if args.wrong_images is not None:
        from experiments.results.report import MOST_WRONG_IMAGES

        if not 0 <= args.wrong_images <= MOST_WRONG_IMAGES:
            raise ValueError(f"--wrong-images takes 0 to {MOST_WRONG_IMAGES}, not {args.wrong_images}")
        if args.html is None:
            raise ValueError(f"--wrong-images {args.wrong_images} is for the page: give --html FILE as well")


def _check_target(option: str, path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(f"{option} {path} is a folder; give a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{option} {path}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"{option} {path}: nothing can be written into folder {path.parent}")


def _write_files(runs: Sequence[Run], args: argparse.Namespace) -> None:
    """Write the plot and the page; what draws them is slow to import."""
    if args.plot:
        from experiments.results.cells import gather_cells
        from experiments.results.plot import plot_cells

        plot_cells(gather_cells(runs, args.seeds), args.keyword, args.plot, spread=args.spread)
        print(f"Plot saved to {args.plot}", file=sys.stderr)
    if args.html:
        from experiments.results.report import WRONG_IMAGES, write_report

        write_report(
            runs,
            args.html,
            keyword=args.keyword,
            spread=args.spread,
            seeds=args.seeds,
            average=args.average,
            references=args.compare,
            pair=tuple(args.paired) if args.paired else None,
            wrong_images=WRONG_IMAGES if args.wrong_images is None else args.wrong_images,
        )
        print(f"Report saved to {args.html}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
