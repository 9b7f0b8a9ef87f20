import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from amu_raft.images.own_images import OwnImages, folder_of, list_images, read_own_images
from tests.empty_images import fill

Make = Callable[[Path], str]


def sizes(own: OwnImages) -> list[int]:
    return [sum(map(len, classes.values())) for classes in own.parts.values()]


def test_classes_names_and_parts(tmp_path: Path, make_image: Make) -> None:
    fill(tmp_path, make_image, n1=4, n2=5)
    (tmp_path / "classnames.txt").write_text("n2 owl\nn1 crane\n")
    own = read_own_images(tmp_path)
    assert (own.classes, own.names) == (["n1", "n2"], ["crane", "owl"])
    assert list(own.parts) == ["train", "val", "test"] and sizes(own) == [4, 1, 4]
    assert own.division == "divided per class, the same way every time: 50 % train, 20 % val, 30 % test"


def test_the_division_that_earlier_versions_made(tmp_path: Path, make_image: Make) -> None:
    """Recorded: whoever trained on a folder keeps the same test images."""
    parts = read_own_images(fill(tmp_path, make_image, owl=10, bat=5)).parts
    assert [path.stem for path in parts["test"]["owl"]] == ["007", "000", "002"]
    assert [path.stem for path in parts["train"]["bat"]] == ["000", "003"]


def test_a_single_image_goes_to_train_with_a_warning(tmp_path: Path, make_image: Make) -> None:
    with pytest.warns(UserWarning, match="one image only, so none to test with: 'rare'"):
        own = read_own_images(fill(tmp_path, make_image, common=4, rare=1))
    assert sizes(own) == [3, 0, 2]


@pytest.mark.parametrize(("with_val", "expected"), [(True, [14, 4, 6]), (False, [10, 4, 6])])
def test_without_test_images_some_are_kept_apart(
    with_val: bool, expected: list[int], tmp_path: Path, make_image: Make
) -> None:
    fill(tmp_path / "train", make_image, owl=10, bat=10)
    if with_val:
        fill(tmp_path / "val", make_image, owl=2, bat=2)
    own = read_own_images(tmp_path)
    assert sizes(own) == expected
    paths = [path for classes in own.parts.values() for images in classes.values() for path in images]
    assert len(paths) == len(set(paths)) == sum(expected)
    assert all(tmp_path / "val" in path.parents for path in own.parts["val"]["owl"]) is with_val


def test_a_folder_and_its_list_give_the_same_parts(tmp_path: Path, make_image: Make) -> None:
    root = fill(tmp_path / "mine", make_image, owl=10, bat=20)
    rows = [f"mine/{path.relative_to(root)},{path.parent.name}" for path in root.rglob("*.jpg")]
    random.Random(0).shuffle(rows)
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    assert read_own_images(root) == read_own_images(tmp_path / "list.csv")
    assert (folder_of(root), folder_of(tmp_path / "list.csv")) == (root, tmp_path)


def test_sources_that_do_not_fit(tmp_path: Path, make_image: Make) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; give a folder of images or a list"):
        read_own_images(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"neither a folder nor a list; lists end in .csv, .tsv, .jsonl"):
        list_images(Path(make_image(tmp_path / "file.jpg")))
    os.mkfifo(tmp_path / "pipe.csv")  # reading it would wait for ever
    with pytest.raises(ValueError, match=r"pipe.csv is neither a folder nor a list"):
        list_images(tmp_path / "pipe.csv")
    with pytest.raises(ValueError, match="has no classes; expected two or more, as in"):
        read_own_images(tmp_path)
    fill(tmp_path, make_image, owl=3)
    with pytest.raises(ValueError, match="has only the class 'owl'"):
        read_own_images(tmp_path)


def test_names_that_are_no_text(tmp_path: Path, make_image: Make) -> None:
    fill(tmp_path, make_image, owl=3)
    make_image(tmp_path / b"caf\xe9".decode("utf-8", "surrogateescape") / "a.jpg")
    with pytest.raises(ValueError, match=r"class names that are no UTF-8: 'caf\\udce9'; rename the folders"):
        read_own_images(tmp_path)


def test_images_named_in_another_encoding_are_read(tmp_path: Path, make_image: Make) -> None:
    fill(tmp_path, make_image, owl=3, bat=3)
    make_image(tmp_path / "owl" / b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sum(sizes(read_own_images(tmp_path))) == 7
