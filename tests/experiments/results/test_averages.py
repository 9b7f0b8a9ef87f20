from pathlib import Path

import pytest

from experiments.results.averages import ELEVEN, OF_ELEVEN, OF_PRESENT, average_over_datasets, averages
from experiments.results.cells import gather_cells
from experiments.results.run_folders import read_runs
from tests.experiments.results.run_trees import ORACLE, PROTOCOL, write_result


def write_eleven(base: Path, seeds: tuple[int, ...] = (1, 2, 3), **changes: object) -> None:
    """Accuracy 50 + 2 * (place of the data set) + seed."""
    for place, dataset in enumerate(ELEVEN):
        for seed in seeds:
            write_result(base, seed, dataset=dataset, accuracy=50.0 + 2 * place + seed, **changes)


def test_the_eleven_are_the_papers() -> None:
    assert len(set(ELEVEN)) == 11 and not {"imagenetv2", "imagenet_sketch", "imagenet_a", "imagenet_r"} & set(ELEVEN)


def test_the_mean_of_eleven_means_with_the_spread_over_seeds(tmp_path: Path) -> None:
    write_eleven(tmp_path)
    write_result(tmp_path, dataset="imagenet_a", accuracy=0.0)
    write_result(tmp_path, dataset="digits", accuracy=0.0)
    [average] = averages(gather_cells(read_runs([tmp_path])), "accuracy")
    assert average.label.dataset == OF_ELEVEN and average.of_eleven and average.missing == () and average.mixed == ()
    assert average.summary.mean == pytest.approx(62.0)  # 50 + 10 + 2
    assert average.summary.count == 3 and average.summary.std == pytest.approx(1.0)  # every seed's average: 61, 62, 63
    assert not average.oracle and len(average.cells) == 11


def test_fewer_than_eleven_give_no_mean(tmp_path: Path) -> None:
    write_eleven(tmp_path)
    for seed in (1, 2, 3):
        (tmp_path / "dtd" / "AMU" / "tiny_16shots" / f"seed{seed}" / "result.json").unlink()
    [average] = averages(gather_cells(read_runs([tmp_path])), "accuracy")
    assert (average.summary.mean, average.summary.count, average.missing) == (None, 0, ("dtd",))


def test_other_seeds_in_one_data_set_leave_the_mean_without_a_spread(tmp_path: Path) -> None:
    write_eleven(tmp_path)
    (tmp_path / "dtd" / "AMU" / "tiny_16shots" / "seed3" / "result.json").unlink()
    [average] = averages(gather_cells(read_runs([tmp_path])), "accuracy")
    assert average.summary.mean == pytest.approx((11 * 62.0 - 0.5) / 11)  # the mean of the data sets' means
    assert (average.summary.count, average.summary.std, average.summary.ci95) == (0, None, None)


def test_whatever_is_there_on_request_and_named_so(tmp_path: Path) -> None:
    write_result(tmp_path, dataset="digits", accuracy=80.0)
    write_result(tmp_path, dataset="dtd", accuracy=60.0)
    write_result(tmp_path / "output_xd", dataset="eurosat", accuracy=10.0, mode="eval")
    cells = gather_cells(read_runs([tmp_path]))
    [average] = averages(cells, "accuracy", "present")
    assert (average.label.dataset, average.summary.mean, average.missing) == (OF_PRESENT, 70.0, ())
    assert averages(cells, "accuracy", "none") == []


def test_shots_configs_and_backbones_are_averaged_apart(tmp_path: Path) -> None:
    write_eleven(tmp_path, (1,))
    write_eleven(tmp_path, (1,), num_shots=4)
    write_eleven(tmp_path, (1,), config="rn50", backbone="RN50")
    write_result(tmp_path, dataset="dtd", subsample_classes="new", config="x")
    found = averages(gather_cells(read_runs([tmp_path])), "accuracy")
    keys = [(mean.label.config, mean.label.shots, mean.summary.mean is None) for mean in found]
    assert keys == [("rn50", 16, False), ("tiny", 4, False), ("tiny", 16, False), ("x", 16, True)]


def test_protocols_that_differ_between_data_sets_are_named(tmp_path: Path) -> None:
    write_result(tmp_path, dataset="dtd")
    write_result(tmp_path, dataset="eurosat", protocol=PROTOCOL | {"final_model": "best_val"})
    write_result(tmp_path, dataset="food101", protocol=ORACLE)
    [average] = averages(gather_cells(read_runs([tmp_path])), "accuracy")
    assert average.mixed == ("final_model", "selected_on", "oracle") and average.oracle


def test_over_data_sets_by_hand() -> None:
    found = average_over_datasets([{1: 10.0, 2: 20.0}, {2: 60.0, 1: 30.0}])
    assert found.mean == 30.0 and found.count == 2 and found.std == pytest.approx(20.0 / 2**0.5)
