from pathlib import Path
from typing import Any

import pytest
import yaml

from dassl.data.datasets import DATASET_REGISTRY
from datasets.catalog import BENCHMARKS, Entry, find_entries, read_catalog

PAPERS_ORDER = [
    *("ImageNet", "Caltech101", "OxfordPets", "StanfordCars", "OxfordFlowers", "Food101", "FGVCAircraft", "SUN397"),
    *("DescribableTextures", "EuroSAT", "UCF101", "ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR"),
]
CATALOG = read_catalog()


def test_the_fifteen_sets_in_the_papers_order() -> None:
    assert list(CATALOG) == PAPERS_ORDER


@pytest.mark.parametrize("entry", CATALOG.values(), ids=list(CATALOG))
def test_an_entry_agrees_with_its_loader_and_configuration(entry: Entry) -> None:
    dataset = DATASET_REGISTRY.get(entry.name)
    assert entry.directory == dataset.dataset_dir
    assert yaml.safe_load(Path(f"configs/datasets/{entry.stem}.yaml").read_text())["DATASET"]["NAME"] == entry.name
    split_files = {part.alternatives[0].place.to for part in entry.parts if part.name == "split"}
    assert split_files == ({dataset.split_file} if dataset.split_file else set())
    assert bool(entry.trained_on) == dataset.evaluation_only == (set(entry.counts) == {"test"})


@pytest.mark.parametrize("entry", CATALOG.values(), ids=list(CATALOG))
def test_sentences_lie_where_the_loader_looks(entry: Entry) -> None:
    dataset = DATASET_REGISTRY.get(entry.name)
    instance = dataset.__new__(dataset)
    instance.dataset_dir = f"/data/{entry.directory}"
    assert str(instance.prompt_path) == f"/data/{entry.prompt_file}"
    (prompts,) = (part.alternatives[0].place for part in entry.parts if part.name == "prompts")
    assert f"{prompts.above or entry.directory}/{prompts.to}" == entry.prompt_file


@pytest.mark.parametrize("entry", CATALOG.values(), ids=list(CATALOG))
def test_an_entry_is_complete(entry: Entry) -> None:
    assert entry.terms and entry.tree and entry.counts_known_from and entry.parts[0].name.startswith("images")
    for download in (one for part in entry.parts for one in part.alternatives):
        assert download.sources or download.page, f"{download.file} cannot be had from anywhere"
        assert not download.account or download.page
        for source in download.sources:
            assert bool(source.url) != bool(source.drive_id) and source.mirror
            assert source.address.startswith("http")
        lengths = {"md5": 32, "sha256": 64, "git_blob_sha1": 40}
        for kind, length in lengths.items():
            assert len(getattr(download, kind) or "0" * length) == length


@pytest.mark.parametrize("entry", CATALOG.values(), ids=list(CATALOG))
def test_dead_sources_come_last_and_sure_ones_first(entry: Entry) -> None:
    for download in (one for part in entry.parts for one in part.alternatives):
        order = [bool(source.dead) for source in download.sources]
        assert order == sorted(order)
    for part in entry.parts:
        if part.name == "split":
            assert [source.compared for source in part.alternatives[0].sources] == [True, False]


def test_counts_that_are_known_exactly() -> None:
    sizes = {entry.name: tuple(entry.counts.values()) for entry in CATALOG.values()}
    assert sizes["Caltech101"] == (4128, 1649, 2465)
    assert sizes["SUN397"] == (15880, 3970, 19850)
    assert sizes["ImageNet"] == (1281167, 50000, 50000)
    assert sizes["ImageNetSketch"] == (50889,)


def test_folders_that_are_counted_hold_what_the_splits_hold() -> None:
    for entry in CATALOG.values():
        moves = [move for part in entry.parts for one in part.alternatives for move in one.place.moves]
        known = {entry.counts["test"], entry.counts.get("train", 0)}
        assert all(move.images is None or move.images in known for move in moves)
        no_list = entry.directory.startswith("imagenet")
        assert all((move.images is not None) == no_list for move in moves)


def test_an_entry_cannot_be_changed() -> None:
    entry = CATALOG["EuroSAT"]
    for name in ("classes", "parts"):
        with pytest.raises(AttributeError):
            setattr(entry, name, None)


# ---------------------------------------------------------------------------------------- find_entries


@pytest.mark.parametrize("name", ("DescribableTextures", "dtd", "DTD", "describabletextures"))
def test_a_set_is_found_by_any_of_its_names(name: str) -> None:
    assert [entry.name for entry in find_entries([name], CATALOG)] == ["DescribableTextures"]


