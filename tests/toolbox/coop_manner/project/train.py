# mypy: ignore-errors
"""The command line of a repository in the CoOp manner: one seed, one log, one trainer."""

import argparse

import methods  # noqa: F401  registers the trainers
import torch
import toysets  # noqa: F401  registers the data sets
from yacs.config import CfgNode as Node

from dassl.config import get_cfg_default
from dassl.engine import build_trainer
from dassl.utils import collect_env_info, set_random_seed, setup_logger


def print_args(args, cfg):
    print("***************")
    print("** Arguments **")
    print("***************")
    for key in sorted(vars(args)):
        print(f"{key}: {getattr(args, key)}")
    print("************")
    print("** Config **")
    print("************")
    print(cfg)


def extend_cfg(cfg):
    cfg.DATASET.SUBSAMPLE_CLASSES = "all"
    cfg.MODEL.BACKBONE.PATH = ""
    for name in ("PROMPTS", "TWOPARTS", "MULTIMODAL", "SELFENSEMBLE", "PAIRS", "FROZENCLIP", "OWNLOOP"):
        setattr(cfg.TRAINER, name, Node())
        node = cfg.TRAINER[name]
        node.N_CTX = 4
        node.PREC = "fp32"  # fp32, amp, or amp_cuda: the spelling of torch 1
    cfg.TRAINER.MixedCase = Node()
    cfg.TRAINER.MixedCase.W = 1.0


def reset_cfg(cfg, args):
    if args.root:
        cfg.DATASET.ROOT = args.root
    if args.output_dir:
        cfg.OUTPUT_DIR = args.output_dir
    if args.resume:
        cfg.RESUME = args.resume
    if args.seed:
        cfg.SEED = args.seed
    if args.transforms:
        cfg.INPUT.TRANSFORMS = args.transforms
    if args.trainer:
        cfg.TRAINER.NAME = args.trainer
    if args.backbone:
        cfg.MODEL.BACKBONE.NAME = args.backbone


def setup_cfg(args):
    cfg = get_cfg_default()
    extend_cfg(cfg)
    if args.dataset_config_file:
        cfg.merge_from_file(args.dataset_config_file)
    if args.config_file:
        cfg.merge_from_file(args.config_file)
    reset_cfg(cfg, args)
    cfg.merge_from_list(args.opts)
    cfg.freeze()
    return cfg


def parse_args(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default="")
    parser.add_argument("--output-dir", default="")
    parser.add_argument("--resume", default="")
    parser.add_argument("--seed", type=int, default=-1)
    parser.add_argument("--transforms", nargs="+")
    parser.add_argument("--config-file", default="")
    parser.add_argument("--dataset-config-file", default="")
    parser.add_argument("--trainer", default="")
    parser.add_argument("--backbone", default="")
    parser.add_argument("--eval-only", action="store_true")
    parser.add_argument("--model-dir", default="")
    parser.add_argument("--load-epoch", type=int)
    parser.add_argument("--no-train", action="store_true")
    parser.add_argument("opts", default=None, nargs=argparse.REMAINDER)
    return parser.parse_args(argv)


def main(args):
    cfg = setup_cfg(args)
    if cfg.SEED >= 0:
        print(f"Setting fixed seed: {cfg.SEED}")
        set_random_seed(cfg.SEED)
    setup_logger(cfg.OUTPUT_DIR)
    if torch.cuda.is_available() and cfg.USE_CUDA:
        torch.backends.cudnn.benchmark = True
    print_args(args, cfg)
    print("Collecting env info ...")
    print(f"** System info **\n{collect_env_info()}\n")
    trainer = build_trainer(cfg)
    if args.eval_only:
        trainer.load_model(args.model_dir, epoch=args.load_epoch)
        trainer.test()
        return
    if not args.no_train:
        trainer.train()


if __name__ == "__main__":
    main(parse_args())
