"""Miniatures of the ten data sets of CoOp's table that are no ImageNet: real layouts, names and quirks."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.datasets.miniatures.building import (
    Rows,
    Sizes,
    divide,
    finish,
    in_label_order,
    total,
    write_class_images,
    write_mat,
    write_text,
)
from tests.datasets.miniatures.common import PART_SIZES

CALTECH = {
    "Faces": "face",
    "Leopards": "leopard",
    "Motorbikes": "motorbike",
    "accordion": "accordion",
    "airplanes": "airplane",
    "car_side": "car_side",
    "yin_yang": "yin_yang",
}
# Numbered with capitals and small letters mixed, as the published lists are; capitals are cats.
PETS = ("Abyssinian", "american_bulldog", "american_pit_bull_terrier", "basset_hound", "beagle", "Bengal")
CARS = (
    "AM General Hummer SUV 2000",
    "Acura RL Sedan 2012",
    "Audi TTS Coupe 2012",
    "BMW 1 Series Coupe 2012",
    "Ram C/V Cargo Van Minivan 2012",
    "smart fortwo Convertible 2012",
)
FLOWERS = (
    "pink primrose",
    "hard-leaved pocket orchid",
    "canterbury bells",
    "sweet pea",
    "english marigold",
    "tiger lily",
    "moon orchid",
    "bird of paradise",
)
FOOD = ("apple_pie", "baby_back_ribs", "beef_carpaccio", "ice_cream", "macaroni_and_cheese", "waffles")
VARIANTS = ("707-320", "A300B4", "An-12", "Beechcraft 1900", "Boeing 717", "F-16A/B", "F/A-18", "Spitfire")
SCENES = (
    "/a/abbey",
    "/a/airplane_cabin",
    "/a/apartment_building/outdoor",
    "/a/apse/indoor",
    "/c/church/indoor",
    "/c/church/outdoor",
    "/y/youth_hostel",
)
TEXTURES = ("banded", "blotchy", "braided", "bubbly", "waffled", "zigzagged")
EUROSAT = {
    "AnnualCrop": "Annual Crop Land",
    "Forest": "Forest",
    "HerbaceousVegetation": "Herbaceous Vegetation Land",
    "Highway": "Highway or Road",
    "Industrial": "Industrial Buildings",
    "Pasture": "Pasture Land",
    "PermanentCrop": "Permanent Crop Land",
    "Residential": "Residential Buildings",
    "River": "River",
    "SeaLake": "Sea or Lake",
}
# Name in the lists, folder and class name, name in the files: one action is written in two ways.
ACTIONS = (
    ("ApplyEyeMakeup", "Apply_Eye_Makeup", "ApplyEyeMakeup"),
    ("Archery", "Archery", "Archery"),
    ("HandstandPushups", "Handstand_Pushups", "HandStandPushups"),
    ("TaiChi", "Tai_Chi", "TaiChi"),
    ("UnevenBars", "Uneven_Bars", "UnevenBars"),
    ("YoYo", "Yo_Yo", "YoYo"),
)


def build_caltech101(root: Path, *, split: bool = True, sizes: Sizes = PART_SIZES) -> Path:
    """The two folders that are no classes are there, one of them with a file that is no image."""
    folder = root / "caltech-101"
    images = folder / "101_ObjectCategories"
    files = {old: [f"{old}/image_{i:04d}.jpg" for i in range(1, total(sizes) + 1)] for old in CALTECH}
    write_class_images(images, files)
    write_class_images(images, {n: [f"{n}/image_0001.jpg"] for n in ("BACKGROUND_Google", "Faces_easy")})
    (images / "BACKGROUND_Google" / "tmp").write_text("")
    rows = divide({CALTECH[old]: names for old, names in files.items()}, sizes)
    return finish(folder, "Caltech101", rows, "caltech101_prompt.json", split=split)


def build_oxford_pets(root: Path, *, split: bool = True, sizes: Sizes = PART_SIZES) -> Path:
    """As published, the folder of images has a few files that are none, and ``list.txt`` begins with comments."""
    folder = root / "oxford_pets"
    files = {breed: [f"{breed}_{i}.jpg" for i in range(1, total(sizes) + 1)] for breed in PETS}
    write_class_images(folder / "images", files)
    (folder / "images" / "Abyssinian_100.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    rows = divide({breed.lower(): names for breed, names in files.items()}, sizes)

    def line(row: list[Any]) -> str:
        species = 1 if row[0][0].isupper() else 2
        return f"{Path(row[0]).stem} {row[1] + 1} {species} {row[1] // species + 1}\n"

    lists = folder / "annotations"
    for name, parts in (("trainval.txt", ("train", "val")), ("test.txt", ("test",))):
        write_text(lists / name, map(line, in_label_order(rows, *parts)))
    header = ["#Image CLASS-ID SPECIES BREED ID\n", "#ID: 1:37 Class ids\n"]
    write_text(lists / "list.txt", [*header, *map(line, in_label_order(rows, "train", "val", "test"))])
    return finish(folder, "OxfordPets", rows, "oxford_pets_prompt.json", split=split)


def build_stanford_cars(root: Path, *, split: bool = True, sizes: Sizes = PART_SIZES) -> Path:
    """Images are numbered across classes, and the paths of the split file start with the folder of the part."""
    folder = root / "stanford_cars"
    per_class = {"cars_train": sizes["train"] + sizes["val"], "cars_test": sizes["test"]}
    files: dict[str, list[str]] = {f"{name[-4:]} {name[:-5]}": [] for name in CARS}
    for part, number in per_class.items():
        for position in range(number * len(CARS)):
            files[list(files)[position % len(CARS)]].append(f"{part}/{position + 1:05d}.jpg")
    write_class_images(folder, files)
    rows = divide(files, sizes, shuffle_test=False)
    write_cars_annotations(folder, rows)
    return finish(folder, "StanfordCars", rows, "stanford_cars_prompt.json", split=split)


def write_cars_annotations(folder: Path, rows: Rows) -> None:
    """Write the MATLAB files: row vectors of structures and of cells."""
    boxes = [f"bbox_{corner}" for corner in ("x1", "y1", "x2", "y2")]

    def annotations(parts: tuple[str, ...]) -> dict[str, Any]:
        listed = sorted(row for part in parts for row in rows[part])
        table = np.zeros((1, len(listed)), dtype=[(field, object) for field in (*boxes, "class", "fname")])
        for position, (path, label, _) in enumerate(listed):
            table[0, position] = (1, 2, 30, 31, np.uint8(label + 1), Path(path).name)
        return {"annotations": table}

    write_mat(folder / "devkit" / "cars_train_annos.mat", annotations(("train", "val")))
    write_mat(folder / "cars_test_annos_withlabels.mat", annotations(("test",)))
    write_mat(folder / "devkit" / "cars_meta.mat", {"class_names": np.array(CARS, dtype=object)})


def build_oxford_flowers(root: Path, *, split: bool = True, sizes: Sizes = PART_SIZES) -> Path:
    """Images are numbered class by class, but the classes are not in the order of their numbers."""
    folder = root / "oxford_flowers"
    order = random.Random(4).sample(range(len(FLOWERS)), len(FLOWERS))
    labels = [label for label in order for _ in range(total(sizes))]
    files: dict[str, list[str]] = {name: [] for name in FLOWERS}
    for index, label in enumerate(labels, start=1):
        files[FLOWERS[label]].append(f"image_{index:05d}.jpg")
    write_class_images(folder / "jpg", files)
    write_mat(folder / "imagelabels.mat", {"labels": np.array([label + 1 for label in labels], dtype=np.uint8)})
    (folder / "cat_to_name.json").write_text(json.dumps({str(i + 1): FLOWERS[i] for i in order}))
    return finish(folder, "OxfordFlowers", divide(files, sizes), "oxford_flowers_prompt.json", split=split)


def build_food101(root: Path, *, split: bool = True, sizes: Sizes = PART_SIZES) -> Path:
    """The archive's own lists lie in ``meta``, where CoOp's split does not come from."""
    folder = root / "food-101"
    files = {name: [f"{name}/{100_003 * (i + 1) % 999_983}.jpg" for i in range(total(sizes))] for name in FOOD}
    write_class_images(folder / "images", files)
    write_text(folder / "meta" / "classes.txt", [f"{name}\n" for name in FOOD])
    lines = [f"{Path(file).with_suffix('')}\n" for images in files.values() for file in images]
    write_text(folder / "meta" / "train.txt", lines)
    for name in ("README.txt", "license_agreement.txt"):
        write_text(folder / name, ["Food-101\n"])
    return finish(folder, "Food101", divide(files, sizes), "food101_prompt.json", split=split)


def build_fgvc_aircraft(root: Path, *, split: bool = True, sizes: Sizes = PART_SIZES) -> Path:
    """The lists are the split: variants have blanks and slashes, and the numbers of images say nothing."""
    folder = root / "fgvc_aircraft"
    numbers = iter(random.Random(5).sample(range(34_309, 2_300_000), total(sizes) * len(VARIANTS)))
    files = {variant: [f"{next(numbers):07d}.jpg" for _ in range(total(sizes))] for variant in VARIANTS}
    write_class_images(folder / "images", files)
    write_text(folder / "variants.txt", [f"{variant}\n" for variant in VARIANTS])
    write_text(folder / "families.txt", [f"{variant}\n" for variant in VARIANTS])
    rows = divide(files, sizes)
    for part, listed in rows.items():
        lines = sorted(f"{Path(path).stem} {variant}\n" for path, _, variant in listed)
        write_text(folder / f"images_variant_{part}.txt", lines)
    return finish(folder, "", rows, "fgvc_prompt.json", split=split)


def build_sun397(root: Path, *, split: bool = True, sizes: Sizes = PART_SIZES) -> Path:
    """Some scenes lie a folder deeper, and one image in each is in no list, as is the greater part of the real ones."""
    folder = root / "sun397"
    letters = "abcdefghij"
    files = {}
    for label, scene in enumerate(SCENES):
        stems = [f"sun_{letters[label]}{''.join(letters[int(c)] for c in f'{i:03d}')}" for i in range(total(sizes) + 1)]
        name = " ".join(reversed(scene.split("/")[2:]))
        files[name] = [f"{scene[1:]}/{stem}.jpg" for stem in stems]
    write_class_images(folder / "SUN397", files)
    rows = divide({name: images[:-1] for name, images in files.items()}, sizes)
    write_text(folder / "ClassName.txt", [f"{scene}\n" for scene in SCENES])
    for name, parts in (("Training_01.txt", ("train", "val")), ("Testing_01.txt", ("test",))):
        write_text(folder / name, [f"/{row[0]}\n" for row in in_label_order(rows, *parts)])
    return finish(folder, "SUN397", rows, "sun397_prompt.json", split=split)


def build_dtd(root: Path, *, split: bool = True, sizes: Sizes = PART_SIZES) -> Path:
    """As published, one folder of images has a hidden file that a file manager left."""
    folder = root / "dtd"
    files = {name: [f"{name}/{name}_{i:04d}.jpg" for i in range(1, total(sizes) + 1)] for name in TEXTURES}
    write_class_images(folder / "images", files)
    write_text(folder / "images" / "waffled" / ".directory", ["[Dolphin]\n"])
    write_text(folder / "labels" / "train1.txt", [f"{images[0]}\n" for images in files.values()])
    (folder / "imdb").mkdir()
    return finish(folder, "DescribableTextures", divide(files, sizes), "dtd_prompt.json", split=split)


def build_eurosat(root: Path, *, split: bool = True, sizes: Sizes = PART_SIZES) -> Path:
    """All ten classes, since every one but two is renamed."""
    folder = root / "eurosat"
    files = {old: [f"{old}/{old}_{i}.jpg" for i in range(1, total(sizes) + 1)] for old in EUROSAT}
    write_class_images(folder / "2750", files)
    rows = divide({EUROSAT[old]: names for old, names in files.items()}, sizes)
    return finish(folder, "EuroSAT", rows, "eurosat_prompt.json", split=split)


def build_ucf101(root: Path, *, split: bool = True, sizes: Sizes = PART_SIZES) -> Path:
    """Training lists number the actions, test lists do not, and the list of actions has the line ends of DOS."""
    folder = root / "ucf101"
    files = {
        name: [f"{name}/v_{stem}_g{i // 4 + 1:02d}_c{i % 4 + 1:02d}.jpg" for i in range(total(sizes))]
        for _, name, stem in ACTIONS
    }
    write_class_images(folder / "UCF-101-midframes", files)
    rows = divide(files, sizes)
    lists = folder / "ucfTrainTestlist"
    write_text(lists / "classInd.txt", [f"{i} {action}\r\n" for i, (action, _, _) in enumerate(ACTIONS, start=1)])

    def video(row: list[Any]) -> str:
        return f"{ACTIONS[row[1]][0]}/{Path(row[0]).stem}.avi"

    training = in_label_order(rows, "train", "val")
    write_text(lists / "trainlist01.txt", [f"{video(row)} {row[1] + 1}\n" for row in training])
    write_text(lists / "testlist01.txt", [f"{video(row)}\n" for row in in_label_order(rows, "test")])
    return finish(folder, "UCF101", rows, "ucf101_prompt.json", split=split)


BUILDERS: dict[str, Callable[..., Path]] = {
    "Caltech101": build_caltech101,
    "OxfordPets": build_oxford_pets,
    "StanfordCars": build_stanford_cars,
    "OxfordFlowers": build_oxford_flowers,
    "Food101": build_food101,
    "FGVCAircraft": build_fgvc_aircraft,
    "SUN397": build_sun397,
    "DescribableTextures": build_dtd,
    "EuroSAT": build_eurosat,
    "UCF101": build_ucf101,
}
