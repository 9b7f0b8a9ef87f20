import hashlib
import json
import multiprocessing
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from amu_raft.downloads import body, http, limits
from amu_raft.downloads.expected import Expected
from amu_raft.downloads.http import fetch
from amu_raft.downloads.part_file import FetchError
from tests.amu_raft.downloads.faulty_server import FaultyServer, Served, some_bytes

CONTENT = some_bytes(300_000)
OTHER = some_bytes(300_000, seed=1)
KNOWN = Expected(size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())


def try_fetch(url: str, path: Path, expected: Expected = KNOWN, **options: Any) -> None:
    fetch(url, path, expected, **{"attempts": 3, "timeout": 0.3, **options})


def failure(url: str, path: Path, expected: Expected = KNOWN, **options: Any) -> str:
    """The line that a failing fetch gives; nothing may have the file's name."""
    with pytest.raises(FetchError) as caught:
        try_fetch(url, path, expected, **options)
    line = str(caught.value)
    assert "\n" not in line and str(path) in line and url in line
    assert not path.exists()
    return line


def only(path: Path) -> None:
    """Nothing but the file is left in its folder."""
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == CONTENT


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "a.bin"


def test_a_file_comes_whole_and_is_not_fetched_again(server: FaultyServer, target: Path) -> None:
    url = server.add("/a", CONTENT)
    try_fetch(url, target)
    try_fetch(url, target)
    only(target)
    assert len(server.requests) == 1
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_a_wrong_file_of_the_name_is_replaced(
    server: FaultyServer, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    try_fetch(server.add("/a", CONTENT), target)
    only(target)
    assert "a.bin is not the expected file: 3 bytes, expected 300000; it is fetched again" in capsys.readouterr().out


def test_dropped_connections_go_on_where_they_stopped(server: FaultyServer, target: Path) -> None:
    # More drops than attempts: those that get on do not count.
    url = server.add("/a", Served(CONTENT, drop_after=[70_000, 60_000, 50_000, 40_000, 30_000, 20_000]))
    try_fetch(url, target)
    only(target)
    assert server.offsets("/a") == [None, 70_000, 130_000, 180_000, 220_000, 250_000, 270_000]


def test_a_transfer_that_gets_nowhere_ends_and_keeps_its_part(server: FaultyServer, target: Path) -> None:
    url = server.add("/a", Served(CONTENT, drop_after=[100_000, 0, 0, 0, 0, 0]))
    line = failure(url, target)
    assert "tried 3 times without progress, 100000 bytes are kept" in line
    assert len(server.requests) == 4
    server.files["/a"].drop_after = []
    try_fetch(url, target)
    only(target)
    assert server.offsets("/a")[-1] == 100_000


def test_transfers_that_creep_forever_end(server: FaultyServer, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PATIENCE", 2)
    line = failure(server.add("/a", Served(CONTENT, drop_after=[100] * 99)), target)
    assert "it broke too often, 600 bytes are kept" in line
    assert len(server.requests) == 6


def test_silence_counts_as_a_broken_transfer(server: FaultyServer, target: Path) -> None:
    url = server.add("/a", Served(CONTENT, stall_after=[150_000]))
    try_fetch(url, target)
    only(target)
    assert server.offsets("/a") == [None, 150_000]


@pytest.mark.parametrize("chunked", [False, True])
def test_the_few_bytes_before_a_stall_are_kept(server: FaultyServer, target: Path, chunked: bool) -> None:
    # More stalls than attempts: those that get on do not count.
    try_fetch(server.add("/a", Served(CONTENT, chunked=chunked, stall_after=[3000] * 5)), target, timeout=0.1)
    only(target)
    assert server.offsets("/a") == [None, 3000, 6000, 9000, 12_000, 15_000]


def test_a_trickle_counts_as_a_failure_and_keeps_what_came(
    server: FaultyServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "SLOW_SECONDS", 0.1)
    url = server.add("/a", Served(CONTENT, block=1, pause=0.02))
    line = failure(url, target)
    assert re.search(r"it sent only \d+ bytes in 0 s; tried 3 times without enough progress, \d+ bytes are kept", line)
    kept = target.with_name("a.bin.part").stat().st_size
    offsets = [offset or 0 for offset in server.offsets("/a")]
    assert len(offsets) == 3 and 0 < offsets[1] < offsets[2] < kept < 100
    server.files["/a"] = Served(CONTENT)
    try_fetch(url, target)
    only(target)
    assert server.offsets("/a")[-1] == kept


def test_a_server_that_goes_away_in_the_middle_is_tried_for_a_while(server: FaultyServer, target: Path) -> None:
    def go_away() -> None:
        server.shutdown()
        server.server_close()

    server.on_request = go_away
    line = failure(server.add("/a", Served(CONTENT, drop_after=[100_000])), target)
    assert "it refuses connections; tried 3 times without progress, 100000 bytes are kept" in line


def test_endless_silence_ends(server: FaultyServer, target: Path) -> None:
    assert "does not answer in time" in failure(
        server.add("/a", Served(CONTENT, stall_after=[0] * 9)), target, attempts=2, timeout=0.15
    )


def test_a_server_without_ranges_starts_anew(server: FaultyServer, target: Path) -> None:
    try_fetch(server.add("/a", Served(CONTENT, ranges=False, drop_after=[100_000, 200_000])), target)
    only(target)
    assert server.offsets("/a") == [None, 100_000, 200_000]


def test_a_range_from_elsewhere_is_not_appended(server: FaultyServer, target: Path) -> None:
    try_fetch(server.add("/a", Served(CONTENT, drop_after=[100_000], wrong_range=1)), target)
    only(target)
    assert server.offsets("/a") == [None, 100_000, None]


def test_a_refused_range_starts_anew(server: FaultyServer, target: Path) -> None:
    try_fetch(server.add("/a", Served(CONTENT, drop_after=[100_000], refuse_range=True)), target)
    only(target)
    assert server.offsets("/a") == [None, 100_000, None]


@pytest.mark.parametrize("size_known", [True, False])
def test_a_part_that_is_whole_already_is_only_compared(server: FaultyServer, target: Path, size_known: bool) -> None:
    url = server.add("/a", Served(CONTENT, chunked=True, drop_after=[290_000, 0]))
    expected = KNOWN if size_known else Expected(sha256=KNOWN.sha256)
    failure(url, target, expected, attempts=1)
    part = target.with_name("a.bin.part")
    part.write_bytes(CONTENT)
    try_fetch(url, target, expected)
    only(target)
    assert server.offsets("/a") == [None, 290_000, *([] if size_known else [300_000])]


def test_another_version_is_not_joined_to_the_first(server: FaultyServer, target: Path) -> None:
    url = server.add("/a", Served(OTHER, drop_after=[100_000], next_content=CONTENT))
    try_fetch(url, target, Expected())
    only(target)
    assert server.offsets("/a") == [None, 100_000]
    assert server.requests[1].headers["if-range"] == f'"{hashlib.md5(OTHER).hexdigest()}"'


def test_a_server_that_ignores_if_range_is_noticed_by_the_tag(server: FaultyServer, target: Path) -> None:
    served = Served(OTHER, drop_after=[100_000], next_content=CONTENT, etag='W/"1"')
    url = server.add("/a", served)
    # A weak tag must not go into If-Range, so the server continues; the changed tag in its answer tells.
    server.on_request = lambda: setattr(served, "etag", 'W/"2"')
    try_fetch(url, target)
    only(target)
    assert server.offsets("/a") == [None, 100_000, None]
    assert "if-range" not in server.requests[1].headers


def test_without_tag_or_digest_nothing_is_continued(server: FaultyServer, target: Path) -> None:
    url = server.add("/a", Served(CONTENT, etag=None, drop_after=[100_000]))
    try_fetch(url, target, Expected(size=len(CONTENT)))
    only(target)
    assert server.offsets("/a") == [None, None]


def test_the_date_serves_where_there_is_no_tag(server: FaultyServer, target: Path) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    url = server.add("/a", Served(CONTENT, etag=None, last_modified=date, drop_after=[100_000]))
    try_fetch(url, target, Expected())
    only(target)
    assert server.requests[1].headers["if-range"] == date


def test_the_part_of_another_url_is_not_continued(server: FaultyServer, target: Path) -> None:
    failure(server.add("/other", Served(OTHER, drop_after=[100_000, 0, 0, 0])), target)
    try_fetch(server.add("/a", CONTENT), target)
    only(target)
    assert server.offsets("/a") == [None]


def test_a_part_of_unknown_origin_is_not_continued(server: FaultyServer, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("a.bin.part").write_bytes(OTHER[:1000])
    url = server.url("/a")
    damaged = {"url": url, "etag": 5, "total": "x"}
    for state in ("", "[]", "[" * 200_000, '{"url": 1', '{"address": "x"}', json.dumps(damaged)):
        target.unlink(missing_ok=True)
        target.with_name("a.bin.part.json").write_text(state)
        try_fetch(server.add("/a", CONTENT), target)
        only(target)
        assert server.offsets("/a")[-1] is None
        target.with_name("a.bin.part").write_bytes(OTHER[:1000])


def test_a_wrong_size_is_refused_before_the_transfer(server: FaultyServer, target: Path) -> None:
    line = failure(server.add("/a", Served(CONTENT[:-1])), target)
    assert "it offers 299999 bytes, expected 300000" in line
    assert not target.with_name("a.bin.part").exists() and len(server.requests) == 1


def test_wrong_bytes_are_removed(server: FaultyServer, target: Path) -> None:
    line = failure(server.add("/a", OTHER), target)
    assert f"its content is wrong (sha256 {hashlib.sha256(OTHER).hexdigest()}, expected {KNOWN.sha256})" in line
    assert list(target.parent.iterdir()) == []


def test_more_bytes_than_expected_are_not_taken(server: FaultyServer, target: Path) -> None:
    line = failure(server.add("/a", Served(CONTENT + b"x", chunked=True)), target)
    assert "it sends more than 300000 bytes" in line
    assert list(target.parent.iterdir()) == []


def test_fewer_bytes_than_expected_in_a_body_of_unknown_length(server: FaultyServer, target: Path) -> None:
    line = failure(server.add("/a", Served(CONTENT[:-1], chunked=True)), target)
    assert "its content is wrong (299999 bytes, expected 300000)" in line
    assert server.offsets("/a") == [None, 299_999]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_servers_are_asked_again(server: FaultyServer, target: Path, status: int) -> None:
    try_fetch(server.add("/a", Served(CONTENT, statuses=[status, status])), target)
    only(target)
    assert len(server.requests) == 3


def test_a_server_that_stays_busy_is_given_up(server: FaultyServer, target: Path) -> None:
    assert "busy or broken (HTTP 503)" in failure(server.add("/a", Served(CONTENT, always=503)), target)
    assert len(server.requests) == 3


def test_retry_after_is_obeyed_within_reason(
    server: FaultyServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amu_raft.downloads.connection.RETRY_AFTER_MAX", 1)
    begin = time.monotonic()
    try_fetch(server.add("/a", Served(CONTENT, statuses=[503], retry_after="3600")), target)
    assert 1 <= time.monotonic() - begin < 5
    only(target)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (401, "it asks for an account (HTTP 401)"),
        (403, "access is refused (HTTP 403)"),
        (404, "there is no such file (HTTP 404)"),
        (410, "the file was removed (HTTP 410)"),
        (202, "it sends no file (HTTP 202)"),
    ],
)
def test_refusals_are_final(server: FaultyServer, target: Path, status: int, meaning: str) -> None:
    assert meaning in failure(server.add("/a", Served(CONTENT, always=status)), target)
    assert len(server.requests) == 1


def test_redirects_are_followed_and_continued(server: FaultyServer, target: Path) -> None:
    server.add("/b", Served(CONTENT, drop_after=[100_000]))
    try_fetch(server.add("/a", Served(b"", redirect_to="/b")), target)
    only(target)
    assert server.offsets("/b") == [None, 100_000]


def test_redirects_in_a_circle_end(server: FaultyServer, target: Path) -> None:
    assert "redirects more than 10 times" in failure(server.add("/a", Served(b"", redirect_to="/a")), target)


def test_a_web_page_is_not_the_file(server: FaultyServer, target: Path) -> None:
    page = Served(b"<html>sign in</html>", content_type="text/html; charset=utf-8")
    assert "it sends a web page in place of the file" in failure(server.add("/a", page), target, Expected())
    try_fetch(server.url("/a"), target.with_suffix(".html"), Expected())


def test_a_file_that_is_labelled_a_web_page_is_told_by_its_size(server: FaultyServer, target: Path) -> None:
    try_fetch(server.add("/a", Served(CONTENT, content_type="text/html")), target)
    only(target)


def test_an_encoded_body_is_never_decoded(server: FaultyServer, target: Path) -> None:
    url = server.add("/a", Served(CONTENT, gzipped=True))
    assert "offers" in failure(url, target)
    assert "sends the file encoded (gzip)" in failure(url, target, Expected())
    try_fetch(server.add("/b", Served(CONTENT, labelled_gzip=True)), target)
    only(target)


def test_dead_addresses_are_named_in_a_few_words(tmp_path: Path, server: FaultyServer) -> None:
    path = tmp_path / "a"
    assert "it refuses connections" in failure("http://127.0.0.1:1/a", path)
    assert "its host name cannot be resolved" in failure("http://nowhere.invalid/a", path)
    assert "No connection adapters" in failure("ftp://127.0.0.1/a", path)
    assert "Invalid URL" in failure("nonsense", path)


def test_a_folder_in_the_way_is_named(tmp_path: Path, server: FaultyServer) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError, match="a is a folder, where a file was to be fetched"):
        try_fetch(server.add("/a", CONTENT), tmp_path / "a")


def test_a_full_disk_is_noticed_before(server: FaultyServer, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("amu_raft.downloads.part_file.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"a\.bin needs 0\.00 GiB more in .*, where 0\.00 GiB are free") as caught:
        try_fetch(server.add("/a", CONTENT), target)
    assert not isinstance(caught.value, FetchError)
    assert list(target.parent.iterdir()) == []


def test_a_disk_that_fills_up_gives_one_line_and_keeps_the_part(
    server: FaultyServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.add("/a", Served(CONTENT, drop_after=[100_000]))
    whole = body.write_body

    def full(response: Any, part: Any, *arguments: Any) -> None:
        if part.size:
            raise OSError(28, "No space left on device", str(part.path))
        whole(response, part, *arguments)

    monkeypatch.setattr(http, "write_body", full)
    with pytest.raises(OSError, match=r"a\.bin cannot be written or read: No space left on device") as caught:
        try_fetch(url, target)
    assert not isinstance(caught.value, FetchError) and "\n" not in str(caught.value)
    monkeypatch.undo()
    try_fetch(url, target)
    only(target)
    assert server.offsets("/a")[-1] == 100_000


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_closed_folder_is_named(server: FaultyServer, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="cannot be written or read: Permission denied"):
        try_fetch(server.add("/a", CONTENT), tmp_path / "a")


def test_a_killed_process_is_continued_by_the_next(server: FaultyServer, target: Path) -> None:
    url = server.add("/a", Served(CONTENT, pause=0.05))
    process = multiprocessing.get_context("fork").Process(target=try_fetch, args=(url, target))
    process.start()
    part = target.with_name("a.bin.part")
    give_up = time.monotonic() + 10
    while not (part.exists() and part.stat().st_size > 60_000):
        assert process.is_alive() and time.monotonic() < give_up
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL and not target.exists()
    kept = part.stat().st_size
    assert 60_000 < kept < len(CONTENT)
    server.files["/a"].pause = 0
    try_fetch(url, target)
    only(target)
    assert server.offsets("/a") == [None, kept]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://[::bad", "its answer cannot be understood (Invalid IPv6 URL)"),
        ("\xff\xfe", "its answer cannot be understood ('utf-8' codec can't decode"),
        ("http://exa mple/%zz\x01", ""),
        ("http://127.0.0.1:999999/", ""),
        ("file:///etc/passwd", "No connection adapters were found"),
    ],
)
def test_a_redirect_to_nonsense_is_a_reason_of_its_source(
    server: FaultyServer, target: Path, location: str, reason: str
) -> None:
    assert reason in failure(server.add("/a", Served(b"", redirect_to=location)), target)


def test_a_size_of_endless_digits_is_a_reason_of_its_source(server: FaultyServer, target: Path) -> None:
    line = failure(server.add("/a", Served(CONTENT, declared="9" * 5000)), target)
    assert "its answer cannot be understood (Exceeds the limit" in line
    assert len(line) < 1000


def test_a_note_that_fits_no_header_is_not_sent(server: FaultyServer, target: Path) -> None:
    url = server.add("/a", CONTENT)
    target.parent.mkdir()
    target.with_name("a.bin.part").write_bytes(CONTENT[:1000])
    target.with_name("a.bin.part.json").write_text(
        json.dumps({"url": url, "etag": "a\r\nb", "last_modified": "\u2603"})
    )
    try_fetch(url, target)
    only(target)
    assert server.offsets("/a") == [1000, None] and "if-range" not in server.requests[0].headers


def test_a_size_beyond_the_disk_is_the_fault_of_its_source_unless_it_is_known(
    server: FaultyServer, target: Path
) -> None:
    url = server.add("/a", Served(CONTENT, declared=10**15))
    line = failure(url, target, Expected(sha256=KNOWN.sha256))
    assert "it offers 1000000000000000 bytes, more than the disk has free (" in line
    assert list(target.parent.iterdir()) == [] and len(server.requests) == 1
    with pytest.raises(OSError, match=r"a\.bin needs 931322\.57 GiB more") as caught:
        try_fetch(url, target, Expected(size=10**15))
    assert not isinstance(caught.value, FetchError)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_limit_stops_what_has_no_known_size(server: FaultyServer, target: Path, chunked: bool) -> None:
    url = server.add("/a", Served(CONTENT, chunked=chunked))
    line = failure(url, target, Expected(at_most=200_000))
    if chunked:
        assert "it sends more than 200000 bytes, the most that is taken of a file of unknown size" in line
    else:
        assert "it offers 300000 bytes, where at most 200000 are taken" in line
    assert list(target.parent.iterdir()) == []
    try_fetch(url, target, Expected(at_most=len(CONTENT)))
    only(target)


def test_texts_of_unknown_size_are_limited_by_themselves(
    server: FaultyServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LARGEST_TEXT", 100_000)
    url = server.add("/a", Served(CONTENT, chunked=True))
    assert "it sends more than 100000 bytes" in failure(url, target.with_name("prompts.json"), Expected())
    for path, expected in ((target, Expected()), (target.with_name("a.json"), KNOWN)):
        try_fetch(url, path, expected)
        assert path.read_bytes() == CONTENT


def test_a_body_of_unknown_size_leaves_room_on_the_disk(
    server: FaultyServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": limits.RESERVE + 100_000})
    monkeypatch.setattr("amu_raft.downloads.limits.shutil.disk_usage", lambda folder: usage)
    line = failure(server.add("/a", Served(CONTENT, chunked=True)), target, Expected())
    assert "it sends more than 100000 bytes" in line
    assert list(target.parent.iterdir()) == []


def test_a_note_of_a_giant_total_does_not_lift_the_limit(server: FaultyServer, target: Path) -> None:
    url = server.add("/a", Served(CONTENT, chunked=True, etag='"1"'))
    target.parent.mkdir()
    target.with_name("a.bin.part").write_bytes(CONTENT[:1000])
    target.with_name("a.bin.part.json").write_text(json.dumps({"url": url, "etag": '"1"', "total": 10**15}))
    try_fetch(url, target, Expected())
    only(target)
