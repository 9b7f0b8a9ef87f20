import base64
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
from datasets.few_shot_cache import load_upstream_pickle
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
    assert content["format"] == 1 and len(content["split"]) == 64
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
        ({"format": 2}, "format"),
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


# Four images, written by upstream Dassl 0.6.3.
UPSTREAM_PICKLE = (
    "gAWVPgEAAAAAAAB9lCiMBXRyYWlulF2UKIwgZGFzc2wuZGF0YS5kYXRhc2V0cy5iYXNlX2RhdGFzZXSUjAVEYXR1bZSTlCmBlH2UKIwHX2lt"
    "cGF0aJSMFHNvbWUvd2hlcmUvYzNfMDIucG5nlIwGX2xhYmVslEsDjAdfZG9tYWlulEsCjApfY2xhc3NuYW1llIwGbmFtZV8zlHViaAUpgZR9"
    "lChoCIwUc29tZS93aGVyZS9jM18wNi5wbmeUaApLA2gLSwBoDIwGbmFtZV8zlHViaAUpgZR9lChoCIwUc29tZS93aGVyZS9jM18xOS5wbmeU"
    "aApLA2gLSwFoDIwGbmFtZV8zlHViaAUpgZR9lChoCIwUc29tZS93aGVyZS9jM18wMC5wbmeUaApLA2gLSwBoDIwGbmFtZV8zlHViZYwDdmFs"
    "lF2UdS4="
)


def test_a_pickle_recorded_from_upstream_is_read(tmp_path: Path) -> None:
    path = tmp_path / "shot_1-seed_1.pkl"
    path.write_bytes(base64.b64decode(UPSTREAM_PICKLE))
    content = load_upstream_pickle(path)
    assert content["train"][0] == ("some/where/c3_02.png", 3, "name_3")
    assert (len(content["train"]), content["val"]) == (4, [])


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
    with pytest.warns(UserWarning, match="holds more than plain few-shot samples"):
        load()
    assert not (tmp_path / "ran.txt").exists()


@pytest.mark.parametrize("content", [[1, 2], {"train": ["a.jpg"]}, {"train": 3}, {"train": [None]}])
def test_other_pickles_are_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="plain few-shot samples"):
        load_upstream_pickle(path)
    path.write_bytes(b"\x80\x05garbage")
    with pytest.raises(ValueError, match="or is damaged"):
        load_upstream_pickle(path)
