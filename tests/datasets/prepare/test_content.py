import json
from pathlib import Path
from typing import Any

import pytest

from datasets.catalog import ClassNamesCheck, read_catalog
from datasets.prepare.__main__ import main
from datasets.prepare.content import check_class_names, check_sentences, check_split_file
from tests.datasets.miniatures.imagenet import CLASSNAMES, write_classnames
from tests.datasets.prepare.conftest import Publisher

CHECK = ClassNamesCheck(lines=12, twice=("missile", "sunglasses"), never=("cock", "drake"))


def test_the_right_class_names_pass(tmp_path: Path) -> None:
    check_class_names(write_classnames(tmp_path), CHECK)


@pytest.mark.parametrize(
    ("change", "line"),
    (
        (
            {"n01514668": "cock"},
            r"not the list of .*: it names a class 'cock' and names shared by classes are 'missile'",
        ),
        ({"n03773504": "rocket"}, r"by classes are 'sunglasses', in the right one 'missile', 'sunglasses'; take"),
        ({"n01440764": "goldfish"}, r"by classes are 'goldfish', 'missile', 'sunglasses', in the right one"),
        ({"n09999999": "one more"}, r"has 13 lines, expected 12 of '<wnid> <name>'"),
    ),
)
def test_a_wrong_list_of_class_names_is_refused(change: dict[str, str], line: str, tmp_path: Path) -> None:
    path = write_classnames(tmp_path, CLASSNAMES | change)
    with pytest.raises(ValueError, match=line):
        check_class_names(path, CHECK)


def test_the_list_with_plain_wordnet_names_is_not_put_into_place(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("ImageNetA")
    served = publisher.served("ImageNetA", "classnames")
    served.content = served.content.replace(b"rooster", b"cock")
    assert main(publisher.command("ImageNetA")) == 1
    assert "it names a class 'cock'" in capsys.readouterr().out.splitlines()[-1]
    assert not (publisher.root / "imagenet-adversarial" / "classnames.txt").exists()


def test_class_names_are_copied_from_imagenet_where_they_are_right(publisher: Publisher) -> None:
    publisher.publish("ImageNetA", "ImageNetR")
    theirs = write_classnames(publisher.root / "imagenet")
    assert main(publisher.command("ImageNetA")) == 0
    assert publisher.asked_for("ImageNetA", "classnames") == 0
    assert (publisher.root / "imagenet-adversarial" / "classnames.txt").read_bytes() == theirs.read_bytes()
    theirs.write_text("n01514668 cock\n")
    assert main(publisher.command("ImageNetR")) == 0
    assert publisher.asked_for("ImageNetR", "classnames") == 1
    assert theirs.read_text() == "n01514668 cock\n"


def write_split(path: Path, **sizes: int) -> Path:
    rows = {part: [[f"{part}{i}.jpg", i % 2, "ab"[i % 2]] for i in range(size)] for part, size in sizes.items()}
    path.write_text(json.dumps(rows))
    return path


def test_a_split_file_with_other_numbers_is_refused(tmp_path: Path) -> None:
    entry = read_catalog()["EuroSAT"]
    path = write_split(tmp_path / "split.json", train=4, val=2, test=2)
    with pytest.raises(ValueError, match=r"lists 4 train, 2 val, 2 test of 2 classes; expected 13500 train, 5400 val"):
        check_split_file(path, entry)
    with pytest.raises(FileNotFoundError, match="no split file"):
        check_split_file(tmp_path / "none.json", entry)


def test_a_split_file_that_was_never_compared_is_taken_if_its_numbers_are_right(
    publisher: Publisher, capsys: Any
) -> None:
    publisher.publish("EuroSAT")
    publisher.served("EuroSAT", "split", source=0).always = 404
    drive = publisher.served("EuroSAT", "split", source=1)
    drive.content = drive.content + b"\n"
    assert main(publisher.command("EuroSAT")) == 0
    assert "; its content decides" in capsys.readouterr().out
    assert (publisher.root / "eurosat" / "split_zhou_EuroSAT.json").read_bytes() == drive.content


def test_a_split_file_with_wrong_numbers_is_not(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("EuroSAT")
    publisher.served("EuroSAT", "split", source=0).always = 404
    drive = publisher.served("EuroSAT", "split", source=1)
    split = json.loads(drive.content)
    split["train"].pop()
    drive.content = json.dumps(split).encode()
    assert main(publisher.command("EuroSAT")) == 1
    line = capsys.readouterr().out.splitlines()[-1]
    assert "lists 49 train" in line and "404" in line
    assert not (publisher.root / "eurosat" / "split_zhou_EuroSAT.json").exists()


def test_a_damaged_split_file_in_place_is_set_aside(publisher: Publisher) -> None:
    publisher.publish("EuroSAT")
    split = publisher.root / "eurosat" / "split_zhou_EuroSAT.json"
    split.parent.mkdir()
    split.write_text('{"train": [')
    assert main(publisher.command("EuroSAT")) == 0
    assert (split.parent / "set_aside" / split.name).read_text() == '{"train": ['


@pytest.mark.parametrize(
    ("content", "line"),
    (
        ("[]", "does not hold sentences by class name"),
        ("{}", "does not hold sentences by class name"),
        ('{"a": []}', "does not hold a list of sentences for 'a'"),
        ('{"a": "b"}', "does not hold a list of sentences for 'a'"),
        ('{"a": [1]}', "does not hold a list of sentences for 'a'"),
        ("{", "file of sentences .* is damaged"),
    ),
)
def test_other_files_are_no_sentences(content: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=line):
        check_sentences(tmp_path / "a.json")
