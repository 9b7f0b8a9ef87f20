import errno
import os
import shutil
from typing import Any

import pytest

from amu_raft.downloads.part_file import FetchError
from datasets.catalog import read_catalog
from datasets.prepare import obtaining
from datasets.prepare.__main__ import main
from datasets.prepare.job import Job, PreparationError
from datasets.prepare.obtaining import Obtained, candidates, expected, ordered_sources, own_files
from datasets.prepare.placing import unpacked_folder
from tests.datasets.prepare.conftest import Publisher

CATALOG = read_catalog()


def order(name: str, part: str, tmp_path: Any, *mirrors: str) -> list[tuple[int, str]]:
    entry = CATALOG[name]
    found = next(one for one in entry.parts if one.name == part)
    return [(number, source.mirror) for number, source in ordered_sources(Job(entry, tmp_path, None, mirrors), found)]


def test_dead_sources_come_after_other_archives(tmp_path: Any) -> None:
    assert order("Caltech101", "images", tmp_path) == [
        *((0, "official"), (2, "huggingface")),
        *((1, "official"), (1, "official")),  # both reported dead
    ]
    assert [number for number, _ in order("EuroSAT", "images", tmp_path)] == [0, 1, 2, 0]


def test_mirrors_come_first_in_the_order_of_asking(tmp_path: Any) -> None:
    assert order("EuroSAT", "images", tmp_path, "zenodo", "official")[:2] == [(1, "zenodo"), (0, "official")]
    assert order("EuroSAT", "split", tmp_path, "official") == [(0, "official"), (0, "raft")]
    own = order("EuroSAT", "images", tmp_path, "http://h/d", "zenodo")
    assert own[:3] == [(0, "http://h/d"), (1, "http://h/d"), (2, "http://h/d")] and own[3] == (1, "zenodo")


def test_what_needs_an_account_is_asked_of_own_mirrors_only(tmp_path: Any) -> None:
    assert order("ImageNet", "images_train", tmp_path) == []
    assert order("ImageNet", "images_train", tmp_path, "http://h") == [(0, "http://h")]


def test_everything_known_of_a_file_is_expected() -> None:
    split = next(part for part in CATALOG["EuroSAT"].parts if part.name == "split").alternatives[0]
    assert expected(split).size == 3006492
    assert set(expected(split).digests) == {"md5", "sha256", "git_blob_sha1"}


def test_a_file_that_lies_in_its_place_is_no_archive(publisher: Publisher) -> None:
    publisher.publish("EuroSAT")
    job = publisher.job("EuroSAT")
    split = next(part for part in job.entry.parts if part.name == "split")
    job.folder.mkdir()
    for folder in (job.folder, job.root):
        (folder / "split_zhou_EuroSAT.json").write_text("{}")
    assert own_files(job, split, 0) == [job.root / "split_zhou_EuroSAT.json"]


def test_the_last_word_names_every_source(publisher: Publisher) -> None:
    publisher.publish("EuroSAT")
    publisher.server.files.clear()
    job = publisher.job("EuroSAT")
    with pytest.raises(PreparationError) as caught:
        list(candidates(job, job.entry.parts[0]))
    assert all(
        source.url in str(caught.value) for download in job.entry.parts[0].alternatives for source in download.sources
    )
    assert "\n" not in str(caught.value)


def test_space_for_what_has_come_already_is_not_asked_again(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish("ImageNetR")
    job = publisher.job("ImageNetR")
    part = job.entry.parts[0]
    size = part.alternatives[0].size or 0
    monkeypatch.setattr(obtaining, "free_bytes", lambda folder: 2 * size - 10)
    with pytest.raises(PreparationError) as reasons:
        list(candidates(job, part))
    shutil.rmtree(job.staging)
    assert "imagenet-r.tar needs about 0.0 GiB with its files" in str(reasons.value)
    half = job.downloaded(part, 0).with_name("imagenet-r.tar.part")
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(bytes(10))
    assert next(iter(candidates(job, part))).path == job.downloaded(part, 0)


@pytest.mark.parametrize("error", (ValueError("Invalid IPv6 URL"), OverflowError(), OSError("strange")))
def test_a_fault_of_one_source_leads_to_the_next(
    error: Exception, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(error, OverflowError):
        error = FetchError(publisher.root, [("here", "absurd")])
    publisher.publish("OxfordPets")
    job, tried = publisher.job("OxfordPets"), []

    def fetch(origins: Any, path: Any, **_: Any) -> None:
        tried.append(origins[0].url)
        if len(tried) == 1:
            raise error
        path.write_bytes(b"x")

    monkeypatch.setattr(obtaining, "fetch_any", fetch)
    assert next(iter(candidates(job, job.entry.parts[0]))).path.read_bytes() == b"x"
    assert len(tried) == 2


@pytest.mark.parametrize("number", (errno.ENOSPC, errno.EACCES, errno.EROFS))
def test_a_fault_of_the_disk_ends_the_part(number: int, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    publisher.publish("OxfordPets")
    job = publisher.job("OxfordPets")
    monkeypatch.setattr(obtaining, "fetch_any", fetch)
    with pytest.raises(OSError, match=os.strerror(number)):
        list(candidates(job, job.entry.parts[0]))


def test_the_name_that_kaggle_gives_is_recognised(publisher: Publisher) -> None:
    publisher.publish("StanfordCars")
    archives = publisher.give_archives("StanfordCars", "images_train", number=1)
    (archives / "stanford-cars-dataset.zip").rename(archives / "archive.zip")
    job = publisher.job("StanfordCars", archives=archives)
    part = next(part for part in job.entry.parts if part.name == "images_train")
    assert own_files(job, part, 1) == [archives / "archive.zip"]
    assert main(publisher.command("StanfordCars", archives=archives)) == 0


def test_unverified_trees_are_kept_apart(publisher: Publisher) -> None:
    publisher.publish("Caltech101")
    job = publisher.job("Caltech101")
    part = job.entry.parts[0]
    folders = {
        unpacked_folder(job, part, Obtained(job.root, part.alternatives[number], own=True, verified=verified))
        for number in (0, 2)
        for verified in (True, False)
    }
    assert len(folders) == 4 and {folder.name for folder in folders} == {"caltech-101.zip"}
