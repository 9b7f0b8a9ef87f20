"""What a method gets from the contract without a line of its own."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from amu_raft.backbones.precision import Precision
from amu_raft.methods import Branches, Features, Method, MethodSettings, Recipe, Task, one_of, unit
from amu_raft.methods.known_classes import KnownClasses, match_classes
from amu_raft.methods.recipe import TINY
from amu_raft.methods.schedules import cosine_table
from amu_raft.methods.selection import Tuning

TEXTS = torch.eye(4)[:, :3]  # D = 4, C = 3
FEATURES = {"clip": torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]])}
ZERO_SHOT = torch.tensor([[6.0, 8.0, 0.0], [0.0, 0.0, 10.0]])


def task_of(columns: Tensor = TEXTS) -> Task:
    return Task(columns, 10.0, {"clip": len(columns), "aux": 5}, Precision("fp32"))


class Plain(Method):
    """Nothing but what must be written."""

    learns = "nothing"
    decides = "zero_shot"

    def branches(self, features: Features) -> Branches:
        return {"zero_shot": self.zero_shot(features)}


@dataclass(frozen=True)
class CacheSettings(MethodSettings):
    alpha: float = 2.0
    form: str = "sum"
    tune: str = "post_hoc"

    def __post_init__(self) -> None:
        one_of(self, "form", ("sum", "mean"))


class Cache(Method):
    """A little of everything that the contract knows."""

    Settings = CacheSettings
    learns = "closed_form"
    tensors = {"keys": "N D", "values": "N C"}  # noqa: RUF012  nobody changes it
    chosen = ("alpha", "form")

    keys: Tensor
    values: Tensor

    def branches(self, features: Features) -> Branches:
        zero_shot = self.zero_shot(features)
        votes = self.spread(unit(features) @ self.keys.t().float() @ self.values.float())
        return {"zero_shot": zero_shot, "adapted": zero_shot + self.choices["alpha"] * votes}


KEYS, VALUES = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1.0, 0]]), torch.tensor([[1.0, 0, 0], [0, 0, 0.5]])
CHOICES: dict[str, Any] = {"alpha": 2.0, "form": "sum", "known": None}


def loaded(columns: Tensor = TEXTS, *, tensors: Any = None, **choices: Any) -> Method:
    content = {"keys": KEYS, "values": VALUES} | (tensors or {})
    return Cache.from_folder(task_of(columns), content, CHOICES | choices)


# ----------------------------------------------------------------------------------------------------------- defaults


def test_a_method_is_its_branches() -> None:
    method = Plain(MethodSettings(), task_of())
    assert method.recipe == Recipe() and not method.chosen and method.reads == ("clip",)
    assert (method.num_classes, method.num_known, method.known) == (3, 3, None)
    branches = method.branches(FEATURES)
    torch.testing.assert_close(branches["zero_shot"], ZERO_SHOT)
    assert method.decide(branches) is branches["zero_shot"]
    assert method.trained is method and not method.state_dict()  # the texts are not learned
    assert method.text_columns is not None and not list(method.parameters())
    nothing: list[Any] = [method.numbers(branches), method.columns(branches), method.attention(FEATURES)]
    nothing += [method.texts(), method.facts(), method.protocol(), method.kept_choices()]
    assert nothing == [{}] * 7
    assert not method.chooses and not method.chosen_before and not method.bound_to_classes()


def test_what_a_method_need_not_have() -> None:
    method: Any = Plain(MethodSettings(), task_of())
    Plain.check(MethodSettings(), Recipe(), "RN50")
    method.prepare()
    method.start(None)
    assert method.choose(None) is None and method.choose_by_training(None, None) == ""
    with pytest.raises(NotImplementedError, match="Plain is not trained by gradient"):
        method.loss(FEATURES, torch.tensor([0, 2]))
    for call in (lambda: Plain.read_released(Path("x"), None, None), lambda: Plain.write_released({}, Path("x"))):
        with pytest.raises(ValueError, match=r"^Plain has no published form$"):
            call()


def test_rates_are_half_a_cosine() -> None:
    assert Plain(MethodSettings(), task_of()).rates(Recipe(lr=0.2, epochs=3), 5) == cosine_table(0.2, total_steps=15)


def test_a_recipe_for_every_backbone() -> None:
    class Trained(Plain):
        recipe = Recipe(lr=0.2, crop_scale=(0.1, 1.0))
        recipes = {"RN50x4": Recipe(lr=0.3)}  # noqa: RUF012  nobody changes it

    assert Trained.recipe_for("RN50") == Trained.recipe == Trained.recipe_for("my/clip.pt")
    assert Trained.recipe_for("RN50x4").lr == 0.3
    assert Trained.recipe_for("tiny") == Trained.recipe.changed(**TINY)
    Trained.recipes["tiny"] = Recipe(lr=0.4)
    assert Trained.recipe_for("tiny") == Recipe(lr=0.4)


def test_branches_must_be_written() -> None:
    class Unfinished(Method):
        pass

    with pytest.raises(TypeError, match=r"abstract method '?branches"):
        Unfinished(MethodSettings(), task_of())  # type: ignore[abstract]


def test_the_decision_is_explained_by_its_difference_from_zero_shot_clip() -> None:
    method = loaded()
    branches = method.branches(FEATURES)
    found = method.explain(FEATURES, branches)
    assert list(found.parts) == ["zero-shot logit", "added by Cache", "sum"] and not found.maps
    zero_shot, added, total = found.parts.values()
    torch.testing.assert_close(zero_shot, ZERO_SHOT)
    torch.testing.assert_close(added, torch.tensor([[1.2, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert total is branches["adapted"]
    plain = Plain(MethodSettings(), task_of())
    assert list(plain.explain(FEATURES, plain.branches(FEATURES)).parts) == ["zero-shot logit"]


def test_logits_are_spread_over_the_classes_of_the_task() -> None:
    method, logits = loaded(), torch.tensor([[1.0, 2.0, 3.0]])
    assert method.spread(logits) is logits
    method.known = match_classes("abc", "xca")
    assert method.spread(logits).tolist() == [[0.0, 3.0, 1.0]] and method.num_known == 2
    method.known = match_classes("abc", "xyz")
    assert method.spread(logits).tolist() == [[0.0, 0.0, 0.0]] and method.num_known == 0


def test_features_are_brought_to_length_1_in_float32() -> None:
    found = unit({"aux": torch.tensor([[3.0, 4.0]]).half()}, "aux")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8]]), rtol=1e-3, atol=0)


# ------------------------------------------------------------------------------------------------- what is learned


def test_tensors_are_made_by_their_letters() -> None:
    class Letters(Plain):
        tensors = {"a": "C F", "b": "N D", "c": "C"}  # noqa: RUF012  nobody changes it

    method = Letters(MethodSettings(), task_of())
    assert {name: tuple(value.shape) for name, value in method.state_dict().items()} == {
        "a": (3, 5),
        "b": (0, 4),
        "c": (3,),
    }
    assert Letters.bound_to_classes() and not Plain.bound_to_classes()
    with pytest.raises(ValueError, match=r"c has shape \(2,\); \(C\) = \(3,\) is wanted"):
        method.load_state_dict({"a": torch.ones(3, 5), "b": torch.ones(7, 4), "c": torch.ones(2)})
        method.sizes()


def test_a_model_takes_the_sizes_of_what_it_loads() -> None:
    method = Cache(CacheSettings(), task_of())
    method.load_state_dict({"keys": torch.ones(7, 4), "values": torch.ones(7, 9)})
    assert method.sizes() == {"D": 4, "F": 5, "N": 7, "C": 9}  # of nine classes of its training


# ------------------------------------------------------------------------------------------------- what is chosen


@pytest.mark.parametrize(
    ("tune", "chooses", "before"), [("post_hoc", True, False), ("off", False, False), ("kept", False, True)]
)
def test_the_setting_tune_says_whether_it_is_chosen(tune: str, chooses: bool, before: bool) -> None:
    method = Cache(CacheSettings(alpha=1.0, tune=tune), task_of())
    assert (method.chooses, method.chosen_before) == (chooses, before)
    assert method.choices == method.facts() == {"alpha": 1.0, "form": "sum"}


def test_what_was_chosen_becomes_the_choices() -> None:
    method = Cache(CacheSettings(), task_of())
    tuning = Tuning({"alpha": [0.5, 1.0], "loss_lambda": [0.1]}, torch.zeros(2, 1), (0, 0), 3, "")
    assert method.settle(tuning) is tuning and method.choices == {"alpha": 0.5, "form": "sum"}
    assert method.settle(None) is None and method.choices["alpha"] == 0.5


def test_the_settings_of_an_evaluation() -> None:
    settings = {"alpha": 2.0, "form": "sum", "tune": "post_hoc"}
    result = {"tuning": {"chosen": {"alpha": 0.5, "loss_lambda": 0.1}}}
    assert Cache.settings_for_evaluation(settings, result, same_data=True) == {"loss_lambda": 0.1}
    elsewhere = Cache.settings_for_evaluation(settings, result, same_data=False)
    assert elsewhere == {"alpha": 0.5, "loss_lambda": 0.1, "tune": "kept"}
    assert Cache.settings_for_evaluation(settings, {"accuracy": 3.0}, same_data=False) == {"tune": "off"}
    for same_data in (True, False):
        assert Cache.settings_for_evaluation(settings, {}, same_data=same_data) == {"tune": "off"}
        for tune in ("off", "kept"):
            assert Cache.settings_for_evaluation(settings | {"tune": tune}, result, same_data=same_data) == {}
    assert Plain.settings_for_evaluation({}, result, same_data=False) == {}


def test_nothing_is_chosen_for_released_weights() -> None:
    assert Cache.settings_of_released() == {"tune": "off"} and Plain.settings_of_released() == {}


# --------------------------------------------------------------------------------------------------- the model folder


def test_a_model_folder_is_the_method_again() -> None:
    method = Cache(CacheSettings(alpha=0.5), task_of())
    method.keys, method.values = KEYS, VALUES
    method.choices["form"] = "mean"
    again = Cache.from_folder(task_of(), method.state_dict(), method.kept_choices())
    assert again.choices == {"alpha": 0.5, "form": "mean"} and not again.training and again.known is None
    for name, logits in method.branches(FEATURES).items():
        assert torch.equal(again.branches(FEATURES)[name], logits)


@dataclass(frozen=True)
class FixedSettings(MethodSettings):
    weight: float = 10.0
    aux_encoder: str = "tiny"
    tune: str = "post_hoc"


class Fixed(Plain):
    """Decides by a setting that is never chosen."""

    Settings = FixedSettings
    decides = "adapted"

    def branches(self, features: Features) -> Branches:
        return {"zero_shot": self.zero_shot(features), "adapted": self.settings.weight * self.zero_shot(features)}


def test_settings_that_are_not_the_usual_ones_are_kept() -> None:
    method = Fixed(FixedSettings(weight=50.0, aux_encoder="/home/someone/aux.pt", tune="off"), task_of())
    assert method.kept_choices() == {"settings": {"weight": 50.0}}  # no path of this machine
    again = Fixed.from_folder(task_of(), method.state_dict(), method.kept_choices())
    assert torch.equal(again.branches(FEATURES)["adapted"], 50 * ZERO_SHOT)
    assert Fixed(FixedSettings(), task_of()).kept_choices() == {}
    usual = Fixed.from_folder(task_of(), {}, {})  # folders of before
    assert torch.equal(usual.branches(FEATURES)["adapted"], 10 * ZERO_SHOT)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ([], r'"settings" of the choices must be a mapping, got'),
        ({"height": 1.0}, "unknown setting 'height'; there are weight"),
        ({"weight": "much"}, "setting weight takes a value of type float, got 'much'"),
        ({"weight": float("inf")}, "setting weight must be a finite number"),
    ],
)
def test_kept_settings_that_cannot_be(kept: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fixed.from_folder(task_of(), {}, {"settings": kept})


def test_a_model_of_other_classes_knows_where_they_stand() -> None:
    method = Cache(CacheSettings(), task_of(torch.eye(4)))
    method.keys, method.values = KEYS, VALUES
    method.known = match_classes("abc", "xcya")
    kept = method.kept_choices()
    assert kept["known"] == [[1, 3], [2, 0]]
    again = Cache.from_folder(task_of(torch.eye(4)), method.state_dict(), kept)
    assert isinstance(again.known, KnownClasses) and again.num_known == 2
    assert torch.equal(again.branches(FEATURES)["adapted"], method.branches(FEATURES)["adapted"])


def test_half_precision_stays() -> None:
    task = replace(task_of(), precision=Precision("fp16"))
    method = Cache.from_folder(task, {"keys": KEYS.half(), "values": VALUES}, CHOICES)
    assert {name: value.dtype for name, value in method.state_dict().items()} == {
        "keys": torch.float16,
        "values": torch.float32,
    }


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_other_types_are_refused_before_the_first_picture(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=rf"keys is of type {dtype}; torch.float32 is wanted"):
        loaded(tensors={"keys": KEYS.to(dtype)})


def test_what_is_loaded_is_not_trained() -> None:
    class Trained(Plain):
        def build(self, task: Task) -> None:
            self.layer = nn.Linear(2, 2)

    given = {"layer.weight": torch.ones(2, 2), "layer.bias": torch.ones(2)}
    method = Trained.from_folder(task_of(), given, {})
    assert not any(parameter.requires_grad for parameter in method.parameters()) and not method.training


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"alpha": "much"}, "setting alpha takes a value of type float, got 'much'"),
        ({"alpha": None}, "setting alpha takes a value of type float, got 'None'"),
        ({"alpha": True}, "setting alpha takes a value of type float, got 'True'"),
        ({"alpha": float("nan")}, "setting alpha must be a finite number, got nan"),
        ({"alpha": 10**400}, "setting alpha must be a finite number, got 1000"),
        ({"form": 3}, "setting form takes a value of type str, got '3'"),
        ({"form": "max"}, "setting form is 'max'; choose from sum, mean"),
        ({"beta": 1.0}, "Cache has no choice 'beta'"),
        ({"tune": "kept"}, "Cache has no choice 'tune'"),
        ({"known": [[0], [2]]}, None),
        ({"known": [[0], [3]]}, '"known" does not match 3 rows of the model to 3 classes'),
        ({"known": "all"}, '"known" must be null or two lists of whole numbers, got all'),
    ],
)
def test_choices_that_cannot_be(choices: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert loaded(**choices).num_known == 1
        return
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        loaded(**choices)
    assert "\n" not in str(caught.value)


def test_a_choice_that_is_missing() -> None:
    for name in ("alpha", "form"):
        given = {key: value for key, value in CHOICES.items() if key != name}
        with pytest.raises(ValueError, match=f'^choice "{name}" is missing$'):
            Cache.from_folder(task_of(), {"keys": KEYS, "values": VALUES}, given)
    with pytest.raises(ValueError, match=r"^Plain has no choice 'known'$"):  # no tensor of it has rows for classes
        Plain.from_folder(task_of(), {}, {"known": None})


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"keys": torch.ones(2, 5)}, "keys has shape (2, 5); (N, D) = (2, 4) is wanted"),
        ({"keys": torch.ones(3, 4)}, "values has shape (2, 3); (N, C) = (3, 3) is wanted"),
        ({"values": torch.ones(2, 4)}, "the model has 4 rows for 3 classes"),
        ({"keys": torch.ones(4)}, "size mismatch for keys"),
        ({"values": torch.ones(2, 3, 1)}, "size mismatch for values"),
        ({"bias": torch.ones(3)}, 'Unexpected key(s) in state_dict: "bias"'),
    ],
)
def test_tensors_that_do_not_fit(tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        loaded(tensors=tensors)
    assert "\n" not in str(caught.value)


def test_a_tensor_that_is_missing() -> None:
    with pytest.raises(ValueError, match=r'Missing key\(s\) in state_dict: "values"') as caught:
        Cache.from_folder(task_of(), {"keys": KEYS}, CHOICES)
    assert "\n" not in str(caught.value)
