import pytest
from matplotlib.lines import Line2D

from experiments.results.figures.legend import add_legend_below
from experiments.results.figures.style import COLUMN_WIDTH, PAGE_WIDTH, new_figure, styled
from tests.experiments.results.figures.drawn import check_print, texts

LONG = (
    "AMU [selected_on=none, oracle=False, validation=min(shots, 4), LAMBDA={}, OPTIM.LR=0.001, OPTIM.EPOCH=50] (rn50)"
)


@pytest.mark.parametrize("width", [COLUMN_WIDTH, PAGE_WIDTH])
@pytest.mark.parametrize("labels", [["AMU", "RAFT"], [LONG.format(n) for n in range(30)], ["W" * 90, "zero-shot"]])
@styled
def test_panels_keep_their_room(width: float, labels: list[str]) -> None:
    figure = new_figure(width, 2.0)
    axes = figure.subplots()
    add_legend_below(figure, [Line2D([], [], label=label) for label in labels], ["bars: ci95", "† " + "x" * 40])
    check_print(figure)
    [legend] = figure.legends
    box = legend.get_window_extent()
    assert box.width <= figure.bbox.width and box.y1 <= axes.get_tightbbox().y0  # type: ignore[union-attr]
    assert axes.bbox.height / figure.dpi > 1.3
    assert len({text.get_text() for text in legend.get_texts()}) == len(labels)


@styled
def test_short_labels_share_rows() -> None:
    figure = new_figure(PAGE_WIDTH, 2.0)
    figure.subplots()
    add_legend_below(figure, [Line2D([], [], label=name) for name in ("AMU", "RAFT", "CLIP")])
    assert len({round(text.get_window_extent().y1) for text in figure.legends[0].get_texts()}) == 1


def test_no_entries_no_legend() -> None:
    figure = new_figure(2.0, 2.0)
    add_legend_below(figure, [], ["bars"])
    assert not figure.legends and figure.get_figheight() == 2.0 and texts(figure) == []
