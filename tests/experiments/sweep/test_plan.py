from pathlib import Path
from typing import Any

import pytest

from dassl.engine import TRAINER_REGISTRY
from experiments.runs import config
from experiments.sweep.axes import parse_axes
from experiments.sweep.cell import Cell
from experiments.sweep.plan import config_file, plan_cells

OUTPUT = Path("out")


def cells(**given: Any) -> list[Cell]:
    return plan_cells(parse_axes({"trainers": ["AMU"], "datasets": ["digits"], "output_dir": OUTPUT, **given}))


def folders(planned: list[Cell]) -> list[str]:
    return [cell.folder.as_posix() for cell in planned]


def test_one_cell_per_point_and_zero_shot_once_per_data_set() -> None:
    planned = cells(trainers=["AMU", "RAFT", "ZeroshotCLIP"], datasets=["digits", "shapes"], seeds=[5, 6, 7])
    assert len(planned) == 2 * (2 * 5 * 3 + 1)
    zero_shot = [cell for cell in planned if cell.trainer == "ZeroshotCLIP"]
    assert folders(zero_shot) == [f"out/{name}/ZeroshotCLIP/tiny_0shots/seed5" for name in ("digits", "shapes")]
    assert len(set(folders(planned))) == len(planned)


def test_a_cell_is_train_pys_command_line() -> None:
    (cell,) = cells(datasets=["dtd"], shots=[4], seeds=[3], root="data", overrides=["OPTIM.LR", "0.1"])
    words, configs = list(cell.arguments), Path(__file__).parents[3] / "configs"
    assert words == [
        *("--root", "data"),
        *("--seed", "3"),
        *("--trainer", "AMU"),
        *("--dataset-config-file", str(configs / "datasets/dtd.yaml")),
        *("--config-file", str(configs / "trainers/AMU/rn50.yaml")),  # nothing else was asked for
        *("--output-dir", "out/dtd/AMU/rn50_4shots/seed3"),
        *("DATASET.NUM_SHOTS", "4"),
        *("OPTIM.LR", "0.1"),
    ]
    assert cell.name == "AMU on dtd, rn50 4 shots, seed 3"


def test_all_images_and_clip_names() -> None:
    (cell,) = cells(backbones=["ViT-B/16"], shots=["all"], seeds=[1])
    assert (cell.config, cell.num_shots, cell.folder.parts[-2]) == ("vit_b16", 0, "vit_b16_0shots")


def test_a_data_set_that_is_only_evaluated_has_its_models_trained_first_and_once() -> None:
    planned = cells(datasets=["imagenetv2", "imagenet_r", "imagenet"], shots=[16], seeds=[1])
    names = ("imagenet", "imagenetv2", "imagenet_r")
    assert folders(planned) == [f"out/{name}/AMU/rn50_16shots/seed1" for name in names]
    assert planned[0].model is None and {cell.model for cell in planned[1:]} == {planned[0].folder}
    assert "--eval-only" in planned[1].arguments and str(planned[0].folder) in planned[1].arguments
    (alone,) = cells(trainers=["ZeroshotCLIP"], datasets=["imagenetv2"])
    assert alone.model is None and "--eval-only" not in alone.arguments


def test_transfer_evaluates_with_the_configuration_of_the_model() -> None:
    planned = cells(job="transfer", datasets=["digits", "imagenet", "dtd"], shots=[16], seeds=[1, 2])
    assert folders(planned) == [
        *(f"out/imagenet/AMU/rn50_16shots/seed{seed}" for seed in (1, 2)),
        *(f"out_xd/{name}/AMU/rn50_16shots/seed{seed}" for seed in (1, 2) for name in ("digits", "dtd")),
    ]
    assert [cell.model for cell in planned] == [None, None, *(planned[i].folder for i in (0, 0, 1, 1))]
    zero_shot = cells(job="transfer", trainers=["ZeroshotCLIP"], datasets=["dtd"], backbones=["tiny"])
    assert folders(zero_shot) == [f"{base}/ZeroshotCLIP/tiny_0shots/seed1" for base in ("out/imagenet", "out_xd/dtd")]
    assert zero_shot[1].model is None and "--eval-only" in zero_shot[1].arguments


def test_base_to_new() -> None:
    base, new = cells(job="base2new", shots=[16], seeds=[2])
    assert folders([base, new]) == [
        f"out_base2new/{half}/digits/shots_16/AMU/tiny/seed2" for half in ("train_base", "test_new")
    ]
    assert (base.subset, new.subset, new.model) == ("base", "new", base.folder)
    assert base.arguments[-2:] == ("DATASET.SUBSAMPLE_CLASSES", "base")
    with pytest.raises(ValueError, match="imagenetv2 is only evaluated, never trained on"):
        cells(job="base2new", datasets=["imagenetv2"])


def test_evaluate_again() -> None:
    (cell,) = cells(job="evaluate", shots=[4], seeds=[1])
    assert cell.folder == Path("out_eval/digits/AMU/tiny_4shots/seed1")
    assert cell.model == OUTPUT / "digits/AMU/tiny_4shots/seed1"
    (other,) = cells(job="evaluate", datasets=["imagenetv2"], shots=[4], seeds=[1])
    assert other.model == OUTPUT / "imagenet/AMU/rn50_4shots/seed1"
    (alone,) = cells(job="evaluate", trainers=["ZeroshotCLIP"])
    assert alone.model is None and "--eval-only" in alone.arguments


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trainers": ["AMUU"]}, r"unknown trainer 'AMUU' \(did you mean 'AMU'\?\)"),
        ({"backbones": ["rn51"]}, "no configuration of AMU for backbone 'rn51'; known are rn101, rn50"),
        (
            {"trainers": ["RAFT"], "backbones": ["ViT-B/16"]},
            "RAFT for backbone 'ViT-B/16': backbone 'ViT-B/16' has no attention pooling; backbones with one are tiny,",
        ),
    ],
)
def test_what_does_not_exist_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cells(**given)


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(ImportError, match="no_such_module"):
        cells(modules=["no_such_module"])


@pytest.fixture
def derived(trainers_of_this_test: None) -> str:
    """A stranger's trainer that extends one of ours and has no files."""
    base = TRAINER_REGISTRY.get("ZeroshotCLIP")
    TRAINER_REGISTRY.register(type("Derived", (base,), {}))
    return "Derived"


def test_a_trainer_takes_the_files_of_the_one_that_it_extends(derived: str) -> None:
    (cell,) = cells(trainers=[derived], shots=[1], seeds=[1])
    assert cell.folder.as_posix() == "out/digits/Derived/tiny_0shots/seed1"
    file = config_file(derived, "tiny")
    assert file is not None and file.parts[-2:] == ("ZeroshotCLIP", "tiny.yaml")


def test_a_method_without_files_runs_on_any_backbone(
    trainers_of_this_test: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "trainers").mkdir()
    monkeypatch.setattr(config, "CONFIGS", tmp_path)
    config_file.cache_clear()
    (cell,) = cells(trainers=["GDA"], backbones=["vit_b16"], shots=[1], seeds=[1])
    config_file.cache_clear()
    assert cell.folder.as_posix() == "out/digits/GDA/vit_b16_1shots/seed1" and cell.config == "vit_b16"
    words = list(cell.arguments)
    assert words[words.index("--backbone") + 1] == "ViT-B/16" and "--config-file" not in words
