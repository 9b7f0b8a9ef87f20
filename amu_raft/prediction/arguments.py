"""The command line of predict.py and amu-raft predict. Imports nothing heavy, so that --help is quick."""

import argparse

from amu_raft.arguments import MakeParser, add_shared, new_parser, positive

DESCRIPTION = """Classify pictures with a trained model.

Every picture gives one row: its likeliest classes by the adapted model with calibrated probabilities, and beside them
those of zero-shot CLIP as it is. A picture that cannot be read gives a row that says why."""
EXAMPLES = """examples:
  %(prog)s --model output/digits/AMU/tiny_16shots/seed1 picture.jpg
  %(prog)s --model RUN holiday/ --format csv --output holiday.csv
  find . -name '*.jpg' | %(prog)s --model RUN - --format jsonl | head
  %(prog)s --model RUN picture.jpg --explain why/

exit status: 0 if at least one picture was read, 1 if none was or at an error, 2 at a wrong command line,
130 after Ctrl-C, 141 if the reader of the output has gone"""
FORMATS = ("table", "csv", "jsonl")


def build_parser(
    make: MakeParser = argparse.ArgumentParser, *, prog: str = "python predict.py"
) -> argparse.ArgumentParser:
    """Return the parser."""
    parser = new_parser(make, prog, DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add_shared(parser, "--model")
    add("paths", nargs="+", metavar="IMAGE|FOLDER|-", help="pictures, folders of them, or - for one path per line")
    add("--topk", type=positive, default=5, help="classes in a row; default 5")
    add("--format", choices=FORMATS, default="table", help="default table")
    add("--output", metavar="FILE", help="where rows go, instead of standard output; the file appears when it is whole")
    add("--explain", metavar="DIR", help="folder for one PNG per picture that shows why it was decided so")
    add_shared(parser, "--weights")
    add("--batch-size", type=positive, default=64, help="pictures that are encoded together; default 64")
    add("--workers", type=positive, help="threads that read pictures; default one per core, at most 16")
    add_shared(parser, "--device", "--import")
    return parser
