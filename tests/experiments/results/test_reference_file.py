import json
from pathlib import Path
from typing import Any

import pytest

from experiments.results.averages import ELEVEN
from experiments.results.reference_file import read_references
from experiments.results.references import DEFAULT_REFERENCES

FIGURE: dict[str, Any] = {
    "name": "Method",
    "trainers": ["AMU"],
    "backbone": "RN50",
    "trained_on": "",
    "selected_on": "none",
    "accuracy": {"dtd": {"1": 50.0}},
    "quality": "printed",
    "source": "Table 1",
}


def write(path: Path, **changes: Any) -> Path:
    entry = {key: value for key, value in (FIGURE | changes).items() if value is not ...}
    path.write_text(json.dumps({"schema": 1, "figures": [entry], "unpublished": {"RAFT": "nothing found"}}))
    return path


def test_a_file(tmp_path: Path) -> None:
    found = read_references(write(tmp_path / "f.json", average_11={"16": 70}))
    assert found.unpublished == {"RAFT": "nothing found"}
    [figures] = found.figures
    assert figures.accuracy == {"dtd": {1: 50.0}} and figures.average_11 == {16: 70.0}
    assert (figures.trainers, figures.trained_on, figures.note, figures.average_quality) == (("AMU",), "", "", "")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"backbone": ""}, "Method has no backbone"),
        ({"source": ""}, "Method has no source"),
        ({"source": ...}, "KeyError: 'source'"),
        ({"selected_on": "luck"}, "selected on 'luck', not one of test, validation, none, not stated"),
        ({"accuracy": {"dtd": {"1": 500.0}}}, "Method: accuracy at 1 shots is 500.0"),
        ({"accuracy": {"dtd": {"one": 50.0}}}, "ValueError"),
        ({"accuracy": {"dtd": 50.0}}, "AttributeError"),
        ({"average_11": {"1": None}}, "accuracy at 1 shots is None"),
    ],
)
def test_a_damaged_file_is_named(changes: dict[str, Any], problem: str, tmp_path: Path) -> None:
    path = write(tmp_path / "f.json", **changes)
    with pytest.raises(ValueError, match="is no file of published figures") as caught:
        read_references(path)
    assert problem in str(caught.value) and str(path) in str(caught.value)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file of published figures"):
        read_references(tmp_path / "none.json")
    for content, problem in (("{", "JSONDecodeError"), ("[]", "TypeError"), ('{"schema": 2}', "schema 2 is not 1")):
        (tmp_path / "f.json").write_text(content)
        with pytest.raises(ValueError, match=problem):
            read_references(tmp_path / "f.json")


def test_the_shipped_file_has_source_and_backbone_of_every_figure() -> None:
    found = read_references(DEFAULT_REFERENCES)
    assert len(found.figures) > 50 and all(figures.source and figures.backbone for figures in found.figures)
    assert "RAFT" in found.unpublished
    assert not any("RAFT" in (*figures.trainers, figures.name) for figures in found.figures)
    amu = [figures for figures in found.figures if figures.name == "AMU-Tuning" and figures.backbone == "RN50"]
    assert {figures.accuracy["imagenet"][16] for figures in amu if "imagenet" in figures.accuracy} == {70.02}
    assert all(figures.selected_on == "test" for figures in amu)


def test_the_shipped_averages_are_those_of_their_data_sets() -> None:
    whole = [figures for figures in read_references(DEFAULT_REFERENCES).figures if set(figures.accuracy) == set(ELEVEN)]
    assert len(whole) >= 12
    for figures in whole:
        for shots, average in figures.average_11.items():
            mean = sum(figures.accuracy[dataset][shots] for dataset in ELEVEN) / len(ELEVEN)
            assert average == pytest.approx(mean, abs=0.0051), (figures.name, shots)
