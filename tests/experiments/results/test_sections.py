from pathlib import Path

import pytest

from experiments.results.references import DEFAULT_REFERENCES
from experiments.results.run_folders import read_runs
from experiments.results.sections import make_sections
from tests.experiments.results.run_trees import write_halves, write_result


def test_what_is_there_or_asked_for(tmp_path: Path) -> None:
    write_result(tmp_path, dataset="dtd")
    write_result(tmp_path, dataset="dtd", trainer="RAFT")
    runs = read_runs([tmp_path])
    assert [section.kind for section in make_sections(runs)] == ["cell"]
    found = make_sections(runs, references=DEFAULT_REFERENCES, pair=("AMU", "RAFT"), long=True)
    assert [section.kind for section in found] == ["cell", "paired", "comparison"]
    assert found[0].headers[3] == "shots"
    write_halves(tmp_path, 1, 80.0, 60.0)
    assert [section.kind for section in make_sections(read_runs([tmp_path]))] == ["cell", "base_to_new"]


def test_a_single_data_set_is_no_benchmark(tmp_path: Path) -> None:
    write_result(tmp_path, dataset="dtd")
    assert len(make_sections(read_runs([tmp_path]))[0].rows) == 1
    write_result(tmp_path, dataset="eurosat", num_shots=4)
    rows = make_sections(read_runs([tmp_path]))[0].rows
    assert [row[0] for row in rows] == ["dtd", "eurosat", "average of 11"]
    rows = make_sections(read_runs([tmp_path]), average="none")[0].rows
    assert [row[0] for row in rows] == ["dtd", "eurosat"]


def test_published_figures_are_accuracies(tmp_path: Path) -> None:
    write_result(tmp_path)
    with pytest.raises(ValueError, match="not macro_f1"):
        make_sections(read_runs([tmp_path]), "macro_f1", references=DEFAULT_REFERENCES)
