import math
import re

import numpy as np
import pytest

from experiments.results.averages import ELEVEN
from experiments.results.figures.accuracy import TITLES, Curve, Panel, accuracy_figure
from tests.experiments.results.figures.drawn import check_print, grid_of, points, texts, visible

SHOTS = [1, 2, 4, 8, 16]


def panel(dataset: str, base: float = 50.0) -> Panel:
    curves = [
        Curve(name, SHOTS, [base + step + 3 * k for k in range(5)], [1.0] * 5)
        for step, name in enumerate(("AMU (rn50)", "RAFT (rn50)", "LinearProbe (rn50)"))
    ]
    published = Curve("AMU-Tuning", SHOTS, [base + 4 * k for k in range(5)], published=True)
    return Panel(dataset, [*curves, published], base - 1)


def test_the_usual_grid() -> None:
    figure = accuracy_figure([panel(name) for name in ["average", *ELEVEN[::-1]]])
    axes = visible(figure)
    assert [axis.get_title() for axis in axes] == ["average", *TITLES.values()]
    assert [axis.get_title() for axis in axes][1:4] == ["ImageNet", "Caltech101", "OxfordPets"]
    assert grid_of(figure) == (3, 4)
    assert "AMU-Tuning (published)" in texts(figure) and "bars: standard deviation" in texts(figure)
    check_print(figure)


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (5, (2, 3)), (13, (4, 4))])
def test_smaller_and_larger_grids(count: int, shape: tuple[int, int]) -> None:
    figure = accuracy_figure([panel(f"set {number:02d}") for number in range(count)])
    assert grid_of(figure) == shape and len(visible(figure)) == count
    check_print(figure)


def test_points_are_where_they_belong() -> None:
    curve = Curve("AMU", [16, 1, 4], [90.0, 70.0, math.nan], [1.0, None, 2.0])
    figure = accuracy_figure([Panel("digits", [curve], 60.0)])
    [axis] = visible(figure)
    assert axis.get_title() == "digits" and axis.get_ylabel() == "accuracy (%)"
    assert [[1, 70.0], [16, 90.0]] in [np.asarray(line.get_xydata()).tolist() for line in axis.get_lines()]
    assert points(figure, "*") == [(0, 0.0, 60.0)]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "1", "16"]
    check_print(figure)


def test_equal_steps_from_no_shot_to_one_and_from_one_to_two() -> None:
    figure = accuracy_figure([panel("digits")])
    places = figure.axes[0].transData.transform([(shots, 50.0) for shots in (0, 1, 2, 4)])[:, 0]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1]) == pytest.approx(places[3] - places[2])


def test_one_shot_only_and_several_backbones() -> None:
    curves = [Curve("AMU", [16], [92.0], oracle=True), Curve("RAFT", [16], [91.0])]
    figure = accuracy_figure([Panel("digits", curves, {"zero-shot (a)": 60.0, "zero-shot (b)": math.nan})])
    assert {"AMU†", "RAFT", "zero-shot (a)"} <= set(texts(figure)) and "zero-shot (b)" not in texts(figure)
    assert "† chosen with the help of test labels" in texts(figure)  # no bars, so nothing is said of them
    check_print(figure)


@pytest.mark.parametrize("curves", [[], [Curve("AMU", [1], [math.nan])], [Curve("AMU", [1], [None])]])
def test_what_is_not_there_is_said(curves: list[Curve]) -> None:
    figure = accuracy_figure([Panel("digits", curves), Panel("average", [])])
    assert "no finished run" in texts(figure) and any("no number of shots" in text for text in texts(figure))
    check_print(figure)
    assert texts(accuracy_figure([])) == ["no runs to draw"]


def test_an_average_over_others_than_the_eleven_says_so() -> None:
    figure = accuracy_figure([panel(name) for name in ("average", "dtd", "digits")])
    assert visible(figure)[0].get_title() == "average of 2 data sets\n(not the papers' eleven)"
    check_print(figure)
    others = accuracy_figure(
        [panel(name) for name in ("average", "digits", *ELEVEN[1:])]
    )  # eleven, but not the field's
    assert visible(others)[0].get_title().startswith("average of 11 data sets\n(not")


def test_curves_without_points_have_no_entry() -> None:
    curves = [Curve("AMU", [1], [50.0]), Curve("RAFT", [1], [None], oracle=True), Curve("Other", [], [])]
    figure = accuracy_figure([Panel("digits", curves)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["AMU"]
    assert not any("test labels" in text for text in texts(figure))
    check_print(figure)


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (Curve("AMU", [1, 2], [50.0]), "'AMU' has 2 shots, 1 accuracies and 2 spreads"),
        (Curve("AMU", [1], [50.0], [1.0, 2.0]), "1 accuracies and 2 spreads"),
        (Curve("AMU", [-1], [50.0]), "'AMU' has -1 shots; 0 or more are wanted"),
    ],
)
def test_what_does_not_fit_is_refused(curve: Curve, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        accuracy_figure([Panel("digits", [curve])])
