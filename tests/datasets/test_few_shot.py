import json
import pickle
import random
import shutil
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dassl.data.datasets import Datum
from datasets import few_shot_cache
from datasets.few_shot_cache import FewShotCache, fingerprint
from datasets.listed_item import listed_item
from datasets.oxford_pets import OxfordPets

Pets = Callable[..., OxfordPets]


def names(items: Any) -> list[str]:
    return [Path(item.impath).name for item in items]


@pytest.fixture
def load(make_cfg: Callable[..., Any], pets: Path) -> Pets:
    """Build the data set as a run does, the generator freshly seeded."""

    def build(root: Path = pets.parent, *, shots: int = 4, seed: int = 1, subsample: str | None = None) -> OxfordPets:
        random.seed(seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "fewer than")
            return OxfordPets(make_cfg(root, shots=shots, seed=seed, subsample=subsample))

    return build


def test_sampling_follows_the_rules(load: Pets, pets: Path) -> None:
    """Train before val, classes in order of first appearance, short classes whole and without a draw."""
    rows = json.loads((pets / "split_zhou_OxfordPets.json").read_text())
    random.seed(5)
    expected = []
    for part, shots in (("train", 6), ("val", 4)):
        sample: list[str] = []
        for label in dict.fromkeys(label for _, label, _ in rows[part]):
            files = [Path(file).name for file, other, _ in rows[part] if other == label]
            sample += random.sample(files, shots) if len(files) >= shots else files
        expected.append(sample)
    after = random.random()
    data = load(shots=6, seed=5)
    assert [names(data.train_x), names(data.val)] == expected
    assert random.random() == after


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shots=st.integers(1, 20), seed=st.integers(0, 50))
def test_a_kept_sample_equals_a_drawn_one(shots: int, seed: int, load: Pets, pets: Path) -> None:
    shutil.rmtree(pets / "split_fewshot", ignore_errors=True)
    random.seed(seed)
    fresh = random.getstate()
    drawn = load(shots=shots, seed=seed)
    assert random.getstate() != fresh
    kept = load(shots=shots, seed=seed)
    assert random.getstate() == fresh
    assert names(drawn.train_x) == names(kept.train_x) and names(drawn.val) == names(kept.val)
    sizes = [12, 3, 7, 20, 5]
    assert Counter(item.label for item in drawn.train_x or ()) == {c: min(n, shots) for c, n in enumerate(sizes)}
    assert Counter(item.label for item in drawn.val or ()) == {c: min(n // 2, shots, 4) for c, n in enumerate(sizes)}


def test_the_lines_that_are_printed(load: Pets, pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pets / "split_fewshot" / "shot_8-seed_3.json"
    load(shots=8, seed=3)
    split_line = f"Reading split from {pets / 'split_zhou_OxfordPets.json'}\n"
    drawn = f"Creating a 8-shot dataset\nCreating a 4-shot dataset\nSaving preprocessed few-shot data to {path}\n"
    assert capsys.readouterr().out == split_line + drawn
    load(shots=8, seed=3)
    assert capsys.readouterr().out == f"{split_line}Loading preprocessed few-shot data from {path}\n"
    load(shots=2, seed=3)
    assert "Creating a 2-shot dataset\nCreating a 2-shot dataset\n" in capsys.readouterr().out


def test_no_shots_means_everything_and_draws_nothing(load: Pets, pets: Path) -> None:
    random.seed(1)
    expected = random.random()
    for shots in (0, -1):
        data = load(shots=shots)
        assert (len(data.train_x or ()), len(data.val or ()), len(data.test or ())) == (47, 22, 10)
        assert random.random() == expected
    assert list((pets / "split_fewshot").iterdir()) == []


def test_stored_paths_are_relative_to_the_root(load: Pets, pets: Path) -> None:
    load(shots=1)
    content = json.loads((pets / "split_fewshot" / "shot_1-seed_1.json").read_text())
    assert content["format"] == 2 and len(content["split"]) == 64
    assert all(path.startswith("oxford_pets/images/train/") for path, _, _ in content["train"])
    assert len(content["train"]) == len(content["val"]) == 5


def test_a_moved_root_keeps_its_sample(load: Pets, pets: Path, tmp_path: Path) -> None:
    before = load()
    shutil.move(pets.parent, tmp_path / "moved")
    random.seed(99)
    after = load(tmp_path / "moved")
    assert names(after.train_x) == names(before.train_x)
    assert all(item.impath.startswith(str(tmp_path / "moved")) for item in after.train_x or ())


def test_a_changed_split_is_sampled_anew(load: Pets, pets: Path) -> None:
    load()
    path = pets / "split_zhou_OxfordPets.json"
    split = json.loads(path.read_text())
    split["train"].reverse()
    path.write_text(json.dumps(split))
    with pytest.warns(UserWarning, match="drawn again: it belongs to another split"):
        changed = load()
    shutil.rmtree(pets / "split_fewshot")
    assert names(load().train_x) == names(changed.train_x)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "damaged"),
        ("[]", "format"),
        ({"format": 1}, "format"),
        ({"train": None}, "rows"),
        ({"train": [["a"]]}, "rows"),
        ({"train": [["oxford_pets/images/test/ash_00.jpg", 0, "ash"]]}, "not in 'train'"),
        ({"train": []}, "does not hold 4 images"),
        ({"val": [["oxford_pets/images/val/ash_00.jpg", 0, "ash"]] * 4}, "does not hold 4 images"),
    ],
)
def test_a_damaged_sample_is_drawn_again(content: Any, reason: str, load: Pets, pets: Path) -> None:
    drawn = load()
    path = pets / "split_fewshot" / "shot_4-seed_1.json"
    good = path.read_text()
    path.write_text(content if isinstance(content, str) else json.dumps(json.loads(good) | content))
    with pytest.warns(UserWarning, match=f"shot_4-seed_1.json is not used and is drawn again: .*{reason}"):
        again = load()
    assert names(again.train_x) == names(drawn.train_x) and path.read_text() == good


