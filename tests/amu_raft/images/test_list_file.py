from pathlib import Path

import pytest

from amu_raft.images.list_file import class_number, read_list


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbf# a comment\r\n 1 \r\n\r\n2\n3")
    assert read_list(path, int, form="a number") == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "has no lines"), (b"#\n\n", "has no lines"), (b"\xff\xfe1", "no text")]
)
def test_damaged_files(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"list\.txt .*{message}.*; restore it"):
        read_list(path, int, form="a number")


def test_lines_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("1\n\ntwo")
    with pytest.raises(ValueError, match=r"list\.txt, line 3: 'two' is not a number$"):
        read_list(path, int, form="a number")
    path.write_text("1\nb")
    with pytest.raises(ValueError, match=r"line 2: 'b' is not known$"):
        read_list(path, {"1": 1}.__getitem__, form="known")
    path.write_text("x" * 10_000)
    with pytest.raises(ValueError, match="x") as caught:
        read_list(path, int, form="a number")
    assert len(str(caught.value)) < 300


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no list"):
        read_list(tmp_path, int, form="a number")


def test_class_numbers_begin_at_one() -> None:
    assert [class_number(text) for text in ("1", "102")] == [0, 101]
    for text in ("0", "-1", "1.0", "one"):
        with pytest.raises(ValueError, match=text):
            class_number(text)
