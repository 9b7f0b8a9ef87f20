"""The command amu-raft fit: its arguments, and what it hands on. Imports nothing heavy, so that --help is quick."""

import argparse
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from amu_raft.arguments import MakeParser, add_shared, new_parser, positive
from amu_raft.strangers import import_modules

DESCRIPTION = """Adapt CLIP to your own images and write the model folder that the other commands read.

A method learns from the training images, makes its choices and is calibrated on the validation images, and is evaluated
once, at the end, on the test images; the accuracy of zero-shot CLIP as it is stands beside its own. Images that are not
divided are divided per class, the same way every time: 50 % train, 20 % val, 30 % test."""
EPILOG = """KEY VALUE are settings of the method and of its training, by short name or configuration key, such as
epochs 20 or OPTIM.MAX_EPOCH 20.

examples:
  %(prog)s photos/ --method AMU --output model
  %(prog)s photos/ --method RAFT --shots 4 --seed 2 --output model epochs 20 lr 0.001

exit status: 0 if the model is written, 1 at an error, 2 at a wrong command line, 130 after Ctrl-C"""


def build_parser(make: MakeParser = argparse.ArgumentParser, *, prog: str = "amu-raft fit") -> argparse.ArgumentParser:
    """Return the parser."""
    parser = new_parser(make, prog, DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("folder", metavar="FOLDER", type=Path, help="folder with one folder per class, or a list (.csv, .tsv, .jsonl)")
    add("--method", required=True, help="registered method; any name that is none lists them")
    add(
        "--output",
        required=True,
        metavar="DIR",
        type=Path,
        help="where the model goes; an earlier one there is replaced",
    )
    add(
        "--backbone", default="tiny", help="CLIP name such as RN50 or ViT-B/16, or a weight file; default tiny, bundled"
    )
    add("--shots", type=positive, metavar="K", help="training images per class, drawn by a generator of the seed (not "
        "those that train.py draws); default all")  # fmt: skip
    add("--seed", type=_seed, default=1, metavar="S", help="seed of the draw, order and initialisation; default 1")
    add("--templates", action="append", metavar="TEXT", help='sentence with "{}" for the class; give it several times')
    add_shared(parser, "--weights", "--device", "--import")
    add("opts", nargs="*", metavar="KEY VALUE", help="settings, see below")
    return parser


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"a whole number from 0 to below 2**32 is wanted, got {text!r}")
    return int(text)


def fit(arguments: argparse.Namespace) -> None:
    """Train, evaluate once and write the model folder.

    Raises:
        ImportError: If a module that is to be imported is not there, or fails.
        OSError: If an image cannot be read, or the model cannot be written.
        ValueError: If an argument, a setting or the images do not fit.
        FloatingPointError: If training fails.
    """
    given = pairs(arguments.opts)
    from amu_raft.fit.folder import fit_folder  # torch comes with it, which --help does not need

    import_modules(arguments.modules)
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"warning: {message}\n"
    fit_folder(
        arguments.folder.expanduser().absolute(),
        arguments.output.expanduser(),
        method=arguments.method,
        backbone=arguments.backbone,
        shots=arguments.shots,
        seed=arguments.seed,
        templates=arguments.templates,
        weights=arguments.weights,
        device=arguments.device,
        settings=given,
        modules=arguments.modules,
    )


def pairs(words: Sequence[str]) -> dict[str, str]:
    """Return KEY VALUE KEY VALUE ... as a mapping.

    Raises:
        ValueError: If the last one has no value, or a word that is no name stands where a key should.
    """
    if len(words) % 2:
        raise ValueError(f"settings come in pairs KEY VALUE; the last one, {words[-1]!r}, has no value")
    for key in words[::2]:
        if not re.fullmatch(r"[A-Za-z_][\w.]*", key):
            raise ValueError(f"settings come in pairs KEY VALUE; {key!r} is no key")
    return dict(zip(words[::2], words[1::2], strict=True))
