from pathlib import Path

import pytest
from scipy import stats

from experiments.results.cells import gather_cells
from experiments.results.pairs import ALL, Pair, paired, paired_section
from experiments.results.run_folders import read_runs
from tests.experiments.results.run_trees import ORACLE, write_result

AMU = {1: 80.0, 2: 82.0, 3: 87.0}
RAFT = {1: 79.0, 2: 83.0, 3: 82.0}


def write_both(base: Path, amu: dict[int, float], raft: dict[int, float], **changes: object) -> None:
    for trainer, scores in (("AMU", amu), ("RAFT", raft)):
        for seed, accuracy in scores.items():
            write_result(base, seed, **({"trainer": trainer, "accuracy": accuracy} | changes))


def pairs_of(folder: Path, first: str = "AMU", second: str = "RAFT") -> tuple[list[Pair], list[str]]:
    return paired(gather_cells(read_runs([folder])), first, second, "accuracy")


def test_differences_by_seed_as_scipy_has_them(tmp_path: Path) -> None:
    write_both(tmp_path, AMU, RAFT)
    [pair], alone = pairs_of(tmp_path)
    assert pair.differences == {1: 1.0, 2: -1.0, 3: 5.0} and alone == [] and pair.unmatched == ()
    expected = stats.ttest_rel(list(AMU.values()), list(RAFT.values())).confidence_interval(0.95)
    mean, half = pair.summary.mean, pair.summary.ci95
    assert mean is not None and half is not None
    assert (mean - half, mean + half) == pytest.approx((expected.low, expected.high))
    [row] = paired_section(gather_cells(read_runs([tmp_path])), "AMU", "RAFT", "accuracy").rows
    assert row == ["digits", "tiny", "tiny", "16", "+1.67", "-5.92 to +9.26", "3", ""]


def test_unmatched_seeds_are_named_and_left_out(tmp_path: Path) -> None:
    write_both(tmp_path, AMU, {2: 83.0, 4: 10.0})
    section = paired_section(gather_cells(read_runs([tmp_path])), "AMU", "RAFT", "accuracy")
    assert section.rows == [["digits", "tiny", "tiny", "16", "-1.00", "-", "1", "1, 3, 4"]]
    [entry] = section.entries
    assert entry["accuracy_difference"] == -1.0 and entry["accuracy_difference_low95"] is None
    assert (entry["seeds"], entry["unmatched_seeds"], entry["trainer"]) == ([2], [1, 3, 4], "AMU - RAFT")


def test_over_data_sets_by_seed(tmp_path: Path) -> None:
    write_both(tmp_path, AMU, RAFT)
    write_both(tmp_path, {1: 60.0, 2: 60.0}, {1: 50.0, 2: 51.0}, dataset="shapes")
    pairs, _ = pairs_of(tmp_path)
    assert [pair.label.dataset for pair in pairs] == ["digits", "shapes", ALL]
    assert pairs[-1].differences == {1: 5.5, 2: 4.0} and pairs[-1].unmatched == (3,)
    assert pairs[-1].summary.mean == pytest.approx(4.75) and pairs[-1].summary.count == 2


def test_no_pairs_across_backbones_shots_data_sets_or_classes(tmp_path: Path) -> None:
    write_result(tmp_path, trainer="AMU")
    write_result(tmp_path, trainer="RAFT", backbone="RN50", config="rn50")
    write_result(tmp_path, trainer="RAFT", num_shots=4)
    write_result(tmp_path, trainer="RAFT", dataset="shapes")
    write_result(tmp_path / "new", trainer="RAFT", subsample_classes="new")
    write_result(tmp_path, trainer="AMU", num_shots=1)
    assert pairs_of(tmp_path) == ([], ["digits AMU tiny at 1, 16 shots"])
    section = paired_section(gather_cells(read_runs([tmp_path])), "AMU", "RAFT", "accuracy")
    assert section.rows == [] and "no counterpart of RAFT: digits AMU tiny at 1, 16 shots" in section.notes


