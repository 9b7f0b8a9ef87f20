from pathlib import Path

import pytest
from PIL import Image

import amu_raft.images.readable
from amu_raft.images.readable import check_readable


def picture(path: Path) -> Path:
    Image.effect_noise((64, 64), 50).save(path)
    return path


def test_damaged_images_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    sound = [str(picture(tmp_path / f"sound.{kind}")) for kind in ("jpg", "png", "gif", "webp", "bmp")]
    check_readable(sound, tmp_path)
    cut = picture(tmp_path / "cut.jpg")
    cut.write_bytes(cut.read_bytes()[:-300])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    paths = [*sound, str(cut), str(tmp_path / "text.png"), str(tmp_path / "empty.png")]
    with pytest.raises(OSError, match=r'the image ".*cut\.jpg" .* and 2 more; amu-raft doctor .*'):
        check_readable(paths, tmp_path)
    with pytest.raises(OSError, match=r"text\.png.*\); amu-raft"):
        check_readable(paths[6:7], tmp_path)


def test_only_suspects_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound, odd = picture(tmp_path / "sound.jpg"), picture(tmp_path / "odd.jpg")
    with odd.open("ab") as stream:
        stream.write(bytes(3000))  # what some cameras append
    decoded: list[str] = []
    monkeypatch.setattr(amu_raft.images.readable, "read_image", decoded.append)
    check_readable([str(sound), str(odd)], tmp_path)
    assert decoded == [str(odd)]
