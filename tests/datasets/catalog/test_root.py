import argparse
from pathlib import Path

import pytest

from datasets.catalog.root import data_root
from datasets.doctor.__main__ import main as examine
from datasets.prepare.__main__ import main as prepare_main


def test_a_folder_is_taken_as_it_is() -> None:
    assert data_root("some/data") == Path("some/data")


@pytest.mark.parametrize("text", ["", " "])
def test_an_unset_variable_is_not_the_current_folder(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(argparse.ArgumentTypeError, match="it is empty"):
        data_root(text)
    for command, names in ((prepare_main, ["dtd"]), (examine, ["dtd"])):
        with pytest.raises(SystemExit) as ended:
            command([*names, "--root", text])
        assert ended.value.code == 2 and "argument --root: it is empty" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
