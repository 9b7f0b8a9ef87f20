"""Command line: python -m trainers.import_weights FILE --trainer METHOD ... --output-dir DIR."""

import argparse
import shlex
import sys
import warnings
from collections.abc import Sequence
from functools import partial

from amu_raft.command import carry_out
from experiments.runs.arguments import build_parser as build_train_parser
from experiments.runs.config import RunPlan, build_plan
from trainers.base.settings import FINAL_MODELS
from trainers.import_weights.run_folder import write_run_folder

EPILOG = """examples:
  python -m trainers.import_weights best_adapter_16shots.pt --trainer AMU --output-dir output/released/amu \\
      --dataset-config-file imagenet --config-file rn50 --classnames $DATA/imagenet/classnames.txt
  python -m trainers.import_weights checkpoint.pth --trainer RAFT --output-dir output/released/raft \\
      --dataset-config-file imagenet --backbone RN50 DATASET.NUM_SHOTS 16 TEST.FINAL_MODEL best_test
  python train.py --trainer RAFT --eval-only --model-dir output/released/raft --dataset-config-file imagenet"""
UNKNOWN_SELECTION = (
    "on which images the epoch was chosen is not stated, and so say the results; "
    f"if it is known, import it with TEST.FINAL_MODEL {', '.join(FINAL_MODELS[:-1])} or {FINAL_MODELS[-1]}"
)
# Flags that mean what they mean to train.py, and are handed on to it.
_SHARED = ("trainer", "root", "seed", "backbone", "weights", "dataset_config_file", "config_file", "output_dir")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m trainers.import_weights",
        usage="%(prog)s FILE --trainer METHOD --output-dir DIR [flags] [KEY VALUE ...]",
        description="Write weights in the form of a method's authors as a run folder that can be evaluated.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", help="adapter ({'fc.weight'}, {'weight'}, {'state_dict'} or a tensor) or checkpoint ({'net'})")
    add("--trainer", required=True, help="method that has a published form")
    add("--output-dir", required=True, help="run folder to write; it must not hold a model")
    add("--classnames", help="file with a line per row, '<wnid> <name>' or a name; default the data set's classes")
    add("--root", help="folder that holds the data sets")
    add("--dataset-config-file", help="data set YAML that it was trained on; default configs/datasets/digits.yaml")
    add("--config-file", help="trainer YAML; default configs/trainers/TRAINER/BACKBONE.yaml")
    add("--backbone", help="CLIP name such as RN50, tiny, or the path of a weight file")
    add("--weights", help="folder that holds official weights, or the file itself")
    add("--seed", help="seed that it was trained with, for the record")
    return parser


def parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the flags and the KEY VALUE pairs.

    The pairs are what is left over: argparse would begin them right behind FILE.
    """
    parser = build_parser()
    arguments, pairs = parser.parse_known_args(argv)
    if unknown := [part for part in pairs if part.startswith("--")]:
        parser.error(f"unknown flag {unknown[0]}")
    return arguments, pairs


def plan_of(arguments: argparse.Namespace, pairs: list[str]) -> RunPlan:
    """Return the training run that the file is said to come from, as train.py would plan it."""
    argv = [
        part
        for name in _SHARED
        if (value := getattr(arguments, name)) is not None
        for part in (f"--{name.replace('_', '-')}", value)
    ]
    return build_plan(build_train_parser().parse_args([*argv, *pairs]))


def main(argv: Sequence[str] | None = None) -> int:
    """Import and return the exit status."""
    arguments, pairs = parse(argv)
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"warning: {message}\n"
    return carry_out(partial(_import, arguments, pairs))


def _import(arguments: argparse.Namespace, pairs: list[str]) -> None:
    plan = plan_of(arguments, pairs)
    cfg, stated = plan.cfg, "TEST.FINAL_MODEL" in pairs[::2]
    if stated and cfg.TEST.FINAL_MODEL not in FINAL_MODELS:
        raise ValueError(f"unknown TEST.FINAL_MODEL {cfg.TEST.FINAL_MODEL!r}; choose from {', '.join(FINAL_MODELS)}")
    write_run_folder(arguments.file, cfg, classnames_file=arguments.classnames, selection_stated=stated)
    if not stated:
        print(UNKNOWN_SELECTION)
    flags = ["--trainer", arguments.trainer, "--eval-only", "--model-dir", arguments.output_dir]
    flags += ["--dataset-config-file", arguments.dataset_config_file or plan.dataset]
    for name in ("root", "weights"):
        if value := getattr(arguments, name):
            flags += [f"--{name.replace('_', '-')}", value]
    print(f"evaluate it by: python train.py {shlex.join(flags)}")


if __name__ == "__main__":
    sys.exit(main())