def test_where_nothing_can_be_written_the_run_goes_on(load: Pets, pets: Path) -> None:
    expected = load()
    shutil.rmtree(pets / "split_fewshot")
    (pets / "split_fewshot").touch()  # a file in the place of the folder: as unwritable for root as for others
    with pytest.warns(UserWarning, match="the few-shot sample is not kept: .*cannot be written"):
        data = load()
    assert names(data.train_x) == names(expected.train_x)


def test_base_and_new_share_one_sample(load: Pets, pets: Path) -> None:
    full = load(subsample="all")
    base, new = load(subsample="base"), load(subsample="new")
    assert [path.name for path in (pets / "split_fewshot").iterdir()] == ["shot_4-seed_1.json"]
    assert sorted(names(base.train_x) + names(new.train_x)) == sorted(names(full.train_x))
    assert base.classnames == ["ash", "birch", "cedar"] and new.classnames == ["dogwood", "elm"]
    assert len(base.test or ()) == 6 and len(new.test or ()) == 4


def test_an_unknown_half_is_refused(load: Pets) -> None:
    with pytest.raises(ValueError, match="SUBSAMPLE_CLASSES is 'old'; accepted are all, base, new"):
        load(subsample="old")


def test_short_classes_are_named_once(make_cfg: Callable[..., Any], pets: Path) -> None:
    for _ in ("drawn", "kept"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            OxfordPets(make_cfg(pets.parent, shots=8))
        assert len(caught) == 1
        assert "fewer than 8 training images" in str(caught[0].message)
        named = str(caught[0].message).split(": ")[1].split(", ")
        assert sorted(named) == ["birch", "cedar", "elm"]


def test_long_lists_of_short_classes_are_cut(
    make_cfg: Callable[..., Any], make_pets: Callable[..., Path], tmp_path: Path
) -> None:
    make_pets(tmp_path / "many", {f"tree{number}": 2 for number in range(13)})
    with pytest.warns(UserWarning, match=r"training images, all of them taken: (tree\d+, ){9}tree\d+ and 3 more$"):
        OxfordPets(make_cfg(tmp_path / "many", shots=3))


def test_what_methods_ask_of_every_data_set(load: Pets, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OxfordPets, "prompt_file", "sentences.json")
    data = load(subsample="new")
    assert data.prompt_path == pets / "sentences.json"
    assert data.class_keys == data.classnames == ["dogwood", "elm"]
    assert data.evaluation_only is False


def test_parts_that_are_not_sampled_are_taken_whole(load: Pets, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OxfordPets, "sampled_parts", ("train",))
    for _ in ("drawn", "kept"):
        data = load(shots=2)
        assert (len(data.train_x or ()), len(data.val or ())) == (10, 22)


# ------------------------------------------------------------------ what a kept sample belongs to
def item_rows(items: list[Datum]) -> list[tuple[str, int, str]]:
    return [(item.impath, item.label, item.classname) for item in items]


def test_the_fingerprint_is_that_of_images_labels_names_and_order(items: list[Datum], tmp_path: Path) -> None:
    rows = item_rows(items)
    label = rows[0][1]
    changed = {
        "order": [rows[1], rows[0], *rows[2:]],
        "image": [(f"{rows[0][0]}x", *rows[0][1:]), *rows[1:]],
        "labels": [(path, number + 1, name) for path, number, name in rows],
        "name": [(path, number, "oak" if number == label else name) for path, number, name in rows],
        "number": rows[1:],
    }
    prints = {
        key: fingerprint({"train": [listed_item(*row) for row in value]}, tmp_path) for key, value in changed.items()
    }
    prints["part"] = fingerprint({"val": items}, tmp_path)
    prints["parts"] = fingerprint({"train": items[:9], "val": items[9:]}, tmp_path)
    prints["as it was"] = fingerprint({"train": items}, tmp_path)
    assert len(set(prints.values())) == len(prints)
    moved = [listed_item(path.replace(str(tmp_path), "/moved"), number, name) for path, number, name in rows]
    assert fingerprint({"train": moved}, Path("/moved")) == prints["as it was"]


def test_the_fingerprint_tells_classes_of_one_name_apart(items: list[Datum], tmp_path: Path) -> None:
    one_name = [listed_item(item.impath, item.label, "missile") for item in items]
    other = next(item.label for item in items if item.label != items[0].label)
    relabelled = [listed_item(items[0].impath, other, "missile"), *one_name[1:]]
    assert fingerprint({"train": one_name}, tmp_path) != fingerprint({"train": relabelled}, tmp_path)


def test_the_fingerprint_covers_more_rows_than_are_hashed_together(
    items: list[Datum], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fingerprint({"train": items}, tmp_path)
    monkeypatch.setattr(few_shot_cache, "HASHED_TOGETHER", 7)
    assert fingerprint({"train": items}, tmp_path) == whole
    assert fingerprint({"train": [*items[:-2], items[-1], items[-2]]}, tmp_path) != whole


def test_a_sample_kept_under_another_spelling_of_its_paths(items: list[Datum], tmp_path: Path) -> None:
    """As with a root that holds "..": the images are found all the same."""
    twisted = [
        listed_item(item.impath.replace("/items/", "/items/../items/"), item.label, item.classname) for item in items
    ]
    cache = FewShotCache(tmp_path / "cache", tmp_path, {"train": twisted}, {"train": 1}, 1)
    sample = {"train": list({item.label: item for item in twisted}.values())}
    cache.save(sample)
    assert cache.load() == sample


# ------------------------------------------------------------------ pickles as CoOp writes them
def write_pickle(pets: Path, content: Any, name: str = "shot_4-seed_1.pkl") -> Path:
    path = pets / "split_fewshot" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL))
    return path


