import pytest

from tests.scripts.conftest import NAMES, SCRIPTS, Job
from tests.scripts.test_seed_scripts import calls, sweep_of

BENCHMARKS = (
    "imagenet caltech101 oxford_pets stanford_cars oxford_flowers food101 fgvc_aircraft sun397 dtd eurosat ucf101"
)
VARIANTS = "imagenetv2 imagenet_sketch imagenet_a imagenet_r"
SHOTS = ("--shots", "1", "2", "4", "8", "16")


def test_all_runs_eleven_data_sets_at_five_numbers_of_shots(job: Job) -> None:
    assert job.run("raft/all", DATA="d", SEEDS="1").returncode == 0
    words = ("--table", *SHOTS, "--datasets", *BENCHMARKS.split())
    assert calls(job) == [sweep_of(job, "RAFT", *words, seeds="1", root="d")]


def test_some_data_sets_and_numbers_of_shots(job: Job) -> None:
    assert job.run("amu/all", "rn50", DATASETS="digits dtd", SHOTS="1 2").returncode == 0
    words = ("--backbones", "rn50", "--table", "--shots", "1", "2", "--datasets", "digits", "dtd")
    assert calls(job) == [sweep_of(job, "AMU", *words)]


def test_transfer_trains_on_imagenet_and_evaluates_on_fourteen(job: Job) -> None:
    targets = [*VARIANTS.split(), *BENCHMARKS.split()[1:]]
    for script, shots in (("amu", ["4"]), ("amu", []), ("zeroshot", [])):
        assert job.run(f"{script}/xd", *shots).returncode == 0
        number = "all" if script == "zeroshot" else (*shots, "16")[0]
        words = ("--shots", number, "--table", "--job", "transfer", "--datasets", *targets)
        assert calls(job)[-1] == sweep_of(job, NAMES[script], *words)


def test_half_of_the_classes_is_trained_on_and_the_other_half_evaluated(job: Job) -> None:
    output = str(job.repository / "my output")
    assert job.run("amu/base2new", "digits", "16", OUTPUT=output).returncode == 0
    words = ("--shots", "16", "--table", "--job", "base2new", "--datasets", "digits")
    assert calls(job) == [sweep_of(job, "AMU", *words, output=output)]


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
