import os
import shutil
from collections.abc import Callable

import pytest

from datasets.doctor.disk import read_folder
from datasets.doctor.inspection import inspect
from datasets.imagenet_index import read_index
from tests.datasets.doctor.conftest import Copy, describe_miniature
from tests.datasets.miniatures.common import build_miniature, write_jpeg

CopyOf = Callable[[str], Copy]


def test_a_flat_folder_of_validation_images_is_recognised(tmp_path, small_catalog) -> None:
    build_miniature("ImageNet", tmp_path, flat=True)
    finding = inspect(small_catalog["ImageNet"], tmp_path)
    assert finding.state == "partial"
    assert finding.problems == [
        "images/val is flat: 24 images in it and no class folder",
        "train/val/test has 60/0/0 images, expected 60/24/24",
    ]
    assert (finding.images_found, finding.images_expected, finding.classes_found) == (60, 84, 12)
    assert finding.next_step == f"python -m datasets.prepare ImageNet --root {tmp_path}"


def test_images_beside_the_class_folders(copy_of: CopyOf) -> None:
    copy = copy_of("ImageNetSketch")
    write_jpeg(copy.folder / "images" / "stray.JPEG", 0, 0)
    (copy.folder / "images" / "._stray.JPEG").write_bytes(b"left by a file manager")
    finding = copy.inspect()
    assert finding.state == "whole"
    assert "1 image of imagenet-sketch/images outside the class folders, not used" in finding.notes


def test_what_is_no_image_does_not_count(copy_of: CopyOf) -> None:
    copy = copy_of("ImageNetR")
    folder = sorted(path for path in (copy.folder / "imagenet-r").iterdir() if path.is_dir())[0]
    for name in (".DS_Store", "._art_0.jpg", "notes.txt"):
        (folder / name).write_text("x")
    assert copy.inspect().state == "whole"


def test_empty_images_and_broken_links(copy_of: CopyOf) -> None:
    copy = copy_of("ImageNetR")
    first, second, *_ = sorted((copy.folder / "imagenet-r").rglob("*.jpg"))
    first.write_bytes(b"")
    second.unlink()
    second.symlink_to(second)
    finding = copy.inspect()
    assert finding.images_found == 10
    wnid = first.parent.name
    assert finding.problems == [
        "2 images of imagenet-rendition/imagenet-r empty or a broken link: "
        f"'{wnid}/{first.name}', '{wnid}/{second.name}'",
        f"class folders of imagenet-rendition/imagenet-r without images: '{wnid}'",
        "test has 10 images, expected 12",
        "5 classes, expected 6",
    ]


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_class_folder_that_one_part_lacks(part: str, copy_of: CopyOf) -> None:
    copy = copy_of("ImageNet")
    shutil.rmtree(copy.folder / "images" / part / "n02007558")
    finding = copy.inspect()
    assert finding.problems[0] == "train and test differ in the class folders 'n02007558'"
    assert finding.problems[1].startswith("train/val/test has ")
    assert finding.classes_found == 12


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_missing_part(part: str, copy_of: CopyOf) -> None:
    copy = copy_of("ImageNet")
    shutil.rmtree(copy.folder / "images" / part)
    finding = copy.inspect()
    assert finding.state == "partial"
    assert finding.problems[0] == f"images/{part} is missing"


def test_a_list_that_was_kept_is_not_believed(copy_of: CopyOf) -> None:
    copy = copy_of("ImageNet")
    read_index(copy.folder)
    folder = copy.folder / "images" / "train" / "n02007558"
    times = folder.stat()
    sorted(folder.iterdir())[0].unlink()
    os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert copy.inspect().problems == ["train/val/test has 59/24/24 images, expected 60/24/24"]


def test_class_names_may_lie_with_imagenet(copy_of: CopyOf) -> None:
    copy = copy_of("ImageNetA")
    (copy.folder / "classnames.txt").unlink()
    finding = copy.inspect()
    assert finding.state == "partial"
    assert finding.problems[0].startswith("no file of class names, neither ")
    copy_of("ImageNet")
    finding = copy.inspect()
    assert (finding.state, finding.prompts) == ("whole", "6/6")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"n01440764\n", b"n01440764 tench\n"])
@pytest.mark.parametrize("name", ["ImageNet", "ImageNetV2", "ImageNetA"])
def test_damaged_class_names(name: str, content: bytes, copy_of: CopyOf) -> None:
    copy = copy_of(name)
    (copy.folder / "classnames.txt").write_bytes(content)
    finding = copy.inspect()
    assert finding.state == "partial"
    assert len(finding.problems) == 1 and "classnames.txt" in finding.problems[0]


def test_the_december_package_of_v2_is_refused(copy_of: CopyOf) -> None:
    copy = copy_of("ImageNetV2")
    images = copy.folder / "imagenetv2-matched-frequency-format-val"
    wnids = [line.split()[0] for line in (copy.folder / "classnames.txt").read_text().splitlines()]
    for label, wnid in enumerate(wnids):
        (images / str(label)).rename(images / wnid)
    finding = copy.inspect()
    assert finding.state == "partial"
    assert "has the class folders 'n01440764'" in finding.problems[0]


def test_unequal_classes_of_equal_sum(copy_of: CopyOf) -> None:
    copy = copy_of("ImageNetV2")
    images = copy.folder / "imagenetv2-matched-frequency-format-val"
    image = sorted((images / "3").iterdir())[0]
    image.rename(images / "4" / image.name)
    assert copy.inspect().problems == ["the smallest class has 1 test images, expected 2"]


def test_a_class_folder_that_cannot_be_read(copy_of: CopyOf, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder):
        if str(folder).endswith("n02007558"):
            raise PermissionError(13, "Permission denied")
        return read_folder(folder)

    copy = copy_of("ImageNetSketch")
    monkeypatch.setattr("datasets.doctor.foldered.read_folder", refuse)
    problem = copy.inspect().problems[0]
    assert problem == "folder imagenet-sketch/images/n02007558 cannot be read (Permission denied)"


def test_a_link_to_itself_among_the_class_folders(copy_of: CopyOf) -> None:
    copy = copy_of("ImageNetSketch")
    loop = copy.folder / "images" / "n00000000"
    loop.symlink_to(loop)
    assert copy.inspect().problems[0] == "broken links in imagenet-sketch/images: 'n00000000'"


def test_miniatures_are_described_as_they_are(small_catalog) -> None:
    assert describe_miniature(small_catalog["ImageNet"]).counts == {"train": 60, "val": 24, "test": 24}
