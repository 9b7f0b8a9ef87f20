import numpy as np
import pytest

from experiments.results.figures.class_gains import class_accuracy, class_gains_figure
from tests.experiments.results.figures.drawn import check_print, texts


def test_class_accuracy_by_hand() -> None:
    found = class_accuracy([0, 0, 1, 1, 1, 3], [0, 1, 1, 1, 0, 3], 4)
    assert found[[0, 1, 3]] == pytest.approx([50.0, 200 / 3, 100.0]) and np.isnan(found[2])


def test_bars_are_sorted_and_signed() -> None:
    labels, before = [0, 0, 1, 1, 2, 2], [1, 1, 1, 1, 2, 0]
    figure = class_gains_figure(labels, [0, 0, 1, 0, 2, 0], before, ["a", "b", "c", "d"], method="AMU")
    [axis] = figure.axes
    assert [patch.get_width() for patch in axis.patches] == [100.0, 0.0, -50.0]  # type: ignore[attr-defined]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "c", "b"]
    assert axis.get_title() == "AMU: 1 of 4 classes gain, 1 lose, 1 stay, 1 without images"
    assert {"+100.0", "0", "\N{MINUS SIGN}50.0"} <= set(texts(figure))
    check_print(figure)


@pytest.mark.parametrize("classes", [2, 40, 41, 100, 1000])
def test_many_classes(classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(classes).repeat(3)
    first, second = (np.where(rng.random(len(labels)) < p, labels, 0) for p in (0.8, 0.5))
    names = [f"Übergrößen-Straßenschild Nr. {number}, $5$ 猫" for number in range(classes)]
    figure = class_gains_figure(labels, first, second, names)
    [axis] = figure.axes
    assert len(axis.patches) == min(classes, 40)
    hidden = [text for text in texts(figure) if "more classes" in text]
    assert hidden == ([f"… {classes - 40} more classes between these …"] if classes > 40 else [])
    widths = [patch.get_width() for patch in axis.patches]  # type: ignore[attr-defined]
    assert widths == sorted(widths, reverse=True)
    check_print(figure)


def test_without_images_it_says_so() -> None:
    figure = class_gains_figure([], [], [], ["a"])
    assert texts(figure) == ["no evaluated images, so no gains per class"]
    check_print(figure)


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ([0, 1], [0], r"\(2,\) and \(1,\)"),
        ([2], [0], "label 2 is none of the 2 classes, 0 to 1"),
        ([0], [-1], "prediction -1 is none"),
    ],
)
def test_what_is_refused(labels: list[int], predicted: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_gains_figure(labels, predicted, labels, ["a", "b"])
