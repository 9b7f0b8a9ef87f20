"""From uploaded files to rows, as predict.py gives them."""

import base64
import io
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import IO, NamedTuple

import torch
from PIL import UnidentifiedImageError

from amu_raft.model.few_shot_model import Scores
from amu_raft.model.model_folder import LoadedModel
from amu_raft.prediction.overlays import draw_overlay
from amu_raft.prediction.rows import Row
from amu_raft.prediction.session import rank, score
from amu_raft.serve.limits import Limits
from amu_raft.serve.worker import AbandonedError
from amu_raft.wording import printable
from dassl.utils.images import decode_image, reason_of

TOGETHER = 16  # pictures that are scored at once; between them it is seen whether anybody still waits
_LONGEST_NAME = 120

TOO_LARGE, NO_IMAGE, DAMAGED, NOT_SCORED = 413, 415, 422, 500  # what HTTP calls these faults


class Upload(NamedTuple):
    """A file as it was sent: the name that the sender gives it, its bytes and their number."""

    name: str
    file: IO[bytes]
    size: int


class Answer(NamedTuple):
    """What is said about an upload, and the HTTP status that fits if it is the only one."""

    row: Row
    status: int = 200


class _Read(NamedTuple):
    name: str
    square: torch.Tensor | None
    error: str = ""
    status: int = 200


class Classifier:
    """Classify uploads with a model.

    Args:
        loaded: The model; names of classes are made printable.
        device: Where it is.
        limits: Of which those of one file hold here.
    """

    def __init__(self, loaded: LoadedModel, device: torch.device, limits: Limits) -> None:
        names = [printable(name) for name in loaded.info.classnames]
        self.loaded = LoadedModel(loaded.model, replace(loaded.info, classnames=names))
        self.device = device
        self.limits = limits

    def warm_up(self) -> None:
        """Classify a grey square: what fails at every picture fails now, and the first request waits no longer."""
        size = self.loaded.info.recipe.size
        grey = torch.full((1, size, size, 3), 128, dtype=torch.uint8)
        list(self._explained([_Read("", grey[0])], len(self.loaded.info.classnames)))

    def answers(
        self, uploads: Sequence[Upload], *, topk: int, explain: bool, abandoned: threading.Event
    ) -> list[Answer]:
        """Return an answer for each upload, in order.

        Args:
            uploads: The files.
            topk: Classes in a row, at most.
            explain: Whether rows have an overlay, a data URL of a PNG.
            abandoned: Set when nobody waits any more.

        Raises:
            AbandonedError: If that is so.
        """
        topk = min(topk, len(self.loaded.info.classnames))
        found: list[Answer] = []
        for start in range(0, len(uploads), TOGETHER):
            group = []
            for upload in uploads[start : start + TOGETHER]:
                if abandoned.is_set():
                    raise AbandonedError
                group.append(self._read(upload))
            rows = self._explained(group, topk) if explain else self._rows(group, topk)
            found += [_answer(row, read) for row, read in zip(rows, group, strict=True)]
        return found

    def _read(self, upload: Upload) -> _Read:
        name = shown_name(upload.name)
        if upload.size > self.limits.file_bytes:
            text = f'The file "{name}" has {upload.size:,} bytes, more than the limit of {self.limits.file_bytes:,}'
            return _Read(name, None, text, TOO_LARGE)
        upload.file.seek(0)
        content = io.BytesIO(upload.file.read())
        try:
            picture = decode_image(content, name=name, max_pixels=self.limits.pixels)
            return _Read(name, self.loaded.info.recipe.square(picture))
        except (OSError, ValueError, MemoryError) as error:
            status = NO_IMAGE if isinstance(error.__cause__, UnidentifiedImageError) else DAMAGED
            return _Read(name, None, reason_of(error) or type(error).__name__, status)

    def _rows(self, group: Sequence[_Read], topk: int) -> Iterator[Row]:
        squares = [read.square for read in group if read.square is not None]
        scored: Iterator[Row] = iter(())
        if squares:
            scored = rank(self.loaded, score(self.loaded.model, torch.stack(squares), self.device), topk)
        for read in group:
            yield Row(read.name, error=read.error) if read.square is None else replace(next(scored), image=read.name)

    def _explained(self, group: Sequence[_Read], topk: int) -> Iterator[Row]:
        for read in group:
            if read.square is None:
                yield Row(read.name, error=read.error)
                continue
            scores = score(self.loaded.model, read.square[None], self.device, explain=True)
            [row] = rank(self.loaded, scores, topk)
            yield replace(row, image=read.name, overlay="" if row.error else _overlay(row, read.square, scores))


def _answer(row: Row, read: _Read) -> Answer:
    """The status is of the picture, or of the model that has no finite scores for a sound one."""
    return Answer(row, NOT_SCORED if row.error and not read.error else read.status)


def shown_name(name: str) -> str:
    """Return the last part of the name that a sender gives a file, short and printable."""
    last = printable(name.replace("\\", "/").rsplit("/", 1)[-1])
    return last if len(last) <= _LONGEST_NAME else f"{last[: _LONGEST_NAME - 1]}…"


def _overlay(row: Row, square: torch.Tensor, scores: Scores) -> str:
    stream = io.BytesIO()
    draw_overlay(row, square, scores, stream)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
