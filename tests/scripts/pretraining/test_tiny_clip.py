import pytest
import torch
from clip import clip
from clip.model import build_model

from scripts.pretraining.packing import packed
from scripts.pretraining.text_tower import ReducedVocabulary, encode_text
from scripts.pretraining.tiny_clip import CONTEXT_LENGTH, VOCABULARY, _new_model, openai_state

TEXTS = ["a red star", "the digit seven on a plain background."]


@pytest.fixture
def untrained():
    torch.manual_seed(0)
    vocabulary = ReducedVocabulary(TEXTS)
    return _new_model(vocabulary).eval(), vocabulary


def test_official_builder_and_loader_take_the_state(untrained, tmp_path):
    model, vocabulary = untrained
    (tmp_path / "clip.pt").write_bytes(packed(openai_state(model, vocabulary.token_ids)))
    built = build_model(torch.load(tmp_path / "clip.pt", weights_only=True)).float()
    loaded, preprocess = clip.load(str(tmp_path / "clip.pt"), device="cpu")
    torch.testing.assert_close(built.state_dict(), loaded.state_dict())
    assert loaded.visual.input_resolution == 64
    assert preprocess.transforms[0].size == 64


def test_reduced_and_official_text_towers_agree(untrained):
    model, vocabulary = untrained
    official = build_model(openai_state(model, vocabulary.token_ids)).float()
    with torch.no_grad():
        torch.testing.assert_close(
            encode_text(official, clip.tokenize(TEXTS)), encode_text(model, vocabulary.tokens), rtol=0, atol=5e-3
        )


def test_reduced_and_official_visual_towers_agree(untrained):
    model, vocabulary = untrained
    official = build_model(openai_state(model, vocabulary.token_ids)).float()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        cosines = torch.nn.functional.cosine_similarity(official.encode_image(images), model.encode_image(images))
    assert cosines.min() > 0.9999


def test_layout_has_the_full_vocabulary_and_zeros_where_nothing_was_seen(untrained):
    model, vocabulary = untrained
    state = openai_state(model, vocabulary.token_ids)
    embedding = state["token_embedding.weight"]
    assert embedding.shape == (VOCABULARY, 64)
    unused = torch.ones(VOCABULARY, dtype=torch.bool)
    unused[vocabulary.token_ids] = False
    assert (embedding[unused] == 0).all()
    assert (embedding[vocabulary.token_ids[1:]] != 0).any(dim=1).all()
    assert state["positional_embedding"].shape == (CONTEXT_LENGTH, 64)
    assert (state["positional_embedding"][vocabulary.context_length :] == 0).all()
    assert state["logit_scale"].exp().item() == pytest.approx(100)
    assert {key: int(state[key]) for key in ("input_resolution", "context_length", "vocab_size")} == {
        "input_resolution": 64,
        "context_length": 77,
        "vocab_size": 49408,
    }
    assert state["visual.layer1.0.conv1.weight"].dtype == torch.float16
    assert state["visual.bn1.running_var"].dtype == torch.float32


def test_residual_blocks_start_awake(untrained):
    model, _ = untrained
    assert all((layer[0].bn3.weight == 1).all() for layer in (model.visual.layer1, model.visual.layer4))


def test_parameters_beside_the_token_embedding(untrained):
    model, vocabulary = untrained
    official = build_model(openai_state(model, vocabulary.token_ids))
    count = sum(p.numel() for name, p in official.named_parameters() if name != "token_embedding.weight")
    assert count == 451_997
