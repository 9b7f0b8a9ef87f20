"""The command line of export.py and amu-raft export. Imports nothing heavy, so that --help is quick."""

import argparse

from amu_raft.arguments import MakeParser, add_shared, new_parser

DESCRIPTION = """Write a trained model as one ONNX file: pixels in, probabilities and logits out.

The file appears only after onnxruntime has given the same numbers as torch on real images. docs/export.md says how a
picture becomes the input."""


def build_parser(
    make: MakeParser = argparse.ArgumentParser, *, prog: str = "python export.py"
) -> argparse.ArgumentParser:
    """Return the parser."""
    parser = new_parser(make, prog, DESCRIPTION)
    add = parser.add_argument
    add_shared(parser, "--model")
    add("--output", required=True, metavar="FILE", help="the file to write, such as model.onnx")
    add("--opset", type=int, default=18, help="version of ONNX's operators; default 18")
    add("--images", metavar="PATH", help="picture or folder to check on; default parts of scikit-learn's photographs")
    add_shared(parser, "--weights", "--import")
    return parser
