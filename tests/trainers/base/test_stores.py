import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from yacs.config import CfgNode

from amu_raft.features.store import DEFAULT_LIMIT, default_folder
from trainers.base.stores import check_feature_settings, feature_settings, open_store
from trainers.zsclip import ZeroshotCLIP

Train = Callable[..., Any]
REPOSITORY = Path(__file__).parents[3]


def settings(**values: Any) -> CfgNode:
    node = feature_settings()
    for key, value in values.items():
        node[key] = value
    return node


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process puts temporary folders."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


# ------------------------------------------------------------------------------------------------------------ settings


def test_the_defaults_are_accepted() -> None:
    check_feature_settings(feature_settings())
    check_feature_settings(settings(MAPS_PREC="fp32"))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "LIMIT",
            "plenty",
            "FEATURES.LIMIT: 'plenty' is no size; give a whole number with B, K, M, G or T, such as 50G",
        ),
        ("MAPS_PREC", "bf16", "unknown FEATURES.MAPS_PREC 'bf16'; choose from fp16, fp32"),
        ("STRICT", "maybe", "key FEATURES.STRICT in command line takes a value of type bool, got 'maybe'"),
        ("STORES", "x", "unknown configuration key 'FEATURES.STORES' in command line"),
    ],
)
def test_bad_settings_are_one_line(key: str, value: str, message: str, train_main: Train) -> None:
    run = train_main("AMU", f"FEATURES.{key}", value)
    assert run.status == 1 and message in run.error


def test_a_number_without_a_unit_on_the_command_line(train_main: Train) -> None:
    run = train_main("AMU", "FEATURES.LIMIT", "50")
    assert run.status == 1 and "FEATURES.LIMIT: '50' is no size; give a whole number with B" in run.error


# --------------------------------------------------------------------------------------------------------------- place


def test_the_place_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store(settings()).folder == default_folder() and open_store(settings()).limit == DEFAULT_LIMIT
    assert open_store(settings(STORE="~/kept")).folder == tmp_path / "kept"
    assert open_store(settings(STORE=str(tmp_path / "x"), LIMIT="3M")).limit == 3 << 20
    assert not list(tmp_path.iterdir())  # nothing is made before there is something to store


def test_off_is_a_temporary_store_that_goes_with_the_object(temporary: Path) -> None:
    first, second = open_store(settings(STORE="off")), open_store(settings(STORE="off"))
    assert {store.folder.parent for store in (first, second)} == {temporary} and first.folder != second.folder
    first.fetch({"x": {"feature": "x"}}, 2, lambda names: [{"x": torch.zeros(2, 3)}])
    assert files(first.folder)
    del first
    gc.collect()
    assert list(temporary.iterdir()) == [second.folder]


def test_a_folder_that_is_given_is_used(train_main: Train, temporary: Path, tmp_path: Path) -> None:
    given, default = tmp_path / "given", default_folder()
    before = files(default)
    assert train_main("ZeroshotCLIP", "FEATURES.STORE", str(given)).status == 0
    assert len(list(given.glob("??/*/rows.npy"))) == 3  # the texts, the test and the validation images
    assert files(default) == before and not list(temporary.iterdir())


