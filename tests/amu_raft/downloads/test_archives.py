import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amu_raft.downloads import archives
from amu_raft.downloads.archives import unpack
from amu_raft.downloads.members import DamagedArchive, UnsafeArchive
from tests.amu_raft.downloads.faulty_server import some_bytes

FILES = {"top/a.bin": some_bytes(200_000), "top/sub/b.txt": b"b\n", "top/sub/empty": b""}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def tar_info(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def tar_bytes(*entries: tuple[tarfile.TarInfo | str, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for entry, content in entries:
            info = tar_info(entry) if isinstance(entry, str) else entry
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_bytes(*entries: tuple[zipfile.ZipInfo | str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for entry, content in entries:
            file.writestr(entry, content)
    return buffer.getvalue()


def zip_info(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return tar_info(name, kind, linkname=target), b""


def written(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpack_bytes(content: bytes, out: Path, name: str = "archive", **options: Any) -> dict[str, bytes]:
    archive = out.parent / name
    archive.write_bytes(content)
    unpack(archive, out, **options)
    return written(out)


def refusal(content: bytes, out: Path, error: type[Exception], **options: Any) -> str:
    """The line that a refused archive gives; nothing is left beside it."""
    with pytest.raises(error) as caught:
        unpack_bytes(content, out, **options)
    assert [path.name for path in out.parent.iterdir()] == ["archive"]
    line = str(caught.value)
    assert "\n" not in line and str(out.parent / "archive") in line
    return line


TAR = tar_bytes(*FILES.items())
FORMS: dict[str, bytes] = {
    "zip": zip_bytes(*FILES.items()),
    "stored zip": zip_bytes(*FILES.items(), compression=zipfile.ZIP_STORED),
    "pax tar": TAR,
    "gnu tar": tar_bytes(*FILES.items(), format=tarfile.GNU_FORMAT),
    "ustar": tar_bytes(*FILES.items(), format=tarfile.USTAR_FORMAT),
    "gzip": gzip.compress(TAR),
    "bzip2": bz2.compress(TAR),
    "xz": lzma.compress(TAR),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip", "a"])
def test_archives_are_told_apart_by_content(form: str, name: str, out: Path) -> None:
    assert unpack_bytes(FORMS[form], out, name) == FILES
    assert sorted(path.name for path in out.parent.iterdir()) == sorted([name, "out"])


def test_tars_from_before_the_mark_are_known_by_their_sum(out: Path) -> None:
    header = bytearray(tar_bytes(("a", b"abc"), format=tarfile.USTAR_FORMAT))
    header[257:512] = bytes(255)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    assert unpack_bytes(bytes(header), out) == {"a": b"abc"}


def test_an_empty_folder_may_be_there_and_a_full_one_stays(out: Path) -> None:
    out.mkdir()
    assert unpack_bytes(TAR, out) == FILES
    with pytest.raises(FileExistsError, match="out exists and is not empty"):
        unpack_bytes(FORMS["zip"], out)
    assert written(out) == FILES


def test_a_missing_archive_is_named(out: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no archive .*missing"):
        unpack(out.parent / "missing", out)


@pytest.mark.parametrize("content", [b"", b"<html>not here</html>", b"x" * 1000, b"\0" * 1024])
def test_what_is_no_archive_is_named_by_its_beginning(content: bytes, out: Path) -> None:
    assert "is no zip or tar archive (it begins with" in refusal(content, out, DamagedArchive)


def test_a_compressed_file_that_is_no_tar(out: Path) -> None:
    assert "cannot be read as a tar" in refusal(gzip.compress(b"plain text" * 200), out, DamagedArchive)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../a", "leads out of the folder"),
        ("top/../../a", "leads out of the folder"),
        ("top/../a", "leads out of the folder"),
        ("/tmp/a", "not relative"),
        ("C:/a", "not relative"),
        ("..\\a", "not relative"),
        ("n" * 300, "is too long"),
        ("/".join(["n" * 100] * 30), "is too long"),
    ],
)
@pytest.mark.parametrize("pack", [zip_bytes, tar_bytes])
def test_names_that_lead_elsewhere(name: str, reason: str, pack: Callable[..., bytes], out: Path) -> None:
    assert reason in refusal(pack(("fine", b"1"), (name, b"2")), out, UnsafeArchive)


def test_names_in_no_known_encoding(out: Path) -> None:
    content = tar_bytes(("a\udce9", b"1"), format=tarfile.GNU_FORMAT)
    assert r"'a\udce9' is in no known encoding" in refusal(content, out, UnsafeArchive)


def test_links_inside_become_copies(out: Path) -> None:
    content = tar_bytes(
        link("first", "second"),
        link("second", "./d/../d/a"),
        link("folder", "d"),
        ("d/a", b"text"),
        link("d/hard", "d/a", tarfile.LNKTYPE),
        link("d/up", "../second"),
    )
    expected = dict.fromkeys(
        ["first", "second", "d/a", "d/hard", "d/up", "folder/a", "folder/hard", "folder/up"], b"text"
    )
    assert unpack_bytes(content, out) == expected
    assert not any(path.is_symlink() or path.stat().st_nlink > 1 for path in out.rglob("*") if path.is_file())


def test_links_of_a_zip_become_copies(out: Path) -> None:
    content = zip_bytes(("d/a", b"text"), (zip_info("d/b", stat.S_IFLNK | 0o777), b"a"))
    assert unpack_bytes(content, out) == {"d/a": b"text", "d/b": b"text"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "..", "a\\b"])
def test_links_that_lead_out(target: str, out: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        refusal(tar_bytes(link("top", target, kind)), out, UnsafeArchive)
    refusal(zip_bytes((zip_info("top", stat.S_IFLNK | 0o777), target.encode())), out, UnsafeArchive)


def test_nothing_is_written_through_a_link(out: Path) -> None:
    content = tar_bytes(("d/a", b"1"), link("way", "d"), ("way/b", b"2"))
    assert "'way/b' would lie in 'way', which is no folder" in refusal(content, out, DamagedArchive)
    outside = out.parent.parent / "outside"
    refusal(tar_bytes(link("way", str(outside)), ("way/b", b"2")), out, UnsafeArchive)
    assert not outside.exists()


@pytest.mark.parametrize("target", ["missing", "way", ".", "other"])
def test_links_to_nowhere(target: str, out: Path) -> None:
    content = tar_bytes(("a", b"1"), link("way", target), link("other", "way"))
    assert "leads nowhere or to itself" in refusal(content, out, DamagedArchive)


def test_a_zip_may_mark_a_folder_by_its_mode_alone(out: Path) -> None:
    assert unpack_bytes(zip_bytes((zip_info("d", stat.S_IFDIR | 0o755), b""), ("d/a", b"1")), out) == {"d/a": b"1"}
    assert (out / "d").is_dir()


def test_a_link_of_a_zip_with_an_endless_target(out: Path) -> None:
    content = zip_bytes((zip_info("a", stat.S_IFLNK | 0o777), b"x" * 5000))
    assert "has a target of 5000 bytes" in refusal(content, out, UnsafeArchive)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_devices_and_pipes_of_a_tar(kind: bytes, out: Path) -> None:
    line = refusal(tar_bytes((tar_info("null", kind, devmajor=1, devminor=3), b"")), out, UnsafeArchive)
    assert "'null' is a device, a pipe" in line


@pytest.mark.parametrize("mode", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_devices_and_pipes_of_a_zip(mode: int, out: Path) -> None:
    assert "'a' is a device, a pipe" in refusal(zip_bytes((zip_info("a", mode | 0o666), b"")), out, UnsafeArchive)


def test_modes_are_plain(out: Path) -> None:
    unpack_bytes(tar_bytes((tar_info("a", mode=0o6777), b"1"), (tar_info("d", tarfile.DIRTYPE, mode=0), b"")), out)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((out / "a").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE((out / "d").stat().st_mode) == 0o777 & ~mask


@pytest.mark.parametrize("pack", [zip_bytes, tar_bytes])
def test_clutter_of_macos_is_left_out(pack: Callable[..., bytes], out: Path) -> None:
    names = ["a", "__MACOSX/a", "d/._a", "d/.DS_Store", "d/b", "d/__MACOSX/c"]
    assert sorted(unpack_bytes(pack(*((name, b"1") for name in names)), out)) == ["a", "d/b"]


@pytest.mark.parametrize("pack", [zip_bytes, tar_bytes])
@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("a", "a/b"), "'a/b' would lie in 'a', which is no folder"),
        (("a/b", "a"), "it holds 'a' twice, as a folder and as a file"),
    ],
)
def test_names_that_contradict_each_other(
    pack: Callable[..., bytes], names: tuple[str, ...], reason: str, out: Path
) -> None:
    assert reason in refusal(pack(*((name, b"1") for name in names)), out, DamagedArchive)


def test_folders_may_come_twice_and_late(out: Path) -> None:
    folder = tar_info("d", tarfile.DIRTYPE)
    content = tar_bytes((tar_info(".", tarfile.DIRTYPE), b""), ("d/a", b"1"), (folder, b""), (folder, b""))
    assert unpack_bytes(content, out) == {"d/a": b"1"}


def test_links_count_among_the_names(out: Path) -> None:
    folder = (tar_info("b", tarfile.DIRTYPE), b"")
    for pair in ((link("b", "a"), folder), (folder, link("b", "a"))):
        assert "it holds 'b' twice, as a " in refusal(tar_bytes(("a", b"1"), *pair), out, DamagedArchive)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("pack", [zip_bytes, tar_bytes])
@pytest.mark.parametrize("names", [("d/a", "d/a"), ("d/a", "./d//a")])
def test_of_a_file_that_comes_twice_the_last_counts(
    pack: Callable[..., bytes], names: tuple[str, str], out: Path
) -> None:
    content = pack((names[0], b"a long first one"), ("d/b", b"other"), (names[1], b"last"))
    assert unpack_bytes(content, out) == {"d/a": b"last", "d/b": b"other"}


def test_what_tar_itself_appended(tmp_path: Path, out: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("needs the program tar")
    for mode, text in (("-cf", "first"), ("-rf", "second"), ("-rf", "second")):
        (tmp_path / "a").write_text(text)
        subprocess.run(["tar", mode, "appended.tar", "a"], cwd=tmp_path, check=True, capture_output=True)
    assert unpack_bytes((tmp_path / "appended.tar").read_bytes(), out) == {"a": b"second"}


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ((link("b", "a"), link("b", "c")), b"2"),
        ((link("b", "a"), ("b", b"3")), b"3"),
        ((("b", b"3"), link("b", "a")), b"1"),
    ],
)
def test_links_and_files_of_one_name(pair: Any, expected: bytes, out: Path) -> None:
    content = tar_bytes(("a", b"1"), ("c", b"2"), *pair)
    assert unpack_bytes(content, out) == {"a": b"1", "b": expected, "c": b"2"}


def test_repeated_members_count_against_the_limit(out: Path) -> None:
    refusal(tar_bytes(*(("a", b"1") for _ in range(4))), out, UnsafeArchive, max_members=3)


# Bombs


def test_a_zip_that_really_unpacks_to_a_thousand_times_its_size(out: Path) -> None:
    content = zip_bytes(("zeros", bytes(70 << 20)))
    assert "unpacks to far more than its own size" in refusal(content, out, UnsafeArchive)
    assert len(unpack_bytes(content, out, limit_ratio=2000)["zeros"]) == 70 << 20


def test_a_zip_that_only_declares_much(out: Path) -> None:
    content = bytearray(zip_bytes(("a", b"1" * 100)))
    start = content.index(b"PK\x01\x02")
    content[start + 24 : start + 28] = (4 << 30).__sub__(2).to_bytes(4, "little")
    assert "unpacks to far more than its own size" in refusal(bytes(content), out, UnsafeArchive)


def test_a_zip_that_declares_too_little(out: Path) -> None:
    content = bytearray(zip_bytes(("a", b"1" * 100)))
    start = content.index(b"PK\x01\x02")
    content[start + 24 : start + 28] = (50).to_bytes(4, "little")
    assert "cannot be read as a zip" in refusal(bytes(content), out, DamagedArchive)


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_a_tar_that_only_declares_much(wrap: Callable[[bytes], bytes], out: Path) -> None:
    info = tar_info("a", size=10 << 30)
    content = info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    assert "unpacks to far more than its own size" in refusal(wrap(content), out, UnsafeArchive)


def test_a_sparse_tar_that_declares_much(out: Path) -> None:
    info = tar_info("a", tarfile.GNUTYPE_SPARSE, size=512)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"00000000000\0", b"00000001000\0"  # one block of data at the beginning
    header[483:495] = b"%011o\0" % ((10 << 30) - 1 & 0o77777777777)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content = bytes(header) + bytes(512) + bytes(1024)
    assert "unpacks to far more than its own size" in refusal(content, out, UnsafeArchive)


def test_a_compressed_tar_of_nothing_but_zeros_after_its_end(out: Path) -> None:
    content = tar_bytes(("a", b"1")) + bytes(200 << 20)
    assert "it unpacks to more than" in refusal(gzip.compress(content, 1), out, UnsafeArchive)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_name_of_gigabytes(kind: bytes, out: Path) -> None:
    content = tar_info("a", kind, size=10 << 30).tobuf(tarfile.GNU_FORMAT) + bytes(4096)
    assert "a header asks for" in refusal(content, out, UnsafeArchive)


def test_a_size_below_nothing(out: Path) -> None:
    header = bytearray(tar_info("a").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 11 + b"\x00"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert "'a' declares -256 bytes" in refusal(bytes(header) + bytes(1024), out, DamagedArchive)


def test_too_many_members(out: Path) -> None:
    content = tar_bytes(*((str(index), b"") for index in range(11)))
    assert "holds too many members (the first too many is '10')" in refusal(content, out, UnsafeArchive, max_members=10)


def test_links_count_as_what_they_become(out: Path) -> None:
    links = [link(f"l{index}", "a") for index in range(70)]
    assert "unpacks to far more" in refusal(
        gzip.compress(tar_bytes(("a", some_bytes(1 << 20)), *links), 1), out, UnsafeArchive, limit_ratio=1
    )
    doubling = [("0/a", b"")]
    doubling += [link(f"{n}/{side}", f"../{n - 1}") for n in range(1, 30) for side in "lr"]  # type: ignore[misc]
    refusal(tar_bytes(*doubling), out, UnsafeArchive, max_members=1000)


def test_a_full_disk_is_noticed_before(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("amu_raft.downloads.part_file.shutil.disk_usage", lambda folder: usage)
    for form in ("zip", "gnu tar"):
        assert "are free" in refusal(FORMS[form], out, OSError)


def test_a_disk_that_fills_up_leaves_nothing(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device", "a")

    monkeypatch.setattr("amu_raft.downloads.unpacking.Unpacker._write_file", full)
    with pytest.raises(OSError, match="out cannot be written or read: No space left on device"):
        unpack_bytes(TAR, out)
    assert [path.name for path in out.parent.iterdir()] == ["archive"]


# Damage


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.9])
def test_cut_archives(form: str, share: float, out: Path) -> None:
    content = FORMS[form]
    refusal(content[: int(len(content) * share)], out, DamagedArchive)


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz", "zip"])
def test_archives_without_their_last_bytes(form: str, out: Path) -> None:
    refusal(FORMS[form][:-4], out, DamagedArchive)


def test_a_tar_cut_between_two_members(out: Path) -> None:
    content = tar_bytes(("a", b"1" * 512), ("b", b"2" * 512), format=tarfile.USTAR_FORMAT)
    for end in (1024, 2048, 2048 + 100):
        assert "no end-of-archive mark" in refusal(content[:end], out, DamagedArchive)
    assert unpack_bytes(content[: 2048 + 1024], out) == {"a": b"1" * 512, "b": b"2" * 512}


def test_a_garbled_header_in_the_middle(out: Path) -> None:
    content = bytearray(tar_bytes(("a", b"1" * 512), ("b", b"2" * 512), format=tarfile.USTAR_FORMAT))
    content[1024] ^= 1
    assert "no end-of-archive mark" in refusal(bytes(content), out, DamagedArchive)


@pytest.mark.parametrize("form", ["zip", "stored zip", "gzip", "bzip2", "xz"])
def test_a_flipped_bit(form: str, out: Path) -> None:
    content = bytearray(FORMS[form])
    content[len(content) // 2] ^= 1
    refusal(bytes(content), out, DamagedArchive)


def test_encrypted_members(out: Path) -> None:
    content = bytearray(zip_bytes(("a", b"1")))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    assert "'a' is encrypted" in refusal(bytes(content), out, DamagedArchive)


def test_an_unknown_compression(out: Path) -> None:
    content = bytearray(zip_bytes(("a", b"1")))
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(mark) + offset] = 97
    assert "compression" in refusal(bytes(content), out, DamagedArchive)


def test_what_a_killed_process_left_is_removed(out: Path) -> None:
    (out.parent / ".out.partial" / "old").mkdir(parents=True)
    assert unpack_bytes(TAR, out) == FILES
    assert sorted(path.name for path in out.parent.iterdir()) == ["archive", "out"]


def test_archives_inside_stay_as_they_are(out: Path) -> None:
    assert unpack_bytes(tar_bytes(("a.tar", TAR)), out) == {"a.tar": TAR}


def test_the_default_limits_allow_what_data_sets_are() -> None:
    assert archives.MAX_MEMBERS > 200_000 and archives.LEAST_LIMIT == 64 << 20
