"""The command line of train.py: CoOp's flags. Imports nothing heavy, so that --help is quick."""

import argparse

DESCRIPTION = """Adapt CLIP to a classification task from a few images per class.

Without further flags a run uses the embedded default: real handwritten digits, a tiny CLIP, 16 shots, seed 1."""
EXAMPLES = """examples:
  python train.py --trainer AMU
  python train.py --trainer RAFT --dataset-config-file configs/datasets/shapes.yaml DATASET.NUM_SHOTS 4
  python train.py --trainer AMU --data /path/to/folder --templates "a satellite photo of {}."
  python train.py --trainer AMU --eval-only --model-dir output/digits/AMU/tiny_16shots/seed1"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser. Flags default to None, so that they override configuration files only when given."""
    parser = argparse.ArgumentParser(
        prog="train.py",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--trainer", help="registered trainer, which has the name of its method")
    own = "module or file that registers a method, trainer or data set of your own; give it several times"
    add("--import", dest="modules", action="append", default=[], metavar="MODULE", help=own)
    add("--data", metavar="PATH", help="your own images: a folder with one folder per class, or a list (.csv, .jsonl)")
    add("--templates", action="append", metavar="TEXT", help='sentence with "{}" for the class; give it several times')
    add("--root", help="folder that holds the data sets (DATASET.ROOT)")
    add("--output-dir", help="run folder; default output/DATASET/TRAINER/CONFIG_SHOTSshots/seedN")
    add("--resume", help="run folder to resume from; a half-finished output folder resumes by itself")
    add("--seed", type=int, help="seed of few-shot sample, order and initialisation; 0 is a seed, negative is none")
    add("--backbone", help="CLIP name such as RN50 or ViT-B/16, tiny, or the path of a weight file")
    add("--weights", help="folder of official weight files (or one file), for a machine without a network")
    add("--head", help="MODEL.HEAD.NAME, for trainers that have one")
    add("--dataset-config-file", help="data set YAML; default configs/datasets/digits.yaml")
    add("--config-file", help="trainer YAML; default configs/trainers/TRAINER/BACKBONE.yaml")
    add("--source-domains", nargs="+", help="source domains, for trainers that have them")
    add("--target-domains", nargs="+", help="target domains, for trainers that have them")
    add("--transforms", nargs="+", help="data augmentation (INPUT.TRANSFORMS)")
    add("--eval-only", action="store_true", help="evaluate only")
    add("--model-dir", default="", help="run folder whose model --eval-only loads")
    add("--load-epoch", type=int, help="epoch of the model to load; default the best validation epoch or the last")
    add("--no-train", action="store_true", help="build everything, train nothing")
    add("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="configuration overrides, such as OPTIM.LR 0.001")
    return parser
