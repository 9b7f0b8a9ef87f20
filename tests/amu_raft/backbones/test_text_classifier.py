import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from amu_raft.backbones.clip_backbone import CLIPBackbone, load_clip
from amu_raft.backbones.precision import Precision
from amu_raft.backbones.text_classifier import (
    IMAGENET_TEMPLATES,
    average_per_class,
    build_text_classifier,
    encode_prompts,
    fill_templates,
    indistinct_classes,
    read_prompt_file,
    tokenize,
    warn_of_indistinct_texts,
    zero_shot_logits,
)


@pytest.fixture(scope="module")
def backbone(tiny_clip: Any) -> CLIPBackbone:
    return CLIPBackbone(model=tiny_clip(), name="test", sha256="", precision=Precision("fp32"))


# --------------------------------------------------------------------------------------------------------- prompts


def test_templates_are_filled_class_after_class() -> None:
    found = fill_templates(["cat", "sea_lion"], ("a {}.", "the {} and a {}"))
    assert found == [["a cat.", "the cat and a cat"], ["a sea lion.", "the sea lion and a sea lion"]]
    assert fill_templates(["{}", "{0}"], ("a {}",)) == [["a {}"], ["a {0}"]]
    assert len(IMAGENET_TEMPLATES) == 7 and IMAGENET_TEMPLATES[0] == "itap of a {}."


def test_bad_templates() -> None:
    with pytest.raises(ValueError, match="no template given"):
        fill_templates(["cat"], ())
    with pytest.raises(ValueError, match="template 'a photo' has no"):
        fill_templates(["cat"], ("a {}", "a photo"))


def prompt_file(folder: Path, content: Any) -> Path:
    path = folder / "prompts.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_prompt_files_are_used_word_for_word(tmp_path: Path) -> None:
    path = prompt_file(tmp_path, {"sea lion": ["Ein Seelöwe {}.", "two"], "cat": ["one"], "unused": []})
    assert read_prompt_file(str(path), ["cat", "sea_lion"]) == [["one"], ["Ein Seelöwe {}.", "two"]]


def test_prompt_files_with_faults(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no prompt file at .*absent\.json"):
        read_prompt_file(tmp_path / "absent.json", ["cat"])
    for content, message in (
        ("{", "is not JSON"),
        ("[" * 200_000, "is not JSON"),
        ([["cat"]], "must map class names to lists of sentences"),
        ({"cats": ["x"], "coat": ["x"], "zebra": ["x"]}, "has no class 'cat'; nearest keys: 'coat', 'cats'"),
        ({"zebra": ["x"]}, "has no class 'cat'$"),
        ({}, "has no class 'cat'$"),
        ({"cat": "a cat"}, "non-empty list of sentences for class 'cat'"),
        ({"cat": []}, "non-empty list of sentences for class 'cat'"),
        ({"cat": ["a", 3]}, "non-empty list of sentences for class 'cat'"),
    ):
        with pytest.raises(ValueError, match=message):
            read_prompt_file(prompt_file(tmp_path, content), ["cat"])


def test_prompt_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "prompts.json").write_bytes('{"cat": ["é"]}'.encode("latin1"))
    with pytest.raises(ValueError, match="is not JSON"):
        read_prompt_file(tmp_path / "prompts.json", ["cat"])


def test_prompt_file_of_an_editor_that_marks_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "prompts.json").write_text('{"cat": ["é"]}', encoding="utf-8-sig")
    assert read_prompt_file(tmp_path / "prompts.json", ["cat"]) == [["é"]]


def test_tokens() -> None:
    tokens = tokenize(["a photo of a cat.", "", "😀 ünï"])
    assert tokens.shape == (3, 77)
    assert tokens[0].tolist()[:9] == [49406, 320, 1125, 539, 320, 2368, 269, 49407, 0]  # known ids of CLIP's vocabulary
    assert tokens[1].tolist()[:3] == [49406, 49407, 0]
    assert int((tokens == 49407).sum()) == 3


