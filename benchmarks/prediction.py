"""What predict.py costs beside the encoder: pictures per second, memory, start-up.

    python -m benchmarks.prediction --json prediction.json

Speed: photographs on disk to rows, against the bare encoder on pixels that lie ready, in turns. Memory: the highest
resident memory of a process that does what ``python predict.py`` does over few and over many pictures. Start-up: its
seconds for one picture.
Without --model a model of the sizes of CLIP RN50 (and ResNet-50 for AMU) with random weights is made.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from amu_raft.backbones.aux_encoder import load_aux_encoder
from amu_raft.backbones.clip_backbone import load_clip
from amu_raft.backbones.preprocess import CLIP_MEAN, CLIP_STD
from amu_raft.features.encoders import Encoders
from amu_raft.features.extraction import encode_within_memory, part_for_cpu
from amu_raft.images.pixels import PixelRecipe
from amu_raft.methods import Task, get_method
from amu_raft.model.few_shot_model import FewShotModel
from amu_raft.model.model_folder import LoadedModel, load_model_folder, write_model_folder
from amu_raft.model.model_info import EncoderIdentity, ModelInfo
from amu_raft.prediction.listing import list_pictures
from amu_raft.prediction.session import predict_rows
from benchmarks.full_size import write_clip, write_photographs, write_resnet
from benchmarks.harness import alternate, describe_machine, ratios, spread, write_report

REPOSITORY = Path(__file__).resolve().parent.parent
METHODS = ("ZeroshotCLIP", "AMU")
CLASSES = 100
# A process says by itself what it took: what its parent is told may be the parent's own.
_PREDICT = """import sys, predict
if status := predict.main(sys.argv[2:]):
    sys.exit(status)
from benchmarks.memory import highest_memory
open(sys.argv[1], "w").write(str(highest_memory()))"""


def write_model(folder: Path, method: str, *, clip: str, aux: str, size: int, precision: str) -> Path:
    """Write a model folder with random text columns and random numbers in place of what is learned."""
    kind = get_method(method)
    backbone, encoder = load_clip(clip, precision=precision), load_aux_encoder(aux) if "aux" in kind.reads else None
    columns = torch.nn.functional.normalize(torch.randn(backbone.feature_dim, CLASSES), dim=0)
    encoders = Encoders(backbone, kind.reads, aux_encoder=encoder)
    learner = kind(kind.Settings(), Task(columns, backbone.logit_scale, encoders.widths, backbone.precision))
    for parameter in learner.parameters():
        torch.nn.init.normal_(parameter)
    names = [f"class {label}" for label in range(CLASSES)]
    info = ModelInfo(
        method=method,
        classnames=names,
        class_keys=names,
        prompts=[[name] for name in names],
        backbone=EncoderIdentity(clip, backbone.sha256),
        precision=precision,
        layers=backbone.layers,
        aux_encoder=EncoderIdentity(aux, encoder.sha256) if encoder else None,
        recipe=PixelRecipe(size, "bicubic"),
        mean=CLIP_MEAN,
        std=CLIP_STD,
        choices=learner.kept_choices(),
    )
    write_model_folder(FewShotModel(encoders, learner), info, folder)
    return folder


def measure_speed(
    loaded: LoadedModel, photographs: Sequence[str], *, batch_size: int, workers: int, rounds: int, device: torch.device
) -> dict[str, Any]:
    """Time predict's rows against the bare encoders on as many images that lie ready as pixels."""
    size, count = loaded.info.recipe.size, len(photographs)
    encoders = loaded.model.encoders
    pixels = torch.rand(batch_size, 3, size, size, device=device)
    at_most = part_for_cpu(pixels) if device.type == "cpu" else batch_size

    def encode(images: torch.Tensor) -> dict[str, torch.Tensor]:
        found = {"clip": encoders.backbone.encode_image(images)}
        if encoders.aux_encoder is not None:
            with torch.no_grad(), encoders.backbone.precision.autocast(device):
                found["aux"] = encoders.aux_encoder(images)
        return found

    def bare() -> None:
        for start in range(0, count, batch_size):
            encode_within_memory(pixels[: count - start], encode, at_most=at_most)

    def rows() -> None:
        pictures = list_pictures(photographs, sys.stdin.buffer)
        found = predict_rows(loaded, pictures, topk=5, batch_size=batch_size, workers=workers, device=device)
        if any(row.error for row in found):
            raise RuntimeError("a photograph could not be read")

    seconds = alternate({"encoder": bare, "predict": rows}, rounds, device=device)
    return {
        "method": loaded.info.method,
        "pictures": count,
        "workers": workers,
        "batch_size": batch_size,
        "precision": loaded.info.precision,
        "encoder_images_per_second": spread([count / second for second in seconds["encoder"]])._asdict(),
        "predict_images_per_second": spread([count / second for second in seconds["predict"]])._asdict(),
        "share_of_encoder": ratios(seconds["encoder"], seconds["predict"])._asdict(),
    }


