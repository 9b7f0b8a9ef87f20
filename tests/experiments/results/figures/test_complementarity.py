import pytest

from experiments.results.diagnostics import Complementarity
from experiments.results.figures.complementarity import complementarity_figure
from tests.experiments.results.figures.drawn import check_print, points, texts


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_point_per_encoder(count: int, seeds: int) -> None:
    encoders = [
        Complementarity(
            f"/folder/of/checkpoints/which/is/deep/encoder_{number}.pt" if number else "tiny",
            tuple(70.0 + number + seed for seed in range(seeds)),
            tuple(0.9 + 0.01 * number for _ in range(seeds)),
            tuple(0.5 for _ in range(seeds)),
            tuple(80.0 for _ in range(seeds)),
            63.4,
        )
        for number in range(count)
    ]
    figure = complementarity_figure(encoders, title="digits")
    assert {"tiny: fused 80.0 %", "zero-shot: 63.4 %", "digits"} <= set(texts(figure))
    level = 70.0 + (seeds - 1) / 2
    assert points(figure, "o") == [(0, pytest.approx(0.9), level), (1, 0.5, level)]
    check_print(figure)


def test_no_encoder() -> None:
    assert texts(complementarity_figure([])) == ["no auxiliary encoders"]
