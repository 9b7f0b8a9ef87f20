"""From a folder of pictures to a model that runs elsewhere, by the commands that a user types."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import export
import predict
import train
from amu_raft.classifier import FewShotClassifier
from amu_raft.images.pixels import PixelRecipe
from dassl.utils import read_image
from datasets.doctor.__main__ import main as doctor
from tests.odd_files import write_twenty_odd_files

onnxruntime = pytest.importorskip("onnxruntime")
PER_CLASS = 30
KEYS = ("OPTIM.MAX_EPOCH", "10", "OPTIM.WARMUP_EPOCH", "1", "TRAIN.VIEWS", "2", "DATASET.NUM_SHOTS", "8")


def write_digits(root: Path) -> Path:
    """Write scans of digits as PNG, a folder for each digit."""
    scans = load_digits()
    for digit in range(10):
        folder = root / str(digit)
        folder.mkdir(parents=True)
        for number, scan in enumerate(scans.images[scans.target == digit][:PER_CLASS]):
            picture = Image.fromarray((scan * 255 / 16).astype(np.uint8))
            picture.resize((32, 32), Image.Resampling.NEAREST).save(folder / f"{number}.png")
    names = "zero one two three four five six seven eight nine"  # the small CLIP reads words
    (root / "classnames.txt").write_text("".join(f"{digit} {name}\n" for digit, name in enumerate(names.split())))
    return root


@pytest.mark.parametrize("method", ["AMU", "RAFT"])
def test_a_folder_becomes_a_model_that_runs_elsewhere(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_digits(tmp_path / "images")
    before = sorted((path, path.stat().st_mtime_ns) for path in images.rglob("*"))
    assert doctor([str(images), "--shots", "8"]) == 0
    assert "10" in capsys.readouterr().out

    run = tmp_path / "run"
    assert train.main(["--trainer", method, "--data", str(images), "--output-dir", str(run), *KEYS]) == 0
    result = json.loads((run / "result.json").read_text())
    assert result["accuracy"] > max(result["zero_shot_accuracy"], 60)
    assert sorted((path, path.stat().st_mtime_ns) for path in images.rglob("*")) == before
    capsys.readouterr()

    odd = tmp_path / "odd"
    odd.mkdir()
    readable = write_twenty_odd_files(odd)
    assert len(readable) == 20
    assert predict.main(["--model", str(run), str(odd), "--topk", "10", "--format", "jsonl"]) == 0
    rows = {Path(row["image"]).name: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {name: row["error"] is None for name, row in rows.items()} == readable

    assert export.main(["--model", str(run), "--output", str(tmp_path / "model.onnx")]) == 0
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    recipe = PixelRecipe(session.get_inputs()[0].shape[-1], "bicubic")
    sound = sorted(odd / name for name in readable if readable[name]) + sorted(images.rglob("*.png"))[::10]
    pixels = np.stack([recipe.pixels(read_image(str(path))).numpy() for path in sound])
    [probabilities] = session.run(["probabilities"], {"pixels": pixels})
    classifier = FewShotClassifier.load(run)
    assert json.loads(told["classnames"]) == classifier.classes_.tolist()
    np.testing.assert_allclose(probabilities, classifier.predict_proba(list(map(str, sound))), atol=1e-4)
    for path, row in zip(sound, probabilities, strict=True):
        if path.parent == odd:
            said = {guess["label"]: guess["probability"] for guess in rows[path.name]["adapted"]}
            np.testing.assert_allclose([said[label] for label in range(10)], row, atol=1e-4)
