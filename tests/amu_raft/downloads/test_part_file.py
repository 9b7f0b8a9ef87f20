import json
import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from amu_raft.downloads import part_file
from amu_raft.downloads.expected import Expected
from amu_raft.downloads.part_file import FetchError, PartFile, SourceError, Version, fetch_through_part, one_process

FORK = multiprocessing.get_context("fork")


def hold(path: Path, held: Event, release: Event) -> None:
    with one_process(path):
        held.set()
        release.wait(10)


def test_a_second_process_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held, release = FORK.Event(), FORK.Event()
    process = FORK.Process(target=hold, args=(tmp_path / "a", held, release))
    process.start()
    assert held.wait(10)
    monkeypatch.setattr(part_file, "LOCK_SECONDS", 0.1)
    with (
        pytest.raises(TimeoutError, match=r"another process has been working on .*a for 0\.1 s"),
        one_process(tmp_path / "a"),
    ):
        pytest.fail("two at once")
    release.set()
    monkeypatch.setattr(part_file, "LOCK_SECONDS", 10)
    with one_process(tmp_path / "a"):
        assert "Waiting for another process" in capsys.readouterr().out
    process.join()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_does_not_block(tmp_path: Path) -> None:
    held, release = FORK.Event(), FORK.Event()
    process = FORK.Process(target=hold, args=(tmp_path / "a", held, release))
    process.start()
    assert held.wait(10) and process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert (tmp_path / ".a.lock").exists()
    with one_process(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def fetch_slowly(path: Path, log: Path) -> None:
    def receive(part: PartFile) -> None:
        with log.open("a") as file:
            file.write("received\n")
        part.begin(Version("somewhere"))
        for _ in range(100):
            with part.path.open("ab") as file_of_bytes:
                file_of_bytes.write(b"0123456789")

    fetch_through_part(receive, "somewhere", path, Expected(size=1000))


def test_of_many_processes_one_fetches(tmp_path: Path) -> None:
    processes = [FORK.Process(target=fetch_slowly, args=(tmp_path / "a", tmp_path / "log")) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "log").read_text() == "received\n"
    assert (tmp_path / "a").read_bytes() == b"0123456789" * 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "log"]


def test_versions_are_kept_and_weak_tags_are_no_validators(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "a")
    assert part.size == 0 and part.read_version() is None
    version = Version("url", 'W/"1"', "yesterday", 7)
    part.begin(version)
    part.path.write_bytes(b"123")
    assert part.size == 3 and part.read_version() == version
    assert version.validator == "yesterday" and Version("url", '"1"', "yesterday").validator == '"1"'
    assert Version("url", 'W/"1"').validator == ""
    part.begin(version)
    assert part.size == 0
    part.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "note",
    [
        json.dumps({"url": "u", "etag": 5}),
        json.dumps({"url": "u", "total": "x"}),
        json.dumps({"url": "u", "total": True}),
        json.dumps({"url": None}),
        "[]",
        "7",
        "[" * 200_000,
        '{"url": "u", "total": ' + "9" * 5000 + "}",
        "\ufffe",
    ],
)
def test_a_damaged_note_is_none(tmp_path: Path, note: str) -> None:
    part = PartFile(tmp_path / "a")
    part.path.write_bytes(b"123")
    tmp_path.joinpath("a.part.json").write_text(note)
    assert part.read_version() is None


@pytest.mark.parametrize("text", ["a\r\nb", "a\0b", " a", "\u2603", "\x9f"])
def test_only_what_fits_a_header_is_a_validator(text: str) -> None:
    assert Version("url", text).validator == ""
    assert Version("url", text, "yesterday").validator == "yesterday"


def test_a_failing_source_is_named_with_its_reason(tmp_path: Path) -> None:
    def fail(part: PartFile) -> None:
        raise SourceError("it is asleep")

    with pytest.raises(FetchError) as caught:
        fetch_through_part(fail, "somewhere", tmp_path / "a", Expected())
    assert str(caught.value) == f"{tmp_path / 'a'} could not be fetched: somewhere: it is asleep"
    assert caught.value.reasons == [("somewhere", "it is asleep")]
