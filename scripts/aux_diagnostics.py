"""Compare auxiliary encoders for a method that reads their features by SUP and CMY, on validation images only.

    python -m scripts.aux_diagnostics --dataset digits --aux tiny --figure complementarity.png

Trains with each encoder and each seed, on the usual few-shot samples, and looks at the whole validation split; where a
data set has none, at training images that are held out. SUP is the accuracy of the auxiliary logits alone, CMY
the mean of 1 - cos(s0, s_aux). Nothing is tuned on these images. Encoders are named as the setting AUX_ENCODER names
them: tiny, mocov3_rn50, or the path of a checkpoint.
"""

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tabulate import tabulate
from tqdm import tqdm

from amu_raft.command import carry_out
from amu_raft.json_file import write_json_file
from experiments.results.diagnostics import Complementarity, complementarity
from experiments.runs.arguments import build_parser

SCHEMA = 1


class Measured(NamedTuple):
    """One run's diagnostics; accuracies in percent."""

    sup: float
    cmy: float
    cmy_centred: float
    fused: float
    zero_shot: float
    images: int


def measure(command: Sequence[str], folder: str) -> Measured:
    """Train once, without its final test, and compare its branches on validation images.

    Args:
        command: Arguments of train.py.
        folder: Where the run is written.

    Raises:
        ValueError: If there are no validation images apart from the test images, or at bad settings.
    """
    import torch

    from amu_raft.methods.selection import accuracy_percent
    from dassl.engine import build_trainer
    from dassl.utils import set_random_seed
    from datasets.validation import has_own_validation
    from experiments.runs.config import build_plan

    fixed = ["DATASET.VALIDATION", "full", "TEST.NO_TEST", "True", "OUTPUT_DIR", folder, "TRAIN.CHECKPOINT_FREQ", "0"]
    cfg = build_plan(build_parser().parse_args([*command, *fixed, "VERBOSE", "False"])).cfg
    torch.set_num_threads(cfg.TRAIN.NUM_THREADS or torch.get_num_threads())
    set_random_seed(cfg.SEED)
    trainer: Any = build_trainer(cfg)
    if not has_own_validation(trainer.dm.dataset):
        raise ValueError(f"{cfg.DATASET.NAME} has no validation images that are not test images")
    trainer.train()
    trainer.set_model_mode("eval")
    trainer.choose()
    branches, labels = trainer.collect_branches("validation images", trainer.val_loader)
    accuracy = {name: accuracy_percent(logits, labels) for name, logits in branches.items()}
    first, second = (branches[name].detach().cpu().numpy() for name in ("zero_shot", "aux"))
    return Measured(
        sup=accuracy["aux"],
        cmy=complementarity(first, second),
        cmy_centred=complementarity(first, second, centred=True),
        fused=accuracy["fused"],
        zero_shot=accuracy["zero_shot"],
        images=len(labels),
    )


def measure_all(arguments: argparse.Namespace) -> dict[str, list[Measured]]:
    """Measure every encoder with every seed; a bar shows the progress over all."""
    method = arguments.trainer or method_with_aux_encoder()
    node = f"TRAINER.{method.upper()}"
    bar = tqdm(total=len(arguments.aux) * len(arguments.seeds), unit="run", disable=not sys.stderr.isatty())
    measured: dict[str, list[Measured]] = {}
    for name in arguments.aux:
        for seed in arguments.seeds:
            command = ["--trainer", method, "--dataset-config-file", arguments.dataset, "--seed", str(seed)]
            for flag in ("root", "config_file", "weights"):
                if getattr(arguments, flag) is not None:
                    command += [f"--{flag.replace('_', '-')}", getattr(arguments, flag)]
            command += [
                "DATASET.NUM_SHOTS",
                str(arguments.shots),
                f"{node}.TUNE",
                "off",
                *arguments.opts,
                f"{node}.AUX_ENCODER",
                name,
            ]
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                measured.setdefault(name, []).append(measure(command, folder))
            bar.update()
    bar.close()
    return measured


def method_with_aux_encoder() -> str:
    """Return the name of the first registered method that reads auxiliary features."""
    from amu_raft.methods import get_method, method_names

    return next(name for name in method_names() if "aux" in get_method(name).reads)


