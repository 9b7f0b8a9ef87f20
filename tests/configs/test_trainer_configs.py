"""The trainer YAML files: one for every backbone, alike but for what the backbone decides, headed by their command."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from amu_raft.backbones.clip_backbone import available_backbones
from amu_raft.methods import Method, get_method, method_names
from amu_raft.plain_values import as_literal
from experiments.runs import config
from experiments.runs.tree import leaves
from trainers.base.settings import recipe_keys

FOLDER = config.CONFIGS / "trainers"
TRAINERS = sorted(path.name for path in FOLDER.iterdir())
SCRIPTS = {"AMU": "amu", "RAFT": "raft", "ZeroshotCLIP": "zeroshot"}  # those that the papers' own scripts run
FULL_SIZE = [name for name in available_backbones() if name != "tiny"]
OTHER_SIDES = {"RN50x4": 288, "RN50x16": 384, "RN50x64": 448, "ViT-L/14@336px": 336}
BY_BACKBONE = {"MODEL.BACKBONE.NAME", "INPUT.SIZE", "DATALOADER.TEST.BATCH_SIZE", "TRAIN.VIEWS"}
TRAINER_FILES = sorted(path for path in FOLDER.glob("*/*.yaml") if path.stem != "tiny")
OVERLAYS = sorted(FOLDER.glob("*/datasets/*.yaml"))


def values(path: Path) -> dict[str, Any]:
    return dict(leaves(yaml.safe_load(path.read_text())))


def shown(path: Path) -> str:
    return str(path.relative_to(FOLDER))


def header(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]


def test_every_method_has_files() -> None:
    assert method_names() == TRAINERS


def accepts(kind: type[Method], backbone: str) -> bool:
    try:
        kind.check(kind.Settings(), kind.recipe, backbone)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_official_backbone_has_a_file(trainer: str) -> None:
    wanted = {name for name in FULL_SIZE if accepts(get_method(trainer), name)}
    assert len(wanted) == (5 if trainer == "RAFT" else len(FULL_SIZE))
    files = {path.stem: values(path)["MODEL.BACKBONE.NAME"] for path in TRAINER_FILES if path.parent.name == trainer}
    assert set(files.values()) == wanted and len(files) == len(wanted)
    for stem, name in files.items():
        found = config._trainer_file(None, trainer, name)
        assert found == FOLDER / trainer / f"{stem}.yaml"


def reference_views(path: Path) -> str | None:
    return values(path.with_name("rn50.yaml")).get("TRAIN.VIEWS")


@pytest.mark.parametrize("path", TRAINER_FILES, ids=shown)
def test_full_size_files_differ_only_in_what_the_backbone_decides(path: Path) -> None:
    reference = {key: value for key, value in values(path.with_name("rn50.yaml")).items() if key not in BY_BACKBONE}
    found = values(path)
    assert {key: value for key, value in found.items() if key not in BY_BACKBONE} == reference
    side = OTHER_SIDES.get(found["MODEL.BACKBONE.NAME"], 224)
    assert found["INPUT.SIZE"] == f"({side}, {side})"
    assert 32 <= found["DATALOADER.TEST.BATCH_SIZE"] <= 128
    large_maps = "/RAFT/" in str(path) and found["MODEL.BACKBONE.NAME"] in ("RN50x16", "RN50x64")
    assert found.get("TRAIN.VIEWS") == (reference_views(path) if not large_maps else "online")


@pytest.mark.parametrize("path", TRAINER_FILES, ids=shown)
def test_a_file_is_headed_by_its_command_its_sources_and_what_is_published(path: Path) -> None:
    lines, trainer = header(path), path.parent.name
    shots = "" if trainer == "ZeroshotCLIP" else "SHOTS "
    command = (
        f"python -m scripts.sweep --trainers {trainer} --datasets DATASET --backbones {path.stem} --root /path/to/data"
    )
    if trainer in SCRIPTS:
        command = f"DATA=/path/to/data bash scripts/{SCRIPTS[trainer]}/main.sh DATASET {shots}{path.stem}"
    assert lines[1] == f"#   {command}"
    assert lines[2].startswith("# Values: ")
    published = [line for line in lines if line.startswith("# Published")]
    assert len(published) == 1
    figures = [float(text) for text in re.findall(r"\b\d\d\.\d\d\b", "\n".join(lines))]
    if trainer == "RAFT":
        assert published == ["# Published: no figure for any backbone."] and not figures
    else:
        assert ("no figure" in published[0]) == (not figures)
        assert not figures or "AMU-Tuning" in published[0]


@pytest.mark.parametrize("name", ["tiny", "RN50"])
@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_file_says_what_the_methods_recipe_says(trainer: str, name: str) -> None:
    kind, found = get_method(trainer), {}
    for key, value in values(FOLDER / trainer / f"{name.lower()}.yaml").items():
        found[key] = as_literal(value) if isinstance(value, str) else value
    unused = () if kind.learns == "gradient" else ("OPTIM", "DATALOADER.TRAIN_X")
    if found["INPUT.TRANSFORMS"] == ["normalize"]:  # no augmented image is looked at
        unused = (*unused, "INPUT.TRANSFORMS")
    for key, value in recipe_keys(kind, name).items():
        if key in found and not key.startswith(unused):
            stated = tuple(found[key]) if isinstance(found[key], list) else found[key]
            assert str(stated) == str(tuple(value) if isinstance(value, list) else value), key


def test_the_published_table_of_amu_is_whole() -> None:
    """Eleven data sets by five shots; the averages are those that the paper's Fig. 6 draws."""
    rows = [
        [float(figure) for figure in re.findall(r"\d+\.\d\d", line)]
        for line in header(FOLDER / "AMU" / "rn50.yaml")
        if re.fullmatch(r"#   [a-z0-9_]+( +\d\d\.\d\d){5}", line)
    ]
    assert len(rows) == 11
    averages = [sum(column) / 11 for column in zip(*rows, strict=True)]
    assert averages == pytest.approx([66.88, 69.01, 73.20, 76.46, 79.36], abs=0.011)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/shots/*.yaml")), ids=shown)
def test_an_overlay_for_a_number_of_shots_changes_its_file(path: Path) -> None:
    stem, _, shots = path.stem.removesuffix("shots").rpartition("_")
    before, changes = values(path.parents[1] / f"{stem}.yaml"), values(path)
    assert changes and all(key in before and before[key] != value for key, value in changes.items())
    assert int(shots) >= 1 and "merged after" in header(path)[0]
    assert any("docs/protocol.md" in line for line in header(path))  # where it is measured


@pytest.mark.parametrize("path", OVERLAYS, ids=shown)
def test_an_overlay_names_a_data_set_and_changes_something(path: Path) -> None:
    stem = re.sub(r"_\d+shots$", "", path.stem)
    assert (config.CONFIGS / "datasets" / f"{stem}.yaml").is_file()
    before = dict(values(path.parents[1] / "rn50.yaml"))
    if stem != path.stem:
        before |= values(path.with_name(f"{stem}.yaml"))
    changes = values(path)
    assert changes and all(key in before and before[key] != value for key, value in changes.items())
    assert not changes.keys() & (BY_BACKBONE - {"TRAIN.VIEWS"})
    assert "merged after" in header(path)[0]
