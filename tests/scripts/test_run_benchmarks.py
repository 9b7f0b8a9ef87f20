from pathlib import Path

import pytest

from tests.scripts.conftest import NAMES, SCRIPTS, Job

BENCHMARKS = (
    "imagenet caltech101 oxford_pets stanford_cars oxford_flowers food101 fgvc_aircraft sun397 dtd eurosat ucf101"
)
VARIANTS = "imagenetv2 imagenet_sketch imagenet_a imagenet_r"


def value(call: list[str], flag: str) -> str:
    return call[call.index(flag) + 1]


def trained(job: Job) -> list[list[str]]:
    return [call for call in job.recorded() if call[0].endswith("train.py")]


def places(job: Job) -> list[str]:
    """Folders of the runs, below the repository."""
    return [value(call, "--output-dir").removeprefix(f"{job.repository}/") for call in trained(job)]


def with_all_data_sets(job: Job) -> None:
    for name in (*BENCHMARKS.split(), *VARIANTS.split()):
        evaluated = "# Evaluation only: trained on imagenet\n" if name in VARIANTS.split() else ""
        job.write(f"configs/datasets/{name}.yaml", f"# {name}\n{evaluated}")


# -------------------------------------------------------------------------------------------------------------- all.sh


def test_all_runs_eleven_data_sets_at_five_numbers_of_shots(job: Job) -> None:
    with_all_data_sets(job)
    done = job.run("raft/all", DATA="d", SEEDS="1")
    assert done.returncode == 0, done.stderr
    wanted = [f"output/{name}/RAFT/rn50_{k}shots/seed1" for name in BENCHMARKS.split() for k in (1, 2, 4, 8, 16)]
    assert places(job) == wanted
    table = job.recorded()[-1]
    assert table[0].endswith("/parse_results.py") and table[-2:] == ["--seeds", "1"] and len(table) == 1 + 55 + 2
    assert done.stdout.endswith("the table\n")


def test_zero_shot_all_runs_each_data_set_once(job: Job) -> None:
    with_all_data_sets(job)
    assert job.run("zeroshot/all", DATA="d", SEEDS="1").returncode == 0
    assert places(job) == [f"output/{name}/ZeroshotCLIP/rn50_0shots/seed1" for name in BENCHMARKS.split()]


def test_failures_are_reported_at_the_end_and_finished_cells_are_skipped(job: Job) -> None:
    environment = {"DATA": "d", "DATASETS": "digits dtd imagenet", "SHOTS": "1 2", "SEEDS": "1 2"}
    done = job.run("amu/all", FAIL_IN="dtd/AMU/rn50_2shots/seed1", **environment)
    assert done.returncode == 1 and len(trained(job)) == 12
    assert done.stderr.splitlines()[-1].endswith("all.sh: failed: dtd/2shots")
    assert done.stdout.endswith("the table\n")
    job.calls.unlink()
    assert job.run("amu/all", **environment).returncode == 0
    assert places(job) == ["output/dtd/AMU/rn50_2shots/seed1"]
    assert all("/tiny_" in place for place in places(job) if "digits" in place)


def test_a_table_that_cannot_be_made_is_a_failure(job: Job) -> None:
    done = job.run("amu/all", DATASETS="digits", SHOTS="1", TABLE_FAILS="1")
    assert done.returncode == 1 and done.stderr.splitlines()[-1].endswith("failed: table")


@pytest.mark.parametrize(
    ("script", "environment", "message"),
    [
        ("amu/all", {}, "DATA is not set, and imagenet is read from it"),
        ("amu/all", {"DATASETS": "digits nope"}, "no data set 'nope'; known are "),
        ("amu/all", {"DATASETS": "digits", "SHOTS": "1 x"}, "SHOTS is 'x'; expected a whole number"),
        ("raft/xd", {"DATA": "d", "DATASETS": "nope"}, "no data set 'nope'; known are "),
        ("raft/xd", {}, "DATA is not set, and imagenet is read from it"),
        ("amu/all", {"DATASETS": "digits", "SEEDS": "a"}, "SEEDS holds 'a'"),
    ],
)
def test_nothing_runs_before_everything_is_checked(
    script: str, environment: dict[str, str], message: str, job: Job
) -> None:
    with_all_data_sets(job)
    done = job.run(script, **environment)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert job.recorded() == []


# --------------------------------------------------------------------------------------------------------------- xd.sh


