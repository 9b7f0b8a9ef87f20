"""What the builders of miniatures have in common: dividing images into parts, and the files around them."""

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.datasets.miniatures.common import write_jpeg, write_prompts, write_split

Sizes = Mapping[str, int]
Rows = dict[str, list[list[Any]]]


def total(sizes: Sizes) -> int:
    return sum(sizes.values())


def write_class_images(folder: Path, files: Mapping[str, list[str]]) -> None:
    """Write the images of each class; files lists their paths below the folder."""
    for label, names in enumerate(files.values()):
        for index, name in enumerate(names):
            write_jpeg(folder / name, label, index)


def divide(files: Mapping[str, list[str]], sizes: Sizes, *, shuffle_test: bool = True) -> Rows:
    """Give each part its number of images of each class; published splits are grouped by class and shuffled within."""
    rows: Rows = {part: [] for part in sizes}
    for label, (name, paths) in enumerate(files.items()):
        start = 0
        for part, number in sizes.items():
            chosen = paths[start : start + number]
            start += number
            if part != "test" or shuffle_test:
                random.Random(f"{name} {part}").shuffle(chosen)
            rows[part] += [[path, label, name] for path in chosen]
    return rows


def in_label_order(rows: Rows, *parts: str) -> list[list[Any]]:
    return sorted((row for part in parts for row in rows[part]), key=lambda row: (row[1], row[0]))


def write_text(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), newline="")


def write_mat(path: Path, variables: dict[str, Any]) -> None:
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables, oned_as="row", do_compression=True)


def finish(folder: Path, split_name: str, rows: Rows, prompt_file: str, *, split: bool) -> Path:
    """Write the split file, if there is to be one, and the sentences."""
    if split and split_name:
        write_split(folder / f"split_zhou_{split_name}.json", rows)
    names = {row[1]: row[2] for part in rows.values() for row in part}
    write_prompts(folder / prompt_file, [names[label] for label in sorted(names)])
    return folder
