import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import datasets.coop_layout
from dassl.data.datasets import DATASET_REGISTRY
from datasets.coop_layout import CoopDataset
from datasets.oxford_pets import OxfordPets
from tests.datasets.miniatures.common import build_miniature
from tests.datasets.miniatures.coop import BUILDERS

# Folder, folder of images, split file, template and sentences of every data set, as CoOp and RA-FT have them.
FACTS = {
    "Caltech101": (
        *("caltech-101", "101_ObjectCategories", "split_zhou_Caltech101.json"),
        *("a photo of a {}.", "caltech101_prompt.json"),
    ),
    "OxfordPets": (
        *("oxford_pets", "images", "split_zhou_OxfordPets.json"),
        *("a photo of a {}, a type of pet.", "oxford_pets_prompt.json"),
    ),
    "StanfordCars": (
        *("stanford_cars", "", "split_zhou_StanfordCars.json"),
        *("a photo of a {}.", "stanford_cars_prompt.json"),
    ),
    "OxfordFlowers": (
        *("oxford_flowers", "jpg", "split_zhou_OxfordFlowers.json"),
        *("a photo of a {}, a type of flower.", "oxford_flowers_prompt.json"),
    ),
    "Food101": (
        *("food-101", "images", "split_zhou_Food101.json"),
        *("a photo of {}, a type of food.", "food101_prompt.json"),
    ),
    "FGVCAircraft": ("fgvc_aircraft", "images", "", "a photo of a {}, a type of aircraft.", "fgvc_prompt.json"),
    "SUN397": ("sun397", "SUN397", "split_zhou_SUN397.json", "a photo of a {}.", "sun397_prompt.json"),
    "DescribableTextures": ("dtd", "images", "split_zhou_DescribableTextures.json", "{} texture.", "dtd_prompt.json"),
    "EuroSAT": (
        *("eurosat", "2750", "split_zhou_EuroSAT.json"),
        *("a centered satellite photo of {}.", "eurosat_prompt.json"),
    ),
    "UCF101": (
        *("ucf101", "UCF-101-midframes", "split_zhou_UCF101.json"),
        *("a photo of a person doing {}.", "ucf101_prompt.json"),
    ),
}
MADE = sorted(BUILDERS.keys() - {"FGVCAircraft"})  # those whose split file can be made
TEN = pytest.mark.parametrize("name", BUILDERS)
MakeCfg = Callable[..., Any]


def relative(items: Any, root: Path) -> list[tuple[str, int, str]]:
    return [(str(Path(item.impath).relative_to(root)), item.label, item.classname) for item in items]


@TEN
def test_facts(name: str) -> None:
    cls = DATASET_REGISTRY.get(name)
    assert (cls.dataset_dir, cls.image_folder, cls.split_file, *cls.templates, cls.prompt_file) == FACTS[name]
    assert cls.evaluation_only is False


@TEN
def test_every_image_of_a_miniature(name: str, tmp_path: Path, make_cfg: MakeCfg) -> None:
    folder = build_miniature(name, tmp_path)
    data = DATASET_REGISTRY.get(name)(make_cfg(tmp_path))
    for items, number in ((data.train_x, 5), (data.val, 2), (data.test, 2)):
        assert set(Counter(item.label for item in items).values()) == {number}
        assert len(items) == number * data.num_classes
    assert data.prompt_path == folder / FACTS[name][-1]
    assert [key.replace("_", " ") for key in data.class_keys] == list(json.loads(data.prompt_path.read_text()))
    if data.split_path != str(folder):
        rows = json.loads(Path(data.split_path).read_text())
        listed = [(str(Path(folder.name, data.image_folder, path)), *rest) for path, *rest in rows["test"]]
        assert relative(data.test, tmp_path) == listed


@TEN
def test_base_and_new_classes(name: str, tmp_path: Path, make_cfg: MakeCfg) -> None:
    build_miniature(name, tmp_path)
    whole, base, new = (
        DATASET_REGISTRY.get(name)(make_cfg(tmp_path, subsample=part)) for part in ("all", "base", "new")
    )
    assert base.classnames + new.classnames == whole.classnames
    assert base.num_classes - new.num_classes == whole.num_classes % 2
    assert {item.impath for item in (*base.test, *new.test)} == {item.impath for item in whole.test}


