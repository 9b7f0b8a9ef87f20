"""The checks of pages notice what they are for."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium as harness
from tests.browser.chromium import Browser, chromium

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def page(folder: Path, body: str, head: str = "") -> Path:
    path = folder / "page.html"
    path.write_text(f"<!doctype html><html lang=en><head><title>t</title>{head}</head><body>{body}</body></html>")
    return path


def test_a_quiet_page_passes_every_check(browser: Browser, tmp_path: Path) -> None:
    browser.open(page(tmp_path, f"<p>black on white</p><img alt=dot src='data:image/png;base64,{PIXEL}'>"))
    assert browser.console() == browser.requests() == browser.broken_images() == []
    assert browser.overflow() == 0
    assert browser.contrasts()["p"] == pytest.approx(21)


def test_thrown_errors_reach_the_console(browser: Browser, tmp_path: Path) -> None:
    browser.open(page(tmp_path, "<script>undefinedName()</script>"))
    assert len(browser.console()) == 1 and "undefinedName" in browser.console()[0]


def test_another_page_forgets_them(browser: Browser, tmp_path: Path) -> None:
    browser.open(page(tmp_path, "<script>undefinedName()</script>"))
    browser.open(page(tmp_path, "<p>quiet</p>"))
    assert browser.console() == []


def test_breaches_of_the_policy_reach_the_console(browser: Browser, tmp_path: Path) -> None:
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    browser.open(page(tmp_path, "<p style='color: red'>styled</p>", policy))
    assert "Content Security Policy" in browser.console()[0]


@pytest.mark.parametrize("body", ["<img alt=x src='http://example.org/x.png'>", "<img alt=x src='beside.png'>"])
def test_requests_are_counted(browser: Browser, tmp_path: Path, body: str) -> None:
    browser.open(page(tmp_path, body))
    assert len(browser.requests()) == 1 and browser.requests()[0].endswith(".png")


def test_broken_images_are_named(browser: Browser, tmp_path: Path) -> None:
    broken = base64.b64encode(b"no image").decode()
    browser.open(page(tmp_path, f"<details><img alt='a broken one' src='data:image/png;base64,{broken}'></details>"))
    assert browser.broken_images() == ["a broken one"]


def test_windows_have_the_width_asked_for(browser: Browser, tmp_path: Path) -> None:
    browser.open(
        page(tmp_path, "<div style='width: 450px; background: tan'>wide</div>", "<style>body{margin:0}</style>"),
        width=400,
    )
    assert browser.run("return window.innerWidth") == 400
    assert browser.overflow() == 50
    browser.resize(1400)
    assert browser.overflow() == 0


def test_dark_windows_ask_for_dark_pages(browser: Browser, tmp_path: Path) -> None:
    style = "<style>@media (prefers-color-scheme: dark) { body { background: #000; color: #111 } }</style>"
    browser.open(page(tmp_path, "<p>hardly to be read</p>", style), dark=True)
    assert browser.contrasts()["p"] < 2
    browser.open(page(tmp_path, "<p>black on white</p>", style))
    assert browser.contrasts()["p"] > 20


def test_keys_go_to_what_has_the_focus(browser: Browser, tmp_path: Path) -> None:
    browser.open(page(tmp_path, "<button id=one>1</button><button id=two onclick='this.id=\"pressed\"'>2</button>"))
    assert browser.press("\ue004").get_attribute("id") == "one"
    assert browser.press("\ue004").get_attribute("id") == "two"
    assert browser.press("\ue007").get_attribute("id") == "pressed"


def test_pictures_of_a_page_can_be_kept(browser: Browser, tmp_path: Path) -> None:
    browser.open(page(tmp_path, "<p>a page</p>"), width=400)
    browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert browser.print_pdf().startswith(b"%PDF")


def test_without_a_browser_tests_are_skipped_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("selenium")
    monkeypatch.setattr(harness, "find_program", lambda names: None)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"), chromium():
        pass
