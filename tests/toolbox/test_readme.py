"""The example in the toolbox's README does what the text beside it says."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "toolbox" / "README.md"


def test_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    code = compile(example, str(README), "exec")
    exec(code, {"__name__": "example"})
    assert "* accuracy: 100.0%\n" in capsys.readouterr().out
    assert "* accuracy: 100.0%\n" in Path("output/log.txt").read_text()
    assert Path("output/linear/model.pth.tar-3").is_file()
