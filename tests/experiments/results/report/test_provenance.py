from pathlib import Path

from experiments.results.cells import gather_cells
from experiments.results.report.host_paths import HostPaths, run_names
from experiments.results.report.provenance import (
    failures_table,
    protocol_table,
    remarks_table,
    runs_table,
    versions_table,
)
from experiments.results.report.tables import Table
from experiments.results.run_folders import Run, read_run, read_runs
from tests.experiments.results.report.example_report import NASTY, ORACLE, TUNING, write_failure, write_run


def rows(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.headers, [entry.text for entry in row], strict=True)) for row in table.body]


def test_every_cell_states_how_its_model_was_chosen(tmp_path: Path) -> None:
    write_run(tmp_path, "digits", "AMU", 4, 1, tuning=TUNING)
    write_run(tmp_path, "digits", "RAFT", 4, 1, protocol=ORACLE)
    made = protocol_table(gather_cells(read_runs([tmp_path])))
    amu, raft = rows(made)
    assert (amu["trainer"], amu["test labels used"], amu["selected on"]) == ("AMU", "no", "none")
    assert (amu["validation"], amu["validation images"]) == ("min(shots, 4)", "40")
    assert amu["chosen by tuning"] == "fusion_alpha 4, uncertainty_power 0.8 (validation)"
    assert (raft["trainer"], raft["test labels used"], raft["final model"]) == ("RAFT†", "yes †", "best_test")
    assert raft["validation"] == raft["chosen by tuning"] == "-"
    assert "oracle" in made.notes[0] and "alpha rule" not in made.headers


def test_seeds_with_other_protocols_are_all_named(tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    one, other = (Run(folder / str(seed), read_run(folder).label, seed, {"accuracy": 1.0}, protocol=protocol)
                  for seed, protocol in ((1, {"views": "8"}), (2, {"views": "online"})))  # fmt: skip
    (row,) = rows(protocol_table(gather_cells([one, other])))
    assert row["views"] == "8; online"


def test_runs_are_listed_with_times(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "digits", "AMU", 4, 1)
    (tmp_path / "digits" / "AMU" / "tiny_4shots" / "seed2").mkdir()
    runs = read_runs([tmp_path])
    whole, empty = rows(runs_table(runs, run_names(run.folder for run in runs)))
    accuracy = read_run(folder).scores["accuracy"]
    assert whole["run"] == "seed1" and whole["accuracy (%)"] == f"{accuracy:.2f}" and whole["total (s)"] == "3.0"
    assert (whole["peak memory (MiB)"], whole["device"], whole["images"]) == ("500", "cpu", "60")
    assert empty["state"] == "unfinished" and empty["total (s)"] == "-"


def test_what_failed_and_what_is_missing_is_listed(tmp_path: Path) -> None:
    write_run(tmp_path, "digits", "AMU", 4, 1)
    failed = tmp_path / "digits" / "RAFT" / "tiny_4shots" / "seed2"
    failed.mkdir(parents=True)
    write_failure(failed, f"OSError: no file {tmp_path}/a b/x.png {NASTY}", trainer="RAFT", dataset="digits",
                  num_shots=4, seed=2)  # fmt: skip
    runs = read_runs([tmp_path])
    made = failures_table(runs, gather_cells(runs, [1, 2]), run_names(r.folder for r in runs), HostPaths([tmp_path]))
    found = {(row["run"], row["state"]): row["error"] for row in rows(made)}
    assert found["RAFT/tiny_4shots/seed2", "failed"] == f"OSError: no file …/a b/x.png {NASTY}"
    assert found["digits / AMU / tiny / 4 shots / seed 2", "missing"] == "never started"


def test_software_is_told_apart_by_its_versions(tmp_path: Path) -> None:
    write_run(tmp_path, "digits", "AMU", 4, 1, versions={"python": "3.11.7", "torch": "2.15.0"}, git_commit=None)
    for seed in (2, 3):
        write_run(tmp_path, "digits", "AMU", 4, seed, versions={"python": "3.12.1"})
    made = versions_table(read_runs([tmp_path]))
    assert made.headers == ("package", "2 runs", "1 run")
    table = {row[0].text: [entry.text for entry in row[1:]] for row in made.body}
    assert table["python"] == ["3.12.1", "3.11.7"] and table["torch"] == ["-", "2.15.0"]
    assert table["this project (commit)"] == ["0" * 40, "-"]


def test_remarks_are_passed_on(tmp_path: Path) -> None:
    run = Run(tmp_path / "a", read_run(tmp_path / "a").label, 1, remarks=(f"resumed from {tmp_path}/b",))
    assert rows(remarks_table([run], {run.folder: "a"}, HostPaths())) == [{"run": "a", "remark": "resumed from …/b"}]
