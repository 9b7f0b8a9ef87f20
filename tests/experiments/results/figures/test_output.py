import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from experiments.results.figures.accuracy import Curve, Panel, accuracy_figure
from experiments.results.figures.output import FORMATS, check_format, data_uri, pixels, render, save_figure


def figure() -> Figure:
    curve = Curve("AMU", [1, 4], [50.0, 60.0], [1.0, 2.0])
    return accuracy_figure([Panel("digits", [curve], 40.0)])


@pytest.mark.parametrize("form", FORMATS)
def test_equal_figures_have_equal_bytes(form: str) -> None:
    assert render(figure(), form) == render(figure(), form)


def test_bytes_are_equal_in_another_process() -> None:
    code = (
        "import hashlib; from tests.experiments.results.figures.test_output import figure; "
        "from experiments.results.figures.output import render; "
        "print(hashlib.sha256(render(figure(), 'svg')).hexdigest())"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in "ab"]
    assert runs[0].stdout == runs[1].stdout


@pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_files_by_suffix(form: str, start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "new" / f"plot.{form.upper()}"
    save_figure(figure(), path)
    assert path.read_bytes().startswith(start) and [file.name for file in path.parent.iterdir()] == [path.name]
    assert not re.search(rb"dc:date|CreationDate", path.read_bytes())


@pytest.mark.parametrize("name", ["plot", "plot.jpeg", "plot.nonsense"])
def test_other_suffixes_are_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"must end in .png, .svg, .pdf, got .*{name}"):
        save_figure(figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())
    assert check_format(tmp_path / "a.PNG") == "png"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plot.png"
    path.write_bytes(b"old")

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_figure(figure(), path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_an_unknown_format() -> None:
    with pytest.raises(ValueError, match="png, svg, pdf, not as 'gif'"):
        render(figure(), "gif")


def test_pixels_and_address() -> None:
    shown = pixels(figure(), dpi=100)
    assert shown.shape[1:] == (340, 3) and shown.max() == 255 and shown.min() < 60
    head, _, content = data_uri(figure(), "png").partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert image.format == "PNG"
    assert data_uri(figure()).startswith("data:image/svg+xml;base64,")


def test_pyplot_and_torch_stay_out() -> None:
    code = (
        "import sys; from tests.experiments.results.figures.test_output import figure; "
        "from experiments.results.figures.output import pixels; "
        "pixels(figure()); print([name for name in ('matplotlib.pyplot', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
