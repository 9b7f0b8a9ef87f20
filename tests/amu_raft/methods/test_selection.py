from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from amu_raft.methods.selection import Tuning, accuracy_percent, axis_with, beyond_chance, parse_values, surface
from amu_raft.methods.settings import SettingError


def test_accuracy_by_hand() -> None:
    assert accuracy_percent(torch.tensor([[1.0, 0], [0, 1], [0, 1]]), torch.tensor([0, 0, 1])) == pytest.approx(200 / 3)
    with pytest.raises(ValueError, match="accuracy of no images is undefined"):
        accuracy_percent(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))


def test_chance_is_one_standard_error() -> None:
    # 50 % of 100 images: the standard error is 5 points.
    assert beyond_chance(torch.tensor([50.0, 55.0]), 100, (0,)) == (0,)
    assert beyond_chance(torch.tensor([50.0, 56.0]), 100, (0,)) == (1,)
    assert beyond_chance(torch.tensor([50.0, 56.0]), 25, (0,)) == (0,)


def test_one_image_is_no_evidence() -> None:
    # At 0 % or 100 % of the images the standard error is zero.
    assert beyond_chance(torch.tensor([0.0, 5.0]), 20, (0,)) == (0,)
    assert beyond_chance(torch.tensor([0.0, 10.0]), 20, (0,)) == (1,)
    assert beyond_chance(torch.tensor([100.0, 10.0]), 20, (0,)) == (0,)


def test_equally_good_settings_stay_near_the_default() -> None:
    table = torch.full((3, 4), 10.0)
    table[2, 3] = table[0, 2] = table[2, 0] = 90.0  # two settings changed; one changed by one step; by two steps
    assert beyond_chance(table, 50, (0, 3)) == (0, 2)
    table[0, 2] = 10.0
    assert beyond_chance(table, 50, (0, 3)) == (2, 3)
    table[2, 3] = 10.0
    table[1, 0] = 90.0
    assert beyond_chance(table, 50, (0, 3)) == (1, 0)


@given(
    counts=st.lists(st.integers(0, 30), min_size=2, max_size=8),
    default=st.integers(0, 7),
)
def test_the_choice_is_never_worse_than_the_default_on_its_images(counts: list[int], default: int) -> None:
    table, default = torch.tensor(counts) * 100 / 30, default % len(counts)
    (place,) = beyond_chance(table, 30, (default,))
    assert table[place] >= table[default]
    assert place == default or table[place] == table.max()


def test_no_images() -> None:
    with pytest.raises(ValueError, match="at least one image, got 0"):
        beyond_chance(torch.tensor([1.0]), 0, (0,))


def test_the_record_of_a_tuning() -> None:
    table = torch.tensor([[1.0, 2.0], [3.0, 4.5]], dtype=torch.float64)
    tuning = Tuning({"alpha": (0.5, 1.0), "kind": ["none", "max"]}, table, (1, 0), 7, "by hand")
    assert tuning.chosen == {"alpha": 1.0, "kind": "none"} and tuning.accuracy == 3.0
    assert tuning.record(on="validation", method="X") == {
        "on": "validation",
        "method": "X",
        "axes": {"alpha": [0.5, 1.0], "kind": ["none", "max"]},
        "accuracy": [[1.0, 2.0], [3.0, 4.5]],
        "chosen": {"alpha": 1.0, "kind": "none"},
        "rule": "by hand",
        "images": 7,
    }


def test_an_axis_has_the_default_once() -> None:
    assert axis_with([2.0, 1.0, 2.0], 0.5) == [0.5, 1.0, 2.0] and axis_with([1.0], 1.0) == [1.0]
    assert axis_with(["none", "max"], "kurtosis") == ["none", "max", "kurtosis"]


def test_a_surface_follows_the_order_of_the_axes() -> None:
    found = surface([[1.0, 2.0], [10.0, 20.0, 30.0]], lambda one, other: one + other)
    assert found.tolist() == [[11.0, 21.0, 31.0], [12.0, 22.0, 32.0]] and found.dtype == torch.float64


def test_lists_of_numbers() -> None:
    def parsed(text: str, **limits: float) -> list[float]:
        return parse_values(SimpleNamespace(tries=text), "tries", **limits)

    assert parsed("0.5, 1,2") == [0.5, 1.0, 2.0]
    with pytest.raises(SettingError, match=r'setting tries is a list of numbers such as "0.5, 1, 2", got \'\[1\]\''):
        parsed("[1]")
    for text, named in (("-1", "-1.0"), ("1, 2", "2.0"), ("nan", "nan")):
        with pytest.raises(SettingError, match=f"setting tries has {named}; numbers from 0 to 1 are accepted"):
            parsed(text, high=1.0)
    with pytest.raises(SettingError, match="setting tries has inf; numbers from 0 to inf are accepted"):
        parsed("inf")
