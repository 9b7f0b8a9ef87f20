import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from amu_raft.downloads.expected import DIGESTS, Expected, WrongContent, read_digests, verify_file

# The digests of "hello\n", the last one as `git hash-object` prints it.
HELLO: dict[str, Any] = {
    "md5": "b1946ac92492d2347c6235b4d2611184",
    "sha256": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    "git_blob_sha1": "ce013625030ba8dba906f756967f9e9ca394464a",
}


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    path = tmp_path / "hello.txt"
    path.write_bytes(b"hello\n")
    return path


def test_all_digests_come_from_one_reading(hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = Path.open

    def count(self: Path, mode: str) -> object:
        opened.append(self)
        return real(self, mode)

    monkeypatch.setattr(Path, "open", count)
    assert read_digests(hello, list(DIGESTS)) == HELLO
    assert opened == [hello]


def test_the_blob_name_is_that_of_git(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\r\n\0" * 1000)
    printed = subprocess.run(
        ["git", "hash-object", "--no-filters", path], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert read_digests(path, ["git_blob_sha1"])["git_blob_sha1"] == printed.stdout.strip()


def test_long_files_are_read_in_blocks(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    path = tmp_path / "a"
    path.write_bytes(content)
    assert read_digests(path, ["sha256"], progress=True) == {"sha256": hashlib.sha256(content).hexdigest()}


def test_the_expected_file_passes(hello: Path) -> None:
    verify_file(hello, Expected())
    verify_file(hello, Expected(size=6, **HELLO))
    verify_file(hello, Expected(md5=HELLO["md5"].upper()), progress=True)


def test_a_wrong_size_is_told_without_reading(hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "open", lambda *arguments: pytest.fail("it was read"))
    with pytest.raises(WrongContent, match=r"hello\.txt is not the expected file: 6 bytes, expected 7") as caught:
        verify_file(hello, Expected(size=7, md5=HELLO["md5"]))
    assert caught.value.difference == "6 bytes, expected 7"


@pytest.mark.parametrize("kind", DIGESTS)
def test_a_wrong_digest_is_named(hello: Path, kind: str) -> None:
    wrong = "0" * len(HELLO[kind])
    with pytest.raises(WrongContent, match=f"{kind} {HELLO[kind]}, expected {wrong}$"):
        verify_file(hello, Expected(size=6, **(HELLO | {kind: wrong})))


def test_a_missing_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        verify_file(tmp_path / "missing", Expected())


def test_a_limit_counts_where_the_size_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    verify_file(tmp_path / "a", Expected(at_most=5))
    verify_file(tmp_path / "a", Expected(size=5, at_most=4))
    with pytest.raises(WrongContent, match="5 bytes, expected at most 4"):
        verify_file(tmp_path / "a", Expected(at_most=4))
