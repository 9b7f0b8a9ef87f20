from pathlib import Path

import pytest

from datasets.catalog import read_catalog
from datasets.prepare.job import Job, PreparationError, clear_staging, free_bytes, remove, staging_lock

ENTRY = read_catalog()["Caltech101"]


def test_the_command_can_be_pasted(tmp_path: Path) -> None:
    job = Job(ENTRY, Path("/my data"), Path("/my archives"))
    assert job.command() == "python -m datasets.prepare Caltech101 --root '/my data' --archives '/my archives'"
    assert Job(ENTRY, Path("/d")).command() == "python -m datasets.prepare Caltech101 --root /d"


def test_alternatives_of_the_same_name_are_kept_apart(tmp_path: Path) -> None:
    images = ENTRY.parts[0]
    first, third = (Job(ENTRY, tmp_path).downloaded(images, number) for number in (0, 2))
    assert first.name == third.name == "caltech-101.zip" and first != third


def test_one_run_at_a_time(tmp_path: Path) -> None:
    job = Job(ENTRY, tmp_path)
    with staging_lock(job), pytest.raises(PreparationError, match="another run is preparing it in"), staging_lock(job):
        pass
    with staging_lock(job):
        clear_staging(job)
        with staging_lock(job):  # the folder is another one now
            pass
        clear_staging(job)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("keep", (False, True))
def test_staging_is_cleared(keep: bool, tmp_path: Path) -> None:
    job = Job(ENTRY, tmp_path, keep_archives=keep)
    for path in (job.downloaded(ENTRY.parts[0], 0), job.staging / "unpacked" / "images" / "a"):
        path.parent.mkdir(parents=True)
        path.write_text("x")
    clear_staging(job)
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == (["caltech-101.zip"] if keep else [])
    assert (tmp_path / ".prepare").exists() == keep
    clear_staging(job)


def test_only_the_link_is_removed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    remove(tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_free_space_of_a_root_that_is_not_there_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b") > 0
