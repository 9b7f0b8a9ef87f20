"""What a whole run costs: fresh augmentation and plain layers against cached views, with an empty and a filled store.

    python -m benchmarks.whole_run --json docs/performance/whole_run.json

AMU and RAFT train on 16 shots for 50 epochs and evaluate on the test images, with encoders of RN50's real sizes and
random weights. Each run is a process of its own, timed from its start to its end: ``python train.py ...``.

online  TRAIN.VIEWS online, FEATURES.STORE off, RAFT's pooling plain: every image through the encoders in every epoch,
        as the released code does. A few epochs are run; the seconds of all are computed from them:
        the run as it was + the epochs left out * its fastest epoch.
cold    TRAIN.VIEWS K and an empty store; nothing is computed, all epochs are run.
warm    The same command again.

That both sides compute the same is checked first: with the same views, the first step's loss and gradient,
and the zero-shot logits of the test images.
"""

import argparse
import contextlib
import io
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from amu_raft.features.extraction import merge_batches
from amu_raft.features.views import FeatureBatches, ViewDataset
from amu_raft.json_file import read_json_file
from benchmarks.full_size import write_clip, write_photographs, write_resnet
from benchmarks.harness import check_agreement, describe_machine, ratios, spread, write_report
from experiments.runs.arguments import build_parser
from experiments.runs.config import REPOSITORY, build_plan

METHODS = ("AMU", "RAFT")
CONFIG = "rn50"
TARGETS = {"AMU": {"cold": 10, "warm": 100}, "RAFT": {"cold": 10, "warm": 30}}
TOLERANCES = {"loss": 1e-4, "gradient": 1e-4, "zero_shot": 1e-3}  # logits are differences of angles, times 100
EPOCH_LINE = re.compile(r"^epoch \[.* time ([0-9.]+)s$", re.MULTILINE)
Settings = dict[str, str]


class Files(NamedTuple):
    """What the runs read: weights and images."""

    clip: Path
    aux: Path
    images: Path


class Timing(NamedTuple):
    """One run: seconds from start to end, CPU seconds of all its threads, seconds of each epoch, and its result."""

    seconds: float
    cpu_seconds: float
    epochs: list[float]
    result: dict[str, Any]


def write_files(folder: Path, *, classes: int, shots: int, test: int) -> Files:
    """Write weights and images; four validation images a class, which RAFT chooses its alpha on."""
    return Files(
        write_clip(folder / "clip.pt"),
        write_resnet(folder / "resnet50.pt"),
        write_photographs(folder / "images", {"train": shots, "val": 4, "test": test}, classes=classes),
    )


# ---------------------------------------------------------------------------------------------------------- commands


def command(method: str, files: Files, settings: Mapping[str, str], output: Path | str = "") -> list[str]:
    """Return the arguments of train.py for a run with the released values for RN50."""
    flags = ["--trainer", method, "--root", str(files.images), "--dataset-config-file", "image_folder"]
    flags += ["--config-file", f"configs/trainers/{method}/{CONFIG}.yaml", "--backbone", str(files.clip)]
    flags += ["--seed", "1", *(["--output-dir", str(output)] if output else [])]
    keys = dict(settings)
    if method == "AMU":
        keys["TRAINER.AMU.AUX_ENCODER"] = str(files.aux)
    return [*flags, *(word for pair in keys.items() for word in pair)]


def online_settings(method: str, common: Mapping[str, str]) -> Settings:
    """Return the settings of the slow side."""
    plain = {"TRAINER.RAFT.POOLING": "plain"} if method == "RAFT" else {}
    return {**common, "MODEL.ENCODER_LAYERS": "plain", "TRAIN.VIEWS": "online", "FEATURES.STORE": "off", **plain}


def cached_settings(common: Mapping[str, str], *, views: int, store: Path) -> Settings:
    """Return the settings of the fast side."""
    return {**common, "TRAIN.VIEWS": str(views), "FEATURES.STORE": str(store)}


