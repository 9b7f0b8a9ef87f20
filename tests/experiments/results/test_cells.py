from pathlib import Path
from typing import Any

from experiments.results.cells import Cell, gather_cells, seed_of, shown_dataset, shown_trainer
from experiments.results.run_folders import Label, read_runs
from tests.experiments.results.run_trees import ORACLE, PROTOCOL, RESULT, finished_log, write_log, write_result


def cells_of(folder: Path, *seeds: int) -> list[Cell]:
    return gather_cells(read_runs([folder]), seeds or None)


def test_seeds_missing_and_unfinished(tmp_path: Path) -> None:
    for seed in (3, 1):
        write_result(tmp_path, seed, accuracy=90.0 + seed, zero_shot_accuracy=60.0 + seed)
    (tmp_path / "digits" / "AMU" / "tiny_16shots" / "seed4").mkdir()
    [cell] = cells_of(tmp_path, 1, 2, 3, 4)
    assert cell.label == Label("digits", "all", "AMU", "tiny", 16, "tiny")
    assert [run.seed for run in cell.runs] == [1, 3] and [run.seed for run in cell.others] == [4]
    assert (cell.missing, cell.wanted, cell.zero_shot, cell.oracle) == ((2,), 4, 62.0, False)
    assert cell.values("accuracy") == {1: 91.0, 3: 93.0} and cell.summary("accuracy").mean == 92.0
    assert cells_of(tmp_path)[0].missing == ()


def test_zero_shot_of_runs_beside(tmp_path: Path) -> None:
    write_result(tmp_path, zero_shot_accuracy=None, trainer="RAFT")
    write_result(tmp_path, trainer="ZeroshotCLIP", num_shots=0, accuracy=64.5, zero_shot_accuracy=64.5)
    write_result(tmp_path, zero_shot_accuracy=None, trainer="RAFT", backbone="RN50", config="rn50")
    found = {cell.label.config: cell.zero_shot for cell in cells_of(tmp_path) if cell.label.trainer == "RAFT"}
    assert found == {"tiny": 64.5, "rn50": None}


def test_the_same_seed_twice_counts_once(tmp_path: Path) -> None:
    first = write_result(tmp_path / "a", 1, accuracy=90.0)
    second = write_result(tmp_path / "b", 1, accuracy=10.0)
    write_result(tmp_path / "b", 2, accuracy=92.0)
    [cell] = cells_of(tmp_path)
    assert cell.values("accuracy") == {1: 90.0, 2: 92.0}  # seeds of several folders make one cell
    assert [(a.folder, b.folder) for a, b in cell.repeats] == [(second, first)]
    (first / "result.json").unlink()
    [cell] = cells_of(tmp_path)
    assert cell.values("accuracy") == {1: 10.0, 2: 92.0}  # a run that finished counts before one that did not
    assert [(a.folder, b.folder) for a, b in cell.repeats] == [(first, second)]


def with_views(views: str) -> dict[str, Any]:
    return {"protocol": PROTOCOL | {"views": views}, "cfg": RESULT["cfg"] | {"TRAIN": {"VIEWS": views}}}


def test_other_settings_are_kept_apart(tmp_path: Path) -> None:
    write_result(tmp_path, 1, accuracy=90.0)
    write_result(tmp_path, 2, accuracy=50.0, **with_views("online"))
    write_result(tmp_path, 1, num_shots=4)
    found = {(cell.label.shots, cell.variant): cell for cell in cells_of(tmp_path)}
    assert set(found) == {(16, "TRAIN.VIEWS=8"), (16, "TRAIN.VIEWS=online"), (4, "TRAIN.VIEWS=8")}
    assert found[16, "TRAIN.VIEWS=8"].summary("accuracy").mean == 90.0
    assert found[16, "TRAIN.VIEWS=8"].missing == (2,)


def test_other_protocols_are_kept_apart(tmp_path: Path) -> None:
    write_result(tmp_path, 1)
    write_result(tmp_path, 2, protocol=ORACLE)
    write_result(tmp_path, 3, split="val")
    found = {cell.variant: cell for cell in cells_of(tmp_path)}
    assert set(found) == {
        "selected_on=validation, oracle=False, split=test",
        "selected_on=test, oracle=True, split=test",
        "split=val, selected_on=validation, oracle=False",
    }
    assert [cell.oracle for cell in found.values()] == [variant.startswith("selected_on=test") for variant in found]


def test_validation_figures_always_say_so(tmp_path: Path) -> None:
    write_result(tmp_path, 1, split="val")
    assert [cell.variant for cell in cells_of(tmp_path)] == ["split=val"]


