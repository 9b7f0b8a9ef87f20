import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from amu_raft.json_file import read_json_file, write_json_file
from datasets import generated_images
from datasets.digits import Digits
from datasets.generated_images import GeneratedDataset, split_positions


class Greys(GeneratedDataset):
    dataset_dir = "greys"
    split_file = "split_zhou_Greys.json"
    names = ("dark", "bright")

    def draw_class(self, label: int) -> list[tuple[str, Image.Image]]:
        return [(str(index), Image.new("RGB", (4, 4), (100 * label + index,) * 3)) for index in range(10)]


@given(count=st.integers(0, 300), seed=st.integers(0, 20))
def test_positions_are_divided_half_and_sixty_to_forty(count: int, seed: int) -> None:
    parts = split_positions(count, seed=seed)
    assert sorted(parts["train"] + parts["val"] + parts["test"]) == list(range(count))
    assert len(parts["train"]) + len(parts["val"]) == count // 2
    assert len(parts["train"]) == int(count // 2 * 6 / 10)
    assert parts == split_positions(count, seed=seed)


def test_positions_worked_by_hand() -> None:
    order = list(range(11))
    random.Random(3).shuffle(order)
    assert split_positions(11, seed=3) == {"train": order[:3], "val": order[3:5], "test": order[5:]}


def test_images_are_written_once(make_cfg: Callable[..., Any], cache: Path, capsys: Any) -> None:
    data = Greys(make_cfg())
    assert data.dataset_dir == str(cache / "greys-v1" / "greys")
    assert "is written once" in capsys.readouterr().out
    assert (len(data.train_x or ()), len(data.val or ()), len(data.test or ())) == (6, 4, 10)
    for item in data.test or ():
        path = Path(item.impath)
        assert path.parent.name == item.classname == Greys.names[item.label]
        assert np.asarray(Image.open(path)).max() == 100 * item.label + int(path.stem)
    Greys(make_cfg())
    assert capsys.readouterr().out == f"Reading split from {data.split_path}\n"


def test_a_given_root_is_used_and_must_exist(make_cfg: Callable[..., Any], tmp_path: Path) -> None:
    assert Greys(make_cfg(tmp_path)).dataset_dir == str(tmp_path / "greys")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        Greys(make_cfg(tmp_path / "nowhere"))


@pytest.mark.parametrize("damage", ["missing image", "empty image", "no split", "damaged split", "no class", "version"])
def test_a_damaged_folder_is_written_anew(
    damage: str, make_cfg: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(Greys(make_cfg(tmp_path)).dataset_dir)
    image, split, marker = folder / "images" / "dark" / "3.png", folder / Greys.split_file, folder / "generated.json"
    if damage == "missing image":
        image.unlink()
    elif damage == "empty image":
        image.write_bytes(b"")
    elif damage == "no split":
        split.unlink()
    elif damage == "damaged split":
        split.write_text('{"train": [')
    elif damage == "no class":
        split.write_text('{"train": []}')
    else:
        write_json_file(read_json_file(marker, what="marker") | {"version": 0}, marker)
    capsys.readouterr()
    data = Greys(make_cfg(tmp_path))
    assert "is damaged or of another version: writing it anew" in capsys.readouterr().out
    assert len(data.test or ()) == 10 and image.stat().st_size > 0
    assert sorted(path.name for path in tmp_path.iterdir() if "greys" in path.name) == [".greys.lock", "greys"]


def test_a_folder_of_the_users_is_left_alone(make_cfg: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "greys").mkdir()
    (tmp_path / "greys" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="was not written by this project; move it away"):
        Greys(make_cfg(tmp_path))
    assert (tmp_path / "greys" / "mine.txt").read_text() == "mine"
    (tmp_path / "greys" / "mine.txt").unlink()
    Greys(make_cfg(tmp_path))  # an empty folder is as good as none


def test_a_place_that_cannot_be_written_to(make_cfg: Callable[..., Any], cache: Path) -> None:
    cache.write_text("a file, so that no folder can be made below it, not even by root")
    with pytest.raises(
        OSError, match=r"Greys cannot be written to .* choose a writable place by DATASET.ROOT or .*CACHE"
    ):
        Greys(make_cfg())


def test_waiting_for_another_process_ends(
    make_cfg: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generated_images, "LOCK_SECONDS", 0.05)
    with FileLock(tmp_path / ".greys.lock"), pytest.raises(OSError, match=r"another process has been writing .*greys"):
        Greys(make_cfg(tmp_path))


def test_a_failed_drawing_leaves_nothing(make_cfg: Callable[..., Any], tmp_path: Path) -> None:
    class Broken(Greys):
        def draw_class(self, label: int) -> list[tuple[str, Image.Image]]:
            if label == 1:
                raise ValueError("out of ink")
            return super().draw_class(label)

    with pytest.raises(ValueError, match="out of ink"):
        Broken(make_cfg(tmp_path))
    assert [path.name for path in tmp_path.iterdir() if "greys" in path.name] == [".greys.lock"]
    with pytest.raises(NotImplementedError):
        GeneratedDataset.draw_class(Greys(make_cfg(tmp_path)), 0)


def use_digits(cfg: Any, report: Path, images_before_death: int) -> None:
    """Body of a child process; it kills itself while it writes, if told so."""
    if images_before_death:
        save = Image.Image.save
        left = iter(range(images_before_death))

        def save_some(self: Image.Image, path: Path) -> None:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            save(self, path)

        Image.Image.save = save_some  # type: ignore[method-assign, assignment]
    random.seed(1)
    data = Digits(cfg)
    report.write_text(" ".join(Path(item.impath).name for item in data.train_x or ()))


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_three_processes_write_digits_together_and_a_killed_one_does_no_harm(
    tmp_path: Path, make_cfg: Callable[..., Any]
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    reports = [tmp_path / f"{number}.txt" for number in range(3)]
    context = multiprocessing.get_context("fork")  # children need no second import of torch
    cfg = make_cfg(root, shots=2)
    killed = context.Process(target=use_digits, args=(cfg, reports[0], 200))
    killed.start()
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    assert not (root / "digits").exists()
    assert len(list(root.glob(".digits.partial-*/images/*/*.png"))) == 200

    children = [context.Process(target=use_digits, args=(cfg, report, 0)) for report in reports]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    samples = [report.read_text().split() for report in reports]
    assert samples[0] == samples[1] == samples[2] and len(samples[0]) == 20
    assert sorted(path.name for path in root.iterdir()) == [".digits.lock", "digits"]
    assert len(list((root / "digits" / "images").glob("*/*.png"))) == 1797
