"""The package as others install it: what the wheel holds, and that it works beside strangers' packages."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest

import amu_raft

REPOSITORY = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
# Somebody else's `datasets` is imported first, as a notebook does. It has nothing of ours.
BESIDE_A_STRANGER = """
import datasets
assert datasets.WHOSE == "a stranger's"
from amu_raft import FewShotClassifier, __file__ as place
import dassl, sys
assert "site-packages" in place and "site-packages" in dassl.__file__, (place, dassl.__file__)
from PIL import Image, ImageDraw

def drawn(kind, number):
    picture = Image.new("RGB", (64, 64), "white")
    draw = ImageDraw.Draw(picture)
    box = (8 + number, 8, 40 + number, 40)
    draw.ellipse(box, fill="red") if kind == "circle" else draw.rectangle(box, fill="blue")
    return picture

labels = ["circle", "square"] * 6
pictures = [drawn(label, number) for number, label in enumerate(labels)]
classifier = FewShotClassifier("amu", "tiny", random_state=0, settings={"epochs": 3, "warmup_epochs": 1})
classifier.fit(pictures, labels)
assert classifier.score(pictures, labels) == 1.0
classifier.save("model")
assert FewShotClassifier.load("model").predict(pictures).tolist() == classifier.predict(pictures).tolist()
pictures[0].save("circle.png")
ours = {"datasets", "trainers", "experiments", "scripts", "train"} & set(sys.modules)
assert ours == {"datasets"} and datasets.WHOSE == "a stranger's", ours
print("done")
"""


def run(
    *command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command without the paths of this checkout."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | dict(environment or {})
    done = subprocess.run([*map(str, command)], cwd=cwd, env=variables, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git tracks, or would: a build in the checkout might take up what an earlier one left there."""
    folder = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheels(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of the toolbox and of the package."""
    folder = tmp_path_factory.mktemp("wheels")
    build = ("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder)
    run(sys.executable, *build, "./toolbox", ".", cwd=source)
    return folder


@pytest.fixture(scope="module")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of a new environment with both wheels; other packages are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    site, scripts = (Path(sysconfig.get_path(name, "venv", vars=paths)) for name in ("purelib", "scripts"))
    pip = (sys.executable, "-m", "pip", "--python", scripts / "python")
    run(*pip, "install", "--no-deps", "--no-index", *wheels.glob("*.whl"), cwd=folder)
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    return scripts


def test_the_wheel_holds_one_package_and_its_data(wheels: Path) -> None:
    [wheel] = wheels.glob("amu_raft-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(f"amu_raft-{amu_raft.__version__}.dist-info/METADATA").decode()
        entries = archive.read(f"amu_raft-{amu_raft.__version__}.dist-info/entry_points.txt").decode()
    tops = {PurePosixPath(name).parts[0] for name in names}
    assert tops == {"amu_raft", f"amu_raft-{amu_raft.__version__}.dist-info"}
    tracked = run("git", "ls-files", "amu_raft", cwd=REPOSITORY).stdout.split()
    assert set(filter(lambda name: (REPOSITORY / name).is_file(), tracked)) <= set(names)
    data = {name for name in names if not name.endswith(".py") and "dist-info" not in name}
    assert {PurePosixPath(name).name for name in data} == {
        *("manifest.json", "tiny_aux.pt", "tiny_clip.pt", "index.html", "page.css", "page.js", "py.typed")
    }
    assert not [name for name in names if "test" in PurePosixPath(name).name.lower() or name.endswith(".yaml")]
    assert "amu-raft = amu_raft.cli:main" in entries
    required = [line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    assert not [line for line in required if line.startswith("dassl")]
    for word in ("torch>=2.6", "clip-anytorch", "shtab", 'fastapi>=0.115; extra == "serve"', 'onnx; extra == "export"'):
        assert word in required
    assert f"Version: {amu_raft.__version__}" in metadata


def test_it_works_beside_a_strangers_datasets(installed: Path, tmp_path: Path) -> None:
    strangers, here = tmp_path / "strangers", tmp_path / "here"
    (strangers / "datasets").mkdir(parents=True)
    (strangers / "datasets" / "__init__.py").write_text('WHOSE = "a stranger\'s"\n')
    here.mkdir()
    done = run(*(installed / "python", "-c", BESIDE_A_STRANGER), cwd=here, environment={"PYTHONPATH": str(strangers)})
    assert done.stdout == "done\n"
    rows = run(installed / "amu-raft", "predict", "--model", "model", "circle.png", "--format", "csv", cwd=here).stdout
    assert rows.splitlines()[1].startswith("circle.png,,circle,")


def test_the_command_fits_a_folder(installed: Path, image_root: Path, tmp_path: Path) -> None:
    fit = (installed / "amu-raft", "fit", image_root, "--method", "ZeroshotCLIP", "--output", "model")
    assert "test: " in run(*fit, cwd=tmp_path).stdout and (tmp_path / "model" / "model.safetensors").is_file()
    assert f"amu-raft {amu_raft.__version__}\n" == run(installed / "amu-raft", "--version", cwd=tmp_path).stdout


def test_without_the_toolbox_there_is_one_clear_line(installed: Path, image_root: Path, tmp_path: Path) -> None:
    """A package that cannot be imported stands in the toolbox's place."""
    (tmp_path / "dassl.py").write_text("raise ModuleNotFoundError(\"No module named 'dassl'\", name='dassl')\n")
    fit = (installed / "amu-raft", "fit", image_root, "--method", "AMU", "--output", "model")
    done = run(*fit, cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path)}, status=1)
    [line] = done.stderr.splitlines()
    assert line.startswith("error: No module named 'dassl'") and line.endswith("pip install ./toolbox .")
