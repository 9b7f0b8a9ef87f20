import re
from dataclasses import replace
from pathlib import Path

import pytest

from datasets.catalog import Download, Part, Source, read_catalog
from datasets.document import render
from datasets.document.__main__ import PAGE, main
from datasets.document.figures import freely_available, needs_account, readable_size, size_of, size_to_fetch
from datasets.document.page import anchor
from datasets.document.section import prose, source_line

CATALOG = read_catalog()


def test_the_page_in_the_repository_is_the_catalogs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err
    assert PAGE.read_text(encoding="utf-8") == render(CATALOG)
    assert "python -m datasets.document" in PAGE.read_text().splitlines()[0]


@pytest.mark.parametrize("name", CATALOG)
def test_everything_known_is_said(name: str) -> None:
    entry = CATALOG[name]
    page = render({name: entry})
    section = page[page.index(f"### {entry.title}") :]
    assert all(line in section for line in entry.tree)
    assert all(f"{number:,}" in section for number in entry.counts.values())
    assert prose(entry.terms) in section and entry.terms
    for text in (*entry.notes, *entry.dead_links):
        assert f"- {prose(text)}\n" in section
    for download in (download for part in entry.parts for download in part.alternatives):
        assert f"`{download.file}`" in section
        assert all(value in section for value in (download.sha256, download.md5, download.git_blob_sha1) if value)
        assert download.size is None or f"{download.size:,} bytes" in section
        for source in download.sources:
            assert f"{source.mirror}: <{source.address}>" in section
            assert prose(source.dead) in section
    assert f"{entry.prompt_file} (optional)" in section


def test_links_of_the_table_lead_to_headings() -> None:
    page = render(CATALOG)
    targets = re.findall(r"\]\(#([^)]*)\)", page)
    assert len(targets) == 15
    assert set(targets) == {anchor(title) for title in re.findall(r"^### (.*)$", page, re.MULTILINE)}
    assert anchor("Describable Textures (DTD)") == "describable-textures-dtd"


def test_the_page_reads_well() -> None:
    page = render(CATALOG)
    assert "none\nof them has been tried" in page
    assert "None" not in page and "\n\n\n" not in page
    assert page.count("```") % 2 == 0
    assert page.endswith("\n") and not page.endswith("\n\n")


def test_check_compares_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    assert main(["--check", "--output", str(page)]) == 1
    assert not page.exists()
    assert main(["--output", str(page)]) == 0
    assert main(["--check", "--output", str(page)]) == 0
    page.write_text(page.read_text() + "\n")
    capsys.readouterr()
    assert main(["--check", "--output", str(page)]) == 1
    assert "differs from the catalog; run python -m datasets.document" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--catalog", str(tmp_path / "gone.yaml")]) == 1
    assert main(["--output", str(tmp_path / "no" / "page.md")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("error: ") for line in lines)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (137_414_764, "137 MB"),
        (1_264_079_360, "1.26 GB"),
        (999_999, "1 MB"),
        (99_960_000, "100 MB"),
        (154_642_401_280, "155 GB"),
    ],
)
def test_readable_sizes(size: int, text: str) -> None:
    assert readable_size(size) == text


def test_sizes_to_fetch() -> None:
    def with_images(**facts: int | None) -> str:
        images = Download(file="a.zip", role="images", **facts)  # type: ignore[arg-type]
        labels = Part("labels", (Download(file="b.txt", role="labels"),))
        return size_to_fetch(replace(CATALOG["EuroSAT"], parts=(Part("images", (images,)), labels)))

    assert with_images(size=2000) == "2 kB"
    assert with_images(size_about=3000) == "about 3 kB"
    assert with_images() == "not known"
    assert size_of(Download(file="a", role="b", size_about=5_010_000_000)) == "about 5.01 GB"
    assert size_of(Download(file="a", role="b")) == "size not known"


def test_accounts() -> None:
    assert [name for name, entry in CATALOG.items() if needs_account(entry)] == ["ImageNet", "StanfordCars"]
    free = Download(file="a", role="b", sources=(Source(url="http://x"),))
    dead = Download(file="a", role="b", sources=(Source(url="http://x", dead="404"),))
    closed = replace(free, account=True)
    assert freely_available(Part("images", (closed, free)))
    assert not freely_available(Part("images", (closed, dead)))


def test_sources_say_what_is_known_of_them() -> None:
    source = Source(url="http://x", mirror="official", compared=False, dead="404 since May")
    assert source_line(source, checked=True) == (
        "official: <http://x> (its bytes were not compared with the checksum, the content decides)"
        " **reported dead**, tried last: 404 since May"
    )
    assert source_line(replace(source, dead=""), checked=False) == "official: <http://x>"
    assert prose("a <b>\n *c*") == "a &lt;b> \\*c\\*"
