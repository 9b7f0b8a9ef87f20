"""Write docs/DATASETS.md from the catalog.

python -m datasets.document            write it
python -m datasets.document --check    write nothing; exit status 1 if the file differs from the catalog
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from amu_raft.whole_file import replace_file
from datasets.catalog import read_catalog
from datasets.document.page import render

PAGE = Path(__file__).parents[2] / "docs" / "DATASETS.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, write or compare the page, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m datasets.document",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("--catalog", type=Path, metavar="FILE", help="another catalog")
    parser.add_argument("--output", type=Path, metavar="FILE", default=PAGE, help="default docs/DATASETS.md")
    arguments = parser.parse_args(argv)
    try:
        text = render(read_catalog(arguments.catalog))
        if not arguments.check:
            replace_file(text.encode(), arguments.output, make_folder=False)
            print(f"Wrote {arguments.output}")
        elif not is_current(text, arguments.output):
            print(f"{arguments.output} differs from the catalog; run python -m datasets.document", file=sys.stderr)
            return 1
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def is_current(text: str, path: Path) -> bool:
    """Tell whether the file on disk holds exactly this text."""
    return path.is_file() and path.read_bytes() == text.encode()


if __name__ == "__main__":
    sys.exit(main())
