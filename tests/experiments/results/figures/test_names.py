import pytest

from experiments.results.figures.names import shorten_distinctly

SETTINGS = "selected_on={}, oracle=False, validation=min(shots, 4), LAMBDA={}, OPTIM.LR=0.001, OPTIM.MAX_EPOCH=50"


def names(*values: tuple[str, float]) -> list[str]:
    return [f"AMU [{SETTINGS.format(*value)}] (rn50)" for value in values]


def test_what_differs_in_the_middle_stays() -> None:
    given = names(("none", 0.1), ("none", 0.4))
    for value, short in zip(("0.1", "0.4"), shorten_distinctly(given, 40).values(), strict=True):
        assert short.startswith("AMU [sele") and f"…LAMBDA={value}…" in short and short.endswith("(rn50)")


def test_names_that_fit_are_left_alone() -> None:
    assert shorten_distinctly(["RAFT", "AMU", "RAFT"], 8) == {"RAFT": "RAFT", "AMU": "AMU"}
    assert shorten_distinctly([], 8) == {}


@pytest.mark.parametrize("length", [8, 12, 24, 46, 80])
def test_all_differ_and_none_is_too_long(length: int) -> None:
    given = names(*[(on, number / 10) for on in ("none", "test", "validation") for number in range(6)])
    given += [name + "†" for name in given[:3]] + ["x" * 200, "x" * 201, "x" * 100 + "y" + "x" * 100]
    short = shorten_distinctly(given, length)
    assert list(short) == given and len(set(short.values())) == len(given)
    assert max(map(len, short.values())) <= length


def test_too_short_a_length() -> None:
    with pytest.raises(ValueError, match="8 characters or more, not to 7"):
        shorten_distinctly(["a"], 7)
