import json
import unicodedata
from pathlib import Path

import pytest

from amu_raft.backbones.text_classifier import tokenize
from amu_raft.images.doctor.examination import examine
from amu_raft.images.doctor.sentences import names_of_one_text, refused_sentences, too_long
from tests.conftest import write_images

LONG = "a " * 100


def test_names_and_templates_that_clip_takes() -> None:
    assert refused_sentences(None, ["bear", "ü" * 20, "x" * 60]) == ""


def test_a_name_that_is_too_long_for_clip(tmp_path: Path) -> None:
    [failure] = examine(write_images(tmp_path, {LONG.strip(): 4, "owl": 4}), shots=1).failures
    assert failure.startswith("more than CLIP's 77 tokens: 'a photo of a a a a") and len(failure) < 120


def test_sentences_that_are_too_long(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"owl": ["An owl.", LONG], "bear": ["A bear."]}))
    assert refused_sentences(path, ["owl", "bear"]).startswith(f"more than CLIP's 77 tokens in {path}: 'a a a a")


def test_sentences_that_training_cannot_read_are_a_failure(tmp_path: Path) -> None:
    write_images(tmp_path, {"owl": 4, "bear": 4})
    (tmp_path / "prompts.json").write_text('{"owl": ["An owl."], "bear": [7]}')
    assert "has no sentences for 'bear'" in examine(tmp_path, shots=1).failures[0]
    (tmp_path / "prompts.json").write_text("[]")
    assert "must map class names to lists" in refused_sentences(tmp_path / "prompts.json", ["owl"])


@pytest.mark.parametrize("text", ["é" * 37, "日" * 40, "1" * 75, "1" * 76, "\ufb2c" * 20])
def test_no_sentence_slips_through(text: str) -> None:
    try:
        tokenize([text])
    except ValueError:
        assert list(too_long([text])) == [text]
    else:
        assert list(too_long([text])) == []


def test_names_that_clip_reads_alike() -> None:
    names = ["Cat", "cat", "red_fox", "red fox", "owl", "cow"]
    assert names_of_one_text(names, names) == "names that CLIP cannot tell apart: 'Cat' = 'cat'; 'red_fox' = 'red fox'"
    assert names_of_one_text(["fox", "fox"], ["fox (a)", "fox (b)"]).endswith("apart: 'fox (a)' = 'fox (b)'")
    both = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    assert names_of_one_text(both, both).endswith(r"'caf\xe9' = 'cafe\u0301'")
    many = [name for letter in "abcde" for name in (letter, letter.upper())]
    assert names_of_one_text(many, many).endswith("'c' = 'C' and 2 more") and names_of_one_text("ab", "ab") == ""


def test_the_doctor_warns_of_them(tmp_path: Path) -> None:
    found = examine(write_images(tmp_path, {"red_fox": 4, "red fox": 4}), shots=1)
    assert found.warnings == ["names that CLIP cannot tell apart: 'red fox' = 'red_fox'"]
