import numpy as np
import torch
from clip import clip

from scripts.pretraining.captions import UNSAID, CaptionBook
from scripts.pretraining.text_tower import UNKNOWN, ReducedVocabulary, _with_unknown, encode_text, train_text_tower
from scripts.pretraining.tiny_clip import _new_model

TEXTS = ["a red star", "a blue star", "a red ring.", "a blue ring.", "the digit seven on a plain background"]


def test_renumbered_tokens_are_the_official_ones_in_order():
    vocabulary = ReducedVocabulary(TEXTS)
    official = clip.tokenize(TEXTS)
    width = vocabulary.context_length
    assert width == 9  # start, seven words, end
    torch.testing.assert_close(vocabulary.token_ids[vocabulary.tokens], official[:, :width].long())
    assert (official[:, width:] == 0).all()
    assert torch.equal(vocabulary.tokens.argmax(dim=1), official.argmax(dim=1)), "captions are read out at the end mark"
    assert vocabulary.token_ids[UNKNOWN] == 0


def test_unknown_words_spare_marks_and_the_original():
    tokens = ReducedVocabulary(TEXTS).tokens.repeat(400, 1)
    before = tokens.clone()
    holed = _with_unknown(tokens, torch.Generator().manual_seed(0))
    assert torch.equal(tokens, before)
    changed = holed != tokens
    assert (holed[changed] == UNKNOWN).all()
    words = (tokens != tokens.max()) & (tokens != tokens[0, 0]) & (tokens != 0)
    assert not changed[~words].any()
    assert 0.04 < changed[words].float().mean() < 0.06  # a tenth of the words of half of the captions


def test_training_lowers_the_loss_and_leaves_the_visual_tower_alone():
    book = CaptionBook()
    rows = np.flatnonzero((book.attributes[:, 0] < 12) & (book.attributes[:, 2] == UNSAID))[::8]
    vocabulary = ReducedVocabulary([book.captions[row].text for row in rows])
    torch.manual_seed(0)
    model = _new_model(vocabulary)
    visual = {key: value.clone() for key, value in model.visual.state_dict().items()}
    losses = train_text_tower(
        model, vocabulary.tokens, book.attributes[rows], steps=25, generator=torch.Generator().manual_seed(0)
    )
    assert len(losses) == 25
    assert losses[-1] < 0.6 * losses[0]
    torch.testing.assert_close(model.visual.state_dict(), visual)
    assert (model.token_embedding.weight[UNKNOWN] == 0).all()
    norms = encode_text(model, vocabulary.tokens[:5]).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(5))
