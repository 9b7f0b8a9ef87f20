"""The page as a reader meets it: silent, offline, sortable, at every width, by keyboard, dark and printed."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Browser
from tests.experiments.results.report.conftest import Report

TAB, ENTER, SPACE = "\ue004", "\ue007", " "
OPEN_ALL = "for (const part of document.querySelectorAll('details')) part.open = true"
COLUMN = "return [...arguments[0].tBodies[0].rows].map((row) => row.cells[arguments[1]].innerText)"
NOTE_FOCUS = """window.seen = []; document.addEventListener('focusin', (event) => {
    const style = getComputedStyle(event.target);
    window.seen.push([event.target.outerHTML.slice(0, 80),
                      style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2]);
  });"""
REACHABLE = """return [...document.querySelectorAll('a[href], button, summary, [tabindex="0"]')]
    .filter((e) => e.checkVisibility()).length"""


@pytest.fixture
def page(browser: Browser, report: Report) -> Browser:
    browser.open(report.path)
    return browser


def table_of(page: Browser, caption: str) -> Any:
    return next(table for table in page.find("table") if table.find_element("css selector", "caption").text == caption)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1400])
def test_page_is_silent_offline_and_fits(browser: Browser, report: Report, width: int, dark: bool) -> None:
    browser.open(report.path, width=width, dark=dark)
    browser.run(OPEN_ALL)
    assert browser.console() == [] and browser.requests() == []
    assert browser.overflow() == 0
    assert {name: ratio for name, ratio in browser.contrasts().items() if ratio < 4.5} == {}


def test_wide_tables_scroll_inside_their_boxes(browser: Browser, report: Report) -> None:
    browser.open(report.path, width=400)
    wider = (
        "return [...document.querySelectorAll('.table-box')].filter((box) => box.scrollWidth > box.clientWidth).length"
    )
    assert browser.run(wider) >= 3
    cut = (
        "return [...document.querySelectorAll('.table-box')].some((box) => getComputedStyle(box).overflowX !== 'auto')"
    )
    assert browser.run(cut) is False


def test_every_image_is_shown(page: Browser) -> None:
    page.run(OPEN_ALL)
    sizes = page.run("return [...document.images].map((image) => image.naturalWidth)")
    assert len(sizes) > 20 and min(sizes) > 0
    assert page.broken_images() == []


def test_tables_are_sorted_by_click(page: Browser) -> None:
    table = table_of(page, "Every cell by itself")
    names = [header.text.split("\n")[0].strip(" ↕") for header in table.find_elements("css selector", "thead th")]
    column = next(number for number, name in enumerate(names) if name.startswith("accuracy"))
    header = table.find_elements("css selector", "thead th")[column]

    def scores() -> list[float]:
        return [float(text.split()[0]) for text in page.run(COLUMN, table, column) if text.split()[0] != "-"]

    before = scores()
    header.find_element("css selector", "button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert scores() == sorted(before, reverse=True) and len(set(before)) > 2
    header.find_element("css selector", "button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert scores() == sorted(before)
    assert "ascending" in page.find("#spoken")[0].get_property("textContent")


def test_tables_are_sorted_by_keyboard_and_one_column_at_a_time(page: Browser) -> None:
    table = table_of(page, "Every cell by itself")
    first, second = table.find_elements("css selector", "thead th")[:2]
    page.run("arguments[0].focus()", first.find_element("css selector", "button"))
    page.press(ENTER)
    assert first.get_attribute("aria-sort") == "ascending"
    shown = page.run(COLUMN, table, 0)
    assert shown == sorted(shown)
    page.press(SPACE)
    assert page.run(COLUMN, table, 0) == sorted(shown, reverse=True)
    page.press(TAB, ENTER)
    assert (first.get_attribute("aria-sort"), second.get_attribute("aria-sort")) == ("none", "ascending")


def test_missing_figures_stay_last_whatever_the_direction(page: Browser) -> None:
    table = table_of(page, "Accuracy over shots")
    headers = table.find_elements("css selector", "thead th")
    column = next(number for number, header in enumerate(headers) if header.text.startswith("4 shots"))
    for _ in range(2):
        headers[column].find_element("css selector", "button").click()
        texts = page.run(COLUMN, table, column)
        known = [text for text in texts if text.split()[0] != "-"]
        assert 0 < len(known) < len(texts) and texts[: len(known)] == known


def test_everything_is_reached_by_tab_and_shows_it(page: Browser) -> None:
    page.run(NOTE_FOCUS)
    wanted = page.run(REACHABLE)
    page.press(TAB * wanted)
    seen = page.run("return window.seen")
    assert wanted > 40 and len(seen) == wanted
    assert [element for element, outlined in seen if not outlined] == []
    assert 'class="skip"' in seen[0][0]
    assert all(any(kind in element for element, _ in seen) for kind in ("<button", "<summary", "<a ", "table-box"))


def test_folded_parts_open_by_keyboard(page: Browser) -> None:
    page.run("arguments[0].focus()", page.find("details.gallery > summary")[0])
    page.press(ENTER)
    assert page.find("details.gallery")[0].get_attribute("open")
    assert page.find("details.gallery .mistakes img")[0].is_displayed()
    page.press(SPACE)
    assert not page.find("details.gallery")[0].get_attribute("open")


def test_structure_is_one_that_screen_readers_can_follow(page: Browser) -> None:
    assert page.run("return document.documentElement.lang") == "en"
    levels = page.run("return [...document.querySelectorAll('h1, h2, h3')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.run("return [...document.images].every((image) => image.alt.length > 3)")
    assert page.run("return [...document.querySelectorAll('table')].every((t) => t.caption && t.caption.textContent)")
    ids = page.run("return [...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(ids) == len(set(ids))
    targets = page.run("return [...document.querySelectorAll('a[href^=\"#\"], [aria-labelledby]')]"
                       ".map((e) => e.getAttribute('aria-labelledby') || e.getAttribute('href').slice(1))")  # fmt: skip
    assert set(targets) <= set(ids)


def test_markup_in_data_stays_text(page: Browser) -> None:
    assert page.run("return document.title").startswith("AMU, RAFT, ZeroshotCLIP on digits, shapes")
    assert page.run("return document.scripts.length") == 1
    page.run(OPEN_ALL)
    assert "<script>document.title='owned'</script>" in page.find(".mistakes")[0].text + page.find("main")[0].text


def test_the_page_is_printed(page: Browser) -> None:
    assert page.print_pdf().startswith(b"%PDF")


def test_page_is_complete_without_its_script(browser: Browser, report: Report, tmp_path: Path) -> None:
    (tmp_path / "plain.html").write_text(report.text.split('<script>"use strict"')[0], encoding="utf-8")
    browser.open(tmp_path / "plain.html")
    assert browser.find("table thead button") == []
    assert len(browser.find("table[data-sortable] tbody tr")) > 20