def test_prompts_that_are_too_long() -> None:
    assert tokenize(["cat " * 75]).shape == (1, 77)
    with pytest.raises(ValueError, match="is too long for context length 77"):
        tokenize(["short", "cat " * 76])


# ------------------------------------------------------------------------------------------------------- averages


def test_average_per_class_by_hand() -> None:
    embeddings = torch.tensor([[2.0, 0.0], [0.0, 0.1], [3.0, 4.0]])  # lengths do not count: (1, 0) and (0, 1) average
    expected = torch.tensor([[0.5**0.5, 0.6], [0.5**0.5, 0.8]])
    torch.testing.assert_close(average_per_class(embeddings, [2, 1]), expected)


@given(counts=st.lists(st.integers(1, 4), min_size=1, max_size=5), seed=st.integers(0, 5))
def test_columns_have_length_one_and_keep_the_order(counts: list[int], seed: int) -> None:
    embeddings = torch.randn(sum(counts), 6, generator=torch.Generator().manual_seed(seed))
    before = embeddings.clone()
    weights = average_per_class(embeddings, counts)
    assert weights.shape == (6, len(counts)) and weights.is_contiguous() and torch.equal(embeddings, before)
    torch.testing.assert_close(weights.norm(dim=0), torch.ones(len(counts)))
    torch.testing.assert_close(average_per_class(embeddings[: counts[0]], counts[:1]), weights[:, :1])


@pytest.mark.parametrize("counts", [[2, 2], [3, 0], [], [4, -1]])
def test_counts_that_do_not_add_up(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="3 embeddings cannot be shared out over prompt counts"):
        average_per_class(torch.ones(3, 2), counts)


# ------------------------------------------------------------------------------------------------------- encoding


def test_prompts_are_encoded_alike_in_batches(backbone: CLIPBackbone) -> None:
    prompts = [f"a photo of {number}." for number in range(7)]
    whole = encode_prompts(backbone, prompts)
    assert whole.shape == (7, 16) and whole.dtype == torch.float32
    torch.testing.assert_close(encode_prompts(backbone, prompts, batch_size=3), whole)
    torch.testing.assert_close(encode_prompts(backbone, prompts[4:5]), whole[4:5])


def test_classifier_from_prompts_of_different_number(backbone: CLIPBackbone) -> None:
    prompts = [["a cat.", "two cats."], ["a dog."]]
    weights = build_text_classifier(backbone, prompts)
    unit = torch.nn.functional.normalize(encode_prompts(backbone, ["a cat.", "two cats.", "a dog."]))
    mean: Tensor = unit[:2].mean(dim=0)
    torch.testing.assert_close(weights[:, 0], mean / mean.norm())
    torch.testing.assert_close(weights[:, 1], unit[2])


def test_zero_shot_logits_by_hand() -> None:
    features, weights = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.6], [0.0, 0.8]])
    before = features.clone()
    found = zero_shot_logits(features, weights, logit_scale=100.0)
    torch.testing.assert_close(found, torch.tensor([[60.0, 100.0], [0.0, 80.0]]))
    assert torch.equal(features, before)


def test_classes_with_one_and_the_same_text() -> None:
    columns = build_text_classifier(
        load_clip("tiny"), [["a one"], ["a cat"], ["a two"], ["a dog"], ["one, two"], ["two, one"]]
    )
    assert indistinct_classes(columns) == [[1, 3]]
    assert indistinct_classes(columns[:, ::2] * 7) == []


def test_texts_that_clip_cannot_tell_apart_are_named(recwarn: pytest.WarningsRecorder) -> None:
    columns = torch.eye(4)[:, [0, 1, 1, 2, 2]]
    warn_of_indistinct_texts(columns, ["a", "cat", "dog", "crane", "crane"], "tiny")
    [line] = [str(warning.message) for warning in recwarn]
    assert line.startswith("to the CLIP 'tiny' the texts of 'cat', 'dog' are the same")
    warn_of_indistinct_texts(torch.eye(4), ["a", "b", "c", "d"], "tiny")
    assert len(recwarn) == 1
