import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from amu_raft.backbones import fetch_weights
from amu_raft.backbones.fetch_weights import find_files, main
from amu_raft.backbones.official_weights import OFFICIAL_FILES
from amu_raft.downloads import connection
from tests.amu_raft.downloads.faulty_server import FaultyServer, faulty_server

CONTENT = b"clip" * 100


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    monkeypatch.setattr(connection, "BACKOFF", 0.0)
    with faulty_server() as running:
        yield running


@pytest.fixture
def published(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], bytes]:
    """Publish a small file in place of an official one."""

    def publish(name: str) -> bytes:
        entry = OFFICIAL_FILES[name]
        torch.save({"state_dict": {f"{entry.prefix}conv1.weight": torch.zeros(3)}}, tmp_path / "served")
        content = (tmp_path / "served").read_bytes()
        sha256 = hashlib.sha256(content).hexdigest() if entry.sha256 else ""
        small = replace(entry, url=server.add(f"/{entry.file}", content), sha256=sha256)
        monkeypatch.setitem(OFFICIAL_FILES, name, small)
        return content

    return publish


def test_names() -> None:
    assert [entry.name for entry in find_files(["ViT-B/16", "RN50", "RN50"])] == ["RN50", "ViT-B/16"]
    assert find_files(["all"]) == find_files([*OFFICIAL_FILES]) == list(OFFICIAL_FILES.values())


def test_an_unknown_name_is_one_line_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["RN50", "ViT-B-16"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: unknown weights 'ViT-B-16' (did you mean 'ViT-B/16'?); choose from RN50, ")
    assert error.endswith("mocov3_rn50, all\n") and error.count("\n") == 1


@pytest.mark.parametrize(("name", "said"), [("RN50", "sha256 verified"), ("mocov3_rn50", "no checksum is published")])
def test_fetched_then_verified_then_damaged(
    name: str,
    said: str,
    published: Callable[[str], bytes],
    server: FaultyServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content, path = published(name), tmp_path / "weights" / OFFICIAL_FILES[name].file
    command = [name, "--weights", str(tmp_path / "weights")]
    assert main([*command, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"absent: {OFFICIAL_FILES[name].url} would be fetched to {path} (size unknown)" in out
    assert not server.requests and not path.parent.exists()
    assert main(command) == 0
    out = capsys.readouterr().out
    assert f"fetched: {path}" in out and said in out and path.read_bytes() == content
    assert main(command) == 0
    assert f"whole: {path}" in capsys.readouterr().out and len(server.requests) == 1
    path.write_bytes(content[:-100])
    for options in ([], ["--dry-run"]):
        assert main([*command, *options]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: {name}: ") and str(path) in error and error.count("\n") == 1
    assert path.read_bytes() == content[:-100]  # the user's file is not replaced behind his back


def test_one_that_fails_does_not_stop_the_others(
    published: Callable[[str], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published("RN101")
    assert main(["RN50", "RN101", "--weights", str(tmp_path / "weights")]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("error: ") == 1 and "RN50" in captured.err
    assert (tmp_path / "weights" / "RN101.pt").is_file() and not (tmp_path / "weights" / "RN50.pt").exists()


def test_a_mirror_is_asked_first(
    published: Callable[[str], bytes], server: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = published("RN50")
    mirror = server.add("/copies/RN50.pt", content).removesuffix("/RN50.pt")
    command = ["RN50", "--weights", str(tmp_path / "weights"), "--mirror", mirror]
    assert main([*command, "--dry-run"]) == 0
    assert f"{mirror}/RN50.pt, else {OFFICIAL_FILES['RN50'].url} would be fetched" in capsys.readouterr().out
    assert main(command) == 0
    assert [request.path for request in server.requests] == ["/copies/RN50.pt"]


def test_the_default_place_is_where_runs_look(
    published: Callable[[str], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIP_ROOT", str(tmp_path / "clip"))
    content = published("RN50")
    assert main(["RN50"]) == 0
    assert (tmp_path / "clip" / "RN50.pt").read_bytes() == content


def test_a_file_in_place_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "RN50.pt").write_bytes(b"")
    assert main(["RN50", "--weights", str(tmp_path / "RN50.pt")]) == 1
    assert "is a file; name the folder for the files" in capsys.readouterr().err


def test_an_interruption_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch_weights, "fetch", stop)
    assert main(["RN50"]) == 130
    assert "goes on where this one was" in capsys.readouterr().err
