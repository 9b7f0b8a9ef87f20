from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from amu_raft.images.doctor.looking import Look, died_of, digest_of, look_at


def save(path: Path, mode: str = "RGB", **options: object) -> str:
    Image.new(mode, (40, 33)).save(path, **options)  # type: ignore[arg-type]
    return str(path)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def test_an_ordinary_image(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg")
    assert look_at(path) == Look(digest=digest_of(path), side=33)
    assert digest_of(save(tmp_path / "b.jpg")) == digest_of(path) != digest_of(save(tmp_path / "c.png"))


def test_unusual_images(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "float.tif")
    for path, kinds in {
        save(tmp_path / "grey.png", "L"): ("grey",),
        save(tmp_path / "cmyk.jpg", "CMYK"): ("CMYK",),
        save(tmp_path / "alpha.png", "RGBA"): ("transparency",),
        save(tmp_path / "palette.png", "P", transparency=0): ("palette", "transparency"),
        save(tmp_path / "bit.png", "1"): ("1 bit",),
        save(tmp_path / "phone.jpg", exif=exif(6)): ("turned by EXIF",),
        save(tmp_path / "upright.jpg", exif=exif(1)): (),
        save(tmp_path / "wrong.jpg", format="PNG"): ("ending of another format",),
        save(tmp_path / "a.jfif", format="JPEG"): (),
        str(tmp_path / "deep.png"): ("16 bits",),
        str(tmp_path / "float.tif"): ("floating point",),
        str(tmp_path / "a.gif"): ("palette", "several frames"),
    }.items():
        assert (look_at(path).problem, look_at(path).kinds) == ("", kinds), path


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "empty file"), (b"hello", "no image, or of a format that is not read"), (None, "No such file or directory")],
)
def test_what_cannot_be_read(content: bytes | None, problem: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    look = look_at(str(tmp_path / "a.jpg"))
    assert look.problem == problem and bool(look.digest) is bool(content)


def test_cut_off_and_deadly(tmp_path: Path) -> None:
    path = Path(save(tmp_path / "a.png"))
    path.write_bytes(path.read_bytes()[:60])
    assert "truncated" in look_at(str(path)).problem.lower()
    assert died_of("a").problem
