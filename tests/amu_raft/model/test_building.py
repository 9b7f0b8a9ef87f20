from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from amu_raft.backbones.clip_backbone import CLIPBackbone, load_clip
from amu_raft.backbones.text_classifier import build_text_classifier, encode_prompts
from amu_raft.features.encoders import Encoders
from amu_raft.features.store import FeatureStore
from amu_raft.methods import Branches, Features, Method, MethodSettings
from amu_raft.model.building import Texts, build_method

CPU = torch.device("cpu")
PROMPTS = [["a zero", "the digit zero"], ["a six"]]


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    return Encoders(load_clip("tiny", precision="fp32", device="cpu"), ("clip",))


@pytest.fixture
def texts(encoders: Encoders, tmp_path: Path) -> Texts:
    return Texts(encoders, FeatureStore(tmp_path / "store"), CPU)


@pytest.fixture
def sentences(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sentences are encoded, call by call."""
    seen: list[int] = []
    encode_text = CLIPBackbone.encode_text

    def counting(self: CLIPBackbone, tokens: Tensor) -> Tensor:
        seen.append(len(tokens))
        return encode_text(self, tokens)

    monkeypatch.setattr(CLIPBackbone, "encode_text", counting)
    return seen


def test_columns_are_the_text_classifier(texts: Texts, encoders: Encoders) -> None:
    found = texts.class_columns(PROMPTS)
    assert found.shape == (encoders.backbone.feature_dim, 2) and found.is_contiguous()
    torch.testing.assert_close(found, build_text_classifier(encoders.backbone, PROMPTS))
    torch.testing.assert_close(found.norm(dim=0), torch.ones(2))


def test_columns_are_encoded_once(texts: Texts, sentences: list[int]) -> None:
    first = texts.class_columns(PROMPTS)
    assert sentences == [3] and torch.equal(first, texts.class_columns(PROMPTS)) and sentences == [3]
    other = texts.class_columns([PROMPTS[0][:1], [PROMPTS[0][1], *PROMPTS[1]]])  # the same three, divided otherwise
    assert sentences == [3, 3] and not torch.allclose(first, other)


def test_rows_are_made_of_the_embeddings_and_told_by_their_kind(
    texts: Texts, encoders: Encoders, sentences: list[int]
) -> None:
    raw = encode_prompts(encoders.backbone, ["a zero", "the digit zero", "a six"])
    sentences.clear()

    def total(embeddings: Tensor) -> Tensor:
        return embeddings.sum(dim=0, keepdim=True)

    torch.testing.assert_close(texts.rows("total", PROMPTS, total, 1), raw.sum(dim=0, keepdim=True))
    torch.testing.assert_close(texts.rows("all", PROMPTS, lambda found: found, 3), raw)
    torch.testing.assert_close(texts.rows("total", PROMPTS, total, 1), raw.sum(dim=0, keepdim=True))
    assert sentences == [3, 3]


class Asking(Method):
    """It notes what it is given, and encodes sentences of its own before it begins."""

    learns = "nothing"
    decides = "zero_shot"
    prepared = 0

    def build(self, task: Any) -> None:
        assert not self.prepared
        self.layer = nn.Linear(2, 2)

    def prepare(self) -> None:
        self.prepared += 1
        assert self.task.text_rows is not None
        self.own = self.task.text_rows("own", ["a one", "a two"], lambda found: found.mean(dim=0, keepdim=True), 1)

    def branches(self, features: Features) -> Branches:
        return {"zero_shot": self.zero_shot(features)}


def test_a_method_gets_its_task_and_is_prepared_once(
    texts: Texts, encoders: Encoders, sentences: list[int], tmp_path: Path
) -> None:
    columns, settings = texts.class_columns(PROMPTS), MethodSettings()
    found: Any = build_method(Asking, settings, encoders, texts, columns=columns, classnames=["zero", "six"], seed=0)
    backbone = encoders.backbone
    assert type(found) is Asking and found.settings is settings and found.prepared == 1
    task = found.task
    assert task.text_columns is columns and torch.equal(found.text_columns, columns)
    assert (task.logit_scale, task.widths, task.classnames) == (backbone.logit_scale, encoders.widths, ["zero", "six"])
    assert task.precision is backbone.precision
    assert task.attention_pool is not None and task.attention_pool() is backbone.attention_pool
    expected = encode_prompts(backbone, ["a one", "a two"]).mean(dim=0, keepdim=True)
    torch.testing.assert_close(found.own, expected)
    sentences.clear()
    again: Any = build_method(Asking, settings, encoders, texts, columns=columns, classnames=["zero", "six"], seed=0)
    assert torch.equal(again.own, found.own) and not sentences


def test_a_method_goes_where_its_texts_are(texts: Texts, encoders: Encoders) -> None:
    columns = texts.class_columns(PROMPTS).to("meta")
    found = build_method(Asking, MethodSettings(), encoders, texts, columns=columns, classnames=["zero", "six"], seed=0)
    assert {value.device.type for value in found.state_dict().values()} == {"meta"}
