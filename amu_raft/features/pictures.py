"""Pictures that a program holds, in the form in which frozen encoders take a data set."""

import functools
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from torch.utils.data import Dataset

from amu_raft.backbones.preprocess import CLIP_MEAN, CLIP_STD
from amu_raft.features.store.identity import image_identity
from amu_raft.images.given_images import is_path, rgb_of

EVALUATED = ("normalize",)


class Item(NamedTuple):
    """A picture: its path, or "" if it is no file, and its label."""

    impath: str
    label: int


class Pictures(Dataset[dict[str, Any]]):
    """Labelled pictures with a transform.

    Args:
        images: Paths, Pillow images or arrays.
        labels: One per image.
        transform: Makes a tensor of an RGB picture.
        places: Number of each image in the list that the caller knows, for messages.
    """

    read_image = staticmethod(rgb_of)  # stored features are told apart by it

    def __init__(
        self, images: Sequence[Any], labels: Sequence[int], transform: Any, places: Sequence[int] | None = None
    ) -> None:
        self.images = list(images)
        self.data_source = [Item(_path_of(image), label) for image, label in zip(images, labels, strict=True)]
        self.transform = transform
        self.places = list(range(len(self.images)) if places is None else places)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read one picture.

        Raises:
            OSError: If it cannot be read; the message names it.
        """
        picture = self.read_image(self.images[index], self.places[index])
        return {"img": self.transform(picture), "label": self.data_source[index].label}

    def identity(self, *, strict: bool) -> dict[str, Any]:
        """Describe the pictures, so that others have another description: files as files, others by their pixels."""
        files = image_identity([item.impath for item in self.data_source if item.impath], strict=strict)
        digest = hashlib.sha256()
        for place, item in enumerate(self.data_source):
            digest.update(b"file" if item.impath else _pixels(self.read_image(self.images[place], self.places[place])))
        return {**files, "count": len(self.images), "given": digest.hexdigest()}

    @property
    def all_files(self) -> bool:
        """Whether every picture is a file, so that its features are worth keeping."""
        return all(item.impath for item in self.data_source)


def _path_of(image: Any) -> str:
    """Return the file that is read, wherever the process goes; "link/.." stays, for it need not lead back."""
    return str(Path(os.fsdecode(image)).absolute()) if is_path(image) else ""


def _pixels(picture: Image.Image) -> bytes:
    return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).digest()


@functools.cache
def picture_transform(
    side: int, augmentation: tuple[str, ...] | None = None, crop_scale: tuple[float, float] = (1.0, 1.0)
) -> Any:
    """Return the toolbox's transform for encoders of an input of ``side`` pixels.

    Args:
        side: Pixels.
        augmentation: Names of the toolbox, for training; None for the transform of evaluations.
        crop_scale: Area of a random crop, as shares of the picture.

    Raises:
        ValueError: If an augmentation is unknown.
    """
    from torchvision.transforms import Compose  # two seconds, which classifying alone does not need

    from dassl.data.transforms import transform_steps, usual_input

    pixels = {"SIZE": (side, side), "INTERPOLATION": "bicubic", "PIXEL_MEAN": CLIP_MEAN, "PIXEL_STD": CLIP_STD}
    names = EVALUATED if augmentation is None else augmentation
    try:
        given = usual_input(**pixels, RRCROP_SCALE=crop_scale)
        steps = transform_steps(given, names, is_train=augmentation is not None)
    except AssertionError as error:
        raise ValueError(str(error)) from error
    return Compose([step for _, step in steps])