def time_run(arguments: Sequence[str], output: Path) -> Timing:
    """Do a run in a process of its own.

    Raises:
        RuntimeError: If it fails, with its last words.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "train.py", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"train.py {' '.join(arguments)} failed: {done.stderr.strip()[-500:]}")
    cpu = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    epochs = [float(figure) for figure in EPOCH_LINE.findall(done.stdout)]
    return Timing(seconds, cpu, epochs, read_json_file(output / "result.json", what="result"))


def computed_total(seconds: float, epochs: Sequence[float], num_epochs: int) -> float:
    """Return the seconds of a run of ``num_epochs`` from one of fewer epochs, as if all others were its fastest."""
    return seconds + (num_epochs - len(epochs)) * min(epochs)


# --------------------------------------------------------------------------------------------------------- agreement


def build(arguments: Sequence[str]) -> Any:
    """Return a trainer in this process that is ready for its first step."""
    from dassl.engine import build_trainer
    from dassl.utils import set_random_seed

    cfg = build_plan(build_parser().parse_args(arguments)).cfg
    torch.set_num_threads(cfg.TRAIN.NUM_THREADS)
    set_random_seed(cfg.SEED)
    trainer: Any = build_trainer(cfg)
    trainer.before_train()
    trainer.epoch, trainer.batch_idx = 0, 0
    return trainer


def first_step(trainer: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Train on one batch and return its loss and the gradient of all that is trained."""
    trainer.num_batches = 1
    trainer.set_model_mode("train")
    loss = torch.tensor(trainer.forward_backward(batch)["loss"])
    (name,) = trainer.get_model_names()
    parameters = trainer._models[name].parameters()
    return {"loss": loss, "gradient": torch.cat([value.grad.flatten() for value in parameters])}


def check_same(method: str, files: Files, common: Mapping[str, str], folder: Path) -> dict[str, float]:
    """Check that images and cached features give the same first step and the same zero-shot logits.

    The slow side gets the pixels of the fast side's only view in place of fresh ones.

    Returns:
        The largest relative difference of each.

    Raises:
        RuntimeError: If one is beyond rounding.
    """
    fast_settings = cached_settings(common, views=1, store=folder / "store") | {"FEATURES.MAPS_PREC": "fp32"}
    fast = build(command(method, files, fast_settings, folder / "fast"))
    slow = build(command(method, files, online_settings(method, common), folder / "slow"))
    batch = next(iter(fast.train_loader_x))
    if len(batch["label"].unique()) < 2:
        raise RuntimeError("The first batch has one class only, which would show nothing")
    views = ViewDataset(fast.dm.train_loader_x.dataset, num_views=1, seed=fast.cfg.SEED)
    items = [views[image] for image in _first_images(fast)]
    pixels = {
        "img": torch.stack([item["img"] for item in items]),
        "label": torch.tensor([item["label"] for item in items]),
    }
    expected, found = first_step(slow, pixels), first_step(fast, batch)
    differences = {
        name: check_agreement({name: expected[name]}, {name: found[name]}, tolerance=TOLERANCES[name])
        for name in expected
    }
    with torch.no_grad():
        parts = [
            ({"zero_shot": slow.branch_logits(slow.encode(batch["img"]))["zero_shot"]}, batch["label"])
            for batch in slow.test_loader
        ]
        direct, _ = merge_batches(parts)
        stored, _ = fast.collect_branches("test", fast.test_loader)
    # Between the images, not around zero: a common offset would hide that images are mixed up.
    differences["zero_shot"] = check_agreement(
        {"zero_shot": direct["zero_shot"] - direct["zero_shot"].mean(dim=0)},
        {"zero_shot": stored["zero_shot"] - stored["zero_shot"].mean(dim=0)},
        tolerance=TOLERANCES["zero_shot"],
    )
    return differences


class _Numbers:
    """A feature of each image: its number."""

    def take(self, view: int, images: Tensor) -> Tensor:
        """Return the images' numbers (B,)."""
        return images


def _first_images(trainer: Any) -> list[int]:
    """Return which images the first batch of a trainer with cached views holds."""
    loader = trainer.train_loader_x
    numbers = FeatureBatches(
        {"number": _Numbers()}, loader.labels, num_views=1, batch_size=loader.batch_size, seed=loader.seed
    )
    images: list[int] = next(iter(numbers))["number"].tolist()
    return images


# ----------------------------------------------------------------------------------------------------------- measure