def as_complementarity(name: str, runs: Sequence[Measured]) -> Complementarity:
    """Gather an encoder's runs."""
    lists = {field: tuple(getattr(run, field) for run in runs) for field in ("sup", "cmy", "cmy_centred", "fused")}
    return Complementarity(name=name, zero_shot=statistics.fmean(run.zero_shot for run in runs), **lists)


def render(encoders: Sequence[Complementarity]) -> str:
    """Return the table as Markdown, the best fusion first."""
    rows = [
        [
            encoder.name,
            _shown(encoder.sup, 2),
            _shown(encoder.cmy, 4),
            _shown(encoder.cmy_centred, 4),
            _shown(encoder.fused, 2),
            f"{encoder.zero_shot:.2f}",
        ]
        for encoder in sorted(encoders, key=lambda encoder: -statistics.fmean(encoder.fused))
    ]
    headers = ["aux encoder", "SUP (%)", "CMY", "CMY, centred", "fused (%)", "zero-shot (%)"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _shown(values: Sequence[float], digits: int) -> str:
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{spread}"


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="file of configs/datasets")
    parser.add_argument("--aux", nargs="+", default=["tiny"], metavar="ENCODER", help="names or checkpoint paths")
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[11, 12, 13], help="no reported result uses the default"
    )
    parser.add_argument("--root", help="folder that holds the data sets")
    parser.add_argument("--trainer", help="method that reads auxiliary features; default the first one that does")
    parser.add_argument("--config-file", help="the method's YAML")
    parser.add_argument("--weights", help="folder of official weight files")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every run")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw SUP over CMY: .png, .svg or .pdf")
    parser.add_argument("--opts", nargs="*", default=[], metavar="KEY VALUE", help="overrides, such as OPTIM.LR 0.001")
    arguments = parser.parse_args(argv)
    for name in ("aux", "seeds"):
        values = getattr(arguments, name)
        if len(set(values)) < len(values):
            parser.error(f"--{name} names something twice: {' '.join(map(str, values))}")
    if arguments.shots < 1:
        parser.error(f"--shots must be at least 1, got {arguments.shots}")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, write JSON and the figure."""
    arguments = parse_arguments(argv)
    os.environ["TQDM_DISABLE"] = "1"  # the runs' own bars; there is one over all
    return carry_out(partial(_diagnose, arguments))


def _diagnose(arguments: argparse.Namespace) -> None:
    if arguments.figure:
        from experiments.results.figures.output import check_format

        check_format(arguments.figure)  # before minutes of training
    measured = measure_all(arguments)
    encoders = [as_complementarity(name, runs) for name, runs in measured.items()]
    images = next(iter(measured.values()))[0].images
    print(f"{about(arguments, images)}, seeds {' '.join(map(str, arguments.seeds))}")
    print(render(encoders))
    if arguments.json:
        write_json_file(report(arguments, measured), arguments.json)
    if arguments.figure:
        draw(arguments, encoders, images)


def report(arguments: argparse.Namespace, measured: dict[str, list[Measured]]) -> dict[str, Any]:
    """Return what the JSON file holds."""
    runs = [
        {"aux_encoder": name, "seed": seed, **run._asdict()}
        for name, found in measured.items()
        for seed, run in zip(arguments.seeds, found, strict=True)
    ]
    conditions = {"dataset": arguments.dataset, "shots": arguments.shots, "opts": arguments.opts}
    return {"schema": SCHEMA, **conditions, "split": "validation", "runs": runs}


def draw(arguments: argparse.Namespace, encoders: Sequence[Complementarity], images: int) -> None:
    """Write the figure."""
    from experiments.results.figures.complementarity import complementarity_figure
    from experiments.results.figures.output import save_figure

    save_figure(complementarity_figure(encoders, title=about(arguments, images)), arguments.figure)


def about(arguments: argparse.Namespace, images: int) -> str:
    """Return what the figures are of, for a title."""
    shots = f"{arguments.shots} shot{'s' * (arguments.shots > 1)}"
    return f"{arguments.dataset}, {shots}, {images} validation images"


if __name__ == "__main__":
    sys.exit(main())
