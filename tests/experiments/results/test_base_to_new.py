from pathlib import Path

import pytest

from experiments.results.averages import ELEVEN
from experiments.results.base_to_new import base_to_new, base_to_new_section
from experiments.results.cells import gather_cells
from experiments.results.run_folders import read_runs
from experiments.results.statistics import harmonic_mean
from experiments.results.table import Section
from tests.experiments.results.run_trees import (
    ORACLE,
    evaluation,
    finished_log,
    header,
    write_halves,
    write_log,
    write_result,
)


def section_of(folder: Path) -> Section:
    section = base_to_new_section(gather_cells(read_runs([folder])), "std")
    assert section is not None
    return section


def test_h_by_seed_and_of_means(tmp_path: Path) -> None:
    write_halves(tmp_path, 1, 80.0, 60.0)
    write_halves(tmp_path, 2, 90.0, 30.0)
    [found] = base_to_new(gather_cells(read_runs([tmp_path])))
    by_seed = [2 * 80 * 60 / 140, 2 * 90 * 30 / 120]
    assert found.harmonic.mean == pytest.approx(sum(by_seed) / 2)
    assert found.harmonic_of_means == pytest.approx(2 * 85 * 45 / 130)
    assert (found.base.mean, found.new.mean, found.harmonic.count, found.unmatched) == (85.0, 45.0, 2, ())
    [row] = section_of(tmp_path).rows
    assert row == ["digits", "AMU", "tiny", "tiny", "16", "85.00 ± 7.07", "45.00 ± 21.21", "56.79 ± 16.67", "2"]
    [entry] = section_of(tmp_path).entries
    assert entry["harmonic_mean"] == pytest.approx(56.7857, abs=1e-4) and entry["oracle"] is False


def test_seeds_of_one_half_are_named_and_left_out(tmp_path: Path) -> None:
    write_halves(tmp_path, 1, 80.0, 60.0)
    write_halves(tmp_path, 2, 10.0, None)
    write_halves(tmp_path, 3, None, 20.0)
    section = section_of(tmp_path)
    assert section.rows[0][5:] == ["80.00", "60.00", "68.57", "1"]
    assert "digits AMU: only base or only new for seed 2, 3: left out" in section.notes


def test_one_half_alone_has_no_h(tmp_path: Path) -> None:
    write_halves(tmp_path, 1, 80.0, None)
    assert section_of(tmp_path).rows[0][5:] == ["-", "-", "-", "0"]
    assert section_of(tmp_path).entries[0]["harmonic_mean_of_means"] is None


def test_the_average_of_the_eleven_is_of_the_averages_or_missing(tmp_path: Path) -> None:
    for place, dataset in enumerate(ELEVEN):
        write_halves(tmp_path, 1, 70.0 + place, 50.0 + 2 * place, dataset=dataset, protocol=ORACLE)
    section = section_of(tmp_path)
    expected = harmonic_mean(75.0, 60.0)
    assert section.rows[-1] == ["average of 11", "AMU†", "tiny", "tiny", "16", "75.00", "60.00", f"{expected:.2f}", "-"]
    (tmp_path / "test_new" / "dtd" / "AMU" / "tiny_16shots" / "seed1" / "result.json").unlink()
    section = section_of(tmp_path)
    assert section.rows[-1][5:] == ["-", "-", "-", "-"]
    assert "average of 11, AMU† tiny 16 shots: not given, 1 missing: dtd" in section.notes


def test_without_halves_there_is_no_table(tmp_path: Path) -> None:
    write_result(tmp_path)
    assert base_to_new_section(gather_cells(read_runs([tmp_path])), "std") is None


def test_coop_style_logs_in_cocoops_layout(tmp_path: Path) -> None:
    place = Path("dtd") / "shots_16" / "CoCoOp" / "vit_b16" / "seed1"
    write_log(tmp_path / "base2new" / "train_base" / place, finished_log(80))
    write_log(tmp_path / "base2new" / "test_new" / place, header(eval_only=True) + evaluation(60))
    [row] = section_of(tmp_path).rows
    assert row[5:] == ["80.00", "60.00", "68.57", "1"]
