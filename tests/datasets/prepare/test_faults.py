"""What goes wrong on the way ends in a whole data set, or in one clear line and a whole set once it is mended.

The table of faults runs on one data set by default, with the marker ``datasets`` on the others without an account.
"""

import copy
import errno
import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gdown
import pytest
from gdown.exceptions import FileURLRetrievalError

from datasets.doctor import inspect
from datasets.prepare import arrangement, obtaining, preparation
from datasets.prepare.__main__ import main
from datasets.prepare.tidying import tidy
from tests.amu_raft.downloads.faulty_server import Served
from tests.datasets.miniatures.archives import PUBLISHERS, adapt, pack_tar, pack_zip, published
from tests.datasets.miniatures.common import write_jpeg
from tests.datasets.prepare.conftest import Publisher
from tests.datasets.prepare.fault_table import OUTCOMES

Break = Callable[[Publisher, str, pytest.MonkeyPatch], None]
SOME = ("Caltech101",)
OTHERS = tuple(name for name in PUBLISHERS if name not in (*SOME, "ImageNet", "StanfordCars"))


class Fault(NamedTuple):
    """What goes wrong, and the line it ends in; without one the data set becomes whole all the same."""

    name: str
    happens: Break
    line: str = ""


def only_source(publisher: Publisher, name: str, part: str = "images") -> Served:
    """Leave one source of a part and return what the server has there."""
    entry_part = next(one for one in publisher.entries[name]["parts"] if one["name"] == part)
    del entry_part["alternatives"][1:]
    download = entry_part["alternatives"][0]
    live = [source for source in download["sources"] if "dead" not in source]
    download["sources"] = live[:1]
    publisher.write()
    path = live[0]["url"].removeprefix(publisher.server.url(""))
    served: Served = publisher.server.files[path]
    return served


def size_of(name: str) -> int:
    return len(published(name)[0]["images", 0])


