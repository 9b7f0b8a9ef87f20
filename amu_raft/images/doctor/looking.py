"""What one image file is like: whether it can be read, its content's hash, and what is odd about it."""

import hashlib
import warnings
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from amu_raft.wording import reason
from dassl.utils.images import open_image, orientation_of, reason_of, to_rgb

BLOCK = 1 << 20
_BY_MODE = {
    **{"1": "1 bit", "L": "grey", "LA": "grey", "P": "palette", "PA": "palette", "CMYK": "CMYK", "F": "floating point"},
    **{"I": "16 or 32 bits", "I;16": "16 bits", "I;16B": "16 bits", "I;16L": "16 bits", "I;16N": "16 bits"},
}


class Look(NamedTuple):
    """What was seen of an image.

    Attributes:
        problem: Why it cannot be read; empty if it can.
        digest: Hash of the file's bytes; empty if they cannot be read.
        side: The shorter side in pixels; 0 if unknown.
        kinds: What is unusual about it, in words.
    """

    problem: str = ""
    digest: bytes = b""
    side: int = 0
    kinds: tuple[str, ...] = ()


def look_at(path: str) -> Look:
    """Read and decode a file as training does."""
    try:
        digest = digest_of(path)
    except (OSError, ValueError) as error:
        return Look(problem=reason(error))
    if digest == hashlib.sha256().digest()[: len(digest)]:
        return Look(problem="empty file")  # no content that it could share with another
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no damage
            with open_image(path) as image:
                kinds = kinds_of(image, path)
                side = min(to_rgb(image).size)
    except Exception as error:  # decoders raise whatever the bytes lead them to
        return Look(problem=reason_of(error) or type(error).__name__, digest=digest)
    return Look(digest=digest, side=side, kinds=kinds)


def died_of(path: str) -> Look:
    """Return what is said of an image that ended the process that read it."""
    return Look(problem="decoding it ends the process")


def digest_of(path: str) -> bytes:
    """Return a hash of a file's bytes, 16 bytes long; memory does not grow with the file.

    Raises:
        OSError: If it cannot be read.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.digest()[:16]


def kinds_of(image: Image.Image, path: str) -> tuple[str, ...]:
    """Return what is unusual about an opened image."""
    kinds = [_BY_MODE[image.mode]] if image.mode in _BY_MODE else []
    if image.has_transparency_data:
        kinds.append("transparency")
    if orientation_of(image) not in (0, 1):
        kinds.append("turned by EXIF")
    if getattr(image, "is_animated", False):
        kinds.append("several frames")
    named = Image.registered_extensions().get(Path(path).suffix.lower())
    families = {"MPO": "JPEG", "DIB": "BMP"}
    if named is not None and families.get(named, named) != families.get(image.format or "", image.format):
        kinds.append("ending of another format")
    return tuple(kinds)