def test_transfer_trains_on_imagenet_and_evaluates_on_fourteen(job: Job) -> None:
    with_all_data_sets(job)
    done = job.run("amu/xd", DATA="d", SEEDS="1")
    assert done.returncode == 0, done.stderr
    targets = [*VARIANTS.split(), *BENCHMARKS.split()[1:]]
    cell = "AMU/rn50_16shots/seed1"
    assert places(job) == [f"output/imagenet/{cell}", *(f"output_xd/{name}/{cell}" for name in targets)]
    calls = trained(job)
    assert "--eval-only" not in calls[0]
    assert {value(call, "--model-dir") for call in calls[1:]} == {f"{job.repository}/output/imagenet/{cell}"}
    table = job.recorded()[-1]
    assert table[1].endswith("/output/imagenet/AMU/rn50_16shots") and len(table) == 1 + 15 + 2
    assert job.run("amu/xd", "16", DATA="d", SEEDS="1").returncode == 0
    assert len(trained(job)) == 15  # all of it is there


def test_targets_take_the_configuration_of_the_model(job: Job) -> None:
    assert job.run("amu/xd", "4", DATA="d", SEEDS="1", DATASETS="digits imagenetv2").returncode == 0
    assert places(job)[1:] == [f"output_xd/{name}/AMU/rn50_4shots/seed1" for name in ("digits", "imagenetv2")]
    assert {Path(value(call, "--config-file")).stem for call in trained(job)} == {"rn50"}


def test_transfer_reports_each_target_that_failed(job: Job) -> None:
    done = job.run("raft/xd", "1", "tiny", DATA="d", SEEDS="1", DATASETS="dtd imagenetv2", FAIL_IN="_xd/dtd")
    assert done.returncode == 1 and done.stderr.splitlines()[-1].endswith("failed: dtd")
    assert len(trained(job)) == 3


def test_zero_shot_transfer_has_no_shots_and_no_model(job: Job) -> None:
    assert job.run("zeroshot/xd", "tiny", DATA="d", SEEDS="1", DATASETS="dtd").returncode == 0
    assert places(job) == [f"{base}/ZeroshotCLIP/tiny_0shots/seed1" for base in ("output/imagenet", "output_xd/dtd")]
    assert "--model-dir" not in trained(job)[1]


# --------------------------------------------------------------------------------------------------------- base2new.sh


def test_half_of_the_classes_is_trained_on_and_the_other_half_evaluated(job: Job) -> None:
    output = job.repository / "my output"
    assert job.run("amu/base2new", "digits", "16", SEEDS="1 2", OUTPUT=str(output)).returncode == 0
    calls = trained(job)
    base, new = (f"{output}_base2new/{part}/digits/shots_16/AMU/tiny" for part in ("train_base", "test_new"))
    assert [value(call, "--output-dir") for call in calls] == [
        f"{folder}/seed{seed}" for folder in (base, new) for seed in (1, 2)
    ]
    pairs = ["DATASET.NUM_SHOTS", "16", "DATASET.SUBSAMPLE_CLASSES"]
    assert [call[-4:] for call in calls] == [[*pairs, half] for half in ("base", "base", "new", "new")]
    assert value(calls[3], "--model-dir") == f"{base}/seed2"
    assert job.recorded()[-1][1:] == [base, new, "--seeds", "1", "2"]


def test_base_to_new_where_training_failed(job: Job) -> None:
    done = job.run("raft/base2new", "digits", "1", SEEDS="1 2", FAIL="1")
    assert done.returncode == 1 and done.stderr.splitlines()[-1].endswith("failed: base new")
    assert len(trained(job)) == 3


def test_base_to_new_refuses_what_is_only_evaluated(job: Job) -> None:
    done = job.run("amu/base2new", "imagenetv2", "1", DATA="d")
    assert done.returncode == 2 and "imagenetv2 is only evaluated, never trained on" in done.stderr
    assert job.recorded() == []


# ------------------------------------------------------------------------------------------------------ all the scripts


@pytest.mark.parametrize("script", sorted(f"{path.parent.name}/{path.stem}" for path in SCRIPTS.glob("*/*.sh")))
def test_every_script_explains_itself_and_refuses_too_many_arguments(script: str, job: Job) -> None:
    done = job.run(script, "-h")
    synopsis = done.stdout.splitlines()[0].partition(f"/{script}.sh ")[2]
    assert done.returncode == 0 and synopsis.endswith("[CFG]") and "digits dtd imagenet imagenetv2" in done.stdout
    assert synopsis in (SCRIPTS / f"{script}.sh").read_text()  # the comment at its top says the same
    assert ("SHOTS" in synopsis) <= (not script.startswith("zeroshot/"))
    wrong = job.run(script, *["1"] * (len(synopsis.split()) + 1))
    assert wrong.returncode == 2 and wrong.stdout == "" and "\nUsage:" in wrong.stderr
    assert job.recorded() == []


def test_every_trainer_has_every_script() -> None:
    found: dict[str, set[str]] = {path.parent.name: set() for path in SCRIPTS.glob("*/*.sh")}
    for path in SCRIPTS.glob("*/*.sh"):
        found[path.parent.name].add(path.stem)
    assert found == {name: {"main", "eval", "all", "xd", "base2new"} for name in NAMES}
