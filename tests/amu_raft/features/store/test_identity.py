import os
from importlib.metadata import version
from pathlib import Path

import pytest

from amu_raft.features.store import image_identity, library_versions


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    paths = [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")]
    for path in paths:
        path.write_bytes(path.name.encode() * 100)
        os.utime(path, ns=(10**18, 10**18))
    return list(map(str, paths))


def digests(paths: list[str]) -> tuple[str, str]:
    return image_identity(paths, strict=False)["digest"], image_identity(paths, strict=True)["digest"]


def test_an_identity_says_how_it_was_found(paths: list[str]) -> None:
    loose, strict = image_identity(paths, strict=False), image_identity(paths, strict=True)
    assert (loose["count"], loose["identity"], len(loose["digest"])) == (3, "stat", 64)
    assert (strict["count"], strict["identity"], len(strict["digest"])) == (3, "content", 64)
    assert digests(paths) == (loose["digest"], strict["digest"])
    assert image_identity([], strict=False)["count"] == 0


def test_order_number_and_paths_matter(paths: list[str], tmp_path: Path) -> None:
    first, second, third = paths
    (tmp_path / "copy.jpg").write_bytes(Path(third).read_bytes())
    os.utime(tmp_path / "copy.jpg", ns=(10**18, 10**18))
    others = [[first, third, second], [first, second], [*paths, third], [first, second, str(tmp_path / "copy.jpg")]]
    for kind in (0, 1):
        assert len({digests(item)[kind] for item in [paths, *others]}) == 5


def test_a_touched_file_is_the_same_only_to_the_strict(paths: list[str]) -> None:
    before = digests(paths)
    os.utime(paths[1], ns=(10**18, 10**18 + 1))
    after = digests(paths)
    assert after[0] != before[0] and after[1] == before[1]


def test_changed_content_is_found_by_both(paths: list[str]) -> None:
    before = digests(paths)
    Path(paths[1]).write_bytes(b"?" * 500)
    after = digests(paths)
    assert after[0] != before[0] and after[1] != before[1]


def test_content_of_the_same_size_and_time_is_found_by_the_strict(paths: list[str]) -> None:
    before = digests(paths)
    Path(paths[1]).write_bytes(b"b.jpX" * 100)
    os.utime(paths[1], ns=(10**18, 10**18))
    after = digests(paths)
    assert after[0] == before[0] and after[1] != before[1]


@pytest.mark.parametrize("strict", [False, True])
def test_a_missing_image_is_named(paths: list[str], tmp_path: Path, strict: bool) -> None:
    for path in (tmp_path / "none.jpg", tmp_path / "a.jpg" / "x.jpg", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"no image {path}$"):
            image_identity([*paths, str(path)], strict=strict)


def test_names_need_not_be_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\n.jpg"
    with open(path, "wb") as stream:  # noqa: PTH123 - no Path of these bytes
        stream.write(b"x")
    assert image_identity([os.fsdecode(path)], strict=True)["count"] == 1


def test_versions_are_those_that_are_installed() -> None:
    assert library_versions() == {name: version(name) for name in ("pillow", "torchvision", "torch")}
