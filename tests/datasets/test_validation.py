import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from yacs.config import CfgNode

from datasets.image_folder import ImageFolder
from datasets.listed_item import listed_item
from datasets.oxford_pets import OxfordPets
from datasets.validation import check_validation, has_own_validation, hold_out, validation_facts
from tests.empty_images import write_image


def dataset(val: list[Path] | None, test: list[Path]) -> Any:
    items = [None if part is None else [listed_item(str(path), 0, "") for path in part] for part in (val, test)]
    return SimpleNamespace(val=items[0], test=items[1], num_classes=1)


def test_images_of_its_own(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    assert has_own_validation(dataset([a], [b, c]))
    assert not has_own_validation(dataset([a, b], [b, c]))
    assert not has_own_validation(dataset([], [b])) and not has_own_validation(dataset(None, [b]))


def test_the_same_image_under_another_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "a").touch()
    assert not has_own_validation(dataset([tmp_path / "link" / "a"], [tmp_path / "real" / "a"]))
    assert not has_own_validation(dataset([tmp_path / "real" / ".." / "real" / "a"], [tmp_path / "real" / "a"]))


def test_equal_paths_need_no_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ImageNet has the same 50,000 in both."""
    monkeypatch.setattr(os.path, "realpath", None)
    paths = [tmp_path / "a", tmp_path / "b"]
    assert not has_own_validation(dataset(paths, paths))


# ------------------------------------------------------------------------------------------------ which images they are


def pool(sizes: dict[int, int]) -> list[Any]:
    return [listed_item(f"/{label}/{number}", label, "") for label, size in sizes.items() for number in range(size)]


def test_what_is_held_out_is_left_over_and_touches_no_global_generator() -> None:
    images = pool({0: 6, 1: 3, 2: 2})
    sample = [images[0], images[6], images[7], images[9], images[10]]
    random.seed(1)
    state = random.getstate()
    held = hold_out(images, sample, 2, seed=5)
    assert random.getstate() == state
    assert Counter(item.label for item in held) == {0: 2, 1: 1}  # class 2 is used up
    assert {item.impath for item in held} <= {item.impath for item in images} - {item.impath for item in sample}
    assert held == hold_out(images, sample, 2, seed=5)
    assert held[:2] == hold_out(images[:6], sample[:1], 2, seed=5)  # whatever other classes there are
    assert len({tuple(item.impath for item in hold_out(images, sample, 2, seed=seed)) for seed in range(9)}) > 3


def test_the_choices() -> None:
    assert check_validation(CfgNode({"DATASET": {}})) == "coop"
    assert check_validation(CfgNode({"DATASET": {"VALIDATION": "full"}})) == "full"
    with pytest.raises(ValueError, match=r"DATASET\.VALIDATION is 'all'; accepted are coop, full"):
        check_validation(CfgNode({"DATASET": {"VALIDATION": "all"}}))


def test_the_full_split_changes_no_sample(make_cfg: Callable[..., Any], pets: Path) -> None:
    content = json.loads((pets / "split_zhou_OxfordPets.json").read_text())
    found = {}
    for choice in ("coop", "full", None):  # None: a configuration that knows no such key
        for sample in (pets / "split_fewshot").glob("*"):
            sample.unlink()
        random.seed(3)
        data = OxfordPets(make_cfg(pets.parent, shots=3, seed=3, validation=choice))
        kept = (pets / "split_fewshot" / "shot_3-seed_3.json").read_text()
        found[choice] = ([item.impath for item in data.train_x], kept, random.random())
        assert data.val is not None
        assert data.validation == ("full" if choice == "full" else "min(shots, 4)")
        assert len(data.val) == (len(content["val"]) if choice == "full" else 3 + 1 + 3 + 3 + 2)
        assert validation_facts(data, 3) == {"validation": data.validation, "validation_images": len(data.val)}
    assert found["coop"] == found["full"] == found[None]
    everything = OxfordPets(make_cfg(pets.parent, shots=-1))
    assert validation_facts(everything, -1) == {"validation": "full", "validation_images": len(content["val"])}


def test_a_folder_without_a_validation_part(make_cfg: Callable[..., Any], tmp_path: Path) -> None:
    for part, size in (("train", 60), ("test", 2)):
        for name in ("a", "b"):
            for number in range(size):
                write_image(tmp_path / part / name / f"{number}.png")

    def facts(shots: int, choice: str = "coop") -> dict[str, Any]:
        return validation_facts(ImageFolder(make_cfg(tmp_path, shots=shots, validation=choice)), shots)

    assert facts(1) == {"validation": "held_out", "validation_images": 2}
    assert facts(16) == {"validation": "held_out", "validation_images": 8}
    assert facts(2, "full") == {"validation": "held_out", "validation_images": 100}  # at most 50 of a class
    assert facts(58) == {"validation": "held_out", "validation_images": 4}
    assert facts(60) == facts(-1) == {"validation": "none", "validation_images": 0}


def test_what_a_strangers_data_set_has_is_told_by_its_number() -> None:
    own = SimpleNamespace(val=pool({0: 4, 1: 4}), test=[], num_classes=2)
    assert validation_facts(own, 16) == {"validation": "min(shots, 4)", "validation_images": 8}
    assert validation_facts(own, 2) == {"validation": "full", "validation_images": 8}
    assert validation_facts(own, -1)["validation"] == "full"
