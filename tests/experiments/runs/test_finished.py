import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.runs.finished import finished_result, is_finished
from tests.conftest import SMALL_RUN, Run

Plan = Callable[..., Any]


@pytest.fixture
def own(finished: Callable[[str], Run], tmp_path: Path) -> Path:
    """A copy of a finished run that may be changed."""
    return Path(shutil.copytree(finished("AMU").folder, tmp_path / "own"))


@pytest.fixture
def again(plan: Plan, image_root: Path, own: Path) -> Plan:
    """Plan the same run, or one that differs in some pairs or flags."""

    def build(*pairs: str, trainer: str = "AMU", flags: tuple[str, ...] = (), root: Path = image_root) -> Any:
        words = ["--trainer", trainer, "--root", str(root), "--dataset-config-file", "image_folder"]
        return plan(*words, "--output-dir", str(own), *flags, *SMALL_RUN, *pairs)

    return build


def test_a_run_with_the_same_settings_is_finished(again: Plan, own: Path) -> None:
    assert is_finished(again())
    assert is_finished(again("TRAIN.PRINT_FREQ", "7"))  # changes no number
    (own / "result.json").unlink()
    assert not is_finished(again())
    shutil.rmtree(own)
    assert not is_finished(again())


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"finished"', '"running"'),
        lambda text: json.dumps({**json.loads(text), "accuracy": float("nan")}),
    ],
)
def test_half_a_result_is_none(damage: Callable[[str], str], own: Path, again: Plan) -> None:
    path = own / "result.json"
    path.write_text(damage(path.read_text()))
    assert finished_result(own) is None and not is_finished(again())


def test_other_settings_are_an_error(again: Plan, own: Path) -> None:
    message = "holds a run with other settings .OPTIM.LR .* there, 0.5 here.; give another output folder"
    with pytest.raises(ValueError, match=message):
        is_finished(again("OPTIM.LR", "0.5"))
    with pytest.raises(ValueError, match="SEED 1 there, 2 here"):
        is_finished(again(flags=("--seed", "2")))
    (own / "result.json").unlink()  # stopped half-way: it cannot be resumed with other settings either
    with pytest.raises(ValueError, match=r"\(OPTIM\.LR "):
        is_finished(again("OPTIM.LR", "0.5"))


def test_other_images_are_an_error(again: Plan, own: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"holds a run on the images in .*, not {tmp_path}"):
        is_finished(again(root=tmp_path))


def test_a_model_without_a_test_is_finished_where_none_was_asked_for(again: Plan, own: Path) -> None:
    path = own / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({**result, "status": "trained", "accuracy": None}))
    assert not is_finished(again())
    result["cfg"]["TEST"]["NO_TEST"] = True
    path.write_text(json.dumps({**result, "status": "trained", "accuracy": None}))
    assert is_finished(again("TEST.NO_TEST", "True"))


def test_an_evaluation_is_finished_until_its_model_is_trained_anew(
    finished: Callable[[str], Run], train_main: Callable[..., Run], plan: Plan, image_root: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(finished("AMU").folder, tmp_path / "model"))
    flags = ["--eval-only", "--model-dir", str(model)]
    done = train_main("AMU", *flags, small=False)
    assert done.status == 0, done.err
    words = ["--trainer", "AMU", "--root", str(image_root), "--dataset-config-file", "image_folder"]
    planned = plan(*words, "--output-dir", str(done.folder), *flags)
    assert is_finished(planned)
    later = (done.folder / "result.json").stat().st_mtime + 100
    os.utime(model / "result.json", (later, later))
    assert not is_finished(planned)
    shutil.rmtree(model)  # its settings are not known any more, its evaluation stands
    assert is_finished(planned)
