from pathlib import Path
from typing import Any

import pytest

from experiments.sweep.axes import Axes, dataset_file, parse_axes, read_plan_file

SMALL = {"trainers": ["AMU"], "datasets": ["digits"]}


def test_words_of_the_command_line_become_axes() -> None:
    axes = parse_axes(
        {
            **{"trainers": ["AMU", "RAFT"], "datasets": ["digits", "dtd"], "backbones": ["ViT-B/16"]},
            **{"shots": ["1", "all"], "seeds": ["0", "7"], "root": "data", "output_dir": "here"},
            "overrides": ["OPTIM.LR", "0.1"],
        }
    )
    assert axes == Axes(
        trainers=("AMU", "RAFT"),
        datasets=("digits", "dtd"),
        backbones=("ViT-B/16",),
        shots=(1, 0),
        seeds=(0, 7),
        root="data",
        output_dir=Path("here"),
        overrides=("OPTIM.LR", "0.1"),
    )
    assert axes.as_dict()["output_dir"] == "here"


def test_defaults() -> None:
    axes = parse_axes(SMALL)
    assert (axes.shots, axes.seeds, axes.output_dir, axes.job) == ((1, 2, 4, 8, 16), (1, 2, 3), Path("output"), "grid")


def test_a_data_set_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "flowers.yaml"
    own.write_text("DATASET: {NAME: ImageFolder}")
    assert parse_axes({**SMALL, "datasets": [str(own)]}).datasets == (str(own),)
    assert dataset_file("digits").name == "digits.yaml" and dataset_file(str(own)) == own


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trainers": []}, "no trainers are given; --trainers or `trainers` of a plan file names them"),
        ({"datasets": []}, "no datasets are given"),
        ({"datasets": ["digit"]}, r"no data set 'digit' \(did you mean 'digits'\?\); known are caltech101, "),
        ({"datasets": [""]}, "no data set ''; known are"),
        ({"datasets": ["digits", "configs/datasets/digits.yaml"]}, "two files of the same name"),
        ({"shots": ["0"]}, "--shots has '0'; accepted are whole numbers from 1, or \"all\" for every training image"),
        ({"shots": [-1]}, "--shots has '-1'"),
        ({"shots": ["4", 4]}, "--shots names 4 twice"),
        ({"shots": ["all", "all"]}, "--shots names all twice"),
        ({"shots": ["many"]}, "--shots has 'many'"),
        ({"shots": []}, "no shots are given"),
        ({"shots": {"a": 1}}, "shots is a list of values, not a mapping"),
        ({"seeds": ["two"]}, "--seeds has 'two'; accepted are whole numbers from 0$"),
        ({"seeds": [0, 0]}, "--seeds names 0 twice"),
        ({"trainers": ["AMU", "AMU"]}, "--trainers names AMU twice"),
        ({"backbones": ["tiny", "tiny"]}, "--backbones names tiny twice"),
        ({"job": "train"}, "unknown job 'train'; accepted are grid, transfer, base2new, evaluate"),
        ({"overrides": ["OPTIM.LR"]}, "overrides come in pairs KEY VALUE; the last one, 'OPTIM.LR', has no value"),
        ({"overrides": {"SEED": 4}}, "SEED cannot be overridden in a sweep: --seeds decides it"),
    ],
)
def test_bad_axes_are_refused(given: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    with pytest.raises(ValueError, match=message):
        parse_axes({**SMALL, **given})


def test_a_plan_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("trainers: [AMU]\ndatasets: digits\nshots: [1, all]\nseeds:\noverrides: {OPTIM.MAX_EPOCH: 3}\n")
    axes = parse_axes(read_plan_file(path))
    assert (axes.datasets, axes.shots, axes.seeds) == (("digits",), (1, 0), (1, 2, 3))
    assert axes.overrides == ("OPTIM.MAX_EPOCH", "3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainer: AMU", "unknown key 'trainer' in .*; the nearest known key is 'trainers'"),
        ("- AMU", "must be a mapping with any of trainers, datasets"),
        ("a: [", "is not YAML: "),
    ],
)
def test_a_bad_plan_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_plan_file(path)


def test_a_plan_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no plan file"):
        read_plan_file(tmp_path / "nope.yaml")


def test_override_values_of_a_plan_file_are_taken_as_written(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    start = "trainers: AMU\ndatasets: digits\nseeds: [1]\noverrides:"
    path.write_text(
        f"{start} {{TRAINER.AMU.TUNE: off, TRAINER.AMU.PROMPTS: no, OPTIM.LR: 1e-3, DATASET.ROOTS: 007, "
        "TEST.FIGURES: false, INPUT.SIZE: [32, 32], INPUT.TRANSFORMS: [random_flip, normalize]}\n"
    )
    axes = parse_axes(read_plan_file(path))
    assert dict(zip(axes.overrides[::2], axes.overrides[1::2], strict=True)) == {
        **{"TRAINER.AMU.TUNE": "off", "TRAINER.AMU.PROMPTS": "no", "OPTIM.LR": "1e-3", "DATASET.ROOTS": "007"},
        **{"TEST.FIGURES": "False", "INPUT.SIZE": "[32, 32]", "INPUT.TRANSFORMS": "['random_flip', 'normalize']"},
    }
    assert axes.seeds == (1,)
    path.write_text(f"{start} [TRAINER.AMU.TUNE, off]\n")
    assert parse_axes(read_plan_file(path)).overrides == ("TRAINER.AMU.TUNE", "off")
    path.write_text(f"{start} {{OPTIM: {{LR: 1}}}}\n")
    with pytest.raises(
        ValueError, match=r"overrides have dotted keys, such as OPTIM\.LR; 'LR' stands below another key"
    ):
        read_plan_file(path)
