import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from amu_raft.images.doctor.command import build_parser, doctor
from amu_raft.images.doctor.examination import examine
from amu_raft.images.doctor.report import format_examination
from tests.conftest import write_images

CLASSES = {"bear": 10, "red_fox": 10}


def run(argv: list[str]) -> int:
    return doctor(build_parser().parse_args(argv))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_images(tmp_path / "mine", CLASSES)


def line(lines: list[str], begin: str) -> str:
    [found] = [text for text in lines if text.startswith(begin)]
    return found


def test_a_sound_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = examine(folder, shots=5)
    assert (found.failures, found.warnings, found.notes) == ([], [], [])
    assert found.counts == {"train": [5, 5], "val": [2, 2], "test": [3, 3]}
    assert run([str(folder), "--shots", "5"]) == 0
    out = capsys.readouterr().out
    assert f"{folder}: one folder per class; divided per class, the same way every time" in out
    assert "| red_fox       | 5       | 2     | 3      |" in out and out.endswith("Ready to train on.\n")


def test_copies_across_splits_are_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("train", "val", "test"):
        write_images(tmp_path / part, CLASSES)  # the same images in each
    assert run([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "the same image in several splits, 20 times: train/bear/0.png (train) = val/bear/0.png (val) = test/" in out
    assert "Not ready to train on: 1 to be mended." in out


def test_copies_elsewhere_are_told(folder: Path) -> None:
    for part in ("train", "test"):
        (folder / part).mkdir()
    shutil.copytree(folder / "bear", folder / "train" / "bear")
    shutil.move(folder / "red_fox", folder / "train")
    shutil.rmtree(folder / "bear")
    write_images(folder / "test", {"other": 1, "bear": 2, "red_fox": 2}, size=(70, 70))
    shutil.rmtree(folder / "test" / "other")
    train = folder / "train"
    shutil.copy(train / "bear" / "0.png", train / "bear" / "again.png")
    shutil.copy(train / "bear" / "1.png", train / "red_fox" / "bear.png")
    found = examine(folder)
    assert found.failures == []
    assert "train/bear/1.png (train) = train/red_fox/bear.png (train)" in line(found.warnings, "the same image in")
    assert line(found.notes, "copies within a class and split: 1, such as train/bear/0.png (train) = train/bear/again")
    assert line(found.notes, "no validation images")


def test_what_cannot_be_read_is_named_with_its_reason(folder: Path) -> None:
    (folder / "bear" / "cut.png").write_bytes((folder / "bear" / "0.png").read_bytes()[:500])
    (folder / "bear" / "text.jpg").write_text("hello")
    (folder / "red_fox" / "empty.png").touch()
    found = examine(folder)
    assert sorted(found.failures) == [
        "cannot be read: bear/cut.png: image file is truncated",
        "cannot be read: bear/text.jpg: no image, or of a format that is not read",
        "cannot be read: red_fox/empty.png: empty file",
    ]


def test_warnings_and_notes(folder: Path) -> None:
    Image.fromarray(np.full((31, 200), 3, np.uint8)).save(folder / "bear" / "small.png")
    write_images(folder, {"x": 1, "y": 1, "z": 1, "wolf": 120}, size=(34, 34))
    for name in "xyz":
        shutil.rmtree(folder / name)
    (folder / "loose.jpg").touch()
    (folder / "bear" / "Thumbs.db").touch()
    (folder / "bear" / "notes.TXT").touch()
    (folder / "bear" / ".DS_Store").touch()
    (folder / "__MACOSX").mkdir()
    (folder / "bear" / "up").symlink_to(folder)
    found = examine(folder, shots=6)
    assert found.failures == []
    assert line(
        found.warnings, "classes with fewer than 6 training images, which are taken whole: 2, 'bear', 'red_fox'"
    )
    assert line(found.warnings, "the largest class has 60 training images, the smallest 5")
    assert line(found.warnings, "1 image under 32 pixels a side: 'bear/small.png'")
    assert line(found.notes, "unusual images, which are read right: grey 1")
    assert ".db 1" in line(found.notes, "files that are not images by their ending") and ".txt 1" in str(found.notes)
    assert line(found.notes, "hidden files and folders, and those of the system, not read: 2")
    assert line(found.notes, "links to folders within classes, not followed: 'up'")
    assert line(found.notes, "1 image beside the class folders, not read")


def test_lists_with_all_their_faults(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "list.csv"
    path.write_text("path,label\nbear/0.png,bear\nbear/1.png,\nnone.png,bear\n")
    assert run([str(path)]) == 1
    out = capsys.readouterr().out
    assert f"- {path}, line 3: the label is empty\n- {path}, line 4: image 'none.png' does not exist\n" in out
    assert "Not ready to train on: 2 to be mended." in out


def test_names_and_sentences(folder: Path) -> None:
    (folder / "classnames.txt").write_text("bear brown bear\nred_fox Vulpes vulpes\n")
    (folder / "prompts.json").write_text(json.dumps({"brown bear": ["A bear."]}))
    found = examine(folder)
    assert found.names == ["brown bear (bear)", "Vulpes vulpes (red_fox)"]
    assert line(found.failures, "prompt file").endswith("has no sentences for 'Vulpes vulpes'")
    assert found.notes == ["class names are those of classnames.txt", "prompts.json has sentences for 1/2 classes"]


@pytest.mark.parametrize(("classes", "said"), [({}, "has no classes"), ({"a": 1, "b": 1}, "no test images")])
def test_nothing_to_train_or_test_with(classes: dict[str, int], said: str, tmp_path: Path) -> None:
    assert any(said in failure for failure in examine(write_images(tmp_path, classes)).failures)


def test_names_that_no_terminal_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = b"caf\xe9\n.png".decode("utf-8", "surrogateescape")
    (folder / "bear" / name).write_bytes(b"no image")
    assert run([str(folder)]) == 1
    assert r"cannot be read: bear/caf\udce9\n.png: no image" in capsys.readouterr().out


def test_long_reports_are_cut(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"class{number:02d}").mkdir()
        for index in range(2 + (number == 7)):
            (tmp_path / f"class{number:02d}" / f"{index}.jpg").write_bytes(f"{number} {index}".encode())
    found = examine(tmp_path, workers=2)
    assert len(found.failures) == 101
    text = format_examination(found)
    assert "- ... and 81 more" in text and "... and 10 larger ones" in text and "class07" not in text.split("\n\n")[1]


def test_memory_does_not_grow_with_pixels(tmp_path: Path, make_image: Callable[[Path], str]) -> None:
    """Forty images of 3 MB are 120 MB as pixels; what is kept of each is a hash."""
    import tracemalloc

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(20):
            shade = Image.new("RGB", (1000, 1000), (number, 0, ord(name)))
            shade.save(tmp_path / name / f"{number}.png", compress_level=1)
    tracemalloc.start()
    assert examine(tmp_path, shots=1).failures == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
