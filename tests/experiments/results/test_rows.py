import json
from pathlib import Path

from experiments.results.averages import averages
from experiments.results.cells import gather_cells
from experiments.results.problems import rows_of
from experiments.results.rows import long_section, shots_section
from experiments.results.run_folders import read_runs
from experiments.results.table import ORACLE_NOTE, Section
from tests.experiments.results.run_trees import ORACLE, write_log, write_result


def section_of(
    folder: Path, *seeds: int, keyword: str = "accuracy", spread: str = "std", which: str = "eleven"
) -> Section:
    cells = gather_cells(read_runs([folder]), seeds or None)
    return shots_section(cells, averages(cells, keyword, which), keyword, spread)


def test_columns_per_shot(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        write_result(tmp_path, seed, accuracy=90.0 + seed)
    write_result(tmp_path, 1, num_shots=4, accuracy=80.0)
    write_result(tmp_path, 1, trainer="ZeroshotCLIP", num_shots=0, accuracy=65.0)
    section = section_of(tmp_path)
    shots = ["0 shots", "4 shots", "16 shots"]
    assert section.headers == ["data set", "trainer", "config", "backbone", *shots, "zero-shot accuracy"]
    assert section.rows == [
        ["digits", "AMU", "tiny", "tiny", "-", "80.00 (1/3)", "92.00 ± 1.00 (3)", "65.00"],
        ["digits", "ZeroshotCLIP", "tiny", "tiny", "65.00 (1)", "-", "-", "65.00"],
    ]
    assert section.notes[0] == "accuracy in % ± standard deviation over seeds (number of finished seeds)"
    assert "missing: digits AMU tiny 4 shots: seed 2, 3" in section.notes
    assert [row.label.trainer for row in rows_of(gather_cells(read_runs([tmp_path])))] == ["AMU", "ZeroshotCLIP"]


def test_spread_and_keyword(tmp_path: Path) -> None:
    for seed, macro_f1 in ((1, 70.0), (2, 72.0)):
        write_result(tmp_path, seed, macro_f1=macro_f1)
    section = section_of(tmp_path, keyword="macro_f1", spread="ci95")
    assert section.rows[0][4] == "71.00 ± 12.71 (2)" and "Student's 95 % interval" in section.notes[0]
    [entry] = section.entries
    assert entry["macro_f1"] == 71.0 and 12.7 < entry["macro_f1_ci95"] < 12.71 and entry["seeds"] == [1, 2]


def test_what_is_wrong_is_listed(tmp_path: Path) -> None:
    write_result(tmp_path, 1)
    failed = write_log(
        tmp_path / "digits" / "AMU" / "tiny_16shots" / "seed2", json.dumps({"error": "no space left"}), "failure.json"
    )
    unfinished = write_log(tmp_path / "digits" / "AMU" / "tiny_16shots" / "seed3", "epoch [1/50]\n")
    damaged = write_result(tmp_path, 4, accuracy=101.0)
    repeated = write_result(tmp_path / "again", 1, accuracy=80.0)
    same = write_result(tmp_path / "same", 1)
    section = section_of(tmp_path, 1, 2, 3, 4, 5)
    assert section.rows[0][4] == "80.00 (1/5)"
    where = "digits AMU tiny 16 shots"
    counted = tmp_path / "again" / "digits" / "AMU" / "tiny_16shots" / "seed1"
    first = tmp_path / "digits" / "AMU" / "tiny_16shots" / "seed1"
    assert repeated == counted
    assert section.notes[1:] == [
        f"missing: {where}: seed 5",
        f"failed: {where} seed 2: no space left ({failed})",
        f"unfinished: {where} seed 3: epoch 1/50 ({unfinished})",
        f"damaged: {where} seed 4: accuracy is 101.0, not a percentage from 0 to 100 ({damaged})",
        f"not counted: {first} repeats seed 1 of {counted}, with 90.00 % accuracy",
        f"not counted: {same} repeats seed 1 of {counted}, with 90.00 % accuracy",
    ]


def test_a_score_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_log(tmp_path / "some" / "run", "Finish training\n* accuracy: 50.0%\n")
    section = section_of(tmp_path, keyword="macro_f1")
    assert section.rows == [["some/run", "?", "?", "?", "- (0/1)", "-"]] and section.headers[4] == "? shots"
    assert "no macro_f1: some/run ? ? ? shots: run" in section.notes
    assert section.entries[0]["problems"] == "no macro_f1 in run" and section.entries[0]["seeds_finished"] == 1


def test_numbers_of_shots_without_runs_are_listed(tmp_path: Path) -> None:
    for dataset, trainer, shots in (("dtd", "AMU", 1), ("dtd", "AMU", 16), ("dtd", "RAFT", 4), ("digits", "AMU", 16)):
        write_result(tmp_path, dataset=dataset, trainer=trainer, num_shots=shots)
    write_result(tmp_path, trainer="ZeroshotCLIP", num_shots=0)
    write_result(tmp_path / "new", num_shots=2, subsample_classes="new")
    notes = section_of(tmp_path).notes
    assert "no runs: AMU tiny: digits at 1 and 4 shots; dtd at 4 shots" in notes
    assert "no runs: RAFT tiny: dtd at 1 and 16 shots" in notes
    assert len([note for note in notes if note.startswith("no runs")]) == 2


def test_oracle_figures_carry_a_dagger(tmp_path: Path) -> None:
    write_result(tmp_path, num_shots=16, protocol=ORACLE)
    write_result(tmp_path, num_shots=4)
    section = section_of(tmp_path)
    assert section.rows[0][4:6] == ["90.00 (1)", "90.00† (1)"] and ORACLE_NOTE in section.notes
    assert [entry["oracle"] for entry in section.entries] == [False, True]
    cells = gather_cells(read_runs([tmp_path]))
    assert [row[1] for row in long_section(cells, [], "accuracy", "std").rows] == ["AMU", "AMU†"]


def test_variants_are_rows_of_their_own(tmp_path: Path) -> None:
    write_result(tmp_path, 1)
    write_result(tmp_path, 2, cfg={"TRAIN": {"VIEWS": "online"}})
    section = section_of(tmp_path)
    assert [row[1] for row in section.rows] == ["AMU [TRAIN.VIEWS=8]", "AMU [TRAIN.VIEWS=online]"]
    assert [entry["variant"] for entry in section.entries] == ["TRAIN.VIEWS=8", "TRAIN.VIEWS=online"]
    assert section.notes[-1].startswith("runs that differ in the settings in brackets are kept apart")


def test_averages(tmp_path: Path) -> None:
    for shots in (4, 16):
        write_result(tmp_path, dataset="dtd", num_shots=shots, accuracy=60.0)
        write_result(tmp_path, dataset="eurosat", num_shots=shots, accuracy=70.0, protocol=ORACLE)
    section = section_of(tmp_path)
    assert section.rows[-1] == ["average of 11", "AMU", "tiny", "tiny", "-", "-", "-"]
    assert any(
        note.startswith("average of 11, AMU† tiny, 4 and 16 shots: not given, 9 missing: imagenet, caltech101, ")
        for note in section.notes
    )
    assert any("4 and 16 shots: the data sets differ in selected_on, oracle" in note for note in section.notes)
    average = section.entries[-1]
    assert (average["kind"], average["accuracy"], len(average["missing_datasets"])) == ("average", None, 9)
    section = section_of(tmp_path, which="present")
    assert section.rows[-1][4:6] == ["65.00†", "65.00†"] and section.rows[-1][0] == "average of those present"
    assert any("of 2 data sets (dtd, eurosat), not the papers' eleven" in note for note in section.notes)
    assert section.entries[-1]["datasets"] == ["dtd", "eurosat"]


def test_the_long_table(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        write_result(tmp_path, seed, accuracy=90.0 + seed)
    write_result(tmp_path, 1, trainer="RAFT", zero_shot_accuracy=None)
    write_result(tmp_path, 1, trainer="ZeroshotCLIP", num_shots=0, accuracy=64.5, zero_shot_accuracy=64.5)
    cells = gather_cells(read_runs([tmp_path]))
    section = long_section(cells, averages(cells, "accuracy", "present"), "accuracy", "std")
    head = ["data set", "trainer", "config", "shots", "accuracy ± std", "macro_f1"]
    assert section.headers == [*head, "zero-shot accuracy", "seeds", "missing or unfinished"]
    assert section.rows[:3] == [
        ["digits", "AMU", "tiny", "16", "92.00 ± 1.00", "89.00", "65.00", "3/3", ""],
        ["digits", "RAFT", "tiny", "16", "90.00", "89.00", "64.50", "1/3", "missing 2, 3"],
        ["digits", "ZeroshotCLIP", "tiny", "0", "64.50", "89.00", "64.50", "1/1", ""],
    ]
    assert section.rows[3][:5] == ["average of those present", "AMU", "tiny", "16", "92.00 ± 1.00"]
    assert {len(row) for row in section.rows} == {len(section.headers)}