def measure(
    method: str,
    files: Files,
    folder: Path,
    common: Mapping[str, str],
    *,
    views: int,
    num_epochs: int,
    measured_epochs: int,
    rounds: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Time the three sides in turn and return their figures.

    Raises:
        RuntimeError: If a run fails, or the sides do not agree where they must.
    """
    timings: dict[str, list[Timing]] = {"online": [], "cold": [], "warm": []}
    for number in range(rounds):
        place = folder / f"{method}{number}"
        cached = cached_settings(common, views=views, store=place / "store") | {"OPTIM.MAX_EPOCH": str(num_epochs)}
        sides = {
            # The warm-up moves learning rates, no second; it must only be shorter than what is left of the run.
            "online": online_settings(method, common)
            | {"OPTIM.MAX_EPOCH": str(measured_epochs), "OPTIM.WARMUP_EPOCH": "0"},
            "cold": cached,
            "warm": cached,
        }
        for side, settings in sides.items():
            timings[side].append(time_run(command(method, files, settings, place / side), place / side))
            say(f"{method} {side}: {timings[side][-1].seconds:.1f} s")
        _check_results({side: figures[-1].result for side, figures in timings.items()})
    totals = {side: [timing.seconds for timing in figures] for side, figures in timings.items()}
    totals["online"] = [computed_total(run.seconds, run.epochs, num_epochs) for run in timings["online"]]
    return {
        "method": method,
        "views": views,
        "epochs": num_epochs,
        "online_epochs_measured": measured_epochs,
        "seconds": {side: spread(figures)._asdict() for side, figures in totals.items()},
        "online_seconds_are": "computed",
        "online_seconds_measured": spread([run.seconds for run in timings["online"]])._asdict(),
        "online_seconds_an_epoch": spread([second for run in timings["online"] for second in run.epochs])._asdict(),
        "cpu_seconds": {side: spread([run.cpu_seconds for run in runs])._asdict() for side, runs in timings.items()},
        "ratios": {side: ratios(totals["online"], totals[side])._asdict() for side in ("cold", "warm")},
        "targets": TARGETS[method],
    }


def _check_results(results: Mapping[str, Mapping[str, Any]]) -> None:
    zero_shot = {side: result["zero_shot_accuracy"] for side, result in results.items()}
    if len(set(zero_shot.values())) > 1:
        raise RuntimeError(f"Zero-shot accuracies differ: {zero_shot}")
    if results["cold"]["branches"] != results["warm"]["branches"]:
        raise RuntimeError("The second run from the same store has another result than the first")


def print_result(result: Mapping[str, Any]) -> None:
    """Print one method's figures as a small table."""
    print(
        f"\n{result['method']}, {result['epochs']} epochs, K = {result['views']}; largest differences: "
        + ", ".join(f"{name} {value:.1g}" for name, value in result["largest_differences"].items())
    )
    print(f"{'':34}{'min':>9}{'median':>9}{'max':>9}   target")
    for side, figures in result["seconds"].items():
        note = "online, seconds (computed)" if side == "online" else f"{side}, seconds"
        print(f"{note:34}{''.join(f'{figure:9.1f}' for figure in figures.values())}")
    for side, figures in result["ratios"].items():
        print(
            f"{f'online / {side}':34}{''.join(f'{figure:9.1f}' for figure in figures.values())}"
            f"   {result['targets'][side]}"
        )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    add("--classes", type=int, default=5, help="classes (default 5)")
    add("--shots", type=int, default=16, help="training images per class (default 16)")
    add("--test", type=int, default=20, help="test images per class (default 20)")
    add("--epochs", type=int, default=50, help="epochs of a run (default 50)")
    add("--measured-epochs", type=int, default=2, help="epochs of the slow side that are run (default 2)")
    add("--views", type=int, default=8, help="K, the cached views of the fast side (default 8)")
    add("--rounds", type=int, default=1, help="how often each side is timed (default 1)")
    add("--threads", type=int, default=2, help="CPU threads of every run (default 2)")
    add("--workers", type=int, default=0, help="processes that read images for a run (default 0)")
    add("--json", type=Path, metavar="FILE", help="write the figures here too")
    arguments = parser.parse_args(argv)
    for name in ("shots", "test", "measured_epochs", "views", "rounds", "threads"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, got {getattr(arguments, name)}")
    if arguments.classes < 2:
        parser.error(f"--classes must be at least 2, got {arguments.classes}")
    if arguments.epochs < arguments.measured_epochs:
        parser.error(f"--measured-epochs {arguments.measured_epochs} are more than --epochs {arguments.epochs}")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Print tables and write JSON."""
    arguments = parse_arguments(argv)
    common = {
        "DATASET.NUM_SHOTS": str(arguments.shots),
        "TRAIN.NUM_THREADS": str(arguments.threads),
        "DATALOADER.NUM_WORKERS": str(arguments.workers),
    }
    torch.set_num_threads(arguments.threads)
    machine = describe_machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items() if value is not None), flush=True)
    results = []
    with tempfile.TemporaryDirectory(prefix="whole-run-") as name:
        folder = Path(name)
        files = write_files(folder, classes=arguments.classes, shots=arguments.shots, test=arguments.test)
        for method in arguments.methods:
            with contextlib.redirect_stdout(io.StringIO()):
                few = common | {"DATASET.NUM_SHOTS": str(min(4, arguments.shots))}
                differences = check_same(method, files, few, folder / f"check{method}")
            result = measure(
                method,
                files,
                folder,
                common,
                views=arguments.views,
                num_epochs=arguments.epochs,
                measured_epochs=arguments.measured_epochs,
                rounds=arguments.rounds,
                say=lambda line: print(line, flush=True),
            )
            results.append({**result, "largest_differences": differences})
            print_result(results[-1])
    if arguments.json:
        images = {"classes": arguments.classes, "shots": arguments.shots, "test_images": arguments.test}
        write_report(arguments.json, "whole_run", {**machine, "runs": images}, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
