from typing import Any

import pytest
import torch
from torch import Tensor

from amu_raft.methods.grid_search import RULES, accuracy_grid, choose_on_grid, even_steps, first_best


def test_steps_end_before_the_scale() -> None:
    assert even_steps(2.1, 4) == pytest.approx([0.1, 0.6, 1.1, 1.6])
    assert even_steps(50.0, 1) == [0.1]
    assert even_steps(1.0, 2, low=0.0) == [0.0, 0.5]


@pytest.mark.parametrize("steps", [1, 3, 20, 200])
def test_steps_are_even_and_as_many_as_asked_for(steps: int) -> None:
    found = torch.tensor(even_steps(7.0, steps), dtype=torch.float64)
    assert len(found) == steps and found[0] == 0.1 and found[-1] < 7
    torch.testing.assert_close(found.diff(), torch.full((steps - 1,), 6.9 / steps, dtype=torch.float64))


def test_a_grid_by_hand() -> None:
    labels = torch.tensor([0, 1, 1, 1])
    asked = []

    def logits_of(outer: float) -> Any:
        asked.append(outer)
        # An image goes to class 1 where its number, 0 to 3, is at least outer + inner.
        return lambda inner: torch.stack([torch.full((4,), outer + inner - 0.5), torch.arange(4.0)], dim=1)

    found = accuracy_grid(logits_of, [[0.0, 2.0], [0.0, 1.0, 2.0]], labels)
    assert found.tolist() == [[75.0, 100.0, 75.0], [75.0, 50.0, 25.0]]
    assert found.dtype == torch.float64 and asked == [0.0, 2.0]  # what depends on the outer value alone is made once


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ([[0.0, 50.0, 50.0], [50.0, 0.0, 0.0]], (0, 1)),
        ([[0.0, 0.0, 50.0], [50.0, 0.0, 0.0]], (0, 2)),  # the outer value of beta first, whatever alpha
        ([[0.0, 0.0], [0.0, 1e-9]], (1, 1)),
        ([[7.0, 7.0], [7.0, 7.0]], (0, 0)),
        ([3.0, 9.0, 9.0], (1,)),
        ([[0.0, 0.0], [0.0, 0.0]], None),
    ],
)
def test_the_first_best(table: Any, place: tuple[int, ...] | None) -> None:
    assert first_best(torch.tensor(table, dtype=torch.float64)) == place


def choose(table: Any, *, rule: str, images: int = 100, axes: Any = None, defaults: Any = (1.0, 2.0)) -> Any:
    axes = axes or [[1.0, 3.0], [2.0, 5.0]]
    return choose_on_grid(("beta", "alpha"), axes, defaults, lambda _: torch.tensor(table), images, rule)


def test_a_default_stands_where_nothing_is_better_beyond_chance() -> None:
    # 50 % of 100 images: the standard error is 5 points.
    assert choose([[50.0, 55.0], [52.0, 50.0]], rule="one_standard_error").chosen == {"beta": 1.0, "alpha": 2.0}
    assert choose([[50.0, 56.0], [52.0, 50.0]], rule="one_standard_error").chosen == {"beta": 1.0, "alpha": 5.0}
    assert choose([[50.0, 55.0], [52.0, 50.0]], rule="first_best").chosen == {"beta": 1.0, "alpha": 5.0}


def test_of_equally_good_settings_the_rules_take_others() -> None:
    table = [[10.0, 80.0], [80.0, 80.0]]
    assert choose(table, rule="first_best").place == (0, 1)
    assert choose([[10.0, 10.0], [80.0, 80.0]], rule="one_standard_error").place == (1, 0)  # one setting changed
    assert choose(table, rule="one_standard_error", defaults=(3.0, 5.0)).place == (1, 1)


def test_defaults_stand_where_nothing_is_right() -> None:
    nothing = [[0.0, 0.0], [0.0, 0.0]]
    found = choose(nothing, rule="one_standard_error", defaults=(3.0, 5.0))
    assert found.chosen == {"beta": 3.0, "alpha": 5.0}
    assert choose(nothing, rule="first_best", defaults=(3.0, 5.0)) is None  # they need not be among the tried ones


def test_the_first_best_tries_what_it_is_given_alone() -> None:
    found = choose([[1.0, 2.0], [3.0, 4.0]], rule="first_best", defaults=(7.0, 8.0))
    assert found.axes == {"beta": [1.0, 3.0], "alpha": [2.0, 5.0]}


@pytest.mark.parametrize("rule", RULES)
def test_what_is_said_of_a_choice(rule: str) -> None:
    found = choose([[50.0, 90.0], [52.0, 50.0]], rule=rule)
    assert found is not None
    assert (found.num_images, found.rule, found.accuracy) == (100, RULES[rule], 90.0)
    assert found.axes == {"beta": [1.0, 3.0], "alpha": [2.0, 5.0]}


def test_defaults_are_tried_beside_the_values() -> None:
    def right_at(axes: Any) -> Tensor:
        return torch.tensor([[100.0 * ((beta, alpha) == (2.0, 4.0)) for alpha in axes[1]] for beta in axes[0]])

    found = choose_on_grid(
        ("beta", "alpha"), [[1.0, 3.0], [5.0]], (2.0, 4.0), right_at, num_images=10, rule="one_standard_error"
    )
    assert found is not None
    assert found.axes == {"beta": [1.0, 2.0, 3.0], "alpha": [4.0, 5.0]}
    assert found.chosen == {"beta": 2.0, "alpha": 4.0} and found.accuracy == 100.0
