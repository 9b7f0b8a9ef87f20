import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dassl.data.datasets import DATASET_REGISTRY
from datasets import class_names
from datasets.imagenet_variant import ImageNetVariant
from datasets.validation import has_own_validation
from tests.datasets.miniatures.imagenet import BUILDERS, CLASSNAMES, SUBSET, WNIDS, write_classnames

NAMES = ["ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR"]
CLASSES = {"ImageNetV2": WNIDS, "ImageNetSketch": WNIDS, "ImageNetA": SUBSET, "ImageNetR": SUBSET}
Load = Callable[..., ImageNetVariant]


@pytest.fixture(autouse=True)
def _no_lines_printed_yet() -> None:
    class_names._print_once.cache_clear()


@pytest.fixture
def load(make_cfg: Callable[..., Any], tmp_path: Path) -> Load:
    def build(name: str, *, root: Path = tmp_path, **settings: Any) -> ImageNetVariant:
        data: ImageNetVariant = DATASET_REGISTRY.get(name)(make_cfg(root, **settings))
        return data

    return build


@pytest.mark.parametrize("name", NAMES)
def test_every_image_is_a_test_image(name: str, load: Load, tmp_path: Path) -> None:
    folder = BUILDERS[name](tmp_path)
    data = load(name, shots=1)
    images = [path for path in folder.rglob("*.*") if path.suffix.lower() in (".jpg", ".jpeg")]
    assert sorted(item.impath for item in data.test) == sorted(map(str, images))
    assert len(images) == 2 * len(CLASSES[name])
    assert list(data.train_x) == list(data.test) and not data.val and not has_own_validation(data)
    assert not (folder / "split_fewshot").exists()


@pytest.mark.parametrize("name", NAMES)
def test_labels_names_and_keys(name: str, load: Load, tmp_path: Path) -> None:
    BUILDERS[name](tmp_path)
    data = load(name)
    assert data.class_keys == list(CLASSES[name])
    assert data.classnames == [CLASSNAMES[wnid] for wnid in CLASSES[name]]
    assert data.num_classes == len(CLASSES[name])
    assert data.templates == ("a photo of a {}.",)
    for item in data.test:
        folder = Path(item.impath).parent.name
        assert item.label == (int(folder) if name == "ImageNetV2" else CLASSES[name].index(folder))
        assert item.classname == CLASSNAMES[data.class_keys[item.label]]


@pytest.mark.parametrize("name", NAMES)
def test_they_are_only_evaluated(name: str, load: Load, tmp_path: Path) -> None:
    BUILDERS[name](tmp_path)
    assert type(load(name)).evaluation_only
    for half in ("base", "new"):
        message = rf"SUBSAMPLE_CLASSES is '{half}', which does not apply to {name}: .*; accepted is all$"
        with pytest.raises(ValueError, match=message):
            load(name, subsample=half)
    with pytest.raises(ValueError, match="'half'; accepted are all, base, new"):
        load(name, subsample="half")


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_are_those_of_the_items(name: str, load: Load, tmp_path: Path) -> None:
    folder = BUILDERS[name](tmp_path)
    data = load(name)
    rows = type(data).read_rows(folder)
    assert rows == {"test": [(item.impath, item.label, item.classname) for item in data.test]}


@pytest.mark.parametrize("name", NAMES)
def test_names_and_sentences_of_imagenet_serve_as_well(name: str, load: Load, tmp_path: Path) -> None:
    folder = BUILDERS[name](tmp_path)
    expected = load(name).classnames
    write_classnames(tmp_path / "imagenet", dict.fromkeys(WNIDS, "from imagenet"))
    assert load(name).classnames == expected  # its own copy goes first
    (folder / "classnames.txt").unlink()
    assert set(load(name).classnames) == {"from imagenet"}
    assert load(name).prompt_path == tmp_path / "imagenet" / "imagenet_prompt.json"
    (tmp_path / "imagenet" / "classnames.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither .*classnames\.txt nor .*imagenet/classnames\.txt; python -m"):
        load(name)


@pytest.mark.parametrize("name", NAMES)
def test_shared_names_are_noted(name: str, load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    BUILDERS[name](tmp_path)
    load(name), load(name)
    labels = "3 and 4" if CLASSES[name] is SUBSET else "7 and 8"
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{name}: ")]
    assert len(lines) == 1 and f"'missile' (labels {labels})" in lines[0]


@pytest.mark.parametrize("name", NAMES)
def test_folders_that_are_missing_or_empty(name: str, load: Load, tmp_path: Path) -> None:
    folder = BUILDERS[name](tmp_path)
    images = folder / DATASET_REGISTRY.get(name).image_folder
    victim = sorted(path for path in images.iterdir() if path.is_dir())[1]
    shutil.rmtree(victim)
    victim.mkdir()
    (victim / "._a.jpeg").write_text("what macOS leaves")
    with pytest.raises(ValueError, match=rf"no images in '{victim.name}' of .*{images.name}; accepted endings are"):
        load(name)
    for path in images.iterdir():
        shutil.rmtree(path) if path.is_dir() else None
    remedy = f"python -m datasets.prepare {name} --root {tmp_path}"
    with pytest.raises(ValueError, match=rf"{images.name} has no class folders; .*{remedy}"):
        load(name)
    shutil.rmtree(images)
    for attempt in (lambda: load(name), lambda: DATASET_REGISTRY.get(name).read_rows(folder)):
        with pytest.raises(FileNotFoundError, match=rf"{name} needs the folder .*{images.name} with its .*{remedy}$"):
            attempt()


@pytest.mark.parametrize("name", ["ImageNetSketch", "ImageNetA", "ImageNetR"])
def test_a_folder_without_a_name(name: str, load: Load, tmp_path: Path) -> None:
    folder = BUILDERS[name](tmp_path)
    write_classnames(folder, {wnid: CLASSNAMES[wnid] for wnid in WNIDS[2:]})
    with pytest.raises(ValueError, match=r"classnames\.txt has no name for .*'n01443537' of "):
        load(name)


def test_without_a_root(load: Load) -> None:
    with pytest.raises(ValueError, match="ImageNetA is read from ROOT/imagenet-adversarial: pass --root DIR"):
        load("ImageNetA", root="")
