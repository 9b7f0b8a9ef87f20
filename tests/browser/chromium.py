"""A headless Chromium for tests of pages: what a reader would see, and whether the page stays silent and offline.

Selenium speaks WebDriver, a standard, to the driver that the distribution ships beside its browser, so that the two
always fit and nothing is downloaded.
"""

import base64
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"
# Rules of WCAG 2: text smaller than 24 px (18.66 px if bold) needs a contrast of 4.5 to 1.
MEASURE_CONTRAST = """
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const known = {};  // reading a pixel is slow, and a page has few colours
    const channels = (colour) => known[colour] ??= read(colour);
    const read = (colour) => {
      canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (colour) => colour.slice(0, 3).map((c) => c / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = channels(getComputedStyle(at).backgroundColor);
        if (colour[3] === 255) return colour;
      }
      return [255, 255, 255, 255];
    };
    const seen = {};
    for (const element of document.querySelectorAll('body *')) {
      const text = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join('').trim();
      if (!text || !element.getClientRects().length) continue;
      const [a, b] = [light(channels(getComputedStyle(element).color)), light(ground(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const name = element.tagName.toLowerCase() + (element.className ? '.' + element.className : '');
      if (!(name in seen) || ratio < seen[name]) seen[name] = ratio;
    }
    return seen;
"""


class Browser:
    """One browser window; every check works on the page that is open in it.

    Args:
        driver: Selenium's driver of a started Chromium.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._console: list[str] = []
        self._requests: list[str] = []

    def open(self, address: Path | str, *, width: int = 1400, height: int = 900, dark: bool = False) -> None:
        """Open a file or an address in a window of so many CSS pixels, and forget what earlier pages said."""
        # Without motion nothing is still on its way when it is clicked.
        wishes = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self._call("Emulation.setEmulatedMedia", features=features)
        self.resize(width, height)
        self._collect()
        self._console, self._requests = [], []
        self.driver.get(address.resolve().as_uri() if isinstance(address, Path) else address)

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page so many CSS pixels; windows themselves cannot be made narrower than 500."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def find(self, selector: str) -> list[Any]:
        """Return the elements that a CSS selector finds."""
        return list(self.driver.find_elements("css selector", selector))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> Any:
        """Press keys on whatever has the focus, and return what has it then."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)
        return self.driver.switch_to.active_element

    def console(self) -> list[str]:
        """Return every warning and error that the page has left in the console, with breaches of its own CSP."""
        self._collect()
        return list(self._console)

    def requests(self) -> list[str]:
        """Return what the page asked for, beside itself and data inside it."""
        self._collect()
        return [address for address in self._requests if not address.startswith(("data:", "about:", "blob:"))][1:]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def broken_images(self) -> list[str]:
        """Return the alt texts of images that could not be decoded; images in closed parts count as well."""
        script = """const done = arguments[0], images = [...document.images];
            Promise.all(images.map((i) => i.decode().then(() => null, () => i.alt || i.src.slice(0, 60))))
              .then((found) => done(found.filter((name) => name !== null)));"""
        return list(self.driver.execute_async_script(script))

    def contrasts(self) -> dict[str, float]:
        """Return the lowest contrast of visible text with its ground, by tag and class; 1 is invisible, 21 the most."""
        return dict(self.run(MEASURE_CONTRAST))

    def screenshot(self, path: Path, *, full: bool = True) -> None:
        """Write a PNG of the window, or of the whole page."""
        picture = self._call(
            "Page.captureScreenshot", captureBeyondViewport=full, clip=self._extent() if full else None
        )
        path.write_bytes(base64.b64decode(picture["data"]))

    def print_pdf(self) -> bytes:
        """Return the page as it would be printed."""
        return base64.b64decode(self._call("Page.printToPDF", printBackground=False)["data"])

    def _extent(self) -> dict[str, float]:
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}

    def _call(self, command: str, **parameters: Any) -> Any:
        given = {name: value for name, value in parameters.items() if value is not None}
        return self.driver.execute_cdp_cmd(command, given)

    def _collect(self) -> None:
        """Drain the driver's logs, which it hands out once."""
        self._console += [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._requests.append(message["params"]["request"]["url"])


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a headless Chromium that resolves no host but this machine; skip the test where there is none."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is missing: make setup")
    program, driver = find_program(BROWSERS), find_program((DRIVER,))
    if program is None or driver is None:
        missing = DRIVER if program else BROWSERS[0]
        pytest.skip(f"{missing} is not installed (Debian: apt-get install chromium chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for flag in _flags():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "WARNING", "performance": "ALL"})
    running = selenium.Chrome(options=options, service=selenium.ChromeService(executable_path=driver))
    try:
        running.execute_cdp_cmd("Network.enable", {})
        yield Browser(running)
    finally:
        running.quit()


def find_program(names: Sequence[str]) -> str | None:
    """Return the path of the first of some programs that is installed."""
    return next((found for name in names if (found := shutil.which(name))), None)


def _flags() -> list[str]:
    flags = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"]
    flags += ["--disable-background-networking", "--no-proxy-server"]
    flags += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"]
    # Chromium refuses to sandbox itself for root, as whom containers often run.
    return [*flags, "--no-sandbox"] if os.geteuid() == 0 else flags
