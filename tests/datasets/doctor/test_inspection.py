import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datasets.catalog import Entry, read_catalog
from datasets.doctor import Finding, inspect
from tests.datasets.doctor.conftest import CLASSES, Copy

CopyOf = Callable[[str], Copy]


def edit_split(copy: Copy, change: Callable[[dict[str, list[list[Any]]]], Any]) -> None:
    path = next(copy.folder.glob("split_zhou_*.json"))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def the_problem(finding: Finding) -> str:
    """The only problem of a set that is partly there."""
    assert (finding.state, len(finding.problems)) == ("partial", 1), finding
    assert finding.next_step.startswith(f"python -m datasets.prepare {finding.name} --root ")
    return finding.problems[0]


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("deep", [False, True], ids=["quick", "deep"])
def test_miniatures_are_whole(name: str, deep: bool, all_miniatures: Path, small_catalog: Mapping[str, Entry]) -> None:
    finding = inspect(small_catalog[name], all_miniatures, deep=deep)
    number = CLASSES[name]
    assert (finding.state, finding.problems, finding.next_step) == ("whole", [], "")
    assert finding.splits_found == finding.splits_expected == small_catalog[name].counts
    assert finding.images_found == finding.images_expected
    assert finding.images_found == (7 if name == "ImageNet" else 9 if len(finding.splits_found) == 3 else 2) * number
    assert finding.classes_found == number
    assert finding.prompts == f"{number}/{number}"


@pytest.mark.parametrize("name", CLASSES)
def test_the_real_catalog_does_not_take_a_miniature_for_whole(name: str, all_miniatures: Path) -> None:
    finding = inspect(read_catalog()[name], all_miniatures)
    assert finding.state == "partial"
    assert any("images, expected " in problem for problem in finding.problems)
    if name != "EuroSAT":  # whose miniature has all ten
        assert any("classes, expected " in problem for problem in finding.problems)


