import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.fgvc_aircraft import FGVCAircraft
from tests.datasets.miniatures.common import build_miniature

NAMES = ["707-320", "A300B4", "An-12", "Beechcraft 1900", "Boeing 717", "F-16A/B", "F/A-18", "Spitfire"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build_miniature("FGVCAircraft", tmp_path)


def test_labels_are_the_lines_of_the_variants(folder: Path, make_cfg: Callable[..., Any]) -> None:
    data = FGVCAircraft(make_cfg(folder.parent))
    assert data.classnames == NAMES
    assert [Path(item.impath).stem for item in data.test or ()] == [
        line.split()[0] for line in (folder / "images_variant_test.txt").read_text().splitlines()
    ]
    (folder / "variants.txt").write_text("\n".join(reversed(NAMES)))
    assert FGVCAircraft(make_cfg(folder.parent)).classnames == NAMES[::-1]


def test_no_split_file_is_written(folder: Path, make_cfg: Callable[..., Any], capsys: Any) -> None:
    FGVCAircraft(make_cfg(folder.parent, shots=1))
    assert not list(folder.glob("split_zhou*")) and "This split is new" not in capsys.readouterr().out
    assert (folder / "split_fewshot" / "shot_1-seed_1.json").is_file()


@pytest.mark.parametrize("name", ["variants.txt", "images_variant_train.txt", "images_variant_test.txt"])
def test_missing_and_damaged_lists(name: str, folder: Path, make_cfg: Callable[..., Any]) -> None:
    (folder / name).write_bytes(b"\x89PNG\xff")
    with pytest.raises(ValueError, match=rf"{name} is no text file"):
        FGVCAircraft(make_cfg(folder.parent))
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"no file .*{name}; get it: python -m datasets\.prepare FGVCAircraft"):
        FGVCAircraft(make_cfg(folder.parent))


@pytest.mark.parametrize("line", ["0034309", "0034309 F-16", "0034309 f-16a/b", "0034309 Beechcraft  1900"])
def test_lines_that_do_not_fit(line: str, folder: Path, make_cfg: Callable[..., Any]) -> None:
    with (folder / "images_variant_val.txt").open("a") as stream:
        stream.write(line)
    with pytest.raises(
        ValueError, match=rf"images_variant_val\.txt, line 17: '{line}' is not '<image> <variant>' with"
    ):
        FGVCAircraft(make_cfg(folder.parent))


def test_the_real_number_of_images(tmp_path: Path) -> None:
    """100 variants with 33 or 34 images in each list; the real train list has 3334 lines."""
    variants = [f"Variant {index}/A" for index in range(100)]
    folder = tmp_path / "fgvc_aircraft"
    folder.mkdir()
    (folder / "variants.txt").write_text("\n".join(variants))
    for name, number in (("train", 3334), ("val", 3333), ("test", 3333)):
        lines = [f"{index:07d} {variants[index % 100]}\n" for index in range(number)]
        random.Random(1).shuffle(lines)
        (folder / f"images_variant_{name}.txt").write_text("".join(lines))
    rows = FGVCAircraft.read_rows(folder)
    assert {name: len(part) for name, part in rows.items()} == {"train": 3334, "val": 3333, "test": 3333}
    assert {(row.label, row.classname) for row in rows["train"]} == set(enumerate(variants))
