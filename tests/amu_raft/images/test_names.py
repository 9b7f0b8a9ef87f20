import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from amu_raft.images.names import class_names

Form = Literal["NFC", "NFD"]


def named(folder: Path, text: str, *classes: str) -> list[str]:
    (folder / "classnames.txt").write_text(text, encoding="utf-8")
    return class_names(folder, classes)


def test_without_a_file_classes_are_their_own_names(tmp_path: Path) -> None:
    assert class_names(tmp_path, ["red_fox", "owl"]) == ["red_fox", "owl"]


@pytest.mark.parametrize(
    "text",
    [
        "n1 tench, Tinca tinca\nn2 red fox\n",
        'n1,"tench, Tinca tinca"\nn2,red fox\n',
        '"n1","tench, Tinca tinca"\n"n2", red fox\n',
        "\ufeff# names\r\nn2\tred fox\r\n\r\nn1   tench, Tinca tinca\r\nn3 another\r\n",
    ],
)
def test_forms(text: str, tmp_path: Path) -> None:
    assert named(tmp_path, text, "n1", "n2") == ["tench, Tinca tinca", "red fox"]


def test_folders_with_blanks(tmp_path: Path) -> None:
    assert named(tmp_path, "red fox Vulpes vulpes\nred a colour\n", "red", "red fox") == ["a colour", "Vulpes vulpes"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n1 tench\n", r"has no name for 'n2'; its lines are '<folder> <name>'"),
        ("n1 tench\nn2\n", r"line 2: 'n2' is not '<folder> <name>' or '<folder>,<name>'"),
        ('n1 tench\n"n2\n', r"line 2: '\"n2' is not"),
        ('n1 tench\nn2,"a" b\n', r"line 2: .* is not"),
        ("n1 tench\nn2 owl\nn1 bat\n", "gives 'n1' two names, 'tench' and 'bat'"),
        ("\n", "has no lines"),
    ],
)
def test_faults(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        named(tmp_path, text, "n1", "n2")


@pytest.mark.parametrize(("disk", "file"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_may_be_written_in_one_sign_or_two(disk: Form, file: Form, tmp_path: Path) -> None:
    folder, line = unicodedata.normalize(disk, "thé vert"), unicodedata.normalize(file, "thé vert green tea\nn2 owl\n")
    assert named(tmp_path, line, folder, "n2") == ["green tea", "owl"]


def test_classes_that_differ_in_that_alone_are_held_apart(tmp_path: Path) -> None:
    one, two = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    assert named(tmp_path, f"{one} first\n{two} second\n", one, two) == ["first", "second"]
