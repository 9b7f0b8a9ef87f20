import numpy as np
import pytest

from experiments.results.figures.reliability import reliability_figure
from tests.experiments.results.figures.drawn import check_print, texts, visible


def test_zero_shot_beside_adapted() -> None:
    methods = {"zero-shot": ([0.95, 0.95], [True, False]), "AMU": ([1.0, 1.0], [True, True])}
    figure = reliability_figure(methods)
    assert {"zero-shot: ECE 45.0 %", "AMU: ECE 0.0 %", "confidence", "accuracy", "images (%)"} <= set(texts(figure))
    upper = visible(figure)[0]
    heights = [patch.get_height() for patch in upper.patches]  # type: ignore[attr-defined]
    assert heights == pytest.approx([0.5, 0.45])  # accuracy, then the way to the mean confidence
    check_print(figure)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_several_methods(count: int) -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(200)
    figure = reliability_figure(
        {f"method {number}": (confidence, rng.random(200) < confidence) for number in range(count)}
    )
    assert len(visible(figure)) == 2 * count
    check_print(figure)


def test_nothing_is_said_to_be_nothing() -> None:
    figure = reliability_figure({"AMU": ([], [])})
    assert texts(figure).count("no images") == 1 and len(visible(figure)) == 1
    check_print(figure)
    assert "no predictions" in texts(reliability_figure({}))
    check_print(reliability_figure({}))


def test_bad_confidences_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2"):
        reliability_figure({"AMU": ([2.0], [True])})


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_bars_stand_above_their_images(count: int) -> None:
    confidence = np.linspace(0.0, 1.0, 200)
    figure = reliability_figure({f"method {number}": (confidence, confidence > 0.5) for number in range(count)})
    check_print(figure)
    columns = min(count, 4)
    shown = visible(figure)
    for number in range(count):
        band, column = divmod(number, columns)
        upper, lower = (figure.axes[(2 * band + part) * columns + column] for part in (0, 1))
        assert upper in shown and lower in shown
        assert (upper.bbox.x0, upper.bbox.x1) == pytest.approx((lower.bbox.x0, lower.bbox.x1), abs=1e-6)
        assert 0.8 < upper.bbox.height / upper.bbox.width < 1.25
        upper.set_xlim(0, 0.5)
        assert lower.get_xlim() == (0, 0.5)


def test_long_names_of_methods_stay_apart() -> None:
    names = [
        f"AMU [selected_on={on}, oracle=False, validation=min(shots, 4)] (rn50)" for on in ("none", "test", "a", "b")
    ]
    figure = reliability_figure({name: ([0.9], [True]) for name in names})
    titles = [axes.get_title() for axes in visible(figure) if axes.get_title()]
    assert len(set(titles)) == 4 and "selected_on=none" in titles[0]
    check_print(figure)
