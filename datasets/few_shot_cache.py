"""Few-shot samples kept on disk, so that every run with the same seed and shots adapts to the same images.

The file ``split_fewshot/shot_{k}-seed_{s}.json`` holds paths relative to the data root and a fingerprint of the split
that was sampled. A pickle of the same name, as CoOp writes it, is read where there is no such file.
"""

import hashlib
import json
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from amu_raft.json_file import read_json_file, write_json_file
from dassl.data.datasets import Datum
from datasets.split_file import row_of
from datasets.upstream_pickle import load_upstream_pickle

FORMAT = 2
HASHED_TOGETHER = 10_000  # rows, so that ImageNet's are never one text in memory
Sample = dict[str, list[Datum]]


class FewShotCache:
    """The stored sample of one split, number of shots and seed.

    Args:
        folder: Where the samples of this data set are kept.
        root: Folder that stored paths are relative to.
        sources: The full lists that are sampled, by name ("train", "val").
        shots: Images per class to sample from each of them.
        seed: Seed of the run.
    """

    def __init__(
        self, folder: Path, root: Path, sources: Mapping[str, list[Datum]], shots: Mapping[str, int], seed: int
    ) -> None:
        self.path = folder / f"shot_{shots['train']}-seed_{seed}.json"
        self.pickle_path = self.path.with_suffix(".pkl")
        self.root = root
        self.sources = sources
        self.shots = shots
        self.fingerprint = fingerprint(sources, root)

    def load(self) -> Sample | None:
        """Return the stored sample, or None if there is none that fits the split; a misfit is warned about."""
        for path, read in ((self.path, self._read_json), (self.pickle_path, self._read_pickle)):
            if not path.is_file():
                continue
            try:
                sample = read()
            except (ValueError, OSError) as error:
                warnings.warn(f"the few-shot sample {path} is not used and is drawn again: {error}", stacklevel=2)
                continue
            print(f"Loading preprocessed few-shot data from {path}")
            return sample
        return None

    def save(self, sample: Mapping[str, list[Datum]]) -> None:
        """Store a sample; where nothing can be written the run goes on with a warning."""
        content = {"format": FORMAT, "split": self.fingerprint}
        try:
            write_json_file(content | {name: rows(items, self.root) for name, items in sample.items()}, self.path)
        except OSError as error:
            warnings.warn(f"the few-shot sample is not kept: {self.path} cannot be written ({error})", stacklevel=2)
            return
        print(f"Saving preprocessed few-shot data to {self.path}")

    def _read_json(self) -> Sample:
        content = read_json_file(self.path, what="few-shot sample")
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        if content.get("split") != self.fingerprint:
            raise ValueError("it belongs to another split")
        return self._match({name: _path_column(content.get(name), self.root) for name in self.sources})

    def _read_pickle(self) -> Sample:
        content = load_upstream_pickle(self.pickle_path)
        return self._match({name: [path for path, _, _ in content.get(name, [])] for name in self.sources})

    def _match(self, paths: Mapping[str, list[str]]) -> Sample:
        """Look stored paths up in the split, so that nothing outside it can come back.

        Raises:
            ValueError: If a path is not in the split, or a class has another number of images than sampling gives.
        """
        sample = {}
        for name, items in self.sources.items():
            stored = [os.path.normpath(path) for path in paths[name]]
            known = _items_at(stored, items)
            strange = [path for path in stored if path not in known]
            if strange:
                raise ValueError(f"it lists {strange[0]}, which is not in {name!r} (was the data moved or split anew?)")
            sample[name] = [known[path] for path in stored]
            expected = {label: min(n, self.shots[name]) for label, n in _count(items).items()}
            if _count(sample[name]) != expected or len(set(stored)) != len(stored):
                raise ValueError(f"its {name!r} does not hold {self.shots[name]} images of each class")
        return sample


def rows(items: Iterable[Datum], root: Path) -> list[list[Any]]:
    """Return the rows of a split file with paths relative to ``root``."""
    return [row_of(item, root) for item in items]


def fingerprint(sources: Mapping[str, Sequence[Datum]], root: Path) -> str:
    """Return a sha256 that is equal exactly if images below ``root``, labels, class names and order are.

    A label has one name throughout (``check_split``), so names are hashed once a label.
    """
    folder = f"{root}{os.sep}"
    names = {str(item.label): item.classname for items in sources.values() for item in items}
    digest = hashlib.sha256(json.dumps([names, {name: len(items) for name, items in sources.items()}]).encode())
    for items in sources.values():
        for start in range(0, len(items), HASHED_TOGETHER):
            chunk = items[start : start + HASHED_TOGETHER]
            text = "".join([f"{item.impath.removeprefix(folder)}\0{item.label}\0" for item in chunk])
            digest.update(text.replace(os.sep, "/").encode(errors="surrogateescape"))
    return digest.hexdigest()


def _items_at(paths: Iterable[str], items: Iterable[Datum]) -> dict[str, Datum]:
    """Return the items whose images are at those normal paths, by path."""
    wanted = set(paths)
    known = {item.impath: item for item in items if item.impath in wanted}
    if len(known) < len(wanted):  # only then, for it takes seconds for ImageNet
        known = {os.path.normpath(item.impath): item for item in items}
    return known


def _count(items: Iterable[Datum]) -> Counter[int]:
    return Counter(item.label for item in items)


def _path_column(stored: Any, root: Path) -> list[str]:
    try:
        return [str(root / path) for path, _, _ in stored]
    except (TypeError, ValueError):
        raise ValueError("its rows are not [image path, label, class name]") from None
