import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from amu_raft.downloads.drive import explain_notice, fetch_drive
from amu_raft.downloads.expected import Expected
from amu_raft.downloads.part_file import FetchError
from amu_raft.downloads.sources import Origin, fetch_any
from tests.amu_raft.downloads.faulty_server import FaultyServer, Served, some_bytes

CONTENT = some_bytes(3_000_000)  # more than one of gdown's blocks
KNOWN = Expected(size=len(CONTENT), md5=hashlib.md5(CONTENT).hexdigest())
FILE = 'attachment; filename="a.zip"'


@pytest.fixture
def drive(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> FaultyServer:
    """Google's machines are this one."""
    send = requests.adapters.HTTPAdapter.send

    def redirect(self: Any, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        address = urlsplit(request.url or "")
        assert address.hostname is not None and str(address.hostname).endswith("google.com")
        request.url = server.url(f"{address.path}?{address.query}")
        return send(self, request, *arguments, **options)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", redirect)
    # gdown waits up to a second before it tries again.
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    return server


def failure(path: Path, expected: Expected = KNOWN, *, attempts: int = 2) -> str:
    with pytest.raises(FetchError) as caught:
        fetch_drive("ID", path, expected, attempts=attempts, timeout=0.3)
    line = str(caught.value)
    assert "\n" not in line and "https://drive.google.com/file/d/ID/view" in line and not path.exists()
    return line


def only(path: Path) -> None:
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == CONTENT


def test_a_file_comes_whole_through_the_confirmation_page(drive: FaultyServer, tmp_path: Path) -> None:
    page = (
        '<form id="download-form" action="https://drive.usercontent.google.com/download">'
        '<input type="hidden" name="id" value="ID"><input type="hidden" name="confirm" value="t"></form>'
    )
    drive.add("/uc?id=ID", Served(page.encode(), content_type="text/html; charset=utf-8"))
    drive.add("/download?id=ID&confirm=t", Served(CONTENT, disposition=FILE))
    fetch_drive("ID", tmp_path / "a.zip", KNOWN)
    only(tmp_path / "a.zip")
    fetch_any([Origin(drive_id="ID", expected=KNOWN)], tmp_path / "a.zip")
    assert len(drive.requests) == 2


def test_a_dropped_transfer_goes_on(drive: FaultyServer, tmp_path: Path) -> None:
    drive.add("/uc?id=ID", Served(CONTENT, disposition=FILE, drop_after=[2_000_000]))
    fetch_any([Origin(drive_id="ID", expected=KNOWN)], tmp_path / "a.zip", timeout=1)
    only(tmp_path / "a.zip")
    assert (drive.offsets("/uc?id=ID")[1] or 0) >= 1_500_000


def test_the_next_call_goes_on_where_a_digest_is_known(drive: FaultyServer, tmp_path: Path) -> None:
    drive.add("/uc?id=ID", Served(CONTENT, disposition=FILE, drop_after=[2_000_000, 0]))
    assert "the connection broke" in failure(tmp_path / "a.zip")
    fetch_drive("ID", tmp_path / "a.zip", KNOWN, timeout=1)
    only(tmp_path / "a.zip")
    assert any((offset or 0) >= 1_500_000 for offset in drive.offsets("/uc?id=ID")[2:])


def test_the_next_call_begins_anew_where_none_is(drive: FaultyServer, tmp_path: Path) -> None:
    drive.add("/uc?id=ID", Served(CONTENT, disposition=FILE, drop_after=[2_000_000, 0]))
    failure(tmp_path / "a.zip", Expected())
    before = len(drive.requests)
    fetch_drive("ID", tmp_path / "a.zip", Expected())
    only(tmp_path / "a.zip")
    assert drive.offsets("/uc?id=ID")[before:] == [None]


def test_a_wrong_size_ends_after_the_first_block(drive: FaultyServer, tmp_path: Path) -> None:
    drive.add("/uc?id=ID", Served(CONTENT + b"x", disposition=FILE))
    assert "it offers 3000001 bytes, expected 3000000" in failure(tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == [] and len(drive.requests) == 1


def test_a_size_beyond_the_disk_is_the_fault_of_drive_unless_it_is_known(drive: FaultyServer, tmp_path: Path) -> None:
    drive.add("/uc?id=ID", Served(CONTENT, disposition=FILE, declared=10**15))
    assert "it offers 1000000000000000 bytes, more than the disk has free" in failure(tmp_path / "a.zip", Expected())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="GiB more") as caught:
        fetch_drive("ID", tmp_path / "a.zip", Expected(size=10**15), attempts=1, timeout=0.3)
    assert not isinstance(caught.value, FetchError)


def test_a_body_of_unknown_size_is_limited(drive: FaultyServer, tmp_path: Path) -> None:
    drive.add("/uc?id=ID", Served(CONTENT, disposition=FILE, chunked=True))
    assert "it sends more than 1000000 bytes" in failure(tmp_path / "a.zip", Expected(at_most=1_000_000))
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_to_nonsense_becomes_one_reason(drive: FaultyServer, tmp_path: Path) -> None:
    drive.add("/uc?id=ID", Served(b"", redirect_to="http://[::bad"))
    assert "its answer cannot be understood (Invalid IPv6 URL)" in failure(tmp_path / "a.zip")


def test_wrong_bytes_are_removed(drive: FaultyServer, tmp_path: Path) -> None:
    drive.add("/uc?id=ID", Served(some_bytes(3_000_000, seed=1), disposition=FILE))
    assert "its content is wrong (md5 " in failure(tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("page", "meaning"),
    [
        ('<p class="uc-error-subcaption">Too many users have viewed or downloaded this file.</p>', "its quota"),
        ("<html>Sign in to continue</html>", "its quota"),  # gdown says the same of every other page
    ],
)
def test_notices_become_one_reason(drive: FaultyServer, tmp_path: Path, page: str, meaning: str) -> None:
    drive.add("/uc?id=ID", Served(page.encode(), content_type="text/html; charset=utf-8"))
    assert meaning in failure(tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


def test_refusals_and_silence_become_one_reason(drive: FaultyServer, tmp_path: Path) -> None:
    drive.add("/uc?id=ID", Served(CONTENT, disposition=FILE, stall_after=[0, 0, 0]))
    assert "it does not answer in time" in failure(tmp_path / "a.zip")
    drive.files["/uc?id=ID"].stall_after = [0]
    assert "it does not answer in time" in failure(tmp_path / "a.zip", attempts=1)
    drive.add("/uc?id=ID", Served(b"", disposition=FILE, always=503))
    assert "it is busy or broken (HTTP 503)" in failure(tmp_path / "a.zip")
    drive.add("/uc?id=ID", Served(b"", always=403))
    assert "gdown cannot read the page that Drive sends (KeyError: 'content-type')" in failure(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("You need permission", "the file is not public; a browser may still get it"),
        ("the file does not exist", "there is no such file; a browser may still get it"),
        ("something\nelse", "something else"),
    ],
)
def test_notices_are_reduced(text: str, meaning: str) -> None:
    assert explain_notice(text, ValueError(text)) == meaning
