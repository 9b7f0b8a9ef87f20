"""The page in a browser: upload, read, look, download; it stays silent and asks no other machine."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.amu_raft.serve.conftest import NAMES, picture
from tests.amu_raft.serve.running import Server, serving
from tests.browser.chromium import Browser, chromium

PASTE = """const bytes = new Uint8Array(arguments[0]);
    const data = new DataTransfer();
    data.items.add(new File([bytes], 'pasted.png', {type: 'image/png'}));
    document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}));"""
DROP = """const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(arguments[0])], 'dropped.png', {type: 'image/png'}));
    document.getElementById('drop').dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true}));"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def server_of(folder_of: Callable[[str], Path], browser: Browser) -> Iterator[Callable[[str], Server]]:
    from contextlib import ExitStack

    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def server(method: str) -> Server:
            if method not in running:
                running[method] = stack.enter_context(serving(folder_of(method)))
            return running[method]

        yield server


def wait(browser: Browser, script: str, seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := browser.run(f"return {script}")):
        assert time.monotonic() < deadline, browser.run("return document.body.innerText")
        time.sleep(0.05)
    return found


def opened(browser: Browser, address: str, **look: Any) -> None:
    browser.open(address, **look)
    wait(browser, "document.documentElement.dataset.ready")


def choose(browser: Browser, *paths: Path) -> None:
    browser.find("#files")[0].send_keys("\n".join(map(str, paths)))
    wait(browser, "document.getElementById('spoken').textContent === 'Done.'")


def texts(browser: Browser, selector: str) -> list[str]:
    return list(browser.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector))


@pytest.mark.parametrize(("method", "width", "dark"), [("AMU", 1200, False), ("RAFT", 400, True)])
def test_upload_read_and_look(
    method: str, width: int, dark: bool, browser: Browser, server_of: Callable[[str], Server], tmp_path: Path
) -> None:
    server = server_of(method)
    opened(browser, server.address, width=width, dark=dark)
    assert method in texts(browser, "#lead")[0]
    (tmp_path / "noise.png").write_bytes(picture())
    choose(browser, tmp_path / "noise.png")
    for list_ in ("#adapted li", "#zero-shot li"):
        found = texts(browser, list_)
        assert len(found) == 5 and all(text.endswith("%") for text in found)
        assert {text.split("\n")[0] for text in found} <= {*NAMES, r"bad\udc80name"}
    assert browser.run("return document.getElementById('overlay').naturalWidth") > 400
    why = browser.run("return document.getElementById('why-text').textContent")
    assert ("looks" in why) == (method == "RAFT") and ("weight: " in why) == (method == "AMU")
    assert browser.broken_images() == [] and browser.console() == []
    assert all(address.startswith(server.address) for address in browser.requests())
    assert browser.overflow() == 0
    assert {name: ratio for name, ratio in browser.contrasts().items() if ratio < 4.5} == {}


@pytest.mark.parametrize(("script", "name"), [(PASTE, "pasted.png"), (DROP, "dropped.png")])
def test_paste_and_drop(script: str, name: str, browser: Browser, server_of: Callable[[str], Server]) -> None:
    opened(browser, server_of("AMU").address)
    browser.run(script, list(picture()))
    wait(browser, "document.getElementById('spoken').textContent === 'Done.'")
    assert texts(browser, "#one-name") == [name] and len(texts(browser, "#adapted li")) == 5


def test_many_pictures_become_a_table_and_csv(
    browser: Browser, server_of: Callable[[str], Server], tmp_path: Path
) -> None:
    opened(browser, server_of("AMU").address)
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    for index, path in enumerate(paths):
        path.write_bytes(picture(seed=index) if index else b"broken")
    choose(browser, *paths)
    rows = texts(browser, "#rows tr")
    assert len(rows) == 4 and "no image" in rows[0] and rows[3].count("%") == 2
    assert texts(browser, "#many-name") == ["4 pictures, 1 unreadable"]
    browser._call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.find("#download")[0].click()
    deadline = time.monotonic() + 10
    while not (tmp_path / "predictions.csv").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (tmp_path / "predictions.csv").read_text().startswith("image,error,class_1,probability_1")
    browser.resize(400)
    broken = """return [...document.querySelectorAll('#many .number, #many thead th')].filter((cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return range.getClientRects().length > 1;
    }).map((cell) => cell.innerText)"""
    assert browser.run(broken) == [] and browser.overflow() == 0
    assert browser.console() == []


def test_explanations_can_be_read_in_narrow_windows(
    browser: Browser, server_of: Callable[[str], Server], tmp_path: Path
) -> None:
    opened(browser, server_of("RAFT").address, width=400)
    (tmp_path / "noise.png").write_bytes(picture())
    choose(browser, tmp_path / "noise.png")
    assert browser.run("return document.getElementById('overlay').clientWidth") > 600  # it is scrolled
    assert browser.overflow() == 0


def tab(browser: Browser) -> str:
    """Press the tabulator, which WebDriver refuses to a chooser of files, and say what has the focus then."""
    for kind in ("keyDown", "keyUp"):
        browser._call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    return str(browser.run("return document.activeElement.id || document.activeElement.className"))


def test_keys_reach_everything(browser: Browser, server_of: Callable[[str], Server], tmp_path: Path) -> None:
    opened(browser, server_of("AMU").address)
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        path.write_bytes(picture())
    choose(browser, *paths)
    browser.run("document.activeElement.blur()")
    assert [tab(browser) for _ in range(3)] == ["files", "download", "table-box"]


def test_a_broken_file_is_told_of(browser: Browser, server_of: Callable[[str], Server], tmp_path: Path) -> None:
    opened(browser, server_of("AMU").address)
    (tmp_path / "broken.png").write_bytes(b"broken")
    browser.find("#files")[0].send_keys(str(tmp_path / "broken.png"))
    wait(browser, "!document.getElementById('error').hidden")
    assert "broken.png" in texts(browser, "#error")[0] and not browser.find("#one")[0].is_displayed()
