"""How much of the encoder's own speed the extraction of features keeps, and what memory it takes.

    python -m benchmarks.extraction --json docs/performance/extraction.json

Speed: images a second of a whole extraction (JPEG files read, decoded, resized, encoded, stored) against the bare
forward of CLIP RN50 on tensors that are ready, in turns, for several numbers of reading processes. That both give the
same features is checked first. On CUDA, where it is there, also the share of the roofline that the forward reaches.

Memory: what the highest resident memory of a process grows by when it extracts 50,000 images in place of 1,000. A
process each; the encoder is trivial, but its features are as wide as RN50's. The images are the same small files again
and again, so that the growth is the extraction's own.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

from amu_raft.backbones.clip_backbone import CLIPBackbone, load_clip
from amu_raft.backbones.preprocess import CLIP_STATISTICS
from amu_raft.features.extraction import Features
from amu_raft.features.frozen import FrozenEncoders, LoaderSettings
from amu_raft.features.store import FeatureStore
from benchmarks.full_size import write_clip, write_photographs
from benchmarks.harness import alternate, check_agreement, describe_machine, spread, write_report
from benchmarks.memory import highest_memory
from benchmarks.region_attention import find_peak
from dassl.data.datasets import Datum
from dassl.utils import read_image
from experiments.runs.config import REPOSITORY

TARGET_SHARE, TARGET_GROWTH = 0.9, 150
TOLERANCE = 1e-5
SIDE_OF_CLIP = 224
SIDE, WIDTH = 32, 1024  # of the memory part: pixels of an image, numbers of its feature


class ImageFiles(Dataset[dict[str, Any]]):
    """Image files with a transform, as the toolbox's loaders wrap them."""

    def __init__(self, paths: Sequence[Path], transform: Callable[[Any], Tensor]) -> None:
        self.data_source = [Datum(impath=str(path), label=0, classname="image") for path in paths]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.data_source[index]
        return {"img": self.transform(read_image(item.impath)), "label": item.label}


# ------------------------------------------------------------------------------------------------------------- speed


def clip_transform() -> Compose:
    """Return CLIP's own preprocessing of test images."""
    statistics = (CLIP_STATISTICS.mean, CLIP_STATISTICS.std)
    return Compose(
        [Resize(SIDE_OF_CLIP, InterpolationMode.BICUBIC), CenterCrop(SIDE_OF_CLIP), ToTensor(), Normalize(*statistics)]
    )


def extract(backbone: CLIPBackbone, images: ImageFiles, store: Path, loading: LoaderSettings, device: str) -> Tensor:
    """Extract CLIP features (N, D) into an empty store and return them."""
    shutil.rmtree(store, ignore_errors=True)
    encoders = FrozenEncoders(
        lambda pixels, names: {"clip": backbone.encode_image(pixels)},
        {"clip": {"name": backbone.name, "sha256": backbone.sha256}},
        device=torch.device(device),
        store=FeatureStore(store),
        loader=loading,
    )
    return encoders.features_of(images, title="extract").load("clip")


def encode_ready(backbone: CLIPBackbone, batches: Sequence[Tensor]) -> Tensor:
    """Encode batches that lie on the device already, (N, D)."""
    return torch.cat([backbone.encode_image(batch) for batch in batches])


