import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.backbones.official_weights import (
    AUX_FILES,
    CLIP_FILES,
    OFFICIAL_FILES,
    check_entries,
    default_folder,
    download_weights,
    locate_weights,
    official_weights,
)
from amu_raft.downloads import connection
from tests.amu_raft.downloads.faulty_server import FaultyServer, Served, faulty_server

RN50, MOCOV3 = CLIP_FILES["RN50"], AUX_FILES["mocov3_rn50"]
CONTENT = b"clip" * 5000
MOCO_STATE = {"state_dict": {"module.base_encoder.conv1.weight": torch.zeros(2)}, "epoch": 1000}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    monkeypatch.setattr(connection, "BACKOFF", 0.0)
    with faulty_server() as running:
        yield running


@pytest.fixture(autouse=True)
def clip_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLIP_ROOT", str(tmp_path / "clip"))
    monkeypatch.setenv("AMU_RAFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "clip"


def test_every_clip_file_has_a_checksum_that_is_part_of_its_address() -> None:
    assert len(CLIP_FILES) == 9
    for entry in CLIP_FILES.values():
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256) and entry.file.endswith(".pt")
        assert entry.url.endswith(f"/{entry.sha256}/{entry.file}")
    assert len({entry.file for entry in OFFICIAL_FILES.values()}) == len(OFFICIAL_FILES) == 10


def test_addresses_and_checksums_are_the_clip_packages() -> None:
    from amu_raft.backbones.clip_package import clip

    assert {name: entry.url for name, entry in CLIP_FILES.items()} == clip._MODELS


# -------------------------------------------------------------------------------------------------- where it lies


def test_default_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_folder(RN50) == tmp_path / "clip"
    assert default_folder(MOCOV3) == tmp_path / "cache" / "weights"
    for name in ("CLIP_ROOT", "AMU_RAFT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder(RN50) == tmp_path / ".cache" / "clip"
    assert default_folder(MOCOV3) == tmp_path / ".cache" / "amu-raft" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder(MOCOV3) == tmp_path / "xdg" / "amu-raft" / "weights"


def test_weights_come_before_the_variable_and_that_before_the_default(
    tmp_path: Path, clip_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "weights", tmp_path / "variable", clip_root]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setenv("AMU_RAFT_WEIGHTS", str(folders[1]))
    assert locate_weights(RN50) == clip_root / "RN50.pt"  # nowhere: where a download belongs
    for folder in reversed(folders):
        (folder / "RN50.pt").write_bytes(CONTENT)
    assert locate_weights(RN50, folders[0]) == folders[0] / "RN50.pt"
    assert locate_weights(RN50, str(folders[0] / "RN50.pt")) == folders[0] / "RN50.pt"
    assert locate_weights(RN50) == folders[1] / "RN50.pt"
    monkeypatch.setenv("AMU_RAFT_WEIGHTS", str(folders[1] / "RN50.pt"))
    assert locate_weights(RN50) == folders[1] / "RN50.pt"
    assert locate_weights(CLIP_FILES["RN101"]) == clip_root / "RN101.pt"  # the file named is another


@pytest.mark.parametrize("place", ["empty", "absent", "empty/RN101.pt", "empty/RN50.pt"])
def test_weights_that_do_not_hold_the_file_are_named_in_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "RN101.pt").write_bytes(b"")
    with pytest.raises(FileNotFoundError) as caught:
        official_weights(RN50, tmp_path / place)
    message = str(caught.value)
    assert message.startswith(f"--weights {tmp_path / place} does not hold RN50.pt, the CLIP weights of RN50; give a")
    assert RN50.url in message and "\n" not in message
    assert not (tmp_path / "clip").exists()


def test_a_file_that_is_there_is_compared_with_its_checksum(clip_root: Path) -> None:
    clip_root.mkdir()
    (clip_root / "RN50.pt").write_bytes(CONTENT)
    found = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(ValueError, match=f"has sha256 {found}, expected {RN50.sha256}; delete it to download it again"):
        official_weights(RN50)
    assert official_weights(replace(RN50, sha256=found)) == clip_root / "RN50.pt"


# ---------------------------------------------------------------------------------------------------- downloads


