"""The command amu-raft: the flags of its subcommands, its speed, its completion scripts, and fit from end to end."""

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from amu_raft import __version__, cli
from amu_raft.backbones import fetch_weights
from amu_raft.cli import COMMANDS, SHELLS, build_parser, main
from amu_raft.export.arguments import build_parser as export_parser
from amu_raft.fit.command import pairs
from amu_raft.fit.folder import drawn, make_folder
from amu_raft.methods import registry
from amu_raft.model.model_folder import load_model_folder
from amu_raft.prediction.arguments import build_parser as predict_parser
from amu_raft.serve.arguments import build_parser as serve_parser
from tests.conftest import write_images

REPOSITORY = Path(__file__).parents[2]
QUICK = ("epochs", "2", "warmup_epochs", "1", "views", "1")
OWN_METHOD = """
from amu_raft.methods import Method, register

@register
class OwnOfThisTest(Method):
    learns = "nothing"
    decides = "zero_shot"

    def branches(self, features):
        return {"zero_shot": self.zero_shot(features)}
"""


def command(*argv: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a shell would, but with this checkout's files."""
    paths = os.pathsep.join(map(str, (REPOSITORY / "toolbox", REPOSITORY)))
    call = [sys.executable, "-m", "amu_raft.cli", *argv]
    return subprocess.run(call, capture_output=True, env={**os.environ, "PYTHONPATH": paths, **environment})


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main([*argv]) == 1
    [line] = capsys.readouterr().err.splitlines()
    return line


def flags(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Return everything that a parser's arguments are, but for what shells complete."""
    kept = ("nargs", "const", "default", "type", "choices", "required", "help", "metavar", "dest")
    return {
        " ".join(action.option_strings) or action.dest: [getattr(action, name) for name in kept]
        for action in parser._actions
    }


def subparsers() -> dict[str, argparse.ArgumentParser]:
    [action] = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(action.choices)


def test_subcommands_share_their_flags_with_the_scripts() -> None:
    found = subparsers()
    assert list(found) == ["fit", "predict", "serve", "export", "doctor", "weights", "store"] == list(COMMANDS)
    others = {
        "predict": predict_parser(),
        "serve": serve_parser(),
        "export": export_parser(),
        "weights": fetch_weights.build_parser(),
    }
    for name, parser in others.items():
        assert flags(found[name]) == flags(parser), name
        assert found[name].prog == f"amu-raft {name}" != parser.prog


@pytest.mark.parametrize("script", ["predict", "serve", "export"])
def test_scripts_are_fronts_of_the_subcommands(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(script).main(["--help"])
    ours = capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main([script, "--help"])
    theirs = capsys.readouterr().out
    assert "--import MODULE" in ours and ours.split("options:")[1].split("\nexamples")[0] in theirs


@pytest.mark.parametrize("argv", [[], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_loads_nothing_heavy(argv: list[str]) -> None:
    heavy = ("torch", "torchvision", "numpy", "sklearn", "PIL", "matplotlib", "requests", "tqdm", "shtab", "yaml")
    code = (
        "import sys, atexit\nfrom amu_raft.cli import main\n"
        f"atexit.register(lambda: print([name for name in {heavy} if name in sys.modules], file=sys.stderr))\n"
        f"main({argv or ['--help']})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "[]\n") and ("amu-raft" in done.stdout)


def test_help_is_quick() -> None:
    """A fifth of a second here; the limit leaves room for a machine that does other things."""
    seconds = []
    for _ in range(3):
        since = time.perf_counter()
        assert command("--help").returncode == 0
        seconds.append(time.perf_counter() - since)
    assert min(seconds) < 0.6


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16", "cp437"])
def test_help_bears_any_terminal(encoding: str) -> None:
    for argv in (["--help"], *([name, "--help"] for name in COMMANDS)):
        done = command(*argv, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b""), argv
        assert "usage: amu-raft" in done.stdout.decode(encoding)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"amu-raft {__version__}\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--print-completion", shell])
    script = capsys.readouterr().out
    assert all(name in script for name in (*COMMANDS, "--backbone" if shell != "tcsh" else "backbone"))
    if found := shutil.which(shell):
        (tmp_path / "script").write_text(script)
        assert subprocess.run([found, "-n", str(tmp_path / "script")]).returncode == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [(["pre"], "predict"), (["predict", "--mod"], "--model"), (["predict", "--model", "to"], "toolbox"),
     (["fit", "READ"], "README.md"), (["predict", "--format", "j"], "jsonl")],
)  # fmt: skip
def test_bash_completes(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])
    typed = " ".join(["amu-raft", *words])
    ask = f'COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _shtab_amu_raft; echo "${{COMPREPLY[*]}}"'
    script = f"{capsys.readouterr().out}\n{ask}\n"
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.stdout.split() == [expected], done.stderr


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "required: COMMAND"),
        (["fitt"], "invalid choice: 'fitt'"),
        (["fit", "x", "--method", "AMU", "--output", "y", "--foo", "1"], "unrecognized arguments: --foo 1"),
        (["doctor", "x", "y"], "unrecognized arguments: y"),
        (["fit", "x", "--output", "y"], "required: --method"),
        (["fit", "x", "--method", "AMU", "--output", "y", "--shots", "0"], "a whole number from 1 is wanted, got '0'"),
        (["fit", "x", "--method", "AMU", "--output", "y", "--seed", "-1"], "a whole number from 0"),
        (["store", "ls", "--limit", "3G"], "--limit is for gc"),
    ],
)
def test_wrong_command_lines(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2 and message in capsys.readouterr().err.splitlines()[-1]


def test_ends_as_the_commands_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AMU_RAFT_CACHE", str(tmp_path))
    assert main(["store", "ls"]) == 0 and "is empty" in capsys.readouterr().out
    assert main(["weights", "RN50", "--weights", str(tmp_path), "--dry-run"]) == 0
    assert "would be fetched" in capsys.readouterr().out
    assert main(["doctor", str(tmp_path / "gone")]) == 1 and "does not exist" in capsys.readouterr().out
    assert "no model folder" in error_of(capsys, "export", "--model", str(tmp_path / "gone"), "--output", "x.onnx")

    def stop(_: argparse.Namespace) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(
        COMMANDS, "weights", cli.Command("", fetch_weights.build_parser, stop, COMMANDS["weights"].endings)
    )
    assert main(["weights", "RN50"]) == 130 and "goes on where this one was" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["predict", "serve", "export"])
