"""Miniatures of the ImageNet family: twelve real classes, two pairs of which share a name; A and R hold six of them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.datasets.miniatures.common import PART_SIZES, write_jpeg, write_prompts

# In the order of ImageNet's labels, as the lines of classnames.txt are. Among the 1000 the four shared names have the
# labels 657, 744, 836 and 837.
CLASSNAMES = {
    "n01440764": "tench",
    "n01443537": "goldfish",
    "n01484850": "great white shark",
    "n01514668": "rooster",
    "n02007558": "flamingo",
    "n02123045": "tabby cat",
    "n02325366": "cottontail rabbit",
    "n03773504": "missile",
    "n04008634": "missile",
    "n04355933": "sunglasses",
    "n04356056": "sunglasses",
    "n07753592": "banana",
}
WNIDS = tuple(CLASSNAMES)
SUBSET = tuple(WNIDS[label] for label in (1, 2, 4, 7, 8, 11))  # the same in A and R, both missiles among them
NOT_A_CLASS = "This folder holds one folder of images per class.\n"


def write_classnames(folder: Path, classnames: Mapping[str, str] = CLASSNAMES) -> Path:
    """Write classnames.txt, a line "<wnid> <name>" for each class."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "classnames.txt"
    path.write_text("".join(f"{wnid} {name}\n" for wnid, name in classnames.items()))
    return path


def write_imagenet(root: Path, *, flat: bool = False) -> Path:
    """Write imagenet/images/{train,val}/<wnid>/*.JPEG, classnames.txt and the file of sentences.

    Files are numbered without leading zeros, so that text order is not number order; the validation images are
    numbered over all classes, and with ``flat`` lie beside each other, as in the official archive.
    """
    folder = root / "imagenet"
    per_class = PART_SIZES["test"]
    for label, wnid in enumerate(WNIDS):
        for index in range(PART_SIZES["train"]):
            write_jpeg(folder / "images" / "train" / wnid / f"{wnid}_{8 + index}.JPEG", label, index)
        for index in range(per_class):
            name = f"ILSVRC2012_val_{1 + index * len(WNIDS) + label:08d}.JPEG"
            place = folder / "images" / "val" / ("" if flat else wnid)
            write_jpeg(place / name, label, 100 + index)
    write_classnames(folder)
    write_prompts(folder / "imagenet_prompt.json", list(CLASSNAMES.values()))
    return folder


def write_imagenet_v2(root: Path) -> Path:
    """Write imagenetv2/imagenetv2-matched-frequency-format-val/<number>/*.jpeg; as text, 10 comes before 2."""
    folder = root / "imagenetv2"
    for label in range(len(WNIDS)):
        for index in range(PART_SIZES["test"]):
            name = f"{label * 7919 + index:040x}.jpeg"  # the real names are hashes too
            write_jpeg(folder / "imagenetv2-matched-frequency-format-val" / str(label) / name, label, 200 + index)
    write_classnames(folder)
    return folder


def write_imagenet_sketch(root: Path) -> Path:
    """Write imagenet-sketch/images/<wnid>/sketch_<number>.JPEG."""
    folder = root / "imagenet-sketch"
    for label, wnid in enumerate(WNIDS):
        for index in range(PART_SIZES["test"]):
            write_jpeg(folder / "images" / wnid / f"sketch_{index}.JPEG", label, 300 + index)
    write_classnames(folder)
    return folder


def write_imagenet_a(root: Path) -> Path:
    """Write imagenet-adversarial/imagenet-a/<wnid>/*.jpg with the README.txt beside the folders."""
    folder = root / "imagenet-adversarial"
    for wnid in SUBSET:
        for index in range(PART_SIZES["test"]):
            name = (
                f"0.00{index}734_stingray _ clothes iron_0.9{index}.jpg"  # scores and names with blanks, as in the real
            )
            write_jpeg(folder / "imagenet-a" / wnid / name, WNIDS.index(wnid), 400 + index)
    (folder / "imagenet-a" / "README.txt").write_text(NOT_A_CLASS)
    write_classnames(folder)
    return folder


def write_imagenet_r(root: Path) -> Path:
    """Write imagenet-rendition/imagenet-r/<wnid>/<rendition>_<number>.jpg with the README.txt beside the folders."""
    folder = root / "imagenet-rendition"
    for wnid in SUBSET:
        for index, rendition in enumerate(("art", "cartoon")[: PART_SIZES["test"]]):
            write_jpeg(
                folder / "imagenet-r" / wnid / f"{rendition}_{index}.jpg", WNIDS.index(wnid), 500 + index, (40, 28)
            )
    (folder / "imagenet-r" / "README.txt").write_text(NOT_A_CLASS)
    write_classnames(folder)
    return folder


BUILDERS: dict[str, Callable[..., Path]] = {
    "ImageNet": write_imagenet,
    "ImageNetV2": write_imagenet_v2,
    "ImageNetSketch": write_imagenet_sketch,
    "ImageNetA": write_imagenet_a,
    "ImageNetR": write_imagenet_r,
}