@pytest.mark.parametrize("trainer", ["AMU", "RAFT", "ZeroshotCLIP"])
def test_off_leaves_nothing_behind(
    trainer: str, train_main: Train, figures_of: Train, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMU_RAFT_CACHE", str(tmp_path / "cache"))
    off, kept = (train_main(trainer, "FEATURES.STORE", place) for place in ("off", str(tmp_path / "kept")))
    assert off.status == 0, off.err
    gc.collect()
    assert not list(temporary.iterdir()) and not (tmp_path / "cache").exists()
    numbers = [figures_of(run.result) for run in (off, kept)]
    assert [result["cfg"]["FEATURES"].pop("STORE") for result in numbers] == ["off", str(tmp_path / "kept")]
    assert numbers[0] == numbers[1]


def test_off_leaves_nothing_behind_after_an_error(
    train_main: Train, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def broken(self: Any, features: Any) -> Any:
        seen.extend(temporary.glob("*/??/*/rows.npy"))
        raise ValueError("no logits today")

    monkeypatch.setattr(ZeroshotCLIP, "branch_logits", broken)
    run = train_main("ZeroshotCLIP", "FEATURES.STORE", "off")
    assert run.status == 1 and run.error == "error: no logits today" and len(seen) == 2
    gc.collect()
    assert not list(temporary.iterdir())


def test_off_leaves_nothing_behind_when_a_process_ends_in_an_error(image_root: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    program = f"""
import sys, train, trainers.zsclip as zsclip
def broken(self, features):
    import pathlib
    print(len(list(pathlib.Path({str(temporary)!r}).glob("*/??/*/rows.npy"))), "stored")
    raise MemoryError("not among the expected errors")
zsclip.ZeroshotCLIP.branch_logits = broken
train.main(sys.argv[1:])
"""
    arguments = ["--trainer", "ZeroshotCLIP", "--root", str(image_root), "--dataset-config-file", "image_folder"]
    arguments += ["--output-dir", str(tmp_path / "run"), "FEATURES.STORE", "off"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        cwd=REPOSITORY,
    )
    assert done.returncode == 1 and "2 stored" in done.stdout and "MemoryError" in done.stderr
    assert not list(temporary.glob("amu-raft*"))


@pytest.mark.parametrize("trainer", ["AMU", "ZeroshotCLIP"])
def test_a_store_that_cannot_be_written_is_one_line(trainer: str, train_main: Train, tmp_path: Path) -> None:
    place = tmp_path / "a_file"
    place.write_text("precious")
    run = train_main(trainer, "FEATURES.STORE", str(place))
    assert run.status == 1 and f"the feature store {place} cannot be used" in run.error
    assert "FEATURES.STORE (off keeps nothing after the run)" in run.error
    assert place.read_text() == "precious"


def test_a_limit_evicts_what_was_used_longest_ago(train_main: Train, tmp_path: Path) -> None:
    store = ("FEATURES.STORE", str(tmp_path / "store"))
    run = train_main("RAFT", *store, "FEATURES.LIMIT", "0M")
    assert run.status == 0, run.err  # what is in use stays readable
    assert len(list((tmp_path / "store").glob("??/*/rows.npy"))) == 2  # the test images' clip and maps
    assert run.result["accuracy"] == train_main("RAFT", "FEATURES.STORE", str(tmp_path / "all")).result["accuracy"]


# -------------------------------------------------------------------------------------------------- resumed, evaluated


def test_place_and_limit_are_no_settings_of_a_run_but_the_precision_of_maps_is(
    train_main: Train, tmp_path: Path
) -> None:
    first = train_main("RAFT", "OPTIM.MAX_EPOCH", "2")
    elsewhere = ("FEATURES.STORE", str(tmp_path / "store"), "FEATURES.LIMIT", "1G", "FEATURES.STRICT", "True")
    again = train_main("RAFT", "OPTIM.MAX_EPOCH", "2", *elsewhere, folder=first.folder)
    assert again.status == 0, again.err
    other = train_main("RAFT", "OPTIM.MAX_EPOCH", "2", "FEATURES.MAPS_PREC", "fp32", folder=first.folder)
    assert other.status == 1 and "FEATURES.MAPS_PREC fp16 there, fp32 here" in other.error


def test_an_evaluation_takes_over_the_precision_of_maps(train_main: Train, tmp_path: Path) -> None:
    store = ("FEATURES.STORE", str(tmp_path / "of_the_training"))
    model = train_main("RAFT", "OPTIM.MAX_EPOCH", "1", "FEATURES.MAPS_PREC", "fp32", *store)
    run = train_main("RAFT", "--eval-only", "--model-dir", str(model.folder))
    assert run.status == 0, run.err
    assert run.result["cfg"]["FEATURES"]["MAPS_PREC"] == "fp32" and run.result["cfg"]["FEATURES"]["STORE"] == ""
    assert run.result["accuracy"] == model.result["accuracy"]
