"""Files as they lie in real folders: every kind of picture, and what is none."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def a_digit() -> Image.Image:
    noise = np.random.RandomState(3).randint(0, 60, (48, 40, 3)).astype(np.uint8)
    noise[6:42, 16:24] = 240
    return Image.fromarray(noise)


def write_twenty_odd_files(folder: Path) -> dict[str, bool]:
    """Write files of twenty kinds; whether each can be read."""
    rgb = a_digit()
    array = np.asarray(rgb)
    turned = Image.Exif()
    turned[0x0112] = 6
    rgb.save(folder / "01_turned.JPG", exif=turned)
    rgb.convert("CMYK").save(folder / "02_cmyk.jpg")
    rgb.convert("L").save(folder / "03_grey.jpeg")
    rgb.convert("1").save(folder / "04_bits.tif")
    rgb.convert("P").save(folder / "05_palette.png", transparency=0)
    rgb.convert("RGBA").save(folder / "06_alpha.webp")
    rgb.convert("LA").save(folder / "07_grey_alpha.png")
    Image.fromarray(array[..., 0].astype(np.uint16) * 257).save(folder / "08_sixteen.png")
    Image.fromarray(array[..., 0].astype(np.float32) / 255).save(folder / "09_float.tiff")
    rgb.save(folder / "10_animated.gif", save_all=True, append_images=[ImageOps.invert(rgb)])
    rgb.save(folder / "11_png_inside.jpg", "PNG")
    rgb.save(folder / "12_zwölf 猫\n.bmp")
    rgb.resize((1, 1)).save(folder / "13_dot.png")
    rgb.resize((900, 3)).save(folder / "14_strip.png")
    rgb.save(folder / "15_cut.jpg")
    cut = (folder / "15_cut.jpg").read_bytes()
    (folder / "15_cut.jpg").write_bytes(cut[: len(cut) // 2])
    (folder / "16_empty.png").write_bytes(b"")
    (folder / "17_text.png").write_text("=HYPERLINK(1)")
    (folder / "18_bomb.bmp").write_bytes(
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 90000, 90000, 1, 24, *(0,) * 6)
    )
    Image.new("1", (1, 60000)).save(folder / "19_narrow.png")
    (folder / "20_gone.png").symlink_to(folder / "nowhere")
    unreadable = {f"{number}" for number in (15, 16, 17, 18, 19, 20)}
    return {path.name: path.name[:2] not in unreadable for path in sorted(folder.iterdir())}