def four_of_each(pets: Path, parts: Any) -> dict[str, list[Datum]]:
    """Another sample than seed 1 draws: the last four of each class."""
    return {name: [item for group in parts[name].values() for item in group[-4:]] for name in parts}


@pytest.fixture
def parts(load: Pets) -> dict[str, dict[int, list[Datum]]]:
    full = load(shots=0)
    grouped: dict[str, dict[int, list[Datum]]] = {"train": {}, "val": {}}
    for name, items in (("train", full.train_x), ("val", full.val)):
        for item in items or ():
            grouped[name].setdefault(item.label, []).append(item)
    return grouped


def test_an_upstream_pickle_is_read(load: Pets, pets: Path, parts: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sample = four_of_each(pets, parts)
    path = write_pickle(pets, sample)
    data = load()
    assert names(data.train_x) == names(sample["train"]) and names(data.val) == names(sample["val"])
    assert f"Loading preprocessed few-shot data from {path}\n" in capsys.readouterr().out
    assert not path.with_suffix(".json").exists()


def test_a_json_sample_goes_before_a_pickle(load: Pets, pets: Path, parts: Any) -> None:
    drawn = load()
    write_pickle(pets, four_of_each(pets, parts))
    assert names(load().train_x) == names(drawn.train_x)


def test_a_pickle_of_a_moved_root_is_drawn_again(load: Pets, pets: Path, parts: Any, tmp_path: Path) -> None:
    write_pickle(pets, four_of_each(pets, parts))
    shutil.move(pets.parent, tmp_path / "moved")
    with pytest.warns(UserWarning, match=r"\.pkl is not used and is drawn again: it lists .*was the data moved"):
        load(tmp_path / "moved")
    assert (tmp_path / "moved" / "oxford_pets" / "split_fewshot" / "shot_4-seed_1.json").is_file()


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran.txt"),)


def test_nothing_in_a_pickle_is_run(load: Pets, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pickle(pets, {"train": [Malicious()], "val": []})
    with pytest.warns(UserWarning, match="holds more than plain lists of images"):
        load()
    assert not (tmp_path / "ran.txt").exists()
