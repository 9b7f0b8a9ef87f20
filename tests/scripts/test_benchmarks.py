"""Every benchmark, as a miniature in its real layout on disk, through the scripts that a user runs.

Minutes: two jobs side by side, one thread each. `make test-datasets` runs them and prints the doctor's table.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dassl.data.datasets import DATASET_REGISTRY
from datasets.catalog import Entry, read_catalog
from tests.datasets.miniatures.archives import serve, write_catalog
from tests.datasets.miniatures.common import build_miniature

pytestmark = pytest.mark.datasets

REPOSITORY = Path(__file__).parents[2]
CATALOG = read_catalog()
ENTRIES = {entry.stem: entry for entry in CATALOG.values()}
# ImageNet first: the models for its variants are those that its own job trained.
JOBS = {
    "amu": [*(f"main {stem} 2" for stem in ENTRIES), "eval dtd 2", "base2new dtd 2", "xd 2"],
    "raft": [*(f"main {stem} 2" for stem in ENTRIES), "eval imagenet_r 2", "base2new imagenet 2"],
    "zeroshot": ["xd", "base2new ucf101"],
}
NAMES = {"amu": "AMU", "raft": "RAFT", "zeroshot": "ZeroshotCLIP"}
Done = subprocess.CompletedProcess[str]


class Benchmarks:
    """The miniatures, and the jobs that run on them."""

    def __init__(self, folder: Path) -> None:
        self.root, self.output = folder / "data", folder / "runs" / "output"
        for name in CATALOG:
            build_miniature(name, self.root)
        self.pool = ThreadPoolExecutor(2)
        self.futures: list[Future[dict[str, Done]]] = [
            self.pool.submit(lambda: self.run_jobs("amu")),
            self.pool.submit(lambda: self.run_jobs("raft") | self.run_jobs("zeroshot")),
        ]

    def run_jobs(self, script: str) -> dict[str, Done]:
        return {f"{script}/{job}": self.run(script, *job.split()) for job in JOBS[script]}

    def run(self, script: str, job: str, *arguments: str) -> Done:
        own = {"DATA": self.root, "OUTPUT": self.output, "PYTHON": sys.executable, "SEEDS": "1", "OMP_NUM_THREADS": "1"}
        own["OPTS"] = "OPTIM.MAX_EPOCH 20 OPTIM.WARMUP_EPOCH 2 DATALOADER.TRAIN_X.BATCH_SIZE 4"
        return subprocess.run(
            ["bash", str(REPOSITORY / "scripts" / script / f"{job}.sh"), *arguments, "tiny"],
            env=os.environ | {key: str(value) for key, value in own.items()},
            capture_output=True,
            text=True,
        )

    def done(self, job: str) -> Done:
        """Return how a job ended, once its line of jobs is through."""
        return self.futures[0 if job.startswith("amu/") else 1].result()[job]

    def result(self, folder: str) -> dict[str, Any]:
        """Return the result of seed 1 in a folder beside the trained runs."""
        path = self.output.parent / folder / "seed1" / "result.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Benchmarks]:
    made = Benchmarks(tmp_path_factory.mktemp("benchmarks"))
    yield made
    made.pool.shutdown(cancel_futures=True)


def cell(script: str, stem: str) -> str:
    return f"{stem}/{NAMES[script]}/tiny_{0 if script == 'zeroshot' else 2}shots"


def num_test_images(benchmarks: Benchmarks, entry: Entry) -> int:
    return len(DATASET_REGISTRY.get(entry.name).read_rows(benchmarks.root / entry.directory)["test"])


@pytest.mark.parametrize("stem", ENTRIES)
@pytest.mark.parametrize("script", ["amu", "raft"])
def test_both_methods_on_every_benchmark(script: str, stem: str, benchmarks: Benchmarks) -> None:
    done = benchmarks.done(f"{script}/main {stem} 2")
    assert done.returncode == 0, done.stderr
    result = benchmarks.result(f"output/{cell(script, stem)}")
    assert (result["status"], result["dataset"], result["num_shots"]) == ("finished", stem, 2)
    assert (result["trainer"], result["config"], result["seed"]) == (NAMES[script], "tiny", 1)
    assert result["total"] == num_test_images(benchmarks, ENTRIES[stem]) > 0
    model = benchmarks.output / cell(script, stem) / "seed1" / "adapter"
    assert (ENTRIES[stem].trained_on != "") == ("2 runs: 1 are done, 1 to run" in done.stdout)
    if script == "amu":
        assert model.is_dir() == (ENTRIES[stem].trained_on == "")


@pytest.mark.parametrize(("script", "gain"), [("amu", 20.0), ("raft", 8.0)])
def test_the_methods_learn(script: str, gain: float, benchmarks: Benchmarks) -> None:
    """The images of a class look alike and the names say nothing about them, so all that is gained is learnt."""
    results = [
        benchmarks.result(f"output/{cell(script, stem)}")
        for stem in ENTRIES
        if benchmarks.done(f"{script}/main {stem} 2")
    ]
    gains = [result["accuracy"] - result["zero_shot_accuracy"] for result in results]
    assert sum(gains) / len(gains) > gain, gains


@pytest.mark.parametrize(("job", "folder"), [("amu/eval dtd 2", "dtd"), ("raft/eval imagenet_r 2", "imagenet_r")])
def test_an_evaluation_finds_the_same_again(job: str, folder: str, benchmarks: Benchmarks) -> None:
    done, script = benchmarks.done(job), job.partition("/")[0]
    assert done.returncode == 0, done.stderr
    first, again = (benchmarks.result(f"{base}/{cell(script, folder)}") for base in ("output", "output_eval"))
    assert again["accuracy"] == first["accuracy"] and again["per_class_accuracy"] == first["per_class_accuracy"]


@pytest.mark.parametrize(
    ("job", "halves"),
    [
        ("amu/base2new dtd 2", ("train_base/dtd/shots_2/AMU/tiny", "test_new/dtd/shots_2/AMU/tiny")),
        ("raft/base2new imagenet 2", ("train_base/imagenet/shots_2/RAFT/tiny", "test_new/imagenet/shots_2/RAFT/tiny")),
        (
            "zeroshot/base2new ucf101",
            ("train_base/ucf101/shots_0/ZeroshotCLIP/tiny", "test_new/ucf101/shots_0/ZeroshotCLIP/tiny"),
        ),
    ],
)
def test_base_to_new_classes(job: str, halves: tuple[str, str], benchmarks: Benchmarks) -> None:
    done = benchmarks.done(job)
    assert done.returncode == 0, done.stderr
    base, new = (benchmarks.result(f"output_base2new/{half}") for half in halves)
    assert (base["subsample_classes"], new["subsample_classes"]) == ("base", "new")
    assert not base["per_class_accuracy"].keys() & new["per_class_accuracy"].keys() or "imagenet" in job
    stem = job.split()[1]
    assert f"| {stem} (base) " in done.stdout and f"| {stem} (new) " in done.stdout
    if job.startswith("amu/"):  # the classifier knows none of the new classes: CLIP is left as it is
        assert new["known_classes"] == 0 and new["accuracy"] == new["zero_shot_accuracy"]


@pytest.mark.parametrize("script", ["amu", "zeroshot"])
def test_transfer_from_imagenet(script: str, benchmarks: Benchmarks) -> None:
    done = benchmarks.done("amu/xd 2" if script == "amu" else "zeroshot/xd")
    assert done.returncode == 0, done.stderr
    for stem, entry in ENTRIES.items():
        base = "output" if stem == "imagenet" else "output_xd"
        result = benchmarks.result(f"{base}/{cell(script, stem)}")
        assert result["status"] == "finished" and result["total"] == num_test_images(benchmarks, entry)
        assert f"| {stem} " in done.stdout
        if script == "amu":
            family = stem == "imagenet" or entry.trained_on
            assert result["known_classes"] == (result["num_classes"] if family else 0)
            assert family or result["accuracy"] == result["zero_shot_accuracy"]


def test_the_doctor_finds_them_whole(benchmarks: Benchmarks, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [serve(name, lambda path, content: None, "http://localhost") for name in CATALOG]
    catalog = write_catalog(benchmarks.root.parent / "miniatures.yaml", entries)
    command = [sys.executable, "-m", "datasets.doctor", "--root", str(benchmarks.root), "--catalog", str(catalog)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    with capsys.disabled():
        print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if " whole " in line]) == len(CATALOG)