def test_a_module_that_is_not_there_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [name, "--model", str(tmp_path), "--import", "no_such_module"]
    more = {"predict": ["x.png"], "serve": [], "export": ["--output", str(tmp_path / "x.onnx")]}[name]
    assert error_of(capsys, *argv, *more).startswith("error: --import no_such_module: ModuleNotFoundError")


# ------------------------------------------------------------------------------------------------------------------ fit


@pytest.fixture
def fitting(image_root: Path, tmp_path: Path) -> list[str]:
    return ["fit", str(image_root), "--output", str(tmp_path / "model")]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--method", "AMV"], "unknown method 'AMV' (did you mean 'AMU'?); registered are AMU, "),
        (["--method", "AMU", "epohs", "3"], "unknown setting 'epohs'; the nearest known key is 'epochs'"),
        (["--method", "AMU", "epochs"], "the last one, 'epochs', has no value"),
        (["--method", "AMU", "3", "epochs"], "'3' is no key"),
        (["--method", "AMU", "--backbone", "RN51"], "RN51"),
        (["--method", "AMU", "--device", "abacus"], "--device abacus cannot be used here"),
        (["--method", "AMU", "--templates", "a photo"], 'has no "{}" for the class name'),
        (["--method", "AMU", "--import", "no_such_module"], "--import no_such_module: ModuleNotFoundError"),
    ],
)
def test_what_fit_refuses_is_one_line(
    argv: list[str], message: str, fitting: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = error_of(capsys, *fitting, *argv)
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "model").exists()


