import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amu_raft.images.own_images import OwnImages, read_own_images
from datasets.image_folder import ImageFolder, make_split
from tests.empty_images import fill

Make = Callable[[Path], str]


def stems(items: Any) -> list[tuple[str, str]]:
    return [(item.classname, Path(item.impath).stem) for item in items]


def test_a_plain_folder_is_divided_the_same_way_every_time(
    tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root = fill(tmp_path / "mine", make_image, owl=10, bat=20)
    before = sorted(root.rglob("*"))
    data = ImageFolder(make_cfg(root))
    assert (
        "mine: divided per class, the same way every time: 50 % train, 20 % val, 30 % test" in capsys.readouterr().out
    )
    assert data.classnames == data.class_keys == ["bat", "owl"] and data.dataset_dir == str(root)
    for part, (bats, owls) in ((data.train_x, (10, 5)), (data.val, (4, 2)), (data.test, (6, 3))):
        assert Counter(item.label for item in part or ()) == {0: bats, 1: owls}
    copy = fill(tmp_path / "copy", make_image, owl=10, bat=20, cat=4)
    again = make_split(read_own_images(copy))
    assert [row for row in stems(again.train) if row[0] != "cat"] == stems(data.train_x)
    assert sorted(root.rglob("*")) == before


def test_nothing_to_test_with(tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]) -> None:
    root = fill(tmp_path, make_image, owl=1, bat=1)
    with pytest.warns(UserWarning, match="one image only"), pytest.raises(ValueError, match="has no test images"):
        ImageFolder(make_cfg(root))


@pytest.mark.parametrize("val", ["val", "valid", "Validation", None])
def test_split_folders(val: str | None, tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]) -> None:
    sizes = {"Train": 5, "test": 3} | ({val: 2} if val else {})
    for name, count in sizes.items():
        fill(tmp_path / name, make_image, owl=count, bat=count)
    data = ImageFolder(make_cfg(tmp_path))
    assert (len(data.train_x or ()), len(data.val or ()), len(data.test or ())) == (10, 4 if val else 0, 6)
    assert data.classnames == ["bat", "owl"]
    assert [item.classname for item in data.train_x or ()] == ["bat"] * 5 + ["owl"] * 5


def test_shots_and_halves(tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]) -> None:
    root = fill(tmp_path, make_image, ant=20, bat=20, cat=20)
    first, second = (ImageFolder(make_cfg(root, shots=2, subsample="base")) for _ in range(2))
    assert Counter(item.classname for item in first.train_x or ()) == {"ant": 2, "bat": 2}
    assert len(first.val or ()) == 4 and len(first.test or ()) == 12
    assert stems(first.train_x) != stems(second.train_x)  # nothing is kept, and the generator has moved on
    assert [path.name for path in root.iterdir() if path.name not in ("ant", "bat", "cat")] == []


def test_same_seed_same_shots(tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]) -> None:
    root = fill(tmp_path, make_image, ant=20, bat=20)
    samples = []
    for _ in range(2):
        random.seed(1)
        samples.append(stems(ImageFolder(make_cfg(root, shots=4)).train_x))
    assert samples[0] == samples[1]


def test_names_and_keys(tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]) -> None:
    root = fill(tmp_path, make_image, n1=4, n2=4, n3=4)
    (root / "classnames.txt").write_text("n3 crane\nn1 crane\nn9 none\nn2 owl\n")
    data = ImageFolder(make_cfg(root))
    assert (data.classnames, data.class_keys) == (["crane", "owl", "crane"], ["n1", "n2", "n3"])
    assert ImageFolder(make_cfg(root, subsample="new")).class_keys == ["n3"]
    assert not data.has_own_prompts and data.prompt_file == ""
    (root / "prompts.json").write_text(json.dumps({"crane": ["A crane."], "owl": ["An owl."]}))
    data = ImageFolder(make_cfg(root))
    assert data.has_own_prompts and data.prompt_path == root / "prompts.json"


def test_roots_that_do_not_fit(tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"DATASET.ROOT is not given; ImageFolder reads .*: pass --data PATH"):
        ImageFolder(make_cfg())
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; give a folder of images or a list"):
        ImageFolder(make_cfg(tmp_path / "nowhere"))


def test_items_are_in_the_order_of_the_parts() -> None:
    train = {"b": [Path("/2.jpg"), Path("/1.jpg")], "a": [Path("/3.jpg")]}
    parts = {"train": train, "val": {}, "test": {"a": [Path("/4.jpg")]}}
    split = make_split(OwnImages(["b", "a"], ["a b", "an a"], parts, ""))
    assert [(item.impath, item.label, item.classname) for item in split.train] == [
        ("/2.jpg", 0, "a b"),
        ("/1.jpg", 0, "a b"),
        ("/3.jpg", 1, "an a"),
    ]
    assert split.val == [] and [(item.label, item.classname) for item in split.test] == [(1, "an a")]
