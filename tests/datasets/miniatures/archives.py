"""What the data sets are published as, in miniature: archives with their real inner structure, and their catalog."""

import copy
import functools
import hashlib
import io
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dassl.data.datasets import DATASET_REGISTRY
from datasets.catalog import BENCHMARKS
from tests.datasets.miniatures.common import build_miniature, write_prompts
from tests.datasets.miniatures.imagenet import CLASSNAMES, WNIDS

Files = dict[str, bytes]
Published = dict[tuple[str, int], bytes]  # content by part and number of the alternative


def below(folder: Path, prefix: str, *, only: Iterable[str] = ("",)) -> Files:
    """Return the files below a folder under ``prefix``; ``only`` names what lies directly in the folder."""
    chosen = tuple(only)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    return {
        f"{prefix}{name}": path.read_bytes()
        for path, name in names.items()
        if "" in chosen or name.split("/")[0] in chosen
    }


def pack_tar(files: Mapping[str, bytes], compression: str = "gz") -> bytes:
    """Return a tar; an empty compression gives a plain one."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def pack_zip(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def publish_caltech101(folder: Path) -> Published:
    """An archive in the archive, with what macOS leaves; the older archive; and the repacked one, called the same."""
    images = below(folder / "101_ObjectCategories", "101_ObjectCategories/")
    inner = pack_tar(images)
    official = {
        "caltech-101/101_ObjectCategories.tar.gz": inner,
        "caltech-101/Annotations.tar": pack_tar({"Annotations/face/annotation_0001.mat": b"mat"}, ""),
        "caltech-101/show_annotation.m": b"function show_annotation\n",
        "__MACOSX/caltech-101/._101_ObjectCategories.tar.gz": b"\0\5\26\7",
    }
    repacked = pack_zip(below(folder, "caltech-101/"))
    return {("images", 0): pack_zip(official), ("images", 1): inner, ("images", 2): repacked}


def publish_oxford_pets(folder: Path) -> Published:
    return {("images", 0): pack_tar(below(folder / "images", "images/"))}


def publish_stanford_cars(folder: Path) -> Published:
    """The copy on Kaggle has both folders in folders of their own names."""
    train, test = (below(folder / name, f"{name}/") for name in ("cars_train", "cars_test"))
    nested = pack_zip({f"{name.split('/')[0]}/{name}": content for name, content in (train | test).items()})
    return {
        ("images_train", 0): pack_tar(train),
        ("images_test", 0): pack_tar(test),
        ("images_train", 1): nested,
        ("images_test", 1): nested,
    }


def publish_oxford_flowers(folder: Path) -> Published:
    return {("images", 0): pack_tar(below(folder / "jpg", "jpg/"))}


def publish_food101(folder: Path) -> Published:
    content = ("images", "meta", "README.txt", "license_agreement.txt")
    official = pack_tar(below(folder, "food-101/", only=content))
    return {("images", 0): official, ("images", 1): pack_zip(below(folder, "food-101/"))}


def publish_fgvc_aircraft(folder: Path) -> Published:
    data = {name: content for name, content in below(folder, "").items() if not name.endswith(".json")}
    official = {f"fgvc-aircraft-2013b/data/{name}": content for name, content in data.items()}
    extra = {"fgvc-aircraft-2013b/README.md": b"# FGVC\n", "fgvc-aircraft-2013b/evaluation.m": b"% MATLAB\n"}
    repacked = {f"fgvc_aircraft/{name}": content for name, content in data.items()}
    return {("images", 0): pack_tar(official | extra), ("images", 1): pack_zip(repacked)}


def publish_sun397(folder: Path) -> Published:
    return {("images", 0): pack_tar(below(folder / "SUN397", "SUN397/"))}


def publish_dtd(folder: Path) -> Published:
    official = pack_tar(below(folder, "dtd/", only=("images", "labels", "imdb")) | {"dtd/imdb/imdb.mat": b"mat"})
    return {("images", 0): official, ("images", 1): pack_zip(below(folder, "dtd/"))}


def publish_eurosat(folder: Path) -> Published:
    images = folder / "2750"
    return {
        ("images", 0): pack_zip(below(images, "2750/")),
        ("images", 1): pack_zip(below(images, "EuroSAT_RGB/")),
        ("images", 2): pack_zip(below(folder, "eurosat/")),
    }


def publish_ucf101(folder: Path) -> Published:
    return {("images", 0): pack_zip(below(folder / "UCF-101-midframes", "UCF-101-midframes/"))}


def publish_imagenet(folder: Path) -> Published:
    """A tar of tars, a flat tar, the development kit, and the script that would sort the validation images."""
    train = {f"{wnid}.tar": pack_tar(below(folder / "images" / "train" / wnid, ""), "") for wnid in WNIDS}
    val = {path.name: path for path in sorted((folder / "images" / "val").rglob("*.JPEG"))}
    flat = {name: val[name].read_bytes() for name in sorted(val)}
    classes = {name: val[name].parent.name for name in flat}
    script = "".join(f"mkdir -p {wnid}\n" for wnid in WNIDS) + "".join(f"mv {n} {c}/\n" for n, c in classes.items())
    return {
        ("images_train", 0): pack_tar(train, ""),
        ("images_val", 0): pack_tar(flat, ""),
        ("val_labels", 0): development_kit(list(classes.values())),
        ("val_labels", 1): script.encode(),
    }


def development_kit(classes: list[str]) -> bytes:
    """Return the kit: numbers of the validation images' classes, in an order of its own, and what they stand for.

    As in the real one, the first rows of meta.mat are classes and later ones groups of classes.
    """
    from scipy.io import savemat

    order = sorted(WNIDS, key=lambda wnid: hashlib.md5(wnid.encode()).hexdigest())
    rows = np.zeros((len(order) + 1, 1), dtype=[(name, object) for name in ("ILSVRC2012_ID", "WNID", "num_children")])
    for number, wnid in enumerate(order, start=1):
        rows[number - 1, 0] = (np.uint16(number), wnid, np.uint8(0))
    rows[-1, 0] = (np.uint16(len(order) + 1), "n00001740", np.uint8(3))
    meta = io.BytesIO()
    savemat(meta, {"synsets": rows})
    truth = "".join(f"{order.index(wnid) + 1}\n" for wnid in classes)
    top = "ILSVRC2012_devkit_t12"
    return pack_tar(
        {
            f"{top}/data/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
            f"{top}/data/meta.mat": meta.getvalue(),
            f"{top}/readme.txt": b"kit\n",
        }
    )


def publish_imagenet_v2(folder: Path) -> Published:
    """A plain tar, although it is called .tar.gz."""
    name = "imagenetv2-matched-frequency-format-val"
    return {("images", 0): pack_tar(below(folder / name, f"{name}/"), "")}


def publish_imagenet_sketch(folder: Path) -> Published:
    return {("images", 0): pack_zip(below(folder / "images", "sketch/"))}


def publish_imagenet_a(folder: Path) -> Published:
    images = below(folder / "imagenet-a", "imagenet-a/")
    repacked = pack_zip({f"imagenet-adversarial/{name}": content for name, content in images.items()})
    return {("images", 0): pack_tar(images, ""), ("images", 1): repacked}


def publish_imagenet_r(folder: Path) -> Published:
    images = below(folder / "imagenet-r", "imagenet-r/")
    repacked = pack_zip({f"imagenet-rendition/{name}": content for name, content in images.items()})
    return {("images", 0): pack_tar(images, ""), ("images", 1): repacked}


PUBLISHERS: dict[str, Callable[[Path], Published]] = {
    "ImageNet": publish_imagenet,
    "Caltech101": publish_caltech101,
    "OxfordPets": publish_oxford_pets,
    "StanfordCars": publish_stanford_cars,
    "OxfordFlowers": publish_oxford_flowers,
    "Food101": publish_food101,
    "FGVCAircraft": publish_fgvc_aircraft,
    "SUN397": publish_sun397,
    "DescribableTextures": publish_dtd,
    "EuroSAT": publish_eurosat,
    "UCF101": publish_ucf101,
    "ImageNetV2": publish_imagenet_v2,
    "ImageNetSketch": publish_imagenet_sketch,
    "ImageNetA": publish_imagenet_a,
    "ImageNetR": publish_imagenet_r,
}


@functools.cache
def published(name: str) -> tuple[Published, dict[str, Any]]:
    """Return everything that a miniature is published as, and its numbers as the catalog has them."""
    with tempfile.TemporaryDirectory() as place:
        folder = build_miniature(name, Path(place))
        files = PUBLISHERS[name](folder)
        for path in folder.glob("*.*"):
            part = {"split": "split", "class": "classnames"}.get(path.name[:5])
            part = "prompts" if path.name.endswith("_prompt.json") else part
            if part:
                files[part, 0] = path.read_bytes()
        if ("prompts", 0) not in files:  # the variants share those of ImageNet
            write_prompts(Path(place) / "prompts.json", list(CLASSNAMES.values()))
            files["prompts", 0] = (Path(place) / "prompts.json").read_bytes()
        return files, numbers_of(name, folder)


def numbers_of(name: str, folder: Path) -> dict[str, Any]:
    """Return the counts of a miniature, and the images of each folder that the catalog counts."""
    rows = DATASET_REGISTRY.get(name).read_rows(folder)
    parts = ["test"] if DATASET_REGISTRY.get(name).evaluation_only else list(rows)
    images = {
        path.relative_to(folder).as_posix(): sum(1 for image in path.rglob("*") if image.suffix.lower() in IMAGES)
        for path in folder.rglob("*")
        if path.is_dir()
    }
    return {
        "counts": {part: len(rows[part]) for part in parts},
        "classes": len({row.label for part in parts for row in rows[part]}),
        "min_per_class": {part: min(Counter(row.label for row in rows[part]).values()) for part in parts},
        "images": images,
    }


IMAGES = (".jpg", ".jpeg")


def source_path(name: str, part: str, number: int = 0, source: int = 0) -> str:
    """Return the path on the server of one source of one alternative."""
    alternative = shipped()[name]["parts"]
    download = next(one for one in alternative if one["name"] == part)["alternatives"][number]
    return f"/{name}/{part}/{number}/{source}/{download['file']}"


@functools.cache
def shipped() -> dict[str, dict[str, Any]]:
    """Return the shipped catalog as plain data, by registry name."""
    return {entry["name"]: entry for entry in yaml.safe_load(BENCHMARKS.read_text())["datasets"]}


def serve(name: str, add: Callable[[str, bytes], Any], base: str) -> dict[str, Any]:
    """Serve the files of a miniature and return its entry of the catalog.

    The entry is the shipped one with other numbers, checksums and addresses. Sources that are reported dead, and
    alternatives that no miniature has, are answered 404.

    Args:
        name: Registry name.
        add: Serves bytes under a path.
        base: Address of the server.
    """
    files, numbers = published(name)
    entry = copy.deepcopy(shipped()[name])
    entry |= {key: numbers[key] for key in ("counts", "classes", "min_per_class")}
    for part in entry["parts"]:
        for number, download in enumerate(part["alternatives"]):
            content = files.get((part["name"], number))
            adapt(download, content, numbers["images"])
            for position, source in enumerate(download.get("sources", [])):
                path = source_path(name, part["name"], number, position)
                source.pop("drive_id", None)
                source["url"] = base + path
                if content is not None and "dead" not in source:
                    add(path, content)
    return entry


def adapt(download: dict[str, Any], content: bytes | None, images: Mapping[str, int]) -> None:
    """Give the catalog's words about a file the numbers and checksums of the miniature."""
    known = {"md5": hashlib.md5, "sha256": hashlib.sha256}
    if content is not None:
        download |= {key: make(content).hexdigest() for key, make in known.items() if key in download}
        download |= {"size": len(content)} if "size" in download else {}
        if "git_blob_sha1" in download:
            download["git_blob_sha1"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    download.pop("size_about", None)
    place = download.get("place", {})
    for move in place.get("moves", []):
        if "images" in move:
            move["images"] = images[move["to"]]
    if "class_names" in place:
        place["class_names"]["lines"] = len(CLASSNAMES)


def write_catalog(path: Path, entries: Iterable[dict[str, Any]]) -> Path:
    """Write entries as a catalog file."""
    path.write_text(yaml.safe_dump({"datasets": list(entries)}, sort_keys=False))
    return path