def measure_speed(
    folder: Path, *, num_images: int, batch_size: int, workers: Sequence[int], rounds: int, device: str, precision: str
) -> dict[str, Any]:
    """Check that extraction and bare forward agree, then time them in turns.

    Returns:
        Images a second of both for each number of reading processes, and the extraction's share.

    Raises:
        RuntimeError: If the features differ.
    """
    clip, photographs = folder / "clip.pt", folder / "images"
    if not clip.exists():
        write_clip(clip)
        write_photographs(photographs, {"train": num_images // 2}, classes=2)
    images = ImageFiles(sorted(photographs.rglob("*.jpg")), clip_transform())
    backbone = load_clip(str(clip), precision=precision, device=device)
    pixels = torch.stack([images[index]["img"] for index in range(len(images))])
    batches = [part.to(device) for part in pixels.split(batch_size)]
    tasks: dict[str, Callable[[], Tensor]] = {"bare": lambda: encode_ready(backbone, batches)}
    for count in workers:
        loading = LoaderSettings(batch_size, count, device == "cuda")
        tasks[f"{count} workers"] = lambda loading=loading: extract(  # type: ignore[misc]
            backbone, images, folder / "store", loading, device
        )
    expected = tasks["bare"]()
    difference = max(
        check_agreement({"features": expected}, {"features": task()}, tolerance=TOLERANCE)
        for name, task in tasks.items()
        if name != "bare"
    )
    seconds = alternate(tasks, rounds, warm_up=0, device=device)
    result: dict[str, Any] = {
        "part": "speed",
        "device": device,
        "precision": precision,
        "images": len(images),
        "batch_size": batch_size,
        "largest_difference": difference,
        "images_per_second": {
            name: spread([len(images) / second for second in figures])._asdict() for name, figures in seconds.items()
        },
        "share_of_bare": {
            name: spread([bare / second for bare, second in zip(seconds["bare"], figures, strict=True)])._asdict()
            for name, figures in seconds.items()
            if name != "bare"
        },
        "target_share": TARGET_SHARE,
    }
    return {**result, **count_cost(backbone, batches[0])}


def count_cost(backbone: CLIPBackbone, batch: Tensor) -> dict[str, int]:
    """Return the FLOPs of the forward for an image, and the bytes that must move for a batch however it is computed.

    FLOPs are those of convolutions and matrix products, two for a multiplication with its addition. Bytes are weights
    and images read and features written; all else could stay in cache.
    """
    with FlopCounterMode(display=False) as counter:
        features = backbone.encode_image(batch)
    weights = sum(value.numel() * value.element_size() for value in backbone.model.visual.parameters())
    return {
        "flops_per_image": counter.get_total_flops() // len(batch),
        "bytes_per_batch": weights + sum(t.numel() * t.element_size() for t in (batch, features)),
    }


def roofline_share(result: Mapping[str, Any], accelerator: str | None) -> float | None:
    """Return the least time a batch needs at the device's peak rates over the time the bare forward took."""
    peak = find_peak(accelerator)
    if peak is None:
        return None
    rate = (peak.fp32 if result["precision"] == "fp32" else peak.amp) * 1e12
    size = result["batch_size"]
    least = max(result["flops_per_image"] * size / rate, result["bytes_per_batch"] / (peak.memory * 1e9))
    share: float = least * result["images_per_second"]["bare"]["median"] / size
    return share


# ------------------------------------------------------------------------------------------------------------ memory


def extract_many(folder: Path, num_images: int) -> float:
    """Extract features of many images by a trivial encoder and return this process's highest memory in MiB."""
    files = sorted((folder / "small").rglob("*.jpg"))
    images = ImageFiles([files[index % len(files)] for index in range(num_images)], ToTensor())

    def encode(pixels: Tensor, names: Collection[str]) -> Features:
        rows = F.adaptive_avg_pool2d(pixels, 8).flatten(start_dim=1)
        return {"wide": rows.repeat(1, -(-WIDTH // rows.shape[1]))[:, :WIDTH]}

    with tempfile.TemporaryDirectory(dir=folder) as store:
        encoders = FrozenEncoders(
            encode,
            {"wide": {"name": "trivial"}},
            device=torch.device("cpu"),
            store=FeatureStore(Path(store)),
            loader=LoaderSettings(128, 0, False),
        )
        features = encoders.features_of(images, title="extract")
        rows = sum(len(batch["wide"]) for batch, _ in features.batches(128))  # read again, as an evaluation does
    if rows != num_images:
        raise RuntimeError(f"{num_images} images were to be extracted, {rows} rows are there")
    return highest_memory()


def measure_memory(folder: Path, counts: Sequence[int]) -> dict[str, Any]:
    """Return the highest memory of a process that extracts so many images, and by how much it grows.

    Raises:
        RuntimeError: If a process fails.
    """
    write_photographs(folder / "small", {"train": 50}, classes=2, size=(SIDE, SIDE))
    peaks = {}
    for count in counts:
        code = (
            f"import pathlib, benchmarks.extraction as b; print(b.extract_many(pathlib.Path({str(folder)!r}), {count}))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"extracting {count} images failed: {done.stderr.strip()[-500:]}")
        peaks[count] = float(done.stdout.split()[-1])
    return {
        "part": "memory",
        "feature_bytes_per_image": WIDTH * 4,
        "peak_mib": peaks,
        "growth_mib": peaks[counts[-1]] - peaks[counts[0]],
        "target_growth_mib": TARGET_GROWTH,
    }


# ----------------------------------------------------------------------------------------------------------- command


def print_speed(result: Mapping[str, Any]) -> None:
    """Print the speeds as a small table."""
    print(
        f"\n{result['device']}, {result['precision']}, {result['images']} images, batch {result['batch_size']}; "
        f"features agree within {result['largest_difference']:.1g}"
    )
    print(
        f"{'images a second':24}{'min':>9}{'median':>9}{'max':>9}   share of bare, median (target {TARGET_SHARE:.0%})"
    )
    for name, figures in result["images_per_second"].items():
        share = result["share_of_bare"].get(name)
        print(
            f"{name:24}{''.join(f'{figure:9.1f}' for figure in figures.values())}"
            f"   {'' if share is None else format(share['median'], '.0%')}"
        )
    if result.get("roofline_share") is not None:
        print(f"the bare forward reaches {result['roofline_share']:.1%} of the roofline")


def print_memory(result: Mapping[str, Any]) -> None:
    """Print peak memory and growth."""
    peaks = ", ".join(f"{count} images {peak:.0f} MiB" for count, peak in result["peak_mib"].items())
    print(f"\npeak memory: {peaks}; growth {result['growth_mib']:.0f} MiB (target < {TARGET_GROWTH})")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--images", type=int, default=64, help="photographs of the speed part (default 64)")
    add("--batch", type=int, default=32, help="images per batch (default 32)")
    add("--workers", type=int, nargs="+", default=[0, 2], help="numbers of reading processes (default 0 2)")
    add("--rounds", type=int, default=3, help="how often each side is timed (default 3)")
    add("--threads", type=int, default=2, help="CPU threads of the encoder (default 2)")
    add("--counts", type=int, nargs=2, default=[1000, 50000], help="images of the memory part (default 1000 50000)")
    add("--json", type=Path, metavar="FILE", help="write the figures here too")
    arguments = parser.parse_args(argv)
    for name in ("batch", "rounds", "threads"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(arguments, name)}")
    if arguments.images < 2:
        parser.error(f"--images must be at least 2, got {arguments.images}")
    if min(arguments.workers) < 0:
        parser.error(f"--workers must not be negative, got {min(arguments.workers)}")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Print tables and write JSON."""
    arguments = parse_arguments(argv)
    torch.set_num_threads(arguments.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    machine = describe_machine(device)
    print(", ".join(f"{name} {value}" for name, value in machine.items() if value is not None), flush=True)
    sides = [("cpu", "fp32")] + [("cuda", precision) for precision in ("fp32", "amp") if device == "cuda"]
    results = []
    with tempfile.TemporaryDirectory(prefix="extraction-") as name:
        folder = Path(name)
        for side, precision in sides:
            result = measure_speed(
                folder,
                num_images=arguments.images,
                batch_size=arguments.batch,
                workers=arguments.workers,
                rounds=arguments.rounds,
                device=side,
                precision=precision,
            )
            result["roofline_share"] = roofline_share(result, machine["accelerator"]) if side == "cuda" else None
            print_speed(result)
            results.append(result)
        results.append(measure_memory(folder, sorted(arguments.counts)))
        print_memory(results[-1])
    if arguments.json:
        write_report(arguments.json, "extraction", machine, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
