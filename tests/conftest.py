"""Fixtures that several folders of tests share."""

import contextlib
import functools
import io
import json
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image
from torch import nn

torch.set_num_threads(1)  # two cores are shared, and one thread adds in one order
settings.register_profile("suite", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("suite")

CLASSES = {"bear": 10, "red_fox": 10, "sea lion": 10}
MakeImages = Callable[..., Path]
# Two shots of three classes in batches of four: the second batch of an epoch is short.
SMALL_RUN = [
    *("DATASET.NUM_SHOTS", "2", "DATALOADER.TRAIN_X.BATCH_SIZE", "4", "OPTIM.MAX_EPOCH", "4"),
    *("OPTIM.WARMUP_EPOCH", "1", "TRAIN.VIEWS", "2", "TRAIN.CHECKPOINT_FREQ", "1"),
]


class Run(NamedTuple):
    """What a call of train.main left behind."""

    status: int
    folder: Path
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return content

    @property
    def error(self) -> str:
        """The error line; there must be exactly one, and no traceback."""
        lines = [line for line in self.err.replace("\r", "\n").splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and "Traceback" not in self.err, self.err
        return lines[0]


@pytest.fixture
def trainers_of_this_test() -> Iterator[None]:
    """Forget trainers and methods that a test registers by importing their modules: other tests list them."""
    import trainers  # noqa: F401  those that are there are not forgotten
    from amu_raft.methods import method_names, registry
    from dassl.engine import TRAINER_REGISTRY

    method_names()
    before, methods = dict(TRAINER_REGISTRY._objects), dict(registry._METHODS)
    yield
    for name in registry._METHODS.keys() - methods.keys():
        sys.modules.pop(registry._METHODS[name].__module__, None)
    registry._METHODS.clear()
    registry._METHODS.update(methods)
    for name in TRAINER_REGISTRY._objects.keys() - before.keys():
        sys.modules.pop(TRAINER_REGISTRY._objects[name].__module__, None)  # to be registered by the next import
    TRAINER_REGISTRY._objects = before


@pytest.fixture(scope="session", autouse=True)
def private_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep generated data sets and downloads away from the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMU_RAFT_CACHE", str(folder / "amu-raft"))
        patch.setenv("CLIP_ROOT", str(folder / "clip"))
        patch.delenv("AMU_RAFT_WEIGHTS", raising=False)
        yield folder


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Resolve no host but this machine: a test that would download fails at once, everywhere."""
    resolve, here = socket.getaddrinfo, ("localhost", "127.0.0.1", "::1", "0.0.0.0", socket.gethostname(), "", None)

    def resolve_here(host: Any, *arguments: Any, **options: Any) -> Any:
        if (host.decode() if isinstance(host, bytes) else host) not in here:
            raise socket.gaierror(socket.EAI_NONAME, f"tests have no network, {host!r} is not resolved")
        return resolve(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve_here)
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        yield


@pytest.fixture(autouse=True)
def plain_warnings() -> Iterator[None]:
    """Undo what train.py does to the look of warnings in its process."""
    formatwarning = warnings.formatwarning
    yield
    warnings.formatwarning = formatwarning


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, so that ``output/`` never lands in the repository."""
    folder = tmp_path / "workdir"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write_images(
    root: Path, classes: Mapping[str, int] = CLASSES, *, size: tuple[int, int] = (64, 64), suffix: str = ".png"
) -> Path:
    """Write ROOT/<class>/<n>SUFFIX: noise around a colour and a bar that tell the classes apart."""
    for label, (name, count) in enumerate(classes.items()):
        random = np.random.RandomState(label)
        colour = random.randint(0, 255, 3)
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = np.clip(colour + random.normal(0, 40, (size[1], size[0], 3)), 0, 255)
            pixels[8 * label : 8 * label + 8] = 255 - colour
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{index}{suffix}")
    return root


@pytest.fixture(scope="session")
def make_images() -> MakeImages:
    return write_images


@pytest.fixture(scope="session")
def image_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of ten images, undivided: five to train, two to validate, three to test. Not to be written to."""
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def train_main(image_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Run]]:
    """Call train.main as the command line would, on the small image folder; output goes to a folder of its own."""
    import experiments.runs.session
    import train
    from dassl.utils import collect_env_info

    def call(trainer: str, *argv: str, folder: Path | None = None, root: Path = image_root, small: bool = True) -> Run:
        folder = folder or tmp_path_factory.mktemp("runs") / "run"
        flags = ["--trainer", trainer, "--root", str(root), "--output-dir", str(folder)]
        flags += [] if "--dataset-config-file" in argv else ["--dataset-config-file", "image_folder"]
        options = [item for item in argv if item in ("--eval-only", "--no-train")]
        rest = [item for item in argv if item not in options]
        first_key = next((i for i in range(0, len(rest), 2) if not rest[i].startswith("--")), len(rest))
        keys = [*(SMALL_RUN if small else []), *rest[first_key:]]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = train.main([*flags, *options, *rest[:first_key], *keys])
        return Run(status, folder, out.getvalue(), err.getvalue())

    with pytest.MonkeyPatch.context() as patch:
        # Half a second of asking pip about packages, the same text every time.
        patch.setattr(experiments.runs.session, "collect_env_info", functools.cache(collect_env_info))
        yield call


HOLD_FOLDER = """
import sys, time
from pathlib import Path
from experiments.runs.folder_lock import folder_locked
with folder_locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def held() -> Callable[[Path], contextlib.AbstractContextManager[None]]:
    """Let another process hold a run folder, and be killed in the end."""

    @contextlib.contextmanager
    def hold(folder: Path) -> Iterator[None]:
        command, here = [sys.executable, "-c", HOLD_FOLDER, str(folder)], Path(__file__).parents[1]
        with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None and process.stdout.readline() == "held\n"
                yield
            finally:
                process.kill()

    return hold


@pytest.fixture(scope="session")
def finished(train_main: Callable[..., Run]) -> Callable[[str], Run]:
    """The plain small run of a trainer, done once; its folder is not to be written to."""

    @functools.cache
    def run(trainer: str) -> Run:
        done = train_main(trainer)
        assert done.status == 0, done.err
        return done

    return run


FIGURES = ("total", "correct", "accuracy", "macro_f1", "per_class_accuracy", "zero_shot_accuracy", "branches")


def figures(result: Mapping[str, Any]) -> dict[str, Any]:
    """Everything in a result that must not change from run to run.

    Left out are times, memory, the folders' names, and the commit, which may change while tests run.
    """
    kept = {
        key: value
        for key, value in result.items()
        if key not in ("seconds", "peak_memory_mb", "cfg", "git_commit", "model")
    }
    cfg = {key: value for key, value in result["cfg"].items() if key not in ("OUTPUT_DIR", "RESUME")}
    assert set(FIGURES) <= set(kept)
    return {**kept, "cfg": cfg}


@pytest.fixture(scope="session")
def figures_of() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return figures


def build_tiny_clip(
    *, resolution: int = 64, layers: Any = (1, 1, 1, 1), width: int = 4, patch: int | None = None, seed: int = 0
) -> Any:
    """A random CLIP of the ``clip`` package, small enough for a test, whose layers all do something."""
    from amu_raft.backbones.clip_package import clip_model

    torch.manual_seed(seed)
    sizes = {"context_length": 77, "vocab_size": 49408, "transformer_width": 64, "transformer_heads": 1}
    model = clip_model.CLIP(
        embed_dim=16,
        image_resolution=resolution,
        vision_layers=layers,
        vision_width=width,
        vision_patch_size=patch,
        transformer_layers=1,
        **sizes,
    )
    for name, parameter in model.named_parameters():
        if name.endswith("bn3.weight"):  # zero at the start, which would hide the blocks
            nn.init.uniform_(parameter, 0.5, 1.5)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_clip() -> Callable[..., Any]:
    return build_tiny_clip
