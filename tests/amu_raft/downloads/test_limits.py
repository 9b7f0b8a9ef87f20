from pathlib import Path

import pytest

from amu_raft.downloads import limits
from amu_raft.downloads.expected import Expected
from amu_raft.downloads.limits import LARGEST_TEXT, RESERVE, check_size, most_bytes
from amu_raft.downloads.part_file import SourceError

FREE = RESERVE + 1000


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with little more room than the reserve."""
    usage = type("Usage", (), {"free": FREE})
    monkeypatch.setattr("amu_raft.downloads.limits.shutil.disk_usage", lambda folder: usage)


def test_what_fits_passes(tmp_path: Path) -> None:
    check_size(None, 0, tmp_path / "a.zip", Expected())
    check_size(FREE, 0, tmp_path / "a.zip", Expected())
    check_size(FREE + 5, 5, tmp_path / "a.zip", Expected())
    check_size(FREE + 5, 5, tmp_path / "a.zip", Expected(size=FREE + 5, at_most=1))
    check_size(LARGEST_TEXT, 0, tmp_path / "a.json", Expected())
    check_size(LARGEST_TEXT + 1, 0, tmp_path / "a.json", Expected(at_most=LARGEST_TEXT + 1))


@pytest.mark.parametrize(
    ("total", "name", "expected", "reason"),
    [
        (8, "a.zip", Expected(size=9), "it offers 8 bytes, expected 9"),
        (FREE + 1, "a.zip", Expected(), f"more than the disk has free .{FREE}."),
        (FREE + 1, "a.zip", Expected(md5="0"), "more than the disk has free"),
        (FREE + 1, "a.zip", Expected(at_most=2 * FREE), "more than the disk has free"),
        (8, "a.zip", Expected(at_most=7), "it offers 8 bytes, where at most 7 are taken"),
        (LARGEST_TEXT + 1, "a.JSON", Expected(), f"where at most {LARGEST_TEXT} are taken"),
    ],
)
def test_what_a_source_cannot_mean(tmp_path: Path, total: int, name: str, expected: Expected, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        check_size(total, 0, tmp_path / name, expected)


@pytest.mark.parametrize("total", [None, FREE + 1])
def test_a_known_size_that_does_not_fit_is_no_fault_of_the_source(tmp_path: Path, total: int | None) -> None:
    with pytest.raises(OSError, match=r"a\.zip needs .* GiB more"):
        check_size(total, 0, tmp_path / "a.zip", Expected(size=FREE + 1))


@pytest.mark.parametrize(
    ("name", "expected", "most"),
    [
        ("a.zip", Expected(size=9), 9),
        ("a.zip", Expected(at_most=7), 7),
        ("a.txt", Expected(), LARGEST_TEXT),
        ("a.sh", Expected(sha256="0"), LARGEST_TEXT),
        ("a.txt", Expected(at_most=7), 7),
        ("a.zip", Expected(), 1005),
    ],
)
def test_the_most_that_is_taken(tmp_path: Path, name: str, expected: Expected, most: int) -> None:
    assert most_bytes(5, tmp_path / name, expected) == most


def test_a_full_disk_takes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RESERVE", 2 * FREE)
    assert most_bytes(5, tmp_path / "a.zip", Expected()) == 5
