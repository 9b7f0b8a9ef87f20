from pathlib import Path
from typing import Any

import pytest

from amu_raft.downloads.archives import unpack
from datasets.doctor import inspect
from datasets.prepare.__main__ import main
from datasets.prepare.validation_images import read_development_kit, read_move_lines, sort_images
from tests.datasets.miniatures.archives import development_kit, published
from tests.datasets.miniatures.common import build_miniature
from tests.datasets.miniatures.imagenet import WNIDS
from tests.datasets.prepare.conftest import Publisher

CLASSES = [WNIDS[number] for number in (3, 0, 11, 3, 7)]
BY_NAME = {f"ILSVRC2012_val_{number:08d}.JPEG": wnid for number, wnid in enumerate(CLASSES, start=1)}


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    (tmp_path / "kit.tar.gz").write_bytes(development_kit(CLASSES))
    unpack(tmp_path / "kit.tar.gz", tmp_path / "kit")
    return tmp_path / "kit"


def test_the_development_kit_tells_the_classes(kit: Path) -> None:
    assert read_development_kit(kit) == BY_NAME


def test_a_damaged_development_kit_is_named(kit: Path) -> None:
    (truth,) = kit.rglob("ILSVRC2012_validation_ground_truth.txt")
    (meta,) = kit.rglob("meta.mat")
    truth.write_text("1\n99\n")
    with pytest.raises(ValueError, match=r"ground_truth\.txt is damaged: 99 is no class"):
        read_development_kit(kit)
    truth.write_text("1\none\n")
    with pytest.raises(ValueError, match=r"ground_truth\.txt is damaged"):
        read_development_kit(kit)
    meta.write_bytes(b"MATLAB 5.0" + bytes(200))
    with pytest.raises(ValueError, match=r"meta\.mat is damaged"):
        read_development_kit(kit)
    meta.unlink()
    with pytest.raises(ValueError, match=r"the development kit holds no meta\.mat"):
        read_development_kit(kit)


def test_only_lines_that_move_are_read_of_a_script(tmp_path: Path) -> None:
    script = tmp_path / "valprep.sh"
    script.write_text(
        "mkdir -p n01440764\nmv ILSVRC2012_val_00000001.JPEG n01440764/\nrm -rf /\n"
        "mv ILSVRC2012_val_00000002.JPEG n01443537\nmv ILSVRC2012_val_00000003.JPEG ../../etc/\n"
        "echo mv ILSVRC2012_val_00000004.JPEG n01440764/\nmv /etc/passwd n01440764/\n"
    )
    assert read_move_lines(script) == {
        "ILSVRC2012_val_00000001.JPEG": "n01440764",
        "ILSVRC2012_val_00000002.JPEG": "n01443537",
    }
    script.write_text("<html>")
    with pytest.raises(ValueError, match=r"valprep\.sh has no line 'mv IMAGE\.JPEG WNID/'"):
        read_move_lines(script)


def test_sorting_goes_on_where_it_stopped(tmp_path: Path) -> None:
    for name in BY_NAME:
        (tmp_path / name).write_text(name)
    (tmp_path / WNIDS[3]).mkdir()
    (tmp_path / "ILSVRC2012_val_00000001.JPEG").rename(tmp_path / WNIDS[3] / "ILSVRC2012_val_00000001.JPEG")
    sort_images(tmp_path, BY_NAME)
    assert {path.name: path.parent.name for path in tmp_path.rglob("*.JPEG")} == BY_NAME


def test_an_image_of_unknown_class_stays_and_is_named(tmp_path: Path) -> None:
    for name in (*BY_NAME, "photo.jpg", "another.jpg"):
        (tmp_path / name).write_text(name)
    with pytest.raises(ValueError, match=r"the class of 2 images in .* is not known, such as another\.jpg"):
        sort_images(tmp_path, BY_NAME)
    assert sorted(path.name for path in tmp_path.glob("*.jpg")) == ["another.jpg", "photo.jpg"]
    assert len(list(tmp_path.glob("*/*.JPEG"))) == len(BY_NAME)


# ------------------------------------------------------------------------------------------ the images of the user


@pytest.fixture
def flat(publisher: Publisher) -> Path:
    publisher.publish("ImageNet")
    return build_miniature("ImageNet", publisher.root, flat=True) / "images" / "val"


@pytest.mark.parametrize("labels", (0, 1))
def test_a_flat_folder_is_sorted_in_place(labels: int, flat: Path, publisher: Publisher) -> None:
    """With the development kit that the user has, or with the published list of moves."""
    archives = publisher.give_archives("ImageNet", "val_labels", number=labels)
    publisher.served("ImageNet", "val_labels", 1).always = 404
    assert inspect(publisher.entry("ImageNet"), publisher.root).state != "whole"
    assert main(publisher.command("ImageNet", archives=archives)) == 0
    assert inspect(publisher.entry("ImageNet"), publisher.root, deep=True).state == "whole"
    assert {path.name for path in flat.iterdir()} == set(WNIDS)
    assert len(list(archives.iterdir())) == 1


def test_the_list_of_moves_is_fetched(flat: Path, publisher: Publisher) -> None:
    assert main(publisher.command("ImageNet")) == 0
    assert publisher.asked_for("ImageNet", "val_labels", 1) == 1
    assert not list(publisher.root.rglob("valprep.sh"))


def test_no_classes_at_hand_is_one_line(flat: Path, publisher: Publisher, capsys: Any) -> None:
    publisher.served("ImageNet", "val_labels", 1).always = 404
    assert main(publisher.command("ImageNet")) == 1
    line = capsys.readouterr().out.splitlines()[-1]
    assert "the classes of the validation images are not known" in line and "404" in line
    assert "ILSVRC2012_devkit_t12.tar.gz" in line
    assert len(list(flat.glob("*.JPEG"))) == publisher.entry("ImageNet").counts["val"]


def test_an_unreadable_list_of_moves_is_one_line(flat: Path, publisher: Publisher, capsys: Any) -> None:
    publisher.served("ImageNet", "val_labels", 1).content = b"<html>"
    assert main(publisher.command("ImageNet")) == 1
    assert "the classes of the validation images are not known" in capsys.readouterr().out.splitlines()[-1]


def test_training_images_come_from_the_archive_of_archives(publisher: Publisher) -> None:
    publisher.publish("ImageNet")
    archives = publisher.give_archives("ImageNet", "images_train", "images_val", "val_labels")
    before = {path: path.read_bytes() for path in archives.iterdir()}
    assert main(publisher.command("ImageNet", archives=archives)) == 0
    assert {path.name for path in (publisher.root / "imagenet" / "images" / "train").iterdir()} == set(WNIDS)
    assert {path: path.read_bytes() for path in archives.iterdir()} == before
    assert published("ImageNet")[1]["counts"]["train"] == len(list(publisher.root.rglob("train/*/*.JPEG")))
