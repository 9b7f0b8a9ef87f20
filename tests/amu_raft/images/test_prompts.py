import json
from pathlib import Path
from typing import Any

import pytest

from amu_raft.images.prompts import describe_prompts

NAMES = ["red_fox", "bear", "sea lion"]


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_every_class_has_sentences(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", {"red fox": ["a"], "bear": ["b", "c"], "sea lion": ["d"], "wolf": ["e"]})
    assert describe_prompts(path, NAMES) == ("3/3", "")


def test_classes_of_the_same_name_count_each(tmp_path: Path) -> None:
    assert describe_prompts(write(tmp_path / "p.json", {"missile": ["a"]}), ["missile", "missile"]) == ("2/2", "")


def test_there_may_be_no_file(tmp_path: Path) -> None:
    assert describe_prompts(tmp_path / "p.json", NAMES) == ("absent", "")


@pytest.mark.parametrize("sentences", [[], "a", None, [""], [" "], [1], {"a": "b"}])
def test_what_is_no_list_of_sentences_does_not_count(sentences: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", {"red_fox": ["underscores are no blanks"], "bear": sentences, "sea lion": ["d"]})
    assert describe_prompts(path, NAMES) == ("1/3", f"prompt file {path} has no sentences for 'red_fox', 'bear'")


def test_without_class_names_the_keys_are_counted(tmp_path: Path) -> None:
    assert describe_prompts(write(tmp_path / "p.json", {"a": ["b"], "c": []}), []) == ("1 keys", "")


@pytest.mark.parametrize("content", ["{", "[1]", "3", "\x00", "[" * 200_000, ""])
def test_damaged_files(content: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(content)
    state, problem = describe_prompts(path, NAMES)
    assert state == "damaged" and problem and "\n" not in problem


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.mkdir() if kind == "folder" else path.symlink_to(path)
    assert describe_prompts(path, NAMES)[0] == "damaged"
