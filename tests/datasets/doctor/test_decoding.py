import os
from pathlib import Path

import pytest
from PIL import Image

from amu_raft.images.doctor import workers
from datasets.doctor import decoding
from datasets.doctor.decoding import damaged_images, decodes
from tests.datasets.miniatures.common import write_jpeg


@pytest.mark.parametrize("cut", [0, 1, 20, 300, -100])
def test_truncated_images(cut: int, tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "a.jpg", 0, 0)
    assert decodes(str(path))
    path.write_bytes(path.read_bytes()[:cut])
    assert not decodes(str(path))


def test_other_damage(tmp_path: Path) -> None:
    for name, content in {"text.jpg": b"hello", "html.jpg": b"<!DOCTYPE html>", "noise.png": os.urandom(500)}.items():
        (tmp_path / name).write_bytes(content)
        assert not decodes(str(tmp_path / name))
    assert not decodes(str(tmp_path / "gone.jpg"))
    assert not decodes(str(tmp_path))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_other_kinds_of_images_are_sound(mode: str, tmp_path: Path) -> None:
    ending = "jpg" if mode in ("L", "CMYK") else "png"
    path = tmp_path / f"a.{ending}"
    Image.new(mode, (8, 8)).save(path)
    assert decodes(str(path))


def test_worker_processes_find_the_same_in_order(tmp_path: Path) -> None:
    paths = [str(write_jpeg(tmp_path / f"{number}.jpg", 0, number % 3)) for number in range(150)]
    bad = [paths[number] for number in (0, 63, 64, 149)]
    for path in bad:
        Path(path).write_bytes(b"\xff\xd8")
    assert damaged_images(paths, title="decoding", workers=2) == bad
    assert damaged_images(paths[:64], title="decoding") == bad[:2]
    assert damaged_images([], title="decoding") == []


def test_an_image_that_kills_its_worker_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deadly(path: str) -> bool:
        if path.endswith("/1.jpg"):
            os._exit(1)
        return True

    monkeypatch.setattr(workers, "CHUNK", 2)
    monkeypatch.setattr(decoding, "decodes", deadly)  # workers are forked here, so they have it too
    if workers.context().get_start_method() != "fork":
        pytest.skip("workers do not share what a test replaces")
    paths = [str(tmp_path / f"{number}.jpg") for number in range(4)]
    assert damaged_images(paths, title="decoding", workers=1) == [paths[1]]
