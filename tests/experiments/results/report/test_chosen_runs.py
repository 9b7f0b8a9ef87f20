from pathlib import Path

from experiments.results.cells import gather_cells
from experiments.results.predictions import PREDICTIONS_FILE
from experiments.results.report.chosen_runs import looked_at, most_shots
from experiments.results.run_folders import read_runs
from tests.experiments.results.report.example_report import write_failure, write_run


def test_every_trainer_is_looked_at_before_any_is_twice(tmp_path: Path) -> None:
    for trainer, shots in (("AMU", 1), ("AMU", 16), ("RAFT", 1), ("RAFT", 4)):
        for seed in (1, 2):
            write_run(tmp_path, "digits", trainer, shots, seed)
    write_failure(tmp_path / "digits" / "AMU" / "tiny_2shots" / "seed1", "KeyError: x", trainer="AMU", dataset="digits",
                  num_shots=2, seed=1)  # fmt: skip
    (tmp_path / "digits" / "RAFT" / "tiny_4shots" / "seed1" / PREDICTIONS_FILE).unlink()
    cells = gather_cells(read_runs([tmp_path]))
    found = [(cell.label.trainer, cell.label.shots, run.seed) for cell, run in looked_at(cells)]
    assert found == [("AMU", 16, 1), ("RAFT", 4, 2), ("AMU", 1, 1), ("RAFT", 1, 1)]
    most = [(cell.label.trainer, cell.label.shots, run.seed) for cell, run in most_shots(cells)]
    assert most == [("AMU", 16, 1), ("RAFT", 4, 2)]