def run_predict(model: Path, names: Sequence[str], *flags: str) -> tuple[float, float]:
    """Run predict.py in a process of its own and return its seconds and its highest resident memory in MiB.

    Raises:
        RuntimeError: If it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        listing, memory = Path(folder, "names.txt"), Path(folder, "memory.txt")
        with listing.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{name}\n" for name in names)
        arguments = [
            "--model",
            str(model),
            "-",
            "--format",
            "jsonl",
            "--output",
            str(Path(folder, "rows.jsonl")),
            *flags,
        ]
        command = [sys.executable, "-c", _PREDICT, str(memory), *arguments]
        path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "toolbox"), os.environ.get("PYTHONPATH", "")])
        start = time.perf_counter()
        with listing.open("rb") as stdin:
            status = subprocess.run(command, stdin=stdin, env={**os.environ, "PYTHONPATH": path}).returncode
        seconds = time.perf_counter() - start
        if status:
            raise RuntimeError(f"predict.py ended with status {status}")
        return seconds, float(memory.read_text())


def measure_memory(model: Path, photographs: Sequence[str], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Return the highest memory over so many pictures; the photographs are gone through again and again."""
    found = []
    for count in counts:
        names = [photographs[index % len(photographs)] for index in range(count)]
        seconds, memory = run_predict(model, names)
        found.append({"pictures": count, "peak_memory_mb": round(memory, 1), "seconds": round(seconds, 2)})
    return found


def measure_start(model: Path, photograph: str, rounds: int) -> dict[str, float]:
    """Return the seconds of predict.py for one picture."""
    return spread([run_predict(model, [photograph])[0] for _ in range(rounds)])._asdict()


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("--model", type=Path, metavar="DIR", help="a model folder in place of the full-size models")
    parser.add_argument("--photographs", type=int, default=200, help="on disk; default 200")
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 10_000], help="pictures of the memory runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 16))
    parser.add_argument("--precision", default="fp32", help="of the full-size models")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args(argv)
    device = torch.device(arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        root = write_photographs(Path(folder, "images"), {"test": -(-arguments.photographs // 10)}, classes=10)
        photographs = sorted(map(str, root.rglob("*.jpg")))[: arguments.photographs]
        models = [arguments.model] if arguments.model else []
        if not models:
            encoders = {
                "clip": str(write_clip(Path(folder, "clip.pt"))),
                "aux": str(write_resnet(Path(folder, "aux.pt"))),
            }
            models = [
                write_model(Path(folder, method), method, **encoders, size=224, precision=arguments.precision)
                for method in METHODS
            ]
        tiny = write_model(Path(folder, "tiny"), "AMU", clip="tiny", aux="tiny", size=64, precision="fp32")
        results: list[dict[str, Any]] = []
        for model in models:
            loaded = load_model_folder(model, device=device)
            speed = measure_speed(
                loaded,
                photographs,
                batch_size=arguments.batch_size,
                workers=arguments.workers,
                rounds=arguments.rounds,
                device=device,
            )
            results.append({"what": "speed", **speed})
            print(
                f"{speed['method']}: encoder {speed['encoder_images_per_second']['median']:.1f}, "
                f"predict {speed['predict_images_per_second']['median']:.1f} pictures/s, "
                f"{100 * speed['share_of_encoder']['median']:.1f} %"
            )
        for figures in measure_memory(tiny, photographs, arguments.counts):
            results.append({"what": "memory", "model": "tiny", **figures})
            print(f"{figures['pictures']} pictures: {figures['peak_memory_mb']} MiB, {figures['seconds']} s")
        start = measure_start(tiny, photographs[0], arguments.rounds)
        results.append({"what": "start", "model": "tiny", "seconds": start})
        print(f"one picture with the tiny encoders: {start['median']:.2f} s")
    if arguments.json:
        write_report(arguments.json, "prediction", describe_machine(device), results)


if __name__ == "__main__":
    main()
