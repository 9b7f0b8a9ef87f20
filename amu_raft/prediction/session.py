"""From the command line's arguments to rows: load, read ahead, score a batch, write, go on."""

import math
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from amu_raft.features.extraction import encode_within_memory, part_for_cpu
from amu_raft.images.given_images import square_of
from amu_raft.images.pixels import scaled
from amu_raft.isolation import own_state
from amu_raft.model.few_shot_model import FewShotModel, Scores
from amu_raft.model.model_folder import LoadedModel, load_model_folder
from amu_raft.prediction.listing import Listed, list_pictures
from amu_raft.prediction.reading import AHEAD, Picture, batched, read_pictures
from amu_raft.prediction.rows import WRITERS, Guess, Row
from amu_raft.prediction.sink import open_sink
from amu_raft.progress import progress
from dassl.utils.images import read_image

MOST_WORKERS = 16
NOT_FINITE = "the model's scores of it are no finite numbers"


def predict(arguments: Namespace) -> int:
    """Write a row for every picture.

    Returns:
        The number of pictures that were read.

    Raises:
        OSError: If a file of the model is missing, or something cannot be written.
        ValueError: If the model is damaged or an argument means nothing.
    """
    device = choose_device(arguments.device)
    loaded = load_model_folder(arguments.model, weights=arguments.weights, device=device)
    explain = Path(arguments.explain) if arguments.explain else None
    if explain is not None:
        explain.mkdir(parents=True, exist_ok=True)
    readable = 0
    with open_sink(arguments.output, for_programs=arguments.format != "table") as stream:
        topk = min(arguments.topk, len(loaded.info.classnames))
        writer = WRITERS[arguments.format](stream, topk=topk, explained=explain is not None)
        rows = predict_rows(
            loaded,
            list_pictures(arguments.paths, getattr(sys.stdin, "buffer", None), without=arguments.explain),
            topk=topk,
            batch_size=arguments.batch_size,
            workers=arguments.workers or min(os.cpu_count() or 1, MOST_WORKERS),
            device=device,
            explain=explain,
        )
        for row in _with_bar(rows, stream):
            writer.write(row)
            readable += not row.error
    return readable


def choose_device(name: str | None) -> torch.device:
    """Return the device of a name; without one a GPU if there is any.

    Raises:
        ValueError: If there is no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # "meta" holds no values
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"--device {name} cannot be used here: {reason}") from error
    return device


def predict_rows(
    loaded: LoadedModel,
    listed: Iterator[Listed],
    *,
    topk: int,
    batch_size: int,
    workers: int,
    device: torch.device,
    explain: Path | None = None,
) -> Iterator[Row]:
    """Yield a row for each picture, in order; at no time more than a few batches are held.

    Args:
        loaded: The model.
        listed: Paths, taken as they are needed.
        topk: Classes in a row.
        batch_size: Pictures that are encoded together.
        workers: Threads that read.
        device: Where the model is.
        explain: Folder for overlays, or None.
    """
    pictures = read_pictures(
        listed, loaded.info.recipe, read_image, workers=workers, ahead=batch_size + AHEAD * workers
    )
    number = 0
    for group in batched(pictures, batch_size):
        squares = [picture.square for picture in group if picture.square is not None]
        scores = score(loaded.model, torch.stack(squares), device, explain=explain is not None) if squares else None
        ranked = enumerate(rank(loaded, scores, topk) if scores is not None else ())
        for picture in group:
            number += 1
            if picture.square is None or scores is None:
                yield Row(picture.path, error=picture.error)
                continue
            place, row = next(ranked)
            row = replace(row, image=picture.path)
            if explain is not None and not row.error:
                row = _explained(row, picture, scores.only(place), explain, number)
            yield row


def score(model: FewShotModel, squares: Tensor, device: torch.device, *, explain: bool = False) -> Scores:
    """Score pictures (N, size, size, 3), uint8, in parts that fit the device.

    Args:
        model: On the device.
        squares: What the encoders see.
        device: Where to score.
        explain: Whether what explains the decisions is wanted too.
    """

    def encode(pixels: Tensor) -> dict[str, Tensor]:
        found: Scores = model(pixels, explain=explain)
        return found.tensors()

    pixels = scaled(squares.to(device, non_blocking=True))
    at_most = part_for_cpu(pixels) if device.type == "cpu" else len(pixels)
    parts, _ = encode_within_memory(pixels, encode, at_most=at_most)
    return Scores.of(parts)


def score_images(loaded: LoadedModel, images: Iterable[Any], *, batch_size: int) -> Iterator[Scores]:
    """Read and score images that a program holds, a batch at a time; the caller's state of torch does not enter.

    Args:
        loaded: The model.
        images: Paths, Pillow images or arrays.
        batch_size: Images that are read and scored together.

    Raises:
        OSError, ValueError or TypeError: If one, which the message names by its number, is no picture.
    """
    numbered = enumerate(images)
    while group := list(islice(numbered, batch_size)):
        squares = torch.stack([square_of(item, number, loaded.info.recipe) for number, item in group])
        with own_state(torch.get_num_threads()):
            scores = score(loaded.model, squares, loaded.model.device)
        yield scores


def rank(loaded: LoadedModel, scores: Scores, topk: int) -> Iterator[Row]:
    """Yield rows without paths of scores (N, ...); of scores that are no finite numbers, an error alone."""
    adapted = _likeliest(loaded.model.probabilities(scores), loaded.info.classnames, topk)
    zero_shot = _likeliest(scores.zero_shot.softmax(dim=-1), loaded.info.classnames, topk)
    columns = {name: values.tolist() for name, values in scores.numbers.items()}
    for place, (ours, theirs) in enumerate(zip(adapted, zero_shot, strict=True)):
        numbers = {name: values[place] for name, values in columns.items()}
        finite = all(map(math.isfinite, [*(guess.probability for guess in (*ours, *theirs)), *numbers.values()]))
        yield Row("", ours, theirs, numbers) if finite else Row("", error=NOT_FINITE)


def _likeliest(probabilities: Tensor, classnames: Sequence[str], topk: int) -> list[list[Guess]]:
    found = probabilities.float().topk(topk, dim=-1)
    return [
        [Guess(classnames[label], label, value) for label, value in zip(labels, values, strict=True)]
        for labels, values in zip(found.indices.tolist(), found.values.tolist(), strict=True)
    ]


def _explained(row: Row, picture: Picture, scores: Scores, folder: Path, number: int) -> Row:
    from amu_raft.prediction.overlays import overlay_path, write_overlay  # matplotlib: most of a second

    assert picture.square is not None
    path = overlay_path(folder, number, picture.path)
    write_overlay(row, picture.square, scores, path)
    return replace(row, overlay=str(path))


def _with_bar(rows: Iterator[Row], stream: IO[str]) -> Iterator[Row]:
    """Show how many pictures are done on a terminal, unless the rows themselves appear there."""
    yield from rows if stream.isatty() else progress(rows, "predict")
