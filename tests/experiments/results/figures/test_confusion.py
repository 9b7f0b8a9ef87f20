import numpy as np
import pytest

from experiments.results.figures.confusion import confusion_figure, confusion_matrix, shares_of_rows
from tests.experiments.results.figures.drawn import check_print, texts


def test_counts_and_shares_by_hand() -> None:
    counts = confusion_matrix([0, 0, 0, 2], [0, 1, 1, 2], 3)
    assert counts.tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]
    shares = shares_of_rows(counts)
    assert (
        shares[[0, 2]] == pytest.approx(np.array([[100 / 3, 200 / 3, 0], [0, 0, 100.0]])) and np.isnan(shares[1]).all()
    )


def test_a_small_matrix_has_names_and_numbers() -> None:
    figure = confusion_figure([0, 0, 0, 2], [0, 1, 1, 2], ["Ñandú", "US$ 5 or $ 10", "猫"], title="AMU")
    assert {"Ñandú", "US$ 5 or $ 10", "猫", "33", "67", "100", "AMU", "true class"} <= set(texts(figure))
    assert "share of the class's images (%); grey: no images" in texts(figure)
    check_print(figure)


@pytest.mark.parametrize("classes", [1, 15, 16, 40])
def test_a_matrix_with_a_name_per_row(classes: int) -> None:
    labels = np.arange(classes).repeat(2)
    figure = confusion_figure(labels, labels[::-1], [f"a class with a rather long name, {n}" for n in range(classes)])
    assert len(figure.axes[0].get_yticklabels()) == classes
    assert ("100" in [text.get_text() for text in figure.axes[0].texts]) == (classes <= 15)
    check_print(figure)


@pytest.mark.parametrize("classes", [41, 100, 1000])
def test_many_classes_show_the_pairs_confused_most(classes: int) -> None:
    labels = np.arange(classes).repeat(4)
    predicted = labels.copy()
    predicted[labels == 7] = [9, 9, 9, 7]
    predicted[labels == 8] = [3, 8, 8, 8]
    names = [f"class {number} with a long name of its own" for number in range(classes)]
    figure = confusion_figure(labels, predicted, names)
    pairs = figure.axes[0]
    assert [label.get_text().count("→") for label in pairs.get_yticklabels()] == [1, 1]
    assert [label.get_text()[:7] for label in pairs.get_yticklabels()] == ["class 7", "class 8"]
    assert {"3 of 4", "1 of 4"} <= set(texts(figure))
    image = figure.axes[1].images[0].get_array()
    assert image is not None and image.shape[0] == -(-classes // -(-classes // 50))
    check_print(figure)


def test_no_confusion_and_no_images() -> None:
    labels = np.arange(50)
    figure = confusion_figure(labels, labels, list(map(str, labels)))
    assert "no class is taken for another" in texts(figure)
    check_print(figure)
    assert texts(confusion_figure([], [], ["a"])) == ["no evaluated images,\nso no confusion matrix"]


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [([0, 1], [0], r"\(2,\) and \(1,\)"), ([0], [2], "prediction 2 is none of the 2")],
)
def test_what_is_refused(labels: list[int], predicted: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion_figure(labels, predicted, ["a", "b"])
