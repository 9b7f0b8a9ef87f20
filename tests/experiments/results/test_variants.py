from pathlib import Path
from typing import Any

from experiments.results.run_folders import read_runs
from experiments.results.variants import FREE_SETTINGS, variants
from experiments.runs import settings
from tests.experiments.results.run_trees import write_result


def names_of(folder: Path, *trees: dict[str, Any]) -> list[str]:
    for seed, tree in enumerate(trees, 1):
        write_result(folder, seed, cfg=tree)
    return variants(read_runs([folder]))


def test_what_may_differ_between_a_run_and_its_resumption_may_differ_between_seeds() -> None:
    resumption = settings._FREE_SETTINGS
    assert resumption and resumption <= FREE_SETTINGS


def test_names_that_would_be_the_same_give_what_tells_them_apart(tmp_path: Path) -> None:
    first = dict.fromkeys("ABCDEF", 1)
    second = dict.fromkeys("ABCDEF", 2)
    assert names_of(tmp_path, first, second, second | {"E": 3}, second) == [
        "A=1, B=1, C=1, and 3 more",
        "A=2, B=2, C=2, E=2, and 2 more",
        "A=2, B=2, C=2, E=3, and 2 more",
        "A=2, B=2, C=2, E=2, and 2 more",
    ]


def test_a_setting_that_only_one_of_them_records_tells_them_apart(tmp_path: Path) -> None:
    second = dict.fromkeys("ABCD", 2)
    assert names_of(tmp_path, dict.fromkeys("ABCD", 1), second, {key: second[key] for key in "ABC"}) == [
        "A=1, B=1, C=1, and 1 more",
        "A=2, B=2, C=2, and 1 more",
        "A=2, B=2, C=2",
    ]


def test_values_that_look_alike_are_numbered(tmp_path: Path) -> None:
    names = names_of(tmp_path, {"A": 8}, {"A": "8"}, {"A": 8}, {"A": 8, "B": 1}, {"A": "8, B=1", "B": 2})
    assert names[0] == names[2] == "A=8" and names[1] == "A=8 (2)" and len(set(names)) == 4