def test_configs_of_other_names_meet_only_where_there_is_one_of_each(tmp_path: Path) -> None:
    write_result(tmp_path, trainer="AMU", config="mine")
    write_result(tmp_path, trainer="RAFT", config="theirs")
    assert len(pairs_of(tmp_path)[0]) == 1
    write_result(tmp_path, trainer="RAFT", config="more")
    assert pairs_of(tmp_path)[0] == []
    write_result(tmp_path, trainer="RAFT", config="mine", accuracy=80.0)
    assert pairs_of(tmp_path)[0][0].differences == {1: 10.0}
    write_result(tmp_path, trainer="AMU", config="more", accuracy=60.0)
    assert [pair.differences for pair in pairs_of(tmp_path)[0]] == [{1: 10.0}, {1: -30.0}]


def test_zero_shot_clip_is_compared_at_every_number_of_shots(tmp_path: Path) -> None:
    for shots in (1, 16):
        write_result(tmp_path, num_shots=shots, accuracy=70.0 + shots)
    write_result(tmp_path, trainer="ZeroshotCLIP", num_shots=0, accuracy=65.0)
    pairs, _ = pairs_of(tmp_path, "AMU", "ZeroshotCLIP")
    assert [(pair.label.shots, pair.differences[1]) for pair in pairs] == [(1, 6.0), (16, 21.0)]
    pairs, _ = pairs_of(tmp_path, "ZeroshotCLIP", "AMU")
    assert [(pair.label.shots, pair.differences[1]) for pair in pairs] == [(1, -6.0), (16, -21.0)]


def test_the_only_run_of_zero_shot_clip_is_compared_with_every_seed(tmp_path: Path) -> None:
    for dataset, zero_shot in (("digits", 60.0), ("shapes", 50.0)):
        for seed, accuracy in RAFT.items():
            write_result(tmp_path, seed, dataset=dataset, trainer="RAFT", accuracy=accuracy)
        write_result(tmp_path, 7, dataset=dataset, trainer="ZeroshotCLIP", num_shots=0, accuracy=zero_shot)
    note = "ZeroshotCLIP draws nothing: its only run (seed 7) is compared with every seed"
    for sign, names in ((1, ("RAFT", "ZeroshotCLIP")), (-1, ("ZeroshotCLIP", "RAFT"))):
        pairs, _ = pairs_of(tmp_path, *names)
        assert [pair.label.dataset for pair in pairs] == ["digits", "shapes", ALL]
        assert pairs[0].differences == {1: sign * 19.0, 2: sign * 23.0, 3: sign * 22.0} and pairs[0].unmatched == ()
        assert pairs[2].summary.count == 3 and pairs[2].differences[1] == sign * 24.0
        assert paired_section(gather_cells(read_runs([tmp_path])), *names, "accuracy").notes.count(note) == 1


def test_single_runs_of_trainers_that_draw_are_not_spread_over_seeds(tmp_path: Path) -> None:
    write_both(tmp_path, AMU, {1: 79.0})
    assert pairs_of(tmp_path)[0][0].differences == {1: 1.0}
    for seed in (2, 9):  # and zero-shot CLIP that was run with several seeds is matched by them
        write_result(tmp_path, seed, trainer="ZeroshotCLIP", num_shots=0, accuracy=60.0)
    [pair] = pairs_of(tmp_path, "AMU", "ZeroshotCLIP")[0]
    assert (pair.differences, pair.unmatched, pair.stands_for_all) == ({2: 22.0}, (1, 3, 9), "")


def test_oracle_pairs_carry_a_dagger(tmp_path: Path) -> None:
    write_result(tmp_path, trainer="AMU", protocol=ORACLE)
    write_result(tmp_path, trainer="RAFT")
    section = paired_section(gather_cells(read_runs([tmp_path])), "AMU", "RAFT", "accuracy")
    assert section.rows[0][0] == "digits: AMU† and RAFT" and section.entries[0]["oracle"] is True
    assert any("oracle" in note for note in section.notes)


def test_what_cannot_be_paired(tmp_path: Path) -> None:
    write_result(tmp_path, trainer="AMU")
    with pytest.raises(ValueError, match="no finished runs of trainer RAFT to pair; there are AMU"):
        pairs_of(tmp_path)
    with pytest.raises(ValueError, match="needs two trainers, not AMU twice"):
        pairs_of(tmp_path, "AMU", "AMU")