@pytest.mark.parametrize("name", CLASSES)
def test_one_missing_image_is_noticed_in_every_data_set(name: str, copy_of: CopyOf) -> None:
    copy = copy_of(name)
    split = next(copy.folder.glob("split_zhou_*.json"), None)
    listed = json.loads(split.read_text())["test"][-1][0] if split else None
    images = sorted(path for path in copy.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    victim = next(path for path in images if listed is None or path.as_posix().endswith(listed))
    whole = copy.inspect()
    victim.unlink()
    finding = copy.inspect()
    assert (whole.state, finding.state) == ("whole", "partial")
    assert finding.images_found == whole.images_found - 1
    assert finding.next_step


@pytest.mark.parametrize("name", CLASSES)
def test_an_absent_data_set_is_missing(name: str, small_catalog: Mapping[str, Entry], tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        finding = inspect(small_catalog[name], root)
        assert finding.state == "missing"
        assert finding.problems == [f"the folder {root / small_catalog[name].directory} is missing"]
        assert finding.next_step == f"python -m datasets.prepare {name} --root {root}"


@pytest.mark.parametrize("name", CLASSES)
def test_an_empty_folder_is_missing_too(name: str, small_catalog: Mapping[str, Entry], tmp_path: Path) -> None:
    (tmp_path / small_catalog[name].directory / "split_fewshot").mkdir(parents=True)
    finding = inspect(small_catalog[name], tmp_path)
    assert (finding.state, finding.images_found) == ("missing", 0)
    assert finding.problems and finding.next_step


@pytest.mark.parametrize("name", ["Caltech101", "FGVCAircraft", "ImageNet", "ImageNetR"])
@pytest.mark.parametrize("obstacle", ["file", "broken link", "loop"])
def test_what_is_no_folder_is_named(
    name: str, obstacle: str, small_catalog: Mapping[str, Entry], tmp_path: Path
) -> None:
    path = tmp_path / small_catalog[name].directory
    if obstacle == "file":
        path.write_bytes(b"\x00\xff")
    else:
        path.symlink_to(path if obstacle == "loop" else tmp_path / "gone")
    finding = inspect(small_catalog[name], tmp_path)
    assert finding.state == "missing"
    assert str(path) in finding.problems[0]
    assert ("is a file, no folder" if obstacle == "file" else "link") in finding.problems[0]


@pytest.mark.parametrize("name", CLASSES)
def test_a_file_in_place_of_the_folder_of_images(name: str, copy_of: CopyOf) -> None:
    copy = copy_of(name)
    images = max((path for path in copy.folder.iterdir() if path.is_dir()), key=lambda path: len(list(path.rglob("*"))))
    shutil.rmtree(images)
    images.write_bytes(b"no folder")
    finding = copy.inspect()
    assert finding.state != "whole"
    assert any(images.name in problem for problem in finding.problems)


@pytest.mark.parametrize("name", ["OxfordPets", "ImageNetA"])
def test_the_root_may_have_a_blank_and_be_a_link(name: str, copy_of: CopyOf, tmp_path: Path) -> None:
    copy = copy_of(name)
    root = tmp_path / "my data"
    root.symlink_to(copy.root)
    assert inspect(copy.entry, root).state == "whole"
    for image in list(copy.folder.rglob("*.jpg"))[:1]:
        image.unlink()
    assert inspect(copy.entry, root).next_step == f"python -m datasets.prepare {name} --root '{root}'"


@pytest.mark.parametrize("damage", [b"", b"{", b"\x89PNG\xff\xfe", b"[]", b'{"train": 3}', b"[" * 200_000, b"null"])
def test_a_damaged_split_file(damage: bytes, copy_of: CopyOf) -> None:
    copy = copy_of("Caltech101")
    path = copy.folder / "split_zhou_Caltech101.json"
    path.write_bytes(damage)
    finding = copy.inspect()
    problem = the_problem(finding)
    assert problem and "\n" not in problem
    assert finding.images_found == 7 * 9 + 2  # what lies in the folder, the two folders that are no classes included
    assert finding.splits_found == {}
    assert finding.prompts == "7 keys"


@pytest.mark.parametrize("row", [["a.jpg", "0", "x"], ["a.jpg", -1, "x"], ["a.jpg", 0], "a.jpg", None, [1, 0, "x"]])
def test_rows_of_a_wrong_form(row: Any, copy_of: CopyOf) -> None:
    copy = copy_of("Food101")
    edit_split(copy, lambda split: split["val"].append(row))
    assert "is not [image path, label >= 0, class name]" in the_problem(copy.inspect())


@pytest.mark.parametrize("name", ["a\x00.jpg", "\ud800.jpg", "x" * 5000 + ".jpg", "\x1b[2J\n.jpg"])
def test_names_that_no_disk_holds(name: str, copy_of: CopyOf) -> None:
    copy = copy_of("Food101")
    edit_split(copy, lambda split: split["test"][0].__setitem__(0, f"{name}/{name}"))
    finding = copy.inspect()
    assert finding.state == "partial" and finding.images_found == 53
    assert all(problem.isprintable() for problem in finding.problems)


def test_no_split_file_but_images(copy_of: CopyOf) -> None:
    copy = copy_of("EuroSAT")
    (copy.folder / "split_zhou_EuroSAT.json").unlink()
    finding = copy.inspect()
    assert the_problem(finding) == f"no split file {copy.folder / 'split_zhou_EuroSAT.json'}"
    assert (finding.images_found, finding.classes_found) == (90, 0)


def test_a_split_file_but_no_images(copy_of: CopyOf) -> None:
    copy = copy_of("EuroSAT")
    shutil.rmtree(copy.folder / "2750")
    finding = copy.inspect()
    assert (finding.state, finding.images_found, finding.splits_found) == ("partial", 0, copy.entry.counts)
    assert the_problem(finding).startswith("90 of the 90 listed images are missing: 'eurosat/2750/")


def test_a_split_of_another_origin(copy_of: CopyOf) -> None:
    copy = copy_of("DescribableTextures")
    edit_split(copy, lambda split: split["train"].append(split["val"].pop()))
    finding = copy.inspect()
    assert the_problem(finding) == "train/val/test has 31/11/12 images, expected 30/12/12"
    assert finding.notes == [
        "split_zhou_DescribableTextures.json is not the published file: few-shot samples may differ from the papers'"
    ]


def test_the_published_split_file_is_known_by_its_checksum(copy_of: CopyOf) -> None:
    copy = copy_of("UCF101")
    digest = hashlib.sha256((copy.folder / "split_zhou_UCF101.json").read_bytes()).hexdigest()

    def published(sha256: str) -> Copy:
        parts = tuple(
            replace(
                part,
                alternatives=tuple(
                    replace(it, sha256=sha256, md5=None, git_blob_sha1=None) for it in part.alternatives
                ),
            )
            for part in copy.entry.parts
        )
        return copy._replace(entry=replace(copy.entry, parts=parts))

    assert published(digest).inspect().notes == []
    assert len(published("0" * 64).inspect().notes) == 1


def test_a_class_that_is_too_small(copy_of: CopyOf) -> None:
    copy = copy_of("StanfordCars")

    def swap(split: dict[str, list[list[Any]]]) -> None:
        row = next(row for row in split["train"] if row[1] == 0)
        row[1], row[2] = next((other[1], other[2]) for other in split["train"] if other[1] == 1)

    edit_split(copy, swap)
    assert the_problem(copy.inspect()) == "the smallest class has 4 train images, expected 5"


def test_a_label_with_two_names(copy_of: CopyOf) -> None:
    copy = copy_of("OxfordFlowers")
    edit_split(copy, lambda split: split["test"][0].__setitem__(2, "rose"))
    assert the_problem(copy.inspect()) == "label 0 has two names, 'pink primrose' and 'rose'"


def test_labels_that_leave_gaps_and_names_of_two_labels(copy_of: CopyOf) -> None:
    copy = copy_of("OxfordFlowers")

    def renumber(split: dict[str, list[list[Any]]]) -> None:
        for row in (row for part in split.values() for row in part):
            row[1] += 1
            row[2] = "tulip" if row[1] in (1, 2) else row[2]

    edit_split(copy, renumber)
    assert copy.inspect().problems == [
        "1 label without a row, the first is 0",
        "two labels have the same name: 'tulip'",
    ]


def test_doubled_rows_and_test_images_in_train(copy_of: CopyOf) -> None:
    copy = copy_of("Caltech101")

    def repeat(split: dict[str, list[list[Any]]]) -> None:
        split["train"][1] = split["train"][0]
        split["val"][0] = split["test"][0]

    edit_split(copy, repeat)
    first, second = copy.inspect().problems
    assert first.startswith("1 image listed twice in train: 'image_")
    assert second.startswith("1 image of test also in val: 'image_")
    edit_split(copy, lambda split: split["train"].__setitem__(2, split["test"][1]))
    assert any(problem.startswith("1 image of test also in train: ") for problem in copy.inspect().problems)


def test_images_that_are_empty_links_or_folders(copy_of: CopyOf) -> None:
    copy = copy_of("OxfordPets")
    images = sorted((copy.folder / "images").glob("*.jpg"))
    images[0].write_bytes(b"")
    images[1].unlink()
    images[1].symlink_to(images[1])
    images[2].unlink()
    images[2].mkdir()
    finding = copy.inspect()
    missing, empty = finding.problems
    assert missing.startswith("2 of the 54 listed images are missing: 'oxford_pets/images/")
    assert empty == f"1 of the 54 listed images are empty files: 'oxford_pets/images/{images[0].name}'"
    assert finding.images_found == 51


def test_images_in_other_case(copy_of: CopyOf) -> None:
    copy = copy_of("UCF101")
    image = sorted((copy.folder / "UCF-101-midframes" / "Archery").iterdir())[0]
    image.rename(image.with_suffix(".JPG"))
    problem = the_problem(copy.inspect())
    assert problem == f"1 image in other upper or lower case: '{image.stem}.JPG for {image.name}'"


def test_images_that_are_linked_count(copy_of: CopyOf, tmp_path: Path) -> None:
    copy = copy_of("UCF101")
    folder = copy.folder / "UCF-101-midframes" / "Archery"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert copy.inspect().state == "whole"


def test_further_images_are_said_and_do_not_matter(copy_of: CopyOf) -> None:
    copy = copy_of("SUN397")
    finding = copy.inspect()
    assert (finding.state, finding.images_found) == ("whole", 63)
    assert finding.notes[0] == "7 images beside the listed ones, not used"


def test_unreadable_folders_are_named(copy_of: CopyOf, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: str | Path) -> Any:
        if str(folder).endswith("Archery"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    copy = copy_of("UCF101")
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", refuse)
    problems = copy.inspect().problems
    assert "1 folder cannot be read: 'ucf101/UCF-101-midframes/Archery (Permission denied)'" in problems


def test_deep_finds_what_a_look_does_not(copy_of: CopyOf) -> None:
    copy = copy_of("ImageNet")
    image = sorted((copy.folder / "images" / "val").rglob("*.JPEG"))[3]
    image.write_bytes(image.read_bytes()[:-200])
    assert copy.inspect().state == "whole"
    problem = the_problem(copy.inspect(deep=True))
    assert problem == f"1 of 84 images cannot be decoded: '{image.relative_to(copy.root)}'"


def test_deep_names_unfinished_archives(copy_of: CopyOf) -> None:
    copy = copy_of("Caltech101")
    archive = copy.folder / "caltech-101.zip"
    archive.write_bytes(b"PK")
    note = f"archive {archive} has 2 bytes, expected 137414764: unfinished or another one"
    assert note in copy.inspect(deep=True).notes
    assert note not in copy.inspect().notes


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe\x00"])
def test_a_damaged_prompt_file_does_not_decide(content: bytes, copy_of: CopyOf) -> None:
    copy = copy_of("Caltech101")
    (copy.folder / "caltech101_prompt.json").write_bytes(content)
    finding = copy.inspect()
    assert (finding.state, finding.prompts) == ("whole", "damaged")
    assert "caltech101_prompt.json" in finding.notes[-1]
    assert finding.next_step


def test_a_data_set_that_is_not_registered(small_catalog: Mapping[str, Entry], tmp_path: Path) -> None:
    for name in ("Birds", "DigitsData", "ImageFolder"):
        with pytest.raises(ValueError, match=f"the catalog lists '{name}', which is no data set of datasets/; known: "):
            inspect(replace(small_catalog["UCF101"], name=name), tmp_path)