def served_with(**settings: Any) -> Break:
    """The only source behaves as the settings say; callables are given the size of the archive."""

    def happens(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        served = only_source(publisher, name)
        for key, value in settings.items():
            setattr(served, key, value(size_of(name)) if callable(value) else copy.copy(value))

    return happens


def redirected(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served = only_source(publisher, name)
    served.redirect_to = publisher.server.add("/elsewhere", served.content)


def first_mirror(**settings: Any) -> Break:
    """The first of two sources is broken."""

    def happens(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        content = only_source(publisher, name).content
        broken = publisher.server.add("/first", Served(content, **copy.deepcopy(settings)))
        download = publisher.download(name, "images")
        download["sources"].insert(0, {"url": broken, "mirror": "first"})
        publisher.write()

    return happens


def wrong_bytes(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only_source(publisher, name).content = bytes(size_of(name))


def wrong_bytes_first(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first_mirror()(publisher, name, monkeypatch)
    publisher.server.files["/first"].content = bytes(size_of(name))


def truncated(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served = only_source(publisher, name)
    served.content = served.content[: size_of(name) // 2]


def published_as(make: Callable[[str], bytes]) -> Break:
    """The archive itself is bad, and its checksums are those of the bad one."""

    def happens(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        served = only_source(publisher, name)
        served.content = make(name)
        adapt(publisher.download(name, "images"), served.content, published(name)[1]["images"])
        publisher.write()

    return happens


def climbing(name: str) -> bytes:
    return pack_tar({"../../climbed.jpg": b"image"})


def linked(name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        link = tarfile.TarInfo("images")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    return stream.getvalue()


def bomb(name: str) -> bytes:
    """Return a header that promises 10 GB and nothing after it."""
    member = tarfile.TarInfo("images/bomb.jpg")
    member.size = 10 * 10**9
    return member.tobuf() + bytes(1024)


def foreign(name: str) -> bytes:
    return pack_tar({"holiday/beach.jpg": b"image"})


def page(name: str) -> bytes:
    return b"<!doctype html><title>Sign in</title>"


def drive_quota(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only_source(publisher, name)
    publisher.download(name, "images")["sources"] = [{"drive_id": "1abc", "mirror": "official"}]
    publisher.write()

    def refuse(**_: Any) -> None:
        raise FileURLRetrievalError("Too many users have viewed or downloaded this file recently.")

    monkeypatch.setattr(gdown, "download", refuse)


def disk_full_at_unpacking(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(arrangement, "unpack", fill)


def disk_too_small(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only_source(publisher, name)
    publisher.download(name, "images")["size"] = size_of(name)  # those without a known size are not foreseen
    publisher.write()
    monkeypatch.setattr(obtaining, "free_bytes", lambda folder: 1000)


def list_missing(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small file that the images depend on cannot be had."""
    part = "split" if "split" in {one["name"] for one in publisher.entries[name]["parts"]} else "prompts"
    for path, served in publisher.server.files.items():
        if f"/{part}/" in path:
            served.always = 404


def half_made(publisher: Publisher, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's folder has a part of the images, some cut short, and a file of the user's own."""
    main(publisher.command(name))
    images = sorted(path for path in publisher.root.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    for number, path in enumerate(images):
        if number % 3 == 0:
            path.unlink()
        elif number % 3 == 1:
            path.write_bytes(path.read_bytes()[: number % 2 * 100])
    (publisher.root / publisher.entry(name).directory / "mine.txt").write_text("keep")


FAULTS = (
    Fault("connection dropped", served_with(drop_after=lambda size: [size // 3, size // 4])),
    Fault("dropped, Range ignored", served_with(drop_after=lambda size: [size // 2], ranges=False)),
    Fault("Range answered elsewhere", served_with(drop_after=lambda size: [size // 2], wrong_range=1)),
    Fault("stalled once", served_with(stall_after=lambda size: [size // 2])),
    Fault("503 twice", served_with(statuses=[503, 503])),
    Fault("redirected", redirected),
    Fault("first mirror 404", first_mirror(always=404)),
    Fault("first mirror stalls", first_mirror(stall_after=[10] * 9)),
    Fault("first mirror has wrong bytes", wrong_bytes_first),
    Fault("half-made user folder", half_made),
    Fault("always dropped", served_with(drop_after=[5] * 99, ranges=False), "could not be fetched"),
    Fault("always stalled", served_with(stall_after=[5] * 99, ranges=False), "could not be fetched"),
    Fault("403", served_with(always=403), "403"),
    Fault("404", served_with(always=404), "404"),
    Fault("503", served_with(always=503), "503"),
    Fault("wrong bytes", wrong_bytes, "expected|is damaged"),
    Fault("truncated", truncated, "expected|ends early|damaged"),
    Fault("../ member", published_as(climbing), "is refused"),
    Fault("absolute symlink", published_as(linked), "is refused"),
    Fault("10 GB bomb header", published_as(bomb), "is refused|is damaged"),
    Fault("other content", published_as(foreign), "holds no folder|is missing"),
    Fault("a web page", published_as(page), "no zip or tar"),
    Fault("Drive quota", drive_quota, "quota"),
    Fault("disk full", disk_full_at_unpacking, "[Nn]o space left"),
    Fault("disk too small", disk_too_small, "GiB are free"),
    Fault("small file missing", list_missing, "404"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
@pytest.mark.parametrize("name", [*SOME, *(pytest.param(name, marks=pytest.mark.datasets) for name in OTHERS)])
def test_faults(
    name: str, fault: Fault, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    publisher.publish(name)
    with monkeypatch.context() as broken:
        fault.happens(publisher, name, broken)
        capsys.readouterr()
        status = main(publisher.command(name))
        last = capsys.readouterr().out.splitlines()[-1]
        if not fault.line:
            assert (status, last) == (0, f"{name}: whole")
        else:
            assert status == 1 and last.startswith(f"{name}: not whole: ") and re.search(fault.line, last), last
            images_alone = "prompts: " in last and "images" not in last
            state = inspect(publisher.entry(name), publisher.root).state
            assert state == "whole" if images_alone else state != "whole"
            assert not list(tmp_path.rglob("climbed.jpg"))
    if fault.line:
        publisher.publish(name)  # mended
        assert main(publisher.command(name)) == 0
    assert inspect(publisher.entry(name), publisher.root, deep=True).state == "whole"
    assert not (publisher.root / ".prepare").exists()
    mine = publisher.root / publisher.entry(name).directory / "mine.txt"
    assert mine.is_file() == (fault.name == "half-made user folder")
    OUTCOMES.append((fault.name, "one line, then whole" if fault.line else "whole"))


def test_what_was_cut_short_is_set_aside_not_lost(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("EuroSAT")
    assert main(publisher.command("EuroSAT")) == 0
    image = publisher.root / "eurosat" / "2750" / "River" / "River_1.jpg"
    whole = image.read_bytes()
    image.write_bytes(b"half")
    (publisher.root / "eurosat" / "2750" / "River" / "River_2.jpg").unlink()
    assert main(publisher.command("EuroSAT")) == 0
    assert image.read_bytes() == whole
    assert (publisher.root / "eurosat" / "set_aside" / "2750" / "River" / "River_1.jpg").read_bytes() == b"half"
    assert "1 files that differ from those in EuroSAT.zip were set aside" in capsys.readouterr().out


def test_an_archive_without_checksum_replaces_nothing_of_the_user(publisher: Publisher) -> None:
    publisher.publish("UCF101")
    assert main(publisher.command("UCF101")) == 0
    images = sorted((publisher.root / "ucf101" / "UCF-101-midframes").rglob("*.jpg"))
    theirs = write_jpeg(images[0], 7, 7, (48, 48)).read_bytes()
    images[1].unlink()
    images[2].write_bytes(cut := images[2].read_bytes()[:100])
    assert main(publisher.command("UCF101")) == 0
    assert images[0].read_bytes() == theirs and images[1].is_file()
    assert images[2].read_bytes() != cut
    assert [path.read_bytes() for path in (publisher.root / "ucf101" / "set_aside").rglob("*.jpg")] == [cut]


def test_one_that_fails_does_not_stop_the_others(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("OxfordPets", "OxfordFlowers")
    only_source(publisher, "OxfordPets").always = 404
    assert main(publisher.command("OxfordPets", "OxfordFlowers")) == 1
    pets, flowers = capsys.readouterr().out.splitlines()[-2:]
    assert pets.startswith("OxfordPets: not whole: ") and flowers == "OxfordFlowers: whole"


def test_missing_sentences_are_named_and_the_images_are_whole(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("DescribableTextures")
    for source in range(2):
        publisher.served("DescribableTextures", "prompts", source=source).always = 404
    assert main(publisher.command("DescribableTextures")) == 1
    assert re.search("not whole: prompts: .*dtd_prompt.json.*404", capsys.readouterr().out.splitlines()[-1])
    assert inspect(publisher.entry("DescribableTextures"), publisher.root).state == "whole"


def test_a_read_only_root_is_one_line(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    publisher.publish("EuroSAT")

    def refuse(self: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    shutil.rmtree(publisher.root)
    publisher.root.mkdir()
    monkeypatch.setattr(Path, "mkdir", lambda self, *a, **k: refuse(self) if ".prepare" in str(self) else None)
    assert main(publisher.command("EuroSAT")) == 1
    assert "EuroSAT: not whole: [Errno 13] Permission denied" in capsys.readouterr().out.splitlines()[-1]


def test_an_archive_that_lacks_images_is_named(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("UCF101")
    image = write_jpeg(publisher.folder / "1.jpg", 1, 1).read_bytes()
    half = pack_zip({"UCF-101-midframes/Yo_Yo/v_YoYo_g01_c01.jpg": image})
    publisher.served("UCF101", "images").content = half
    assert main(publisher.command("UCF101")) == 1
    assert re.search(
        "images: with UCF-101-midframes.zip in place, 53 of 54 images are missing",
        capsys.readouterr().out.splitlines()[-1],
    )
    assert main([*publisher.command("UCF101"), "--verify-only"]) == 1


def test_missing_sentences_are_named_by_verifying(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("EuroSAT")
    assert main(publisher.command("EuroSAT")) == 0
    (publisher.root / "eurosat" / "eurosat_prompt.json").unlink()
    assert main([*publisher.command("EuroSAT"), "--verify-only"]) == 0
    assert capsys.readouterr().out.endswith("  note: prompt file absent\nEuroSAT: whole\n")
    publisher.server.files.clear()
    assert main(publisher.command("EuroSAT")) == 1
    assert "prompts: " in capsys.readouterr().out.splitlines()[-1]


def test_a_corrupt_image_of_the_right_size_is_replaced_where_the_archive_is_checked(publisher: Publisher) -> None:
    publisher.publish("EuroSAT")
    assert main(publisher.command("EuroSAT")) == 0
    first, second, third = sorted(publisher.root.rglob("*.jpg"))[:3]
    whole, short = first.read_bytes(), third.read_bytes()
    first.write_bytes(bytes(len(whole)))
    second.unlink()
    third.write_bytes(short[:20])
    assert main(publisher.command("EuroSAT")) == 0
    assert first.read_bytes() == whole and third.read_bytes() == short
    aside = publisher.root / "eurosat" / "set_aside" / first.relative_to(publisher.root / "eurosat")
    assert aside.read_bytes() == bytes(len(whole))
    assert inspect(publisher.entry("EuroSAT"), publisher.root, deep=True).state == "whole"


@pytest.mark.parametrize("file", ("split_zhou_EuroSAT.json", "eurosat_prompt.json"))
def test_lists_in_lists_are_replaced(file: str, publisher: Publisher) -> None:
    publisher.publish("EuroSAT")
    assert main(publisher.command("EuroSAT")) == 0
    (publisher.root / "eurosat" / file).write_text("[" * 200_000)
    assert main(publisher.command("EuroSAT")) == 0
    assert (publisher.root / "eurosat" / "set_aside" / file).stat().st_size == 200_000


@pytest.mark.parametrize("error", (RuntimeError("unforeseen\nthings"), OSError("no errno"), ValueError("bad")))
def test_whatever_befalls_one_set_the_next_is_prepared(
    error: Exception, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fail(job: Any) -> Any:
        if job.entry.name == "EuroSAT":
            raise error
        return tidy(job)

    publisher.publish("EuroSAT", "OxfordPets")
    monkeypatch.setattr(preparation, "tidy", fail)
    assert main(publisher.command("EuroSAT", "OxfordPets")) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("EuroSAT: not whole: ") and str(error).split()[-1] in lines[-2]
    assert lines[-1] == "OxfordPets: whole"


def test_sentences_that_lack_a_class_are_replaced(publisher: Publisher) -> None:
    publisher.publish("EuroSAT")
    assert main(publisher.command("EuroSAT")) == 0
    path = publisher.root / "eurosat" / "eurosat_prompt.json"
    published_ones, content = path.read_bytes(), json.loads(path.read_text())
    content.pop(next(iter(content)))
    path.write_text(json.dumps(content))
    assert inspect(publisher.entry("EuroSAT"), publisher.root).next_step.startswith(
        "python -m datasets.prepare EuroSAT"
    )
    assert main(publisher.command("EuroSAT")) == 0
    assert path.read_bytes() == published_ones
    assert json.loads((path.parent / "set_aside" / path.name).read_text()) == content
    path.unlink()
    finding = inspect(publisher.entry("EuroSAT"), publisher.root)
    assert (finding.state, finding.prompts) == ("whole", "absent") and "datasets.prepare" in finding.next_step


def test_published_sentences_that_lack_a_class_are_taken_and_told_once(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("EuroSAT")
    served = publisher.served("EuroSAT", "prompts")
    content = json.loads(served.content)
    lacking = next(iter(content))
    content.pop(lacking)
    served.content = json.dumps(content).encode()
    adapt(publisher.download("EuroSAT", "prompts"), served.content, {})
    publisher.write()
    (publisher.root / "eurosat").mkdir()
    (publisher.root / "eurosat" / "eurosat_prompt.json").write_text("{")
    assert main(publisher.command("EuroSAT")) == 0
    assert capsys.readouterr().out.count("the published eurosat_prompt.json lacks it too") == 1
    finding = inspect(publisher.entry("EuroSAT"), publisher.root)
    assert finding.next_step == "" and finding.notes[-1].endswith("; it is the published file")
    asked = len(publisher.server.requests)
    assert main(publisher.command("EuroSAT")) == 0
    assert len(publisher.server.requests) == asked


def test_whatever_befalls_one_set_the_next_is_verified(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fail(*_: Any) -> Any:
        raise RecursionError("too deep")

    publisher.publish("EuroSAT", "OxfordPets")
    monkeypatch.setattr(preparation, "inspect", fail)
    assert main([*publisher.command("EuroSAT", "OxfordPets"), "--verify-only"]) == 1
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines == [f"{name}: not whole: RecursionError: too deep" for name in ("EuroSAT", "OxfordPets")]
