"""Files put together byte by byte, because Pillow does not write what it reads wrongly."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dassl.utils import read_image

TURNED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}
ORDERS = {"little": "<", "big": ">"}


def random(high: int, *shape: int) -> Any:
    return np.random.RandomState(0).randint(0, high, shape)


def png(depth: int, colour: int, values: Any, transparent: tuple[int, ...]) -> bytes:
    """Return a PNG with a transparent grey value (colour 0) or colour (colour 2)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    bits = ((values.reshape(len(values), -1, 1) >> np.arange(depth)[::-1]) & 1).astype(np.uint8)
    rows = b"".join(b"\0" + np.packbits(row.reshape(-1)).tobytes() for row in bits)
    parts = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", values.shape[1], len(values), depth, colour, 0, 0, 0)),
        chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)),
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(size: tuple[int, int], strips: list[bytes], order: str = "<", **tags: int | list[int]) -> bytes:
    """Return a TIFF; tags are called t258 and so on, and of type SHORT."""
    width, height = size
    entries = {256: [width], 257: [height], 259: [1], 273: [0] * len(strips), 277: [1], 278: [height]}
    entries |= {279: [len(strip) for strip in strips]}
    entries |= {int(name[1:]): value if isinstance(value, list) else [value] for name, value in tags.items()}
    start = 8 + 2 + 12 * len(entries) + 4  # long values follow the directory, and pixels those
    pixels = start + sum(2 * len(values) for values in entries.values() if len(values) > 2)
    entries[273] = [pixels + sum(map(len, strips[:index])) for index in range(len(strips))]
    directory, beyond = struct.pack(f"{order}H", len(entries)), b""
    for tag, values in sorted(entries.items()):
        content = struct.pack(f"{order}{len(values)}H", *values)
        if len(content) > 4:
            content, beyond = struct.pack(f"{order}I", start + len(beyond)), beyond + content
        directory += struct.pack(f"{order}HHI", tag, 3, len(values)) + content.ljust(4, b"\0")
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8)
    return head + directory + bytes(4) + beyond + b"".join(strips)


def read(path: Path, content: bytes) -> Any:
    path.write_bytes(content)
    return np.asarray(read_image(str(path)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16"])
def test_turned_tiff_without_compression(tmp_path: Path, mode: str, orientation: int) -> None:
    """Pillow maps such files into memory, with width and height swapped where they lie on their side."""
    if mode == "I;16":
        image = Image.fromarray(random(65536, 16, 8).astype(np.uint16))
    else:
        image = Image.fromarray(random(256, 16, 8, 4).astype(np.uint8), "RGBA").convert("RGB").convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "upright.tif")
    image.save(tmp_path / "turned.tif", exif=exif)
    upright, turned = (np.asarray(read_image(str(tmp_path / f"{name}.tif"))) for name in ("upright", "turned"))
    assert np.array_equal(turned, TURNED[orientation](upright))


@pytest.mark.parametrize("order", ORDERS)
def test_sixteen_bits_in_planes(tmp_path: Path, order: str) -> None:
    values = random(65536, 5, 7, 3)
    planes = [values[..., index].astype(f"{ORDERS[order]}u2").tobytes() for index in range(3)]
    content = tiff((7, 5), planes, ORDERS[order], t258=[16] * 3, t262=2, t277=3, t284=2)
    assert np.array_equal(read(tmp_path / "a.tif", content), values >> 8)


@pytest.mark.parametrize(
    ("kind", "tags", "values", "expected"),
    [
        ("<u2", {"t258": 16, "t262": 0}, [0, 257, 65535], [255, 254, 0]),  # low values are bright
        ("<f4", {"t258": 32, "t262": 0, "t339": 3}, [0.0, 0.25, 1.0], [255, 191, 0]),
        ("<f4", {"t258": 32, "t262": 0, "t339": 3}, [float("nan"), 0.0, 1.0], [0, 255, 0]),
        ("<u4", {"t258": 32, "t262": 1}, [0, 2**31, 2**32 - 1], [0, 128, 255]),  # without a sign unless it says so
        ("<i4", {"t258": 32, "t262": 1, "t339": 2}, [-10, 0, 10], [0, 128, 255]),
    ],
)
def test_grey_tiff(tmp_path: Path, kind: str, tags: dict[str, Any], values: list[float], expected: list[int]) -> None:
    content = tiff((3, 1), [np.array(values, kind).tobytes()], **tags)
    assert read(tmp_path / "a.tif", content)[0, :, 0].tolist() == expected


def test_twelve_bits_reach_white(tmp_path: Path) -> None:
    content = tiff((4, 1), [bytes.fromhex("0008000fffff")], t258=12, t262=1)
    assert read(tmp_path / "a.tif", content)[0, :, 0].tolist() == [0, 128, 16, 255]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_of_any_depth(tmp_path: Path, depth: int) -> None:
    values = random(2**depth, 9, 5)
    key = int(values[0, 0])
    expected = np.where(values == key, 255, np.rint(values * (255 / (2**depth - 1))))
    assert np.array_equal(read(tmp_path / "a.png", png(depth, 0, values, (key,)))[..., 1], expected)


def test_a_transparent_colour_of_sixteen_bits(tmp_path: Path) -> None:
    values = np.array([[[0, 257, 65535], [257, 257, 65535]]])
    assert read(tmp_path / "a.png", png(16, 2, values, (0, 257, 65535)))[0].tolist() == [[255] * 3, [1, 1, 255]]


def test_floating_point_of_pfm(tmp_path: Path) -> None:
    assert read(tmp_path / "a.pgm", b"Pf\n3 1\n-1.0\n" + np.array([0, 0.5, 1], "<f4").tobytes())[0, :, 0].tolist() == [
        *(0, 128, 255)
    ]
