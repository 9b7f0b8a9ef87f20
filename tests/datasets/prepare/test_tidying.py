from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.doctor import inspect
from datasets.prepare.__main__ import main
from datasets.prepare.tidying import misplaced, tidy
from tests.datasets.miniatures.common import build_miniature
from tests.datasets.prepare.conftest import Publisher


def rename(*steps: tuple[str, str]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        for old, new in steps:
            (folder / new).parent.mkdir(parents=True, exist_ok=True)
            (folder / old).rename(folder / new)

    return act


def nest(*names: str) -> Callable[[Path], None]:
    return rename(*((name, f"x/{name}") for name in names), *((f"x/{name}", f"{name}/{name}") for name in names))


WRONG_PLACES = {
    "StanfordCars": nest("cars_train", "cars_test"),
    "SUN397": nest("SUN397"),
    "EuroSAT": rename(("2750", "EuroSAT_RGB")),
    "Caltech101": rename(("101_ObjectCategories", "caltech-101/101_ObjectCategories")),
    "ImageNetSketch": rename(("images", "sketch")),
    "FGVCAircraft": rename(
        *((name, f"fgvc-aircraft-2013b/data/{name}") for name in ("images", "variants.txt")),
        *((f"images_variant_{part}.txt", f"fgvc-aircraft-2013b/data/images_variant_{part}.txt") for part in
          ("train", "val", "test")),
    ),
    "DescribableTextures": rename(("images", "dtd/images"), ("labels", "dtd/labels")),
    "OxfordFlowers": rename(("jpg", "102flowers/jpg")),
    "ImageNetA": rename(("imagenet-a", "imagenet-a.tar.unpacked/imagenet-a")),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_PLACES)
def test_slightly_wrong_places_are_put_right_without_a_download(name: str, publisher: Publisher, capsys: Any) -> None:
    publisher.publish(name)
    folder = build_miniature(name, publisher.root)
    sentences = publisher.root / publisher.entry(name).prompt_file
    if not sentences.exists():
        build_miniature("ImageNet", publisher.folder / "other")
        (publisher.folder / "other" / "imagenet").rename(sentences.parent)
    files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    WRONG_PLACES[name](folder)
    assert inspect(publisher.entry(name), publisher.root).state != "whole"
    assert misplaced(publisher.job(name))
    publisher.server.files.clear()
    assert main(publisher.command(name)) == 0
    assert f"  moved {folder}" in capsys.readouterr().out
    assert inspect(publisher.entry(name), publisher.root, deep=True).state == "whole"
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
    assert publisher.server.requests == []
    assert misplaced(publisher.job(name)) == [] == tidy(publisher.job(name))


def test_half_of_the_images_are_nested(publisher: Publisher) -> None:
    """As after a run that was killed while it flattened the folder."""
    publisher.publish("StanfordCars")
    images = build_miniature("StanfordCars", publisher.root) / "cars_train"
    (images / "cars_train").mkdir()
    for path in sorted(images.glob("*.jpg"))[::2]:
        path.rename(images / "cars_train" / path.name)
    assert main(publisher.command("StanfordCars")) == 0
    assert not (images / "cars_train").exists()


def test_files_that_differ_stay_where_they_are(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("EuroSAT")
    folder = build_miniature("EuroSAT", publisher.root)
    other = folder / "EuroSAT_RGB" / "River" / "River_1.jpg"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another")
    (line,) = tidy(publisher.job("EuroSAT"))
    assert line.endswith("1 files differ from those in place and stay")
    assert other.read_bytes() == b"another"


def test_no_folder_needs_no_tidying(publisher: Publisher) -> None:
    publisher.publish("EuroSAT")
    assert tidy(publisher.job("EuroSAT")) == [] == misplaced(publisher.job("EuroSAT"))


def test_folders_of_the_user_stay(publisher: Publisher) -> None:
    publisher.publish("OxfordPets")
    mine = publisher.root / "oxford_pets" / "my_augmented" / "images" / "mine.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    assert misplaced(publisher.job("OxfordPets")) == []
    assert main(publisher.command("OxfordPets")) == 0
    assert mine.read_bytes() == b"mine"
