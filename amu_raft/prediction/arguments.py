"""The command line of predict.py. Imports nothing heavy, so that --help is quick."""

import argparse

DESCRIPTION = """Classify pictures with a model that train.py has trained.

Every picture gives one row: its likeliest classes by the adapted model with calibrated probabilities, and beside them
those of zero-shot CLIP as it is. A picture that cannot be read gives a row that says why."""
EXAMPLES = """examples:
  python predict.py --model output/digits/AMU/tiny_16shots/seed1 picture.jpg
  python predict.py --model RUN holiday/ --format csv --output holiday.csv
  find . -name '*.jpg' | python predict.py --model RUN - --format jsonl | head
  python predict.py --model RUN picture.jpg --explain why/

exit status: 0 if at least one picture was read, 1 if none was or at an error, 2 at a wrong command line,
130 after Ctrl-C, 141 if the reader of the output has gone"""
FORMATS = ("table", "csv", "jsonl")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="predict.py",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--model", required=True, metavar="DIR", help="run folder of a finished training, or a copy of it")
    add("paths", nargs="+", metavar="IMAGE|FOLDER|-", help="pictures, folders of them, or - for one path per line")
    add("--topk", type=_positive, default=5, help="classes in a row; default 5")
    add("--format", choices=FORMATS, default="table", help="default table")
    add("--output", metavar="FILE", help="where rows go, instead of standard output; the file appears when it is whole")
    add("--explain", metavar="DIR", help="folder for one PNG per picture that shows why it was decided so")
    add("--weights", metavar="PATH", help="folder of official weight files (or one file), as for train.py")
    add("--batch-size", type=_positive, default=64, help="pictures that are encoded together; default 64")
    add("--workers", type=_positive, help="threads that read pictures; default one per core, at most 16")
    add("--device", help="such as cpu or cuda; default cuda where there is one")
    return parser


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is wanted, got {text!r}")
    return int(text)
