"""What the README promises on its first screen."""

import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_images

README = Path(__file__).parents[1] / "README.md"


def test_the_lines_on_the_first_screen(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen = README.read_text().partition("\n## ")[0].splitlines()
    assert len(screen) < 25
    lines = [line for line in screen if line.startswith("    ")]
    assert len(lines) == 5 and 'backbone="RN50"' in "\n".join(lines)
    write_images(workdir / "drawn", {"one": 6, "two": 6}, suffix=".jpg").rename(workdir / "images")
    write_images(workdir / "drawn", {"one": 2}, suffix=".jpg").joinpath("one").rename(workdir / "new")
    names: dict[str, Any] = {}
    exec(textwrap.dedent("\n".join(lines)).replace('"RN50"', '"tiny"'), names)
    assert names["classifier"].classes_.tolist() == ["one", "two"]
    assert capsys.readouterr().out.startswith("['one' 'two'] [[")
