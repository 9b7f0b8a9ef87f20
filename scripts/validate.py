"""Compare settings on validation images: a grid of overrides, several shots and seeds, no look at a test label.

    python -m scripts.validate --trainer RAFT --dataset digits --grid "OPTIM.LR=0.003;0.006"

Each setting is trained on the usual few-shot samples and scored on the WHOLE validation split, which the samples
do not contain; the few validation images of a run would be too few to compare settings. --unused leaves those few out,
for settings that a method chooses on them (TUNE, ALPHA_RULE). Seeds differ from those of reported results.
"""

import argparse
import contextlib
import io
import itertools
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from amu_raft.command import carry_out
from experiments.runs.arguments import build_parser
from experiments.runs.config import build_plan

Setting = tuple[tuple[str, str], ...]


def parse_grid(axes: Sequence[str]) -> list[Setting]:
    """Turn axes such as "OPTIM.LR=0.003;0.006" into every combination of their values.

    Raises:
        ValueError: If an axis has no "=" or no value.
    """
    parsed = []
    for axis in axes:
        key, equals, values = axis.partition("=")
        if not equals or not all(values.split(";")):
            raise ValueError(f"grid axis {axis!r} is not of the form KEY=VALUE;VALUE")
        parsed.append([(key, value) for value in values.split(";")])
    return list(itertools.product(*parsed))


def validation_accuracy(command: Sequence[str], folder: str, *, unused: bool = False) -> float:
    """Train one run without its final test and return its accuracy on the whole validation split, in percent.

    Args:
        command: Arguments of train.py.
        folder: Where the run is written.
        unused: Leave out the validation images that the run itself may have chosen settings on.

    Raises:
        ValueError: If these are all there are.
    """
    import torch

    from amu_raft.methods.selection import accuracy_percent
    from dassl.data.data_manager import build_data_loader
    from dassl.data.datasets import build_dataset
    from dassl.engine import build_trainer
    from dassl.utils import set_random_seed

    fixed = ["TEST.NO_TEST", "True", "OUTPUT_DIR", folder, "TRAIN.CHECKPOINT_FREQ", "0", "VERBOSE", "False"]
    cfg = build_plan(build_parser().parse_args([*command, *fixed])).cfg
    torch.set_num_threads(1)
    set_random_seed(cfg.SEED)
    trainer = build_trainer(cfg)
    trainer.train()
    everything = cfg.clone()
    everything.defrost()
    everything.DATASET.NUM_SHOTS = 0
    used = {item.impath for item in trainer.dm.dataset.val} if unused else set()
    val = [item for item in build_dataset(everything).val or () if item.impath not in used]
    if not val:
        raise ValueError(f"the run uses all {len(used)} validation images, so --unused leaves none to score on")
    transform = trainer.test_loader.dataset.transform
    loader = build_data_loader(cfg, data_source=val, tfm=transform, is_train=False, batch_size=128)
    trainer.set_model_mode("eval")
    trainer.choose()
    with torch.no_grad():
        branches, labels = trainer.collect_branches("whole validation split", loader)
    return accuracy_percent(trainer.decide(branches), labels)


def compare(arguments: Any) -> list[list[str]]:
    """Return one row per setting: its values, mean and standard deviation per shots, and the mean over shots."""
    settings = parse_grid(arguments.grid)
    bar = tqdm(total=len(settings) * len(arguments.shots) * len(arguments.seeds), unit="run", disable=False)
    rows = []
    for setting in settings:
        cells = [value for _, value in setting]
        means = []
        for shots in arguments.shots:
            scores = []
            for seed in arguments.seeds:
                command = ["--trainer", arguments.trainer, "--dataset-config-file", arguments.dataset]
                command += ["--seed", str(seed), "DATASET.NUM_SHOTS", str(shots)]
                command += [word for pair in setting for word in pair]
                with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                    scores.append(validation_accuracy(command, folder, unused=arguments.unused))
                bar.update()
            means.append(statistics.fmean(scores))
            spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
            cells.append(f"{means[-1]:.1f}{spread}")
        rows.append([*cells, f"{statistics.fmean(means):.2f}"])
    bar.close()
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.validate", description=__doc__.splitlines()[0])
    parser.add_argument("--trainer", required=True)
    parser.add_argument("--dataset", default="digits", help="file of configs/datasets")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13, 14, 15])
    parser.add_argument("--grid", nargs="*", default=[], metavar="KEY=VALUE;VALUE")
    parser.add_argument("--unused", action="store_true", help="leave out the images that a run may choose settings on")
    arguments = parser.parse_args(argv)
    os.environ["TQDM_DISABLE"] = "1"  # one bar over all runs
    return carry_out(partial(_print_comparison, arguments))


def _print_comparison(arguments: argparse.Namespace) -> None:
    rows = compare(arguments)
    keys = [axis.partition("=")[0] for axis in arguments.grid]
    headers = [*keys, *(f"{shots} shots" for shots in arguments.shots), "mean"]
    split = "validation images that no run chose on" if arguments.unused else "whole validation split"
    print(f"{arguments.trainer} on {arguments.dataset}, {split}, seeds {arguments.seeds}, accuracy ± std")
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    sys.exit(main())
