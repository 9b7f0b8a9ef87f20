import json
import shutil
from pathlib import Path

import pytest

from datasets.doctor import inspect
from datasets.prepare.__main__ import main
from datasets.prepare.job import Job
from datasets.prepare.presence import destination, is_flat, listed_images, missing_from
from tests.datasets.miniatures.common import build_miniature
from tests.datasets.prepare.conftest import Publisher


def lack(job: Job, name: str) -> str:
    return missing_from(job, next(part for part in job.entry.parts if part.name == name))


@pytest.fixture
def cars(publisher: Publisher) -> Job:
    publisher.publish("StanfordCars")
    build_miniature("StanfordCars", publisher.root)
    return publisher.job("StanfordCars")


def test_nothing_is_missing_of_a_whole_set(cars: Job) -> None:
    assert [missing_from(cars, part) for part in cars.entry.parts] == [""] * 4


def test_each_part_is_looked_at_by_itself(cars: Job) -> None:
    shutil.rmtree(cars.folder / "cars_test")
    (cars.folder / "cars_train" / "00003.jpg").unlink()
    (cars.folder / "cars_train" / "00005.jpg").write_bytes(b"")
    assert lack(cars, "images_test") == f"{cars.folder / 'cars_test'} is missing"
    assert lack(cars, "images_train").startswith("2 of 42 images are missing, such as ")
    assert lack(cars, "split") == lack(cars, "prompts") == ""


def test_without_the_list_images_cannot_be_told(cars: Job) -> None:
    (cars.folder / "split_zhou_StanfordCars.json").write_text("{")
    assert listed_images(cars, cars.folder) is None
    assert "the list of the images in" in lack(cars, "images_train")
    assert "is damaged" in lack(cars, "split")


def test_folders_are_counted_where_there_is_no_list(publisher: Publisher) -> None:
    publisher.publish("ImageNet")
    folder = build_miniature("ImageNet", publisher.root, flat=True)
    job = publisher.job("ImageNet")
    assert lack(job, "images_train") == ""
    assert lack(job, "images_val").endswith("are not sorted into folders")
    assert is_flat(folder / "images" / "val") and not is_flat(folder / "images" / "train")
    next(iter((folder / "images" / "train").rglob("*.JPEG"))).unlink()
    assert lack(job, "images_train") == f"{folder / 'images' / 'train'} holds 59 of 60 images"
    assert not is_flat(folder / "none")


def test_the_variants_share_the_sentences_of_imagenet(publisher: Publisher) -> None:
    publisher.publish("ImageNetA")
    job = publisher.job("ImageNetA")
    prompts = next(part for part in job.entry.parts if part.name == "prompts").alternatives[0]
    assert destination(job, prompts) == publisher.root / "imagenet" / "imagenet_prompt.json"
    assert Path(job.entry.prompt_file) == destination(job, prompts).relative_to(publisher.root)


def test_class_folders_may_be_links(publisher: Publisher) -> None:
    publisher.publish("ImageNetA")
    images = build_miniature("ImageNetA", publisher.root) / "imagenet-a"
    job = publisher.job("ImageNetA")
    for folder in sorted(path for path in images.iterdir() if path.is_dir()):
        elsewhere = publisher.folder / "elsewhere" / folder.name
        elsewhere.parent.mkdir(exist_ok=True)
        folder.rename(elsewhere)
        folder.symlink_to(elsewhere)
        (elsewhere / "loop").symlink_to(images)
    assert lack(job, "images") == "" and inspect(job.entry, job.root).state == "whole"


def test_strays_beside_class_folders_neither_count_nor_are_sorted(publisher: Publisher) -> None:
    publisher.publish("ImageNet")
    val = build_miniature("ImageNet", publisher.root) / "images" / "val"
    job = publisher.job("ImageNet")
    image = sorted(val.rglob("*.JPEG"))[0]
    shutil.copy(image, val / "montage.jpg")
    assert lack(job, "images_val") == "" and not is_flat(val)
    image.unlink()
    assert lack(job, "images_val") == f"{val} holds 23 of 24 images"


def test_what_a_killed_run_left_unsorted_is_sorted(publisher: Publisher) -> None:
    publisher.publish("ImageNet")
    val = build_miniature("ImageNet", publisher.root) / "images" / "val"
    image = sorted(val.rglob("*.JPEG"))[0]
    image.rename(val / image.name)
    (val / "montage.jpg").write_bytes(b"mine")
    assert lack(publisher.job("ImageNet"), "images_val").endswith("are not sorted into folders")
    assert main(publisher.command("ImageNet")) == 0
    assert image.is_file() and (val / "montage.jpg").read_bytes() == b"mine"


def test_a_path_that_no_disk_can_hold_is_missing(cars: Job) -> None:
    split = cars.folder / "split_zhou_StanfordCars.json"
    content = json.loads(split.read_text())
    content["train"][0][0] = "cars_train/a\0b.jpg"
    split.write_text(json.dumps(content))
    assert lack(cars, "images_train").startswith("1 of 42 images are missing")
    assert lack(cars, "split") == f"split file {split} is damaged, it lists a path that no disk can hold"
