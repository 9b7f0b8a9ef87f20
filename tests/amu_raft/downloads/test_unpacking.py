from collections.abc import Iterator
from pathlib import Path

import pytest

from amu_raft.downloads.members import DamagedArchive, Member, UnsafeArchive
from amu_raft.downloads.unpacking import Budget, Unpacker


class Liar:
    """A reader whose one file has another size than it says."""

    def __init__(self, declared: int, content: bytes) -> None:
        self.declared, self.bytes = declared, content

    def members(self) -> Iterator[Member]:
        yield Member("a", "file", self.declared)

    def content(self) -> Iterator[bytes]:
        yield self.bytes

    def position(self) -> int:
        return 0


def test_a_file_has_the_size_it_declares(tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchive, match="'a' holds more than the 2 bytes it declares"):
        Unpacker(tmp_path, Budget(100, 100)).write_all(Liar(2, b"123"))
    assert (tmp_path / "a").read_bytes() == b""
    (tmp_path / "a").unlink()
    with pytest.raises(DamagedArchive, match="'a' ends after 3 of 4 bytes"):
        Unpacker(tmp_path, Budget(100, 100)).write_all(Liar(4, b"123"))


def test_a_budget_is_spent_to_the_last_byte() -> None:
    budget = Budget(3, 3)
    budget.take(3, "a")
    budget.take(0, "b")
    with pytest.raises(UnsafeArchive, match=r"more than its own size \(at 'c', with 1 bytes\)"):
        budget.take(1, "c")
    with pytest.raises(UnsafeArchive, match="too many members"):
        budget.take(0, "d")
    with pytest.raises(DamagedArchive, match="declares -1 bytes"):
        Budget(1, 1).take(-1, "a")
