import os
import sys
import threading
from pathlib import Path

import pytest

from amu_raft.prediction.sink import open_sink


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.csv"
    with open_sink(str(path), for_programs=True) as stream:
        stream.write("caf\udce9 é\n")
        assert not path.exists()
    assert path.read_bytes() == "caf\\udce9 é\n".encode()
    assert [child.name for child in path.parent.iterdir()] == ["rows.csv"]


def test_an_interruption_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("earlier")

    def interrupt() -> None:
        with open_sink(str(path), for_programs=True) as stream:
            stream.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert path.read_text() == "earlier" and (tmp_path / "rows.csv.partial").read_text() == "half"
    assert "what was done so far is in" in capsys.readouterr().err


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(IsADirectoryError, match="is a folder; give a file"),
        open_sink(str(tmp_path), for_programs=True),
    ):
        pass


def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with open_sink(None, for_programs=True) as stream:
        assert stream is sys.stdout
        stream.write("row\n")
    assert capsys.readouterr().out == "row\n"


def test_a_closed_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with (
        pytest.raises(ValueError, match="standard output is closed; give --output"),
        open_sink(None, for_programs=True),
    ):
        pass


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    with open_sink(str(pipe), for_programs=True) as stream:
        stream.write("row\n")
    reader.join(timeout=30)
    assert read == ["row\n"] and pipe.is_fifo() and [child.name for child in tmp_path.iterdir()] == ["pipe"]


def test_a_link_leads_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "there" / "rows.csv")
    with open_sink(str(link), for_programs=True) as stream:
        stream.write("row\n")
    assert link.is_symlink() and (tmp_path / "there" / "rows.csv").read_text() == "row\n"
