import hashlib
from pathlib import Path

from datasets.catalog import Download
from datasets.doctor.published import is_published


def test_the_published_file_is_told_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text("{}")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    assert is_published(path, Download("p.json", "sentences", md5=md5))
    assert not is_published(path, Download("p.json", "sentences", md5="0" * 32))
    assert not is_published(path, Download("p.json", "sentences"))
    assert not is_published(tmp_path / "none.json", Download("p.json", "sentences", md5=md5))
