import pytest
import torch

import amu_raft.prediction.session
from amu_raft.images.pixels import scaled
from amu_raft.model.few_shot_model import Scores
from amu_raft.model.model_folder import LoadedModel
from amu_raft.prediction.session import NOT_FINITE, choose_device, rank, score
from tests.model_folders import small_model


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return LoadedModel(*small_model("RAFT", names=["bear", "red_fox", "sea lion"]))


SQUARES = torch.randint(0, 256, (7, 64, 64, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def test_parts_of_a_batch_say_what_the_batch_says(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = loaded.model(scaled(SQUARES), explain=True).tensors()
    monkeypatch.setattr(amu_raft.prediction.session, "part_for_cpu", lambda pixels: 3)
    parts = score(loaded.model, SQUARES, torch.device("cpu"), explain=True).tensors()
    assert whole.keys() == parts.keys() > {"maps/class attention", "maps/background attention"}
    for name, tensor in whole.items():
        torch.testing.assert_close(tensor, parts[name], msg=name, atol=1e-4, rtol=0)


def test_the_likeliest_first(loaded: LoadedModel) -> None:
    scores = score(loaded.model, SQUARES, torch.device("cpu"))
    rows = list(rank(loaded, scores, 3))
    probabilities = loaded.model.probabilities(scores)
    for row, expected, clip in zip(rows, probabilities, scores.zero_shot.softmax(dim=1), strict=True):
        assert [guess.label for guess in row.adapted] == expected.argsort(descending=True).tolist()
        assert sum(guess.probability for guess in row.adapted) == pytest.approx(1, abs=1e-5)
        assert row.zero_shot[0].label == int(clip.argmax())
        assert all(guess.name == loaded.info.classnames[guess.label] for guess in row.adapted)
    assert [len(row.adapted) for row in rank(loaded, scores, 1)] == [1] * 7


def test_a_methods_numbers_stand_in_the_row_of_their_picture(loaded: LoadedModel) -> None:
    scores = Scores(torch.zeros(2, 3), torch.zeros(2, 3), {"weight": torch.tensor([0.25, 0.75])})
    assert [row.numbers for row in rank(loaded, scores, 1)] == [{"weight": 0.25}, {"weight": 0.75}]


@pytest.mark.parametrize("what", ["adapted", "zero_shot", "a number"])
def test_scores_that_are_no_numbers_are_errors_of_their_pictures(what: str, loaded: LoadedModel) -> None:
    scores = Scores(torch.zeros(3, 3), torch.ones(3, 3), {"a number": torch.zeros(3)})
    scores.tensors().get(what, scores.numbers["a number"])[1:2] = float("inf")
    rows = list(rank(loaded, scores, 2))
    assert [row.error for row in rows] == ["", NOT_FINITE, ""]
    assert len(rows[0].adapted) == 2 and not rows[1].adapted and not rows[1].zero_shot


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("abacus", "cuda:99", "meta"):
        with pytest.raises(ValueError, match=f"--device {name} cannot be used here: "):
            choose_device(name)
