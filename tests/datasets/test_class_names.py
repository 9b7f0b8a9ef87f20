from pathlib import Path

import pytest

from datasets.class_names import find_classnames, name_folders, read_classnames, shared_names


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "classnames.txt"
    path.write_bytes(content)
    return path


def test_names_by_wnid_in_the_order_of_the_lines(tmp_path: Path) -> None:
    path = write(tmp_path, b"n02 great white shark\nn01 tench\n")
    assert list(read_classnames(path).items()) == [("n02", "great white shark"), ("n01", "tench")]
    assert read_classnames(str(path)) == read_classnames(path)


@pytest.mark.parametrize(
    "content",
    [
        b"n01 tench\r\nn02 great white shark\r\n",
        b"n01 tench\n\nn02 great white shark",
        b"\xef\xbb\xbfn01 tench\nn02 great white shark  \n \n",
        b"n01\ttench\nn02   great white shark\n",
    ],
)
def test_what_editors_do_to_lines(content: bytes, tmp_path: Path) -> None:
    assert dict(read_classnames(write(tmp_path, content))) == {"n01": "tench", "n02": "great white shark"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"n01 tench\nn02\n", r"classnames\.txt, line 2: 'n02' is not '<wnid> <name>'"),
        (b"n01 tench\nn02 a\nn01 b\n", "line 3: n01 has a name already, 'tench'"),
        (b"\n \n", r"is empty; python -m datasets\.prepare ImageNet"),
        (b"n01 \xff\xfe\n", "damaged, it is no text in UTF-8"),
    ],
)
def test_damaged_files(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_classnames(write(tmp_path, content))


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "imagenet" / "classnames.txt"
    message = f"no file of class names {path}; python -m datasets.prepare ImageNet --root {tmp_path} fetches it"
    with pytest.raises(FileNotFoundError, match=message):
        read_classnames(path)


def test_the_own_file_goes_before_that_of_imagenet(tmp_path: Path) -> None:
    own, shared = tmp_path / "imagenetv2" / "classnames.txt", tmp_path / "imagenet" / "classnames.txt"
    with pytest.raises(FileNotFoundError, match=f"neither {own} nor {shared}"):
        find_classnames(own.parent)
    for path in (shared, own):
        path.parent.mkdir()
        path.write_text("n01 tench\n")
        assert find_classnames(own.parent) == path


def test_folders_without_a_name_are_named(tmp_path: Path) -> None:
    names = {"n01": "tench", "n02": "goldfish"}
    assert name_folders(["n02", "n01"], names, listed_in=tmp_path, named_in=tmp_path) == ["goldfish", "tench"]
    with pytest.raises(
        ValueError, match=r"has no name for 'a', 'b', 'c', 'd', 'e' and 1 more of .*; remove what is no"
    ):
        name_folders([*"abcdef", "n01"], names, listed_in=tmp_path, named_in=tmp_path / "classnames.txt")


def test_names_of_several_classes() -> None:
    names = {0: "crane", 3: "maillot", 4: "crane", 7: "tench", 8: "crane"}
    assert shared_names(names) == {"crane": [0, 4, 8]}
    assert shared_names({0: "a", 1: "b"}) == {}