@TEN
def test_few_shots(name: str, tmp_path: Path, make_cfg: MakeCfg) -> None:
    samples = []
    for root in (tmp_path / "one", tmp_path / "two"):
        build_miniature(name, root)
        random.seed(3)
        data = DATASET_REGISTRY.get(name)(make_cfg(root, shots=1, seed=3))
        assert len(data.train_x) == len(data.val) == data.num_classes
        assert len(data.test) == 2 * data.num_classes
        samples.append(relative((*data.train_x, *data.val), root))
    assert samples[0] == samples[1]


@TEN
def test_rows_need_no_images(name: str, tmp_path: Path, make_cfg: MakeCfg) -> None:
    folder = build_miniature(name, tmp_path)
    loaded = DATASET_REGISTRY.get(name)(make_cfg(tmp_path))
    for image in folder.rglob("*.jpg"):
        image.unlink()
    rows = DATASET_REGISTRY.get(name).read_rows(folder)
    for part, items in (("train", loaded.train_x), ("val", loaded.val), ("test", loaded.test)):
        assert rows[part] == [(item.impath, item.label, item.classname) for item in items]


@TEN
def test_a_missing_image_is_named(name: str, tmp_path: Path, make_cfg: MakeCfg) -> None:
    build_miniature(name, tmp_path)
    image = Path(DATASET_REGISTRY.get(name)(make_cfg(tmp_path)).test[0].impath)
    image.unlink()
    with pytest.raises(FileNotFoundError, match=rf"image {image} is missing \(1 of the \d+ images listed in"):
        DATASET_REGISTRY.get(name)(make_cfg(tmp_path))


@TEN
def test_a_missing_folder_names_the_command(name: str, tmp_path: Path, make_cfg: MakeCfg) -> None:
    command = rf"python -m datasets\.prepare {name} --root {tmp_path}$"
    with pytest.raises(
        FileNotFoundError, match=rf"^{name} needs the folder {tmp_path / FACTS[name][0]} with .*{command}"
    ):
        DATASET_REGISTRY.get(name)(make_cfg(tmp_path))


@TEN
def test_nothing_but_images_or_nothing_but_a_folder(name: str, tmp_path: Path, make_cfg: MakeCfg) -> None:
    (tmp_path / FACTS[name][0]).mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        DATASET_REGISTRY.get(name)(make_cfg(tmp_path))
    message = str(caught.value)
    assert message.endswith(f"get it: python -m datasets.prepare {name} --root {tmp_path}")
    assert "\n" not in message and FACTS[name][2] in message


@pytest.mark.parametrize("name", MADE)
def test_a_new_split(name: str, tmp_path: Path, make_cfg: MakeCfg, capsys: Any) -> None:
    """The published files give the same split on every machine and for every seed, and the samples of later runs."""
    splits, samples = [], []
    for seed, root in ((1, tmp_path / "one"), (2, tmp_path / "two"), (2, tmp_path / "two")):
        if not root.exists():
            build_miniature(name, root, split=False)
        shutil.rmtree(root / FACTS[name][0] / "split_fewshot", ignore_errors=True)
        random.seed(9)
        data = DATASET_REGISTRY.get(name)(make_cfg(root, shots=2, seed=seed))
        splits.append(Path(data.split_path).read_text())
        samples.append(relative(data.train_x, root))
    assert splits[0] == splits[1] == splits[2] and samples[0] == samples[1] == samples[2]
    out = capsys.readouterr().out
    assert out.count("Saved split to") == 2 and out.count("Reading split from") == 1
    assert out.count("This split is new: its samples differ from those of the published split_zhou_") == 2
    published = json.loads((build_miniature(name, tmp_path / "three") / FACTS[name][2]).read_text())
    made = json.loads(splits[0])
    rows, expected = (sorted(row for part in split.values() for row in part) for split in (made, published))
    assert rows == expected and len({path for path, _, _ in rows}) == len(rows)


