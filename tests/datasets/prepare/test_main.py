import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from datasets.doctor import inspect
from datasets.prepare import obtaining
from datasets.prepare.__main__ import main
from tests.datasets.miniatures.archives import published
from tests.datasets.miniatures.common import build_miniature
from tests.datasets.prepare.conftest import Publisher


def refused(arguments: list[str], capsys: Any) -> str:
    """The one line that a wrong command line ends in."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error: str = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("arguments", "line"),
    (
        (["eurosta", "--root", "ROOT"], "unknown data set 'eurosta'; nearest: EuroSAT"),
        (["dtd", "--root", "ROOT/a/b"], "ROOT/a does not exist"),
        (["dtd", "--root", "ROOT/file"], "ROOT/file is a file, no folder"),
        (["dtd", "--root", "ROOT", "--mirror", "raff"], "unknown mirror 'raff'; known: cafo, cupl"),
        (["dtd", "--root", "ROOT", "--mirror", "ftp://host"], "ftp://host is no http or https address"),
        (["dtd", "--root", "ROOT", "--archives", "ROOT/none"], "ROOT/none is no folder"),
        (["dtd", "--root", "ROOT", "--catalog", "ROOT/none.yaml"], "no catalog ROOT/none.yaml"),
        (["dtd", "--root", "ROOT", "--catalog", "ROOT/file"], "needs a list 'datasets'"),
    ),
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], line: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("text")
    given = [argument.replace("ROOT", str(tmp_path)) for argument in arguments]
    assert line.replace("ROOT", str(tmp_path)) in refused(given, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_catalog_of_unknown_sets_is_refused(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("EuroSAT")
    publisher.entries["EuroSAT"]["name"] = "EuroSat"
    publisher.write()
    assert "the catalog lists 'EuroSat', which is no data set" in refused(publisher.command("eurosat"), capsys)


def test_stopping_it_is_one_line(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    publisher.publish("EuroSAT")

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(obtaining, "fetch_any", stop)
    with pytest.raises(SystemExit) as ended:
        main(publisher.command("EuroSAT"))
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip().endswith("stopped; the same command goes on from here")


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "datasets.prepare", "all", "--root", str(tmp_path), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SUN397.tar.gz: images; 39077296924 bytes, md5 8ca2778205c41d23104230ba66911c7a" in done.stdout
    assert "reported dead: 404: pytorch/vision#9348" in done.stdout
    assert done.stdout.count(": missing\n") == 15
    assert not list(tmp_path.iterdir())


def test_a_dry_run_tells_everything_and_fetches_nothing(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("Caltech101", "ImageNet")
    archives = publisher.give_archives("ImageNet", "images_val")
    build_miniature("Caltech101", publisher.root)
    shutil.rmtree(publisher.root / "caltech-101" / "101_ObjectCategories" / "yin_yang")
    assert main([*publisher.command("Caltech101", "ImageNet", archives=archives), "--dry-run"]) == 0
    assert publisher.server.requests == [] and not (publisher.root / ".prepare").exists()
    lines = capsys.readouterr().out.splitlines()
    text = "\n".join(lines)
    assert "9 of 63 images are missing, such as " in text and "split_zhou" not in text
    size = len(published("Caltech101")[0]["images", 0])
    assert f"    caltech-101.zip: images, in an archive inside the archive; {size} bytes, md5 " in text
    order = [line.strip() for line in lines if line.strip().startswith(("1. ", "2. ", "3. "))][:3]
    assert [line.rpartition("/")[2].split(" ")[0] for line in order if "dead" not in line] == ["caltech-101.zip"] * 2
    assert any(line.startswith("3. ") and "reported dead" in line for line in order)
    assert f"already there: {archives / 'ILSVRC2012_img_val.tar'}" in text
    assert "by hand from https://image-net.org/download-images.php, an account is needed" in text
    assert "GiB needed at least while it runs" in text and "GiB free" in text


def test_a_root_is_made_if_its_parent_is_there(publisher: Publisher) -> None:
    publisher.publish("EuroSAT")
    publisher.root = publisher.folder / "new"
    assert main([*publisher.command("EuroSAT"), "--dry-run"]) == 0
    assert not publisher.root.exists()
    assert main(publisher.command("EuroSAT")) == 0
    assert publisher.root.is_dir()


# ------------------------------------------------------------------------------------------------------- verify only


def test_verifying_changes_nothing(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("EuroSAT", "DescribableTextures")
    assert main([*publisher.command("EuroSAT"), "--verify-only"]) == 1
    folder = build_miniature("EuroSAT", publisher.root)
    assert main([*publisher.command("EuroSAT"), "--verify-only"]) == 0
    archives = publisher.give_archives("EuroSAT", "images")
    (folder / "EuroSAT_RGB.zip").write_bytes(b"damaged")
    capsys.readouterr()
    before = sorted(publisher.root.rglob("*"))
    assert main([*publisher.command("EuroSAT", "dtd", archives=archives), "--verify-only"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"  {archives / 'EuroSAT.zip'} is the published file" in lines
    assert any("EuroSAT_RGB.zip is not the expected file: sha256" in line for line in lines)
    assert lines[-2] == "EuroSAT: whole" and lines[-1].startswith("DescribableTextures: not whole: ")
    assert sorted(publisher.root.rglob("*")) == before and publisher.server.requests == []


def test_an_archive_of_unknown_checksum_is_told(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("UCF101")
    archives = publisher.give_archives("UCF101", "images")
    main([*publisher.command("UCF101", archives=archives), "--verify-only"])
    assert "UCF-101-midframes.zip: no checksum of it is known" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------ mirrors and own archives


def test_a_mirror_by_name_comes_first(publisher: Publisher) -> None:
    publisher.publish("DescribableTextures")
    assert main([*publisher.command("dtd"), "--mirror", "huggingface", "--mirror", "cafo"]) == 0
    assert publisher.asked_for("DescribableTextures", "images") == 0
    assert publisher.asked_for("DescribableTextures", "images", 1) == 1
    assert publisher.asked_for("DescribableTextures", "prompts", source=0) == 0


def test_a_mirror_by_address_is_asked_for_every_file(publisher: Publisher) -> None:
    publisher.publish("StanfordCars")
    for part in ("images_train", "images_test"):
        name = publisher.download("StanfordCars", part)["file"]
        publisher.server.add(f"/mirror/{name}", published("StanfordCars")[0][part, 0])
    assert main([*publisher.command("StanfordCars"), "--mirror", publisher.server.url("/mirror/")]) == 0
    asked = [request.path for request in publisher.server.requests]
    assert asked[0] == "/mirror/split_zhou_StanfordCars.json"  # is not there: the catalog's sources follow
    assert "/mirror/cars_train.tgz" in asked and "/mirror/cars_test.tgz" in asked


@pytest.mark.parametrize("place", ("archives", "archives/eurosat", "data", "data/eurosat"))
def test_own_archives_are_used_and_stay(place: str, publisher: Publisher) -> None:
    publisher.publish("EuroSAT")
    folder = publisher.folder / place
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / "EuroSAT.zip"
    own.write_bytes(published("EuroSAT")[0]["images", 0])
    archives = publisher.folder / "archives" if "archives" in place else None
    assert main(publisher.command("EuroSAT", archives=archives)) == 0
    assert publisher.asked_for("EuroSAT", "images") == 0
    assert own.read_bytes() == published("EuroSAT")[0]["images", 0]


def test_a_wrong_own_archive_is_named_and_another_is_fetched(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("EuroSAT")
    archives = publisher.give_archives("EuroSAT", "images")
    (archives / "EuroSAT.zip").write_bytes(b"half")
    assert main(publisher.command("EuroSAT", archives=archives)) == 0
    assert "EuroSAT.zip is not the expected file: 4 bytes, expected" in capsys.readouterr().out
    assert (archives / "EuroSAT.zip").read_bytes() == b"half"


def test_the_repacked_archive_may_have_the_name_of_the_published_one(publisher: Publisher) -> None:
    publisher.publish("Caltech101")
    archives = publisher.give_archives("Caltech101", "images", number=2)
    assert main(publisher.command("Caltech101", archives=archives)) == 0
    assert publisher.asked_for("Caltech101", "images") == 0


@pytest.mark.parametrize("name", ("Caltech101", "FGVCAircraft", "Food101", "EuroSAT", "ImageNetR"))
def test_every_alternative_archive_makes_the_set_whole(name: str, publisher: Publisher) -> None:
    publisher.publish(name)
    for number in range(1, sum(1 for part, _ in published(name)[0] if part == "images")):
        archives = publisher.give_archives(name, "images", number=number)
        assert main(publisher.command(name, archives=archives)) == 0
        assert inspect(publisher.entry(name), publisher.root, deep=True).state == "whole"
        assert publisher.asked_for(name, "images") == 0
        shutil.rmtree(publisher.root / publisher.entry(name).directory)
        shutil.rmtree(archives)


def test_the_copy_from_kaggle_serves_both_folders(publisher: Publisher) -> None:
    publisher.publish("StanfordCars")
    archives = publisher.give_archives("StanfordCars", "images_train", number=1)
    assert main(publisher.command("StanfordCars", archives=archives)) == 0
    assert not (publisher.root / "stanford_cars" / "cars_train" / "cars_train").exists()


def test_archives_are_kept_if_asked_for(publisher: Publisher) -> None:
    publisher.publish("EuroSAT")
    assert main([*publisher.command("EuroSAT"), "--keep-archives"]) == 0
    (kept,) = (publisher.root / ".prepare").rglob("EuroSAT.zip")
    assert kept.read_bytes() == published("EuroSAT")[0]["images", 0]
    shutil.rmtree(publisher.root / "eurosat" / "2750")
    assert main([*publisher.command("EuroSAT"), "--keep-archives"]) == 0
    assert publisher.asked_for("EuroSAT", "images") == 1
    kept.write_bytes(b"rotten")
    shutil.rmtree(publisher.root / "eurosat" / "2750")
    assert main(publisher.command("EuroSAT")) == 0
    assert not (publisher.root / ".prepare").exists()


def test_instructions_where_an_account_is_needed(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("ImageNet")
    archives = publisher.give_archives("ImageNet")
    assert main(publisher.command("ImageNet", archives=archives)) == 1
    line = capsys.readouterr().out.splitlines()[-1]
    size = len(published("ImageNet")[0]["images_train", 0])
    assert (
        f"images_train: ILSVRC2012_img_train.tar ({size} bytes) needs an account, get it from "
        "https://image-net.org/download-images.php; images_val: ILSVRC2012_img_val.tar ("
    ) in line
    assert "sorted by ILSVRC2012_devkit_t12.tar.gz or valprep.sh, which belongs beside it; put what you fetch" in line
    command = f"python -m datasets.prepare ImageNet --root {publisher.root} --archives {archives}"
    assert line.endswith(f"; put what you fetch by hand into {archives} and run {command}")
    assert line.count(command) == 1
    assert not any("img_train" in request.path for request in publisher.server.requests)


def test_another_catalog_without_sources_says_so(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("EuroSAT")
    part = publisher.entries["EuroSAT"]["parts"][0]
    del part["alternatives"][1:]
    part["alternatives"][0]["sources"] = []
    publisher.write()
    assert main(publisher.command("EuroSAT")) == 1
    assert "images: no source of images is known" in capsys.readouterr().out.splitlines()[-1]
