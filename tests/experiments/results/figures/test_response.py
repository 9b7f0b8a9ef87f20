from typing import Any

import numpy as np
import pytest

from experiments.results.figures.response import response_figure
from tests.experiments.results.figures.drawn import check_print, points, texts, visible

AXES: dict[str, list[Any]] = {
    "fusion_alpha": [0.5, 1.0, 2.0, 4.0],
    "power": [0.0, 0.4, 0.8],
    "uncertainty": ["kurtosis", "none"],
    "lambda": [0.1 * number for number in range(3)],
}


def tuning(*names: str, chosen: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    axes = {name: AXES[name] for name in names}
    shape = tuple(map(len, axes.values()))
    accuracy = np.arange(np.prod(shape), dtype=float).reshape(shape).tolist()
    return {"on": "validation", "method": "AMU", "axes": axes, "accuracy": accuracy, "chosen": chosen or {}} | changes


def test_one_setting_is_a_line() -> None:
    figure = response_figure(tuning("fusion_alpha", chosen={"fusion_alpha": 2.0}, method="RAFT"))
    assert points(figure, "*") == [(0, 2.0, 2.0)]
    assert {"RAFT: chosen fusion_alpha 2", "validation accuracy (%)", "fusion_alpha"} <= set(texts(figure))
    check_print(figure)


def test_a_setting_of_names_is_a_row_of_points() -> None:
    figure = response_figure(tuning("uncertainty", chosen={"uncertainty": "none"}))
    assert points(figure, "*") == [(0, 1.0, 1.0)] and {"kurtosis", "none"} <= set(texts(figure))
    check_print(figure)


def test_two_settings_are_a_map_with_the_chosen_point() -> None:
    figure = response_figure(tuning("fusion_alpha", "power", chosen={"fusion_alpha": 4.0, "power": 0.4}))
    assert points(figure, "*") == [(0, 1.0, 3.0)]
    image = figure.axes[0].images[0].get_array()
    assert image is not None and np.asarray(image).tolist() == np.arange(12.0).reshape(4, 3).tolist()
    check_print(figure)


def test_more_settings_are_slices_and_one_of_them_has_the_star() -> None:
    names = ("uncertainty", "fusion_alpha", "lambda", "power")
    chosen = {"uncertainty": "none", "fusion_alpha": 1.0, "lambda": 0.2, "power": 0.4}
    figure = response_figure(tuning(*names, chosen=chosen))
    # the map is of fusion_alpha and lambda, the longest; slices: uncertainty x power, the fifth is (none, 0.4)
    assert points(figure, "*") == [(4, 2.0, 1.0)]
    assert visible(figure)[4].get_title() == "uncertainty none\npower 0.4"
    check_print(figure)


def test_a_choice_beside_the_grid_is_named_but_not_marked() -> None:
    figure = response_figure(tuning("fusion_alpha", "power", chosen={"fusion_alpha": 3.0, "power": 0.4}))
    assert points(figure, "*") == [] and "AMU: chosen fusion_alpha 3, power 0.4" in texts(figure)


def test_too_many_slices_are_counted() -> None:
    axes = {"a": [0, 1, 2], "b": [0, 1, 2], "c": list(range(2)), "d": list(range(2)), "e": list(range(2)), "f": [0, 1]}
    accuracy = np.arange(144.0).reshape(3, 3, 2, 2, 2, 2).tolist()
    worst = {"a": 0, "b": 0, "c": 0, "d": 0, "e": 0, "f": 0}
    figure = response_figure({"axes": axes, "accuracy": accuracy, "method": "AMU", "chosen": worst})
    assert points(figure, "*") == [(0, 0.0, 0.0)]  # the map with the chosen point is always shown
    assert "the 12 maps with the best accuracies or the chosen point; 4 others are not shown" in texts(figure)
    check_print(figure)


def test_test_labels_carry_a_dagger_and_gaps_are_grey() -> None:
    accuracy = [[1.0, None, 3.0]] * 4
    figure = response_figure(tuning("fusion_alpha", "power", on="test", accuracy=accuracy))
    assert "test accuracy (%) † chosen on test labels; grey: none" in texts(figure)
    check_print(figure)


@pytest.mark.parametrize("empty", [{}, {"axes": {}, "accuracy": []}, {"axes": {"a": [1]}, "accuracy": [None]}])
def test_nothing_tuned(empty: dict[str, Any]) -> None:
    figure = response_figure(empty)
    assert texts(figure) == ["nothing was tuned"]
    check_print(figure)


@pytest.mark.parametrize("accuracy", [[1.0, 2.0], [[1.0, 2.0], [3.0]], "high", [[1.0] * 4] * 3])
def test_accuracies_of_another_shape_are_refused(accuracy: Any) -> None:
    with pytest.raises(ValueError, match=r"shape of its axes, fusion_alpha \(4\) x power \(3\)"):
        response_figure(tuning("fusion_alpha", "power", accuracy=accuracy))
