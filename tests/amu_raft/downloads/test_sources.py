import hashlib
from pathlib import Path

import pytest

from amu_raft.downloads import limits
from amu_raft.downloads.expected import Expected
from amu_raft.downloads.part_file import FetchError
from amu_raft.downloads.sources import Origin, fetch_any
from tests.amu_raft.downloads.faulty_server import FaultyServer, Served, some_bytes

CONTENT = some_bytes(100_000)
KNOWN = Expected(size=len(CONTENT), md5=hashlib.md5(CONTENT).hexdigest())


def test_the_first_origin_that_has_it_is_enough(server: FaultyServer, tmp_path: Path) -> None:
    origins = [
        Origin(url=server.url("/missing"), expected=KNOWN),
        Origin(url=server.add("/short", CONTENT[:-1]), expected=KNOWN),
        Origin(url=server.add("/wrong", some_bytes(100_000, seed=1)), expected=KNOWN),
        Origin(url=server.add("/right", CONTENT), expected=KNOWN),
        Origin(url=server.add("/unused", CONTENT), expected=KNOWN),
    ]
    fetch_any(origins, tmp_path / "a", attempts=2, timeout=0.3)
    assert [request.path for request in server.requests] == ["/missing", "/short", "/wrong", "/right"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_one_line_names_every_origin_with_its_reason(server: FaultyServer, tmp_path: Path) -> None:
    busy, gone = server.add("/busy", Served(CONTENT, always=503)), server.add("/gone", Served(CONTENT, always=410))
    with pytest.raises(FetchError) as caught:
        fetch_any([Origin(url=busy), Origin(url=gone)], tmp_path / "a", attempts=2, timeout=0.3)
    assert str(caught.value) == (
        f"{tmp_path / 'a'} could not be fetched: {busy}: it is busy or broken (HTTP 503); "
        f"{gone}: the file was removed (HTTP 410)"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_any_origin_expects_is_not_fetched_again(server: FaultyServer, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    fetch_any(
        [Origin(url=server.url("/a"), expected=Expected(size=1)), Origin(drive_id="b", expected=KNOWN)], tmp_path / "a"
    )
    assert server.requests == []


def test_a_broken_part_waits_while_another_origin_answers_nothing(server: FaultyServer, tmp_path: Path) -> None:
    first = Origin(url=server.add("/a", Served(CONTENT, drop_after=[50_000, 0, 0])), expected=KNOWN)
    with pytest.raises(FetchError, match="50000 bytes are kept"):
        fetch_any([first, Origin(url=server.url("/missing"), expected=KNOWN)], tmp_path / "a", attempts=2, timeout=0.3)
    fetch_any([first], tmp_path / "a")
    assert server.offsets("/a")[-1] == 50_000 and (tmp_path / "a").read_bytes() == CONTENT


def test_errors_of_the_disk_end_it(server: FaultyServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    origins = [Origin(url=server.add("/a", CONTENT)), Origin(url=server.add("/b", CONTENT))]
    with pytest.raises(OSError, match=r"file/a cannot be written or read") as caught:
        fetch_any(origins, tmp_path / "file" / "a")
    assert not isinstance(caught.value, FetchError) and server.requests == []


def test_wrong_calls_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no source is known for .*a"):
        fetch_any([], tmp_path / "a")
    for both in (Origin, lambda: Origin(url="u", drive_id="d")):
        with pytest.raises(ValueError, match="either a URL or a Google Drive id"):
            both()


@pytest.mark.parametrize(
    "served",
    [
        Served(b"", redirect_to="http://[::bad"),
        Served(b"", redirect_to="\xff\xfe"),
        Served(CONTENT, declared=10**15),
        Served(CONTENT * 20, chunked=True),
    ],
)
def test_after_nonsense_or_too_much_the_next_origin_is_asked(
    server: FaultyServer, tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LARGEST_TEXT", len(CONTENT))
    known = Expected(md5=KNOWN.md5)
    origins = [
        Origin(url=server.add("/bad", served), expected=known),
        Origin(url=server.add("/a", CONTENT), expected=known),
    ]
    fetch_any(origins, tmp_path / "a.txt", attempts=2, timeout=0.3)
    assert [request.path for request in server.requests] == ["/bad", "/a"]
    assert (tmp_path / "a.txt").read_bytes() == CONTENT
