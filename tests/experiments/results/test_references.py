from pathlib import Path
from typing import Any

import pytest

from experiments.results.averages import ELEVEN, averages
from experiments.results.cells import gather_cells
from experiments.results.reference_file import PublishedFigures, References, read_references
from experiments.results.references import DEFAULT_REFERENCES, Compared, compare, comparison_section
from experiments.results.run_folders import read_runs
from experiments.results.table import Section
from tests.experiments.results.run_trees import ORACLE, PROTOCOL, finished_log, write_log, write_result

RN50: dict[str, Any] = {"backbone": "RN50", "config": "rn50"}


def published(**changes: Any) -> PublishedFigures:
    given: dict[str, Any] = {
        "name": "AMU-Tuning",
        "trainers": ("AMU",),
        "backbone": "RN50",
        "trained_on": "",
        "selected_on": "none",
        "accuracy": {"dtd": {1: 53.31, 16: 70.8}},
        "average_11": {},
        "quality": "printed",
        "average_quality": "",
        "source": "Table 4",
        "note": "",
    }
    return PublishedFigures(**(given | changes))


def compared(folder: Path, *figures: PublishedFigures, **unpublished: str) -> tuple[list[Compared], list[str]]:
    cells = gather_cells(read_runs([folder]))
    return compare(cells, averages(cells, "accuracy"), References(figures, unpublished))


def shipped(folder: Path) -> Section:
    cells = gather_cells(read_runs([folder]))
    return comparison_section(cells, averages(cells, "accuracy"), read_references(DEFAULT_REFERENCES), "std")


def test_the_same_method_backbone_data_set_and_shots(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_result(tmp_path, seed, dataset="dtd", accuracy=70.0 + seed, **RN50)
    [found], alone = compared(tmp_path, published())
    assert (found.ours, found.count, found.published, found.name) == (71.5, 2, 70.8, "AMU-Tuning") and alone == []
    assert found.difference == pytest.approx(0.7) and found.source == "Table 4 (printed)"


@pytest.mark.parametrize(
    ("ours", "why"),
    [
        ({"backbone": "RN101", "config": "rn101"}, "AMU rn101: nothing is published for backbone RN101"),
        ({"backbone": None}, "AMU rn50: its backbone is not known"),
        ({"num_shots": 4}, "AMU rn50: no published figure for dtd at 4 shots and backbone RN50"),
        ({"dataset": "ucf101"}, "AMU rn50: no published figure for ucf101 at 16 shots and backbone RN50"),
        ({"subsample_classes": "base"}, "AMU rn50: no published figure for dtd (base) at 16 shots and backbone RN50"),
        ({"split": "val"}, "AMU rn50: no published figure for dtd at 16 shots [split=val] and backbone RN50"),
        ({"trainer": "Mine"}, "Mine: no published figures here under this name"),
        ({"trainer": "RAFT"}, "RAFT: nothing is published (none found)"),
    ],
)
def test_what_has_no_counterpart_says_why(ours: dict[str, Any], why: str, tmp_path: Path) -> None:
    write_result(tmp_path, **({"dataset": "dtd"} | RN50 | ours))
    assert compared(tmp_path, published(), RAFT="none found") == ([], [why])


def test_models_of_another_data_set_meet_only_their_like(tmp_path: Path) -> None:
    write_result(tmp_path / "output_xd", dataset="dtd", mode="eval", **RN50)
    assert compared(tmp_path, published())[0] == []
    assert len(compared(tmp_path, published(trained_on="imagenet"))[0]) == 1


def test_no_difference_across_protocols(tmp_path: Path) -> None:
    write_result(tmp_path, 1, dataset="dtd", protocol=PROTOCOL, **RN50)
    assert compared(tmp_path, published(selected_on="validation"))[0][0].difference is not None
    assert compared(tmp_path, published(selected_on="none"))[0][0].difference is not None
    for selected_on in ("test", "not stated"):
        [found], _ = compared(tmp_path, published(selected_on=selected_on))
        assert found.published == 70.8 and found.difference is None
    oracle = tmp_path / "oracle"
    write_result(oracle, 1, dataset="dtd", protocol=ORACLE, **RN50)
    assert compared(oracle, published(selected_on="test"))[0][0].difference == pytest.approx(19.2)
    assert compared(oracle, published(selected_on="none"))[0][0].difference is None


def test_logs_do_not_say_how_they_chose(tmp_path: Path) -> None:
    write_log(tmp_path / "dtd" / "CoOp" / "rn50_16shots" / "seed1", finished_log(60))
    [found], _ = compared(tmp_path, published(trainers=("CoOp",)))
    assert (found.ours, found.published, found.difference) == (60.0, 70.8, None)


def test_equal_figures_of_several_sources_are_one_line(tmp_path: Path) -> None:
    write_result(tmp_path, dataset="dtd", **RN50)
    found, _ = compared(tmp_path, published(), published(source="Table 7"), published(accuracy={"dtd": {16: 70.1}}))
    assert [(item.published, item.source) for item in found] == [
        (70.8, "Table 4 (printed); Table 7 (printed)"),
        (70.1, "Table 4 (printed)"),
    ]


def test_the_average_over_the_eleven(tmp_path: Path) -> None:
    for dataset in ELEVEN:
        write_result(tmp_path, dataset=dataset, accuracy=80.0, **RN50)
    figures = published(accuracy={}, average_11={16: 79.36}, average_quality="computed")
    [found], alone = compared(tmp_path, figures)
    assert (found.label.dataset, found.ours, found.source) == ("average of 11", 80.0, "Table 4 (computed)")
    assert len(alone) == 11
    (tmp_path / "dtd" / "AMU" / "rn50_16shots" / "seed1" / "result.json").unlink()
    assert compared(tmp_path, figures)[0] == []


def test_the_shipped_figures(tmp_path: Path) -> None:
    write_result(tmp_path, dataset="dtd", accuracy=70.0, **RN50)
    write_result(tmp_path, dataset="dtd", trainer="RAFT", **RN50)
    write_result(tmp_path, dataset="dtd", trainer="ZeroshotCLIP", num_shots=0, accuracy=43.0, **RN50)
    write_result(tmp_path, accuracy=70.0)
    section = shipped(tmp_path)
    amu, zero_shot = section.rows
    assert amu[:8] == ["dtd", "AMU", "rn50", "RN50", "16", "70.00 (1)", "70.80†", "-"] and amu[8] == "AMU-Tuning [1]"
    assert zero_shot[5:8] == ["43.00 (1)", "42.20", "+0.80"]
    notes = "\n".join(section.notes)
    assert "[1] AMU-Tuning CVPR 2024 paper: ImageNet = Table 4; ten others" in notes and "[2] " in notes
    assert "without a published counterpart: RAFT: nothing is published" in notes
    assert "without a published counterpart: AMU tiny: nothing is published for backbone tiny" in notes
    assert [entry["published_oracle"] for entry in section.entries] == [True, False]
    assert section.entries[0]["difference"] is None and section.entries[1]["difference"] == pytest.approx(0.8)