def test_settings_that_decide_nothing_or_are_not_recorded_are_no_difference(tmp_path: Path) -> None:
    write_result(tmp_path, 1, cfg={"TRAIN": {"VIEWS": "8", "PRINT_FREQ": 5}, "OUTPUT_DIR": "x", "SEED": 1})
    write_result(tmp_path, 2, cfg={"TRAIN": {"VIEWS": "8", "PRINT_FREQ": 7}, "OUTPUT_DIR": "y", "SEED": 2})
    write_result(tmp_path, 3, cfg={})
    write_result(tmp_path / "output_eval", 4, mode="eval", cfg={"TRAIN": {"VIEWS": "online"}})
    [cell] = cells_of(tmp_path)
    assert cell.variant == "" and len(cell.runs) == 4


def test_a_folder_of_images_is_told_from_another(tmp_path: Path) -> None:
    for seed, root in ((1, "/a"), (2, "/b")):
        write_result(
            tmp_path, seed, dataset="image_folder", dataset_name="ImageFolder", cfg={"DATASET": {"ROOT": root}}
        )
        write_result(tmp_path, seed, cfg={"DATASET": {"ROOT": root}})
    variants = [(cell.label.dataset, cell.variant) for cell in cells_of(tmp_path)]
    assert variants == [("digits", ""), ("image_folder", "DATASET.ROOT=/a"), ("image_folder", "DATASET.ROOT=/b")]


def test_many_differences_are_named_in_short(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_result(tmp_path, seed, cfg={"TRAINER": dict.fromkeys("ABCDE", seed) | {"L": [seed]}})
    assert cells_of(tmp_path)[0].variant == "TRAINER.A=1, TRAINER.B=1, TRAINER.C=1, and 3 more"


def test_a_fourth_setting_keeps_runs_apart(tmp_path: Path) -> None:
    """Runs whose names begin alike are neither averaged together nor taken for repeats of a seed."""
    for folder, seed, accuracy, last in (("a", 1, 30.0, 0.1), ("b", 2, 80.0, 5.0), ("b", 1, 82.0, 5.0)):
        write_result(tmp_path / folder, seed, accuracy=accuracy, cfg=dict.fromkeys("ABC", 1) | {"D": last})
    write_result(tmp_path / "plain", 1, cfg=dict.fromkeys("ABCD", 0))
    found = {cell.variant: cell for cell in cells_of(tmp_path)}
    assert {name: cell.values("accuracy") for name, cell in found.items()} == {
        "A=0, B=0, C=0, and 1 more": {1: 90.0},
        "A=1, B=1, C=1, D=0.1": {1: 30.0},
        "A=1, B=1, C=1, D=5.0": {1: 82.0, 2: 80.0},
    }
    assert not any(cell.repeats for cell in found.values())


def test_runs_that_cannot_say_what_they_are(tmp_path: Path) -> None:
    base = tmp_path / "dtd" / "CoOp" / "rn50_16shots"
    write_log(base / "seed1", finished_log(60))
    (base / "seed2").mkdir()  # its label is that of the run beside it
    (tmp_path / "dtd" / "CoOp" / "rn50_4shots" / "seed1").mkdir(parents=True)  # its backbone is that of its config
    found = cells_of(tmp_path)
    assert [(cell.label.shots, cell.label.backbone, cell.wanted) for cell in found] == [(4, "RN50", 2), (16, "RN50", 2)]


def test_runs_without_settings_belong_to_the_only_variant(tmp_path: Path) -> None:
    write_result(tmp_path, 1, split="val")
    (tmp_path / "digits" / "AMU" / "tiny_16shots" / "seed2").mkdir()
    [cell] = cells_of(tmp_path)
    assert cell.variant == "split=val" and [run.seed for run in cell.others] == [2]


def test_as_tables_show_them(tmp_path: Path) -> None:
    assert shown_dataset(Label("dtd", "all", "AMU", "tiny", 1)) == "dtd"
    assert shown_dataset(Label("dtd", "new", "AMU", "tiny", 1, "", "imagenet")) == "dtd (new, from imagenet)"
    assert shown_trainer("AMU", "", oracle=False) == "AMU"
    assert shown_trainer("AMU", "TRAIN.VIEWS=8", oracle=True) == "AMU† [TRAIN.VIEWS=8]"
    [run] = read_runs([write_log(tmp_path / "some" / "run", "Finish training\n* accuracy: 50.0%\n")])
    assert seed_of(run) == "run" and gather_cells([run], [1, 2])[0].missing == ()  # without seeds none can be missing
