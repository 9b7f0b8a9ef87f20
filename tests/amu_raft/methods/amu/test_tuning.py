from dataclasses import replace
from typing import Any

import pytest
import torch

from amu_raft.methods.amu import AMUSettings
from amu_raft.methods.amu.fusion import fuse_logits
from amu_raft.methods.amu.tuning import (
    FusionGrid,
    FusionSettings,
    check_tuning,
    configured_fusion,
    fusion_accuracies,
    fusion_grid,
    read_grid,
    read_loss_weights,
    tune_fusion,
    tune_loss_weight,
    with_loss_weights,
)
from amu_raft.methods.selection import Tuning, accuracy_percent
from amu_raft.methods.settings import SettingError, settings_of

DEFAULT = FusionSettings(2.0, "kurtosis", 0.4)


def grid_of(**changes: Any) -> FusionGrid:
    values: dict[str, Any] = {"alpha_factors": [0.0, 0.5, 3.0], "kinds": ["none"], "powers": [0.8]} | changes
    return fusion_grid(DEFAULT, **values)


def test_the_grid_holds_the_default() -> None:
    grid = grid_of()
    assert grid == ([0.0, 1.0, 2.0, 6.0], ["none", "kurtosis"], [0.4, 0.8])
    assert grid.place_of(DEFAULT) == (2, 1, 0)


def test_every_cell_is_the_accuracy_of_that_fusion() -> None:
    torch.manual_seed(0)
    zero_shot, aux, labels = 5 * torch.randn(40, 6), torch.randn(40, 6), torch.randint(6, (40,))
    grid = grid_of()
    found = fusion_accuracies(zero_shot, aux, labels, grid)
    assert found.shape == (4, 2, 2) and len(found.unique()) > 3
    for a, alpha in enumerate(grid.fusion_alpha):
        for k, kind in enumerate(grid.uncertainty):
            for p, power in enumerate(grid.uncertainty_power):
                fused = fuse_logits(zero_shot, aux, fusion_alpha=alpha, kind=kind, power=power)
                assert found[a, k, p] == accuracy_percent(fused, labels)
    assert (found[0] == accuracy_percent(zero_shot, labels)).all()  # alpha 0 is zero-shot CLIP


def test_an_alpha_that_is_clearly_better_is_chosen() -> None:
    # CLIP is wrong by two logits on 30 of 40 images, and the auxiliary logits are right by one on all.
    labels = torch.zeros(40, dtype=torch.long)
    zero_shot = torch.tensor([[0.0, 2.0]] * 30 + [[2.0, 0.0]] * 10)
    aux = torch.tensor([[1.0, 0.0]] * 40)
    settings = AMUSettings(fusion_alpha=1.0, tune_alphas="2, 4, 8", tune_uncertainties="kurtosis", tune_powers="0.4")
    tuning = tune_fusion(settings, zero_shot, aux, labels)  # two classes: kurtosis 1, so the weight is 1
    assert tuning.accuracies.flatten().tolist() == [25.0, 100.0, 100.0, 100.0]  # at alpha 2 a tie, which is class 0
    assert tuning.axes["fusion_alpha"] == [1.0, 2.0, 4.0, 8.0] and tuning.num_images == 40
    assert tuning.chosen == {"fusion_alpha": 2.0, "uncertainty": "kurtosis", "uncertainty_power": 0.4}
    from_two = tune_fusion(replace(settings, fusion_alpha=2.0, tune_alphas="0.5, 2, 4"), zero_shot, aux, labels)
    assert from_two.axes == tuning.axes and from_two.chosen["fusion_alpha"] == 2.0


def test_lambda_follows_the_same_rule() -> None:
    assert tune_loss_weight([0.1, 0.35, 0.9], [70.0, 60.0, 62.0], 10, 0.35) == 0.35
    assert tune_loss_weight([0.1, 0.35, 0.9], [70.0, 60.0, 62.0], 1000, 0.35) == 0.1


def test_lambda_comes_in_front() -> None:
    grid = grid_of()
    surfaces = [torch.full((4, 2, 2), value, dtype=torch.float64) for value in (10.0, 20.0)]
    final = torch.full((4, 2, 2), 30.0, dtype=torch.float64)
    tuning = Tuning(grid._asdict(), final, grid.place_of(DEFAULT), 9, "the default")
    found = with_loss_weights(tuning, [0.3, 0.6], surfaces, 0.6)
    assert list(found.axes) == ["loss_lambda", "fusion_alpha", "uncertainty", "uncertainty_power"]
    assert found.chosen == {"loss_lambda": 0.6, **DEFAULT._asdict()} and found.accuracy == 30.0
    assert found.accuracies.shape == (2, 4, 2, 2)
    assert found.accuracies[0].unique().tolist() == [10.0]  # of the model that was trained with the other value
    assert found.num_images == 9 and found.rule.startswith("loss_lambda first") and found.rule.endswith("the default")


def test_a_default_outside_the_grid_is_a_defect() -> None:
    with pytest.raises(ValueError, match="not in list"):
        grid_of().place_of(FusionSettings(1.5, "kurtosis", 0.4))


# -------------------------------------------------------------------------------------------------------- the settings


def test_the_settings_say_what_is_tried() -> None:
    settings = AMUSettings(fusion_alpha=4.0, tune_alphas="0, 2", tune_uncertainties="none,max", tune_powers="0.8")
    assert configured_fusion(settings) == FusionSettings(4.0, "kurtosis", 0.4)
    assert read_grid(settings) == ([0.0, 4.0, 8.0], ["none", "max", "kurtosis"], [0.4, 0.8])
    assert read_loss_weights(replace(settings, tune_lambdas="1, 0")) == [0.0, 0.35, 1.0]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tune_alphas", "1, two", "is a list of numbers"),
        ("tune_alphas", "", "is a list of numbers"),
        ("tune_powers", "-1", "has -1.0; numbers from 0 to inf are accepted"),
        ("tune_lambdas", "0.5, 1.5", "has 1.5; numbers from 0 to 1 are accepted"),
        ("tune_uncertainties", "none, best", "has 'best'; accepted are kurtosis, moment"),
    ],
)
def test_what_cannot_be_tuned(name: str, value: str, message: str) -> None:
    check_tuning(AMUSettings(), 8)
    with pytest.raises(SettingError) as caught:
        check_tuning(settings_of(AMUSettings, {name: value}), 8)
    assert caught.value.name == name and message in caught.value.reason


def test_lambda_needs_cached_views() -> None:
    check_tuning(AMUSettings(tune="post_hoc"), None)
    with pytest.raises(SettingError, match=r'"all" trains once .* set TRAIN.VIEWS to a number.* or choose "post_hoc"'):
        check_tuning(AMUSettings(tune="all"), None)
