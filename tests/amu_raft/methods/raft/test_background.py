import torch

from amu_raft.backbones.clip_backbone import load_clip
from amu_raft.backbones.text_classifier import encode_prompts
from amu_raft.methods.raft.background import average_background, background_sentences, build_background_column


def test_one_sentence_for_each_class() -> None:
    assert background_sentences(["cat", "sea_lion"]) == ["the background of cat.", "the background of sea lion."]


def test_average_background_by_hand() -> None:
    found = average_background(torch.tensor([[5.0, 0.0], [0.0, 0.2]]))
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5]))  # not normalised again: length 0.71


def test_background_column() -> None:
    backbone = load_clip("tiny")
    texts = encode_prompts(backbone, background_sentences(["cat", "sea_lion"]))
    expected = torch.nn.functional.normalize(texts).mean(dim=0)
    torch.testing.assert_close(build_background_column(backbone, ["cat", "sea_lion"]), expected)