@pytest.mark.parametrize("name", MADE)
def test_a_bad_split_is_not_written(name: str, tmp_path: Path, make_cfg: MakeCfg) -> None:
    """With two images of each class no part can get one of each, so there is nothing to write."""
    build_miniature(name, tmp_path, split=False, sizes={"train": 1, "val": 0, "test": 1})
    with pytest.raises(ValueError, match=r"class '.*' has [12] images, too few to give"):
        DATASET_REGISTRY.get(name)(make_cfg(tmp_path))
    assert not (tmp_path / FACTS[name][0] / FACTS[name][2]).exists()


def test_a_split_that_cannot_be_kept(tmp_path: Path, make_cfg: MakeCfg, monkeypatch: pytest.MonkeyPatch) -> None:
    build_miniature("DescribableTextures", tmp_path, split=False)

    def refuse(*args: Any) -> None:
        raise PermissionError("the disk is read-only")

    monkeypatch.setattr(datasets.coop_layout, "save_split", refuse)
    with pytest.warns(UserWarning, match=r"new split cannot be kept \(the disk is read-only\)"):
        data = DATASET_REGISTRY.get("DescribableTextures")(make_cfg(tmp_path))
    assert len(data.train_x) == 24


def test_a_new_split_lacks_no_class(tmp_path: Path) -> None:
    """Numbers that skip a class would make a split file that no run accepts."""
    folder = build_miniature("OxfordPets", tmp_path, split=False)
    for name in ("trainval.txt", "test.txt"):
        path = folder / "annotations" / name
        path.write_text("".join(line for line in path.open() if not line.startswith("beagle")))
    with pytest.raises(ValueError, match=r"the new split of .*oxford_pets has no training image of class '\?'"):
        OxfordPets.new_split(folder)


def test_paths_are_absolute(pets: Path, make_cfg: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pets.parent.parent)
    data = OxfordPets(make_cfg(pets.parent.name))
    assert data.dataset_dir == str(pets) and data.image_dir == str(pets / "images")
    assert all(Path(item.impath).is_absolute() for item in data.test or ())
    monkeypatch.setenv("HOME", str(pets.parent.parent))
    assert OxfordPets(make_cfg(f"~/{pets.parent.name}")).dataset_dir == str(pets)
    assert OxfordPets.dataset_dir == "oxford_pets"


def test_roots_that_are_not_there(pets: Path, tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"DATASET.ROOT is not given; OxfordPets is read from ROOT/oxford_pets"):
        OxfordPets(make_cfg(""))
    with pytest.raises(FileNotFoundError, match=r"the data root .*nowhere does not exist"):
        OxfordPets(make_cfg(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="is a file, no folder"):
        OxfordPets(make_cfg(pets / "split_zhou_OxfordPets.json"))
    with pytest.raises(
        FileNotFoundError, match=r"OxfordPets needs the folder .*oxford_pets with images and split_zhou"
    ):
        OxfordPets(make_cfg(tmp_path))


def test_no_split_file_and_nothing_to_make_it_from(pets: Path, make_cfg: Callable[..., Any]) -> None:
    class Plain(CoopDataset):
        dataset_dir = "oxford_pets"
        split_file = "split_zhou_Plain.json"

    with pytest.raises(FileNotFoundError, match=r"no split file .*split_zhou_Plain\.json, and Plain has nothing"):
        Plain(make_cfg(pets.parent))


def test_an_empty_class_is_named(pets: Path, make_cfg: Callable[..., Any]) -> None:
    path = pets / "split_zhou_OxfordPets.json"
    split = json.loads(path.read_text())
    split["train"] = [row for row in split["train"] if row[2] != "birch"]
    path.write_text(json.dumps(split))
    with pytest.raises(ValueError, match=r"split_zhou_OxfordPets\.json has no training image of class 'birch'"):
        OxfordPets(make_cfg(pets.parent))


def test_the_sample_folder_is_made(pets: Path, make_cfg: Callable[..., Any]) -> None:
    data = OxfordPets(make_cfg(pets.parent))
    assert Path(data.split_fewshot_dir).is_dir()
    shutil.rmtree(data.split_fewshot_dir)
    Path(data.split_fewshot_dir).touch()
    OxfordPets(make_cfg(pets.parent))  # a root that cannot be written to serves as well
