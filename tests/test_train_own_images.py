"""Own images from the command line to a result: folders, lists, names, sentences and odd files."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import train
from experiments.results.predictions import read_predictions
from tests.conftest import SMALL_RUN, write_images

Train = Callable[..., dict[str, Any]]


@pytest.fixture
def trained(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """Run train.py on --data PATH; a run folder of its own for each call."""
    calls = iter(range(9))

    def run(trainer: str, data: Path | str, *flags: str) -> dict[str, Any]:
        folder = workdir / f"run{next(calls)}"
        argv = ["--trainer", trainer, "--data", str(data), "--output-dir", str(folder), *flags, *SMALL_RUN]
        assert train.main(argv) == 0, capsys.readouterr().err
        result: dict[str, Any] = json.loads((folder / "result.json").read_text())
        return {**result, "folder": folder, "printed": capsys.readouterr().out}

    return run


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert train.main(["--trainer", "AMU", *argv]) == 1
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize("trainer", ["ZeroshotCLIP", "AMU"])
def test_a_folder_and_a_list_of_it_give_the_same_figures(trainer: str, trained: Train, image_root: Path) -> None:
    rows = [f'"{path}",{path.parent.name}' for path in sorted(image_root.rglob("*.png"), reverse=True)]
    Path("list.csv").write_text("\n".join(["path,label", *rows]))
    first, second = trained(trainer, image_root), trained(trainer, "list.csv")
    assert first["total"] == 9 and first["dataset"] == second["dataset"] == "image_folder"
    for name in ("accuracy", "macro_f1", "per_class_accuracy", "zero_shot_accuracy"):
        assert first[name] == second[name]


def test_predictions_name_the_images_of_a_list_as_the_list_does(trained: Train, tmp_path: Path) -> None:
    root = write_images(tmp_path / "mine" / "images")
    rows = [f"images/{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.png"))]
    (tmp_path / "mine" / "list.csv").write_text("\n".join(["path,label", *rows]))
    found = read_predictions(trained("ZeroshotCLIP", tmp_path / "mine" / "list.csv")["folder"])
    assert found.root == str(tmp_path / "mine")
    assert {f"{name},{name.split('/')[1]}" for name in found.images} <= set(rows)


def test_an_evaluation_finds_the_list_of_its_model(trained: Train, image_root: Path, workdir: Path) -> None:
    rows = [f'"{path}",{path.parent.name}' for path in sorted(image_root.rglob("*.png"))]
    Path("list.csv").write_text("\n".join(["path,label", *rows]))
    first = trained("AMU", "list.csv")
    argv = ["--trainer", "AMU", "--eval-only", "--model-dir", str(first["folder"]), "--output-dir", "again"]
    assert train.main(argv) == 0
    again = json.loads((workdir / "again" / "result.json").read_text())
    assert again["cfg"]["DATASET"]["ROOT"] == "list.csv" and again["accuracy"] == first["accuracy"]


def test_names_and_templates_reach_the_texts_and_stay_with_the_model(
    trained: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_images(tmp_path / "mine")
    (root / "classnames.txt").write_text("bear grizzly\nred_fox,Vulpes vulpes\nsea lion  Zalophus\n")
    plain = trained("AMU", root)
    own = trained("AMU", root, "--templates", "a drawing of {}", "--templates", "{}!")
    assert plain["zero_shot_accuracy"] is not None and own["cfg"]["DATASET"]["TEMPLATES"] == ["a drawing of {}", "{}!"]
    classes = json.loads((own["folder"] / "classes.json").read_text())
    assert classes == {
        "class_keys": ["bear", "red_fox", "sea lion"],
        "classnames": ["grizzly", "Vulpes vulpes", "Zalophus"],
    }
    again = trained("AMU", root, "--eval-only", "--model-dir", str(own["folder"]))
    assert again["cfg"]["DATASET"]["TEMPLATES"] == own["cfg"]["DATASET"]["TEMPLATES"]
    assert again["accuracy"] == own["accuracy"]
    (root / "prompts.json").write_text(json.dumps({"grizzly": ["a"], "Vulpes vulpes": ["b"], "Zalophus": ["c"]}))
    assert f"Sentences of each class: {root / 'prompts.json'}" in trained("ZeroshotCLIP", root)["printed"]
    (root / "prompts.json").write_text(json.dumps({"grizzly": ["a"]}))
    assert "has no class 'Vulpes vulpes'" in error_of(capsys, "--data", str(root))


def write_odd_images(folder: Path) -> None:
    """One of each kind of file that is not three times eight bits."""
    noise = np.random.RandomState(0).randint(0, 256, (48, 40, 4)).astype(np.uint8)
    rgb = Image.fromarray(noise[..., :3])
    turned = Image.Exif()
    turned[0x0112] = 6
    rgb.save(folder / "phone.JPG", exif=turned)
    rgb.convert("CMYK").save(folder / "print.jpg")
    rgb.convert("L").save(folder / "grey.jpeg")
    rgb.convert("1").save(folder / "bit.tif")
    rgb.convert("P").save(folder / "palette.png", transparency=0)
    Image.fromarray(noise, "RGBA").save(folder / "alpha.webp")
    Image.fromarray(noise[..., :2], "LA").save(folder / "grey alpha.png")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray(noise[..., 0].astype(np.float32) / 255).save(folder / "float.tiff")
    rgb.save(folder / "anim.gif", save_all=True, append_images=[rgb.convert("L")])
    rgb.save(folder / "png.jpg", "PNG")
    rgb.save(folder / b"caf\xe9.bmp".decode("utf-8", "surrogateescape"))
    rgb.save(folder / "jpeg.jfif", "JPEG")
    for name in (".DS_Store", "Thumbs.db", "._phone.jpg"):
        (folder / name).write_bytes(struct.pack(">I", 5))


def test_odd_files(trained: Train, tmp_path: Path) -> None:
    root = write_images(tmp_path / "mine")
    write_odd_images(root / "bear")
    result = trained("AMU", root, "DATASET.NUM_SHOTS", "16")
    assert result["total"] == 3 + 3 + (10 + 13) - 11 - 4


def test_damaged_images_stop_a_run_before_it_trains_and_it_goes_on_once_they_are_gone(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_images(Path("mine"), {"one": 10, "two": 10})
    cut = root / "one" / "3.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    argv = ["--trainer", "AMU", "--data", str(root), *SMALL_RUN, "DATASET.NUM_SHOTS", "0"]  # all images
    assert train.main(argv) == 1
    printed = capsys.readouterr()
    [line] = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert 'Cannot read the image "' in line and "3.png" in line and "truncated" in line
    assert line.endswith("lists all that is wrong") and "epoch [" not in printed.out
    cut.unlink()
    assert train.main(argv) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--data", ""], "--data is empty"),
        (["--data", "x", "--root", "y"], "--data stands for --dataset-config-file image_folder --root PATH"),
        (["--data", "x", "--dataset-config-file", "digits"], "--data stands for"),
        (["--data", "nowhere"], "nowhere does not exist; give a folder of images or a list"),
        (["--data", "x", "--templates", "a cat"], "template 'a cat' has no \"{}\""),
        (["--templates", "a {}", "TRAINER.AMU.PROMPTS", "imagenet7"], "goes with PROMPTS templates"),
    ],
)
def test_bad_command_lines(argv: list[str], said: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in error_of(capsys, *argv)
