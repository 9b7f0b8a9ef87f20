import matplotlib
import pytest

from experiments.results.figures.style import COLOURS, new_figure, say_nothing_to_draw, shorten, style_of, styled
from tests.experiments.results.figures.drawn import check_print, texts


def test_methods_are_told_apart_without_colour() -> None:
    styles = [style_of(number) for number in range(28)]
    assert len({(style.marker, str(style.linestyle)) for style in styles}) == 28
    assert len(set(styles)) == 28 and len(set(COLOURS)) == 7


@pytest.mark.parametrize(
    ("name", "length", "short"),
    [
        ("cat", 26, "cat"),
        ("a\n b", 26, "a b"),
        ("2012 BMW M3 coupe", 17, "2012 BMW M3 coupe"),
        ("2012 BMW M3 coupe", 10, "2012 B…upe"),
        ("日本語の長いクラス名前です", 7, "日本語の…です"),
    ],
)
def test_shorten_keeps_both_ends(name: str, length: int, short: str) -> None:
    assert shorten(name, length) == short and len(short) <= length


def test_own_settings_of_a_user_change_nothing_and_stay() -> None:
    @styled
    def size() -> object:
        return matplotlib.rcParams["font.size"]

    with matplotlib.rc_context({"font.size": 30.0}):
        assert size() == 8.0
        assert matplotlib.rcParams["font.size"] == 30.0


def test_an_empty_panel_says_why() -> None:
    figure = new_figure(3, 2)
    say_nothing_to_draw(figure.subplots(), "no runs")
    assert texts(figure) == ["no runs"]
    check_print(figure)
