import json
import os
import random
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.image_folder import ImageFolder, list_images, read_own_images
from datasets.split_file import Split

Make = Callable[[Path], str]


def fill(root: Path, make_image: Make, **classes: int) -> Path:
    for name, count in classes.items():
        for index in range(count):
            make_image(root / name / f"{index:03d}.jpg")
    return root


def stems(items: Any) -> list[tuple[str, str]]:
    return [(item.classname, Path(item.impath).stem) for item in items]


def split_of(source: Path) -> Split:
    return read_own_images(source)[1]


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
    again = split_of(copy)
    assert [row for row in stems(again.train) if row[0] != "cat"] == stems(data.train_x)
    assert sorted(root.rglob("*")) == before


def test_the_division_that_earlier_versions_made(tmp_path: Path, make_image: Make) -> None:
    """Recorded: whoever trained on a folder keeps the same test images."""
    split = split_of(fill(tmp_path, make_image, owl=10, bat=5))
    assert [stem for name, stem in stems(split.test) if name == "owl"] == ["007", "000", "002"]
    assert [stem for name, stem in stems(split.train) if name == "bat"] == ["000", "003"]


def test_a_single_image_goes_to_train_with_a_warning(tmp_path: Path, make_image: Make) -> None:
    with pytest.warns(UserWarning, match="one image only, so none to test with: 'rare'"):
        split = split_of(fill(tmp_path, make_image, common=4, rare=1))
    assert [len(part) for part in split] == [3, 0, 3 - 1]


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


@pytest.mark.parametrize(("with_val", "sizes"), [(True, [14, 4, 6]), (False, [10, 4, 6])])
def test_without_test_images_some_are_kept_apart(
    with_val: bool, sizes: list[int], tmp_path: Path, make_image: Make
) -> None:
    fill(tmp_path / "train", make_image, owl=10, bat=10)
    if with_val:
        fill(tmp_path / "val", make_image, owl=2, bat=2)
    split = split_of(tmp_path)
    assert [len(part) for part in split] == sizes
    paths = [item.impath for part in split for item in part]
    assert len(paths) == len(set(paths)) == sum(sizes)
    assert all(f"{tmp_path}/val/" in item.impath for item in split.val) is with_val


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


def test_a_folder_and_its_list_give_the_same_split(tmp_path: Path, make_image: Make) -> None:
    root = fill(tmp_path / "mine", make_image, owl=10, bat=20)
    rows = [f"mine/{path.relative_to(root)},{path.parent.name}" for path in root.rglob("*.jpg")]
    random.Random(0).shuffle(rows)
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    first, second = split_of(root), split_of(tmp_path / "list.csv")
    for ours, theirs in zip(first, second, strict=True):
        assert [(item.impath, item.label, item.classname) for item in ours] == [
            (item.impath, item.label, item.classname) for item in theirs
        ]


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


def test_roots_that_do_not_fit(tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"DATASET.ROOT is not given; ImageFolder reads .*: pass --data PATH"):
        ImageFolder(make_cfg())
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; give a folder of images or a list"):
        ImageFolder(make_cfg(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"neither a folder nor a list; lists end in .csv, .tsv, .jsonl"):
        list_images(Path(make_image(tmp_path / "file.jpg")))
    os.mkfifo(tmp_path / "pipe.csv")  # reading it would wait for ever
    with pytest.raises(ValueError, match=r"pipe.csv is neither a folder nor a list"):
        list_images(tmp_path / "pipe.csv")
    with pytest.raises(ValueError, match="has no classes; expected two or more, as in"):
        ImageFolder(make_cfg(tmp_path))
    fill(tmp_path, make_image, owl=3)
    with pytest.raises(ValueError, match="has only the class 'owl'"):
        ImageFolder(make_cfg(tmp_path))


def test_names_that_are_no_text(tmp_path: Path, make_image: Make) -> None:
    fill(tmp_path, make_image, owl=3)
    make_image(tmp_path / b"caf\xe9".decode("utf-8", "surrogateescape") / "a.jpg")
    with pytest.raises(ValueError, match=r"class names that are no UTF-8: 'caf\\udce9'; rename the folders"):
        split_of(tmp_path)


def test_images_named_in_another_encoding_are_read(tmp_path: Path, make_image: Make) -> None:
    fill(tmp_path, make_image, owl=3, bat=3)
    make_image(tmp_path / "owl" / b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sum(map(len, split_of(tmp_path))) == 7
