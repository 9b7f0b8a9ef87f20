import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from datasets.doctor import end_marks
from datasets.doctor.end_marks import cut_off_images
from tests.datasets.doctor.conftest import Copy
from tests.datasets.miniatures.common import write_jpeg

CopyOf = Callable[[str], Copy]


def write_png(path: Path) -> Path:
    Image.new("RGB", (32, 32), "red").save(path, format="PNG")
    return path


@pytest.mark.parametrize("write", (lambda path: write_jpeg(path, 0, 0), write_png))
def test_the_end_mark_is_looked_for(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path / "image")
    content = path.read_bytes()
    assert cut_off_images([str(path)], title="t") == []
    path.write_bytes(content + b"\n" * 200)
    assert cut_off_images([str(path)], title="t") == []
    path.write_bytes(content[:-30])
    assert cut_off_images([str(path)], title="t") == [str(path)]


def test_other_formats_and_missing_files_are_not_judged(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"GIF89a" + bytes(200))
    assert cut_off_images([str(tmp_path / "a.jpg"), str(tmp_path / "none.jpg")], title="t") == []


def test_too_many_images_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_jpeg(tmp_path / "a.jpg", 0, 0)
    path.write_bytes(path.read_bytes()[:-30])
    monkeypatch.setattr(end_marks, "MOST_IMAGES", 1)
    assert cut_off_images([str(path)] * 2, title="t") == []


@pytest.mark.parametrize(
    ("name", "ending"), (("EuroSAT", "*.jpg"), ("ImageNetR", "*.jpg"), ("ImageNet", "val/*/*.JPEG"))
)
def test_the_doctor_notes_them_and_does_not_decide_by_them(name: str, ending: str, copy_of: CopyOf) -> None:
    copy = copy_of(name)
    for image in (images := sorted(copy.folder.rglob(ending)))[:2]:
        image.write_bytes(image.read_bytes()[:-30])
    finding = copy.inspect()
    assert finding.state == "whole"
    (note,) = (note for note in finding.notes if "cut off" in note)
    assert note.startswith("2 listed images look cut off (no end mark), the first is '")
    assert str(images[0].relative_to(copy.root)) in note or str(images[1].relative_to(copy.root)) in note
    assert note.endswith(f"python -m datasets.doctor {name} --root {copy.root} --deep decodes them")
    assert copy.inspect(deep=True).state == "partial"


@pytest.mark.parametrize("name", ("EuroSAT", "ImageNetR"))
def test_images_of_a_few_bytes_are_damaged(name: str, copy_of: CopyOf) -> None:
    copy = copy_of(name)
    image = sorted(copy.folder.rglob("*.jpg"))[0]
    image.write_bytes(image.read_bytes()[:99])
    finding = copy.inspect()
    assert finding.state == "partial" and finding.images_found == finding.images_expected - 1
    assert "damaged, under 100 bytes" in finding.problems[0] and image.name in finding.problems[0]


def test_a_reader_that_goes_away_is_no_error(all_miniatures: Path) -> None:
    root = Path(__file__).parents[3]
    command = f"{sys.executable} -m datasets.doctor --root {all_miniatures} | true"
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", command], cwd=root, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