@pytest.mark.parametrize("name", ("imagenet-adversarial", "imagenet_a", "ImageNetA"))
def test_folder_stem_and_registry_name(name: str) -> None:
    assert [entry.name for entry in find_entries([name], CATALOG)] == ["ImageNetA"]


def test_all_are_found_once_in_the_order_of_asking() -> None:
    assert [entry.name for entry in find_entries(["eurosat", "all", "dtd"], CATALOG)] == [
        "EuroSAT",
        *(name for name in PAPERS_ORDER if name != "EuroSAT"),
    ]
    assert find_entries([], CATALOG) == []


def test_an_unknown_set_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown data set 'eurosta'; nearest: EuroSAT; known: all, ImageNet, Cal"):
        find_entries(["eurosta"], CATALOG)
    with pytest.raises(ValueError, match=r"unknown data set 'qqq'; known: all"):
        find_entries(["qqq"], CATALOG)


# ---------------------------------------------------------------------------------------- read_catalog


def smallest() -> dict[str, Any]:
    return {
        "name": "EuroSAT", "stem": "eurosat", "directory": "eurosat", "title": "E", "classes": 1,
        "counts": {"test": 1}, "counts_known_from": "here",
        "parts": [{"name": "images", "alternatives": [{"file": "a.zip", "role": "images"}]}],
    }  # fmt: skip


def write(path: Path, *entries: Any) -> Path:
    path.write_text(yaml.safe_dump({"datasets": list(entries)}))
    return path


def test_another_catalog_is_read(tmp_path: Path) -> None:
    entry = read_catalog(write(tmp_path / "mine.yaml", smallest()))["EuroSAT"]
    assert entry.parts[0].alternatives[0].file == "a.zip" and entry.parts[0].required
    assert not entry.parts[0].alternatives[0].checked
    assert read_catalog(BENCHMARKS) == CATALOG


def changed(*path: Any, value: Any = None) -> dict[str, Any]:
    """Return the smallest entry with one value at a path of keys; None removes it."""
    entry = smallest()
    place: Any = entry
    for key in path[:-1]:
        place = place[key] if isinstance(key, int) else place.setdefault(key, {})
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return entry


FILE = ("parts", 0, "alternatives", 0)


@pytest.mark.parametrize(
    ("entry", "line"),
    (
        (changed("title"), "EuroSAT: Entry needs title"),
        (changed("colour", value="red"), r"EuroSAT: unknown key 'colour'; Entry knows name, stem"),
        (changed(*FILE, "md6", value="0"), r"EuroSAT, a\.zip: unknown key 'md6'"),
        (changed(*FILE, "size", value="big"), r"size is 'big', expected int \| None"),
        (changed(*FILE, "account", value=1), r"account is 1, expected bool"),
        (changed("classes", value=True), r"classes is True, expected int"),
        (changed(*FILE, "file", value="../a.zip"), r"\.\./a\.zip: file must be a plain name"),
        (changed(*FILE, "place", value={"to": "../b"}), r"the path '\.\./b' leads out of the data root"),
        (changed(*FILE, "place", value={"moves": [{"find": ["a"], "to": "/etc"}]}), r"the path '/etc' leads out"),
        (changed("directory", value="../x"), r"the path '\.\./x' leads out of the data root"),
        (changed("counts", value={"train": 1}), r"counts needs 'test', found train"),
        ("EuroSAT", r"data set 0: expected keys and values, found 'EuroSAT'"),
    ),
)
def test_a_damaged_entry_is_one_line(entry: Any, line: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=line) as caught:
        read_catalog(write(tmp_path / "mine.yaml", entry))
    assert "\n" not in str(caught.value) and "mine.yaml" in str(caught.value)


def test_a_catalog_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no catalog .*none\.yaml"):
        read_catalog(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("datasets: [")
    with pytest.raises(ValueError, match=r"bad\.yaml is no YAML"):
        read_catalog(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ValueError, match=r"list\.yaml needs a list 'datasets'"):
        read_catalog(tmp_path / "list.yaml")
    with pytest.raises(ValueError, match="lists a data set twice"):
        read_catalog(write(tmp_path / "twice.yaml", smallest(), smallest()))


def test_classes_of_known_size() -> None:
    catalog = read_catalog()
    assert catalog["ImageNetV2"].min_per_class == {"test": 10}
    assert catalog["ImageNet"].min_per_class == {"val": 50, "test": 50}