def test_a_mirror_is_asked_first_and_the_publisher_next(server: FaultyServer, tmp_path: Path) -> None:
    mirror = server.add("/copies/RN50.pt", b"something else").removesuffix("/RN50.pt")
    publisher = server.add("/RN50.pt", CONTENT)
    entry = replace(RN50, url=publisher, sha256=hashlib.sha256(CONTENT).hexdigest())
    download_weights(entry, tmp_path / "new" / "RN50.pt", mirror=f"{mirror}/")
    assert [request.path for request in server.requests] == ["/copies/RN50.pt", "/RN50.pt"]
    assert (tmp_path / "new" / "RN50.pt").read_bytes() == CONTENT


def test_wrong_bytes_never_get_the_name(server: FaultyServer, clip_root: Path) -> None:
    entry = replace(RN50, url=server.add("/RN50.pt", b"something else"))
    with pytest.raises(FileNotFoundError, match=r"CLIP weights of RN50 are absent: .*its content is wrong"):
        official_weights(entry)
    assert list(clip_root.iterdir()) == []


def test_a_server_without_the_file(server: FaultyServer, tmp_path: Path) -> None:
    entry = replace(MOCOV3, url=server.add("/a", Served(b"", always=404)))
    with pytest.raises(FileNotFoundError, match=r"aux encoder weights of mocov3_rn50 are absent: .*there is no such"):
        official_weights(entry)
    assert list((tmp_path / "cache" / "weights").iterdir()) == []


def moco(tmp_path: Path, content: object = MOCO_STATE) -> bytes:
    torch.save(content, tmp_path / "served")
    return (tmp_path / "served").read_bytes()


class RunsCode:
    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return Path.touch, (self.trap,)


@pytest.mark.parametrize("kind", ["other entries", "no dictionary", "code", "truncated", "no torch file"])
def test_what_is_no_such_file_is_removed_and_its_code_does_not_run(
    kind: str, server: FaultyServer, tmp_path: Path
) -> None:
    contents = {
        "other entries": moco(tmp_path, {"state_dict": {"conv1.weight": torch.zeros(2)}}),
        "no dictionary": moco(tmp_path, [1, 2]),
        "code": moco(tmp_path, {**MOCO_STATE, "extra": RunsCode(tmp_path / "trap")}),
        "truncated": moco(tmp_path)[:-200],
        "no torch file": b"PK\x03\x04 no archive",
    }
    entry = replace(MOCOV3, url=server.add(f"/{MOCOV3.file}", contents[kind]))
    with pytest.raises(ValueError, match=r"what was downloaded is not r-50-1000ep\.pth\.tar and is removed again: "):
        official_weights(entry)
    assert list((tmp_path / "cache" / "weights").iterdir()) == []
    assert not (tmp_path / "trap").exists()
    server.files[f"/{MOCOV3.file}"].content = moco(tmp_path)
    assert official_weights(entry).name == MOCOV3.file  # the next try starts afresh


def test_a_download_that_was_not_checked_any_more_is_checked_by_the_next_run(
    server: FaultyServer, tmp_path: Path
) -> None:
    entry = replace(MOCOV3, url=server.add("/a", Served(b"", always=404)))
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    (folder / f"{MOCOV3.file}.unchecked").write_bytes(moco(tmp_path))
    path = official_weights(entry)
    assert list(folder.iterdir()) == [path]
    check_entries(MOCOV3, path)


@pytest.mark.parametrize("entry", [RN50, MOCOV3], ids=lambda entry: str(entry.name))
def test_of_runs_that_start_together_one_downloads(entry: object, server: FaultyServer, tmp_path: Path) -> None:
    content = moco(tmp_path)
    served = server.add("/a", Served(content, pause=0.01))
    known = RN50 if entry is RN50 else MOCOV3
    known = replace(known, url=served, sha256=hashlib.sha256(content).hexdigest() if known.sha256 else "")
    found: list[Path] = []
    runs = [threading.Thread(target=lambda: found.append(official_weights(known))) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(found) == 3 and len(set(found)) == 1 and found[0].read_bytes() == content
    assert len(server.requests) == 1


def test_a_folder_that_cannot_be_written(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    entry = replace(RN50, url=server.add("/a", CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setenv("CLIP_ROOT", str(tmp_path / "file" / "clip"))
    with pytest.raises(OSError, match=r"clip/RN50\.pt cannot be written or read"):
        official_weights(entry)