def test_fit_refuses_images_and_places_that_do_not_do(
    tmp_path: Path, image_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = write_images(tmp_path / "broken", {"bear": 2, "owl": 2})
    (broken / "bear" / "1.png").write_bytes(b"no picture")
    argv = ["--method", "ZeroshotCLIP", "--output", str(tmp_path / "model")]
    assert "amu-raft doctor" in error_of(capsys, "fit", str(broken), *argv)
    assert "does not exist" in error_of(capsys, "fit", str(tmp_path / "gone"), *argv)
    (tmp_path / "model").write_text("")
    assert "is no folder" in error_of(capsys, "fit", str(image_root), *argv)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text("{}")
    with pytest.raises(ValueError, match=r"is a run folder of train\.py"):
        make_folder(tmp_path / "run")
    # Not among someone's images either; nothing of theirs changes.
    into = str(broken / "owl")
    line = error_of(capsys, "fit", str(image_root), "--method", "ZeroshotCLIP", "--output", into)
    assert f"--output {into} holds other things, such as '0.png'; give a new or an empty folder" in line
    assert sorted(path.name for path in (broken / "owl").iterdir()) == ["0.png", "1.png"]


def test_fit_then_predict(
    fitting: list[str], image_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--method", "amu", *QUICK, "--shots", "3", "--seed", "0", "lr", "0.01"]
    assert main([*fitting, *argv]) == 0
    out = capsys.readouterr().out
    assert "3 classes: 9 training images (3 shots drawn by seed 0), 6 to choose and calibrate on, 9 to test with" in out
    assert "epoch 2/2" in out and "temperature" in out
    content = json.loads((tmp_path / "model" / "model-info.json").read_text())
    metrics, about = content["metrics"], content["data"]
    assert (metrics["split"], metrics["total"], content["validation"]["split"]) == ("test", 9, "val")
    assert (about["num_shots"], about["seed"], content["method"]) == (3, 0, "AMU")
    right = f"test: {metrics['correct']} of 9 images right, accuracy {metrics['accuracy']:.1f} %"
    assert f"{right} (zero-shot CLIP {metrics['zero_shot_accuracy']:.1f} %)" in out
    assert [entry["key"] for entry in content["classes"]] == ["bear", "red_fox", "sea lion"]

    assert main(["predict", "--model", str(tmp_path / "model"), str(image_root), "--format", "jsonl"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 30


def test_the_draw_is_the_seeds_and_each_class_has_its_own() -> None:
    paths = {name: [Path(f"{name}{number}") for number in range(20)] for name in ("a", "b")}
    first = drawn(paths, 4, 1)
    assert first == drawn(paths, 4, 1) != drawn(paths, 4, 2)
    assert drawn({"b": paths["b"]}, 4, 1)["b"] == first["b"]
    assert all(
        len(images) == 4 == len(set(images)) and set(images) < set(paths[name]) for name, images in first.items()
    )
    with pytest.warns(UserWarning, match="fewer than 21 training images, all of them taken: 'a', 'b'"):
        assert drawn(paths, 21, 1) == paths


def test_sentences_are_the_images_own_unless_others_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_images(tmp_path / "own", {"bear": 3, "owl": 3})
    (root / "prompts.json").write_text(json.dumps({"bear": ["a large bear"], "owl": ["a wise owl"]}))
    argv = ["fit", str(root), "--method", "ZeroshotCLIP", "--output", str(tmp_path / "model")]
    assert main(argv) == 0 and "Sentences of each class" in capsys.readouterr().out
    assert load_model_folder(tmp_path / "model").info.prompts == [["a large bear"], ["a wise owl"]]
    assert main([*argv, "--templates", "one {}.", "--templates", "two {}."]) == 0
    assert load_model_folder(tmp_path / "model").info.prompts[1] == ["one owl.", "two owl."]


def test_fit_without_images_to_test_or_to_calibrate_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_images(tmp_path / "own", {"bear": 1, "owl": 1})
    with pytest.warns(UserWarning, match="one image only"):
        assert main(["fit", str(root), "--method", "ZeroshotCLIP", "--output", str(tmp_path / "model")]) == 0
    out = capsys.readouterr().out
    assert "not evaluated: no test images" in out and "not calibrated" in out


@pytest.mark.usefixtures("trainers_of_this_test")
def test_a_method_of_ones_own(
    fitting: list[str], image_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own_method_of_this_test.py"
    own.write_text(OWN_METHOD)
    assert main([*fitting, "--method", "OwnOfThisTest", "--import", str(own)]) == 0
    predict = ["predict", "--model", str(tmp_path / "model"), str(image_root / "bear")]
    assert main([*predict, "--import", str(own)]) == 0
    kind = registry._METHODS.pop("OwnOfThisTest")
    line = error_of(capsys, *predict)
    registry._METHODS["OwnOfThisTest"] = kind
    assert "'OwnOfThisTest', which is not registered here; name the module that registers it by --import" in line


def test_pairs() -> None:
    assert pairs(["epochs", "3", "OPTIM.LR", "1e-3"]) == {"epochs": "3", "OPTIM.LR": "1e-3"} and pairs([]) == {}
