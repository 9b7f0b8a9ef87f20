import base64
import hashlib
import re
from html.parser import HTMLParser

from experiments.results.report.page import anchor
from tests.experiments.results.report.conftest import Report

VOID = {"meta", "link", "img", "br", "hr", "input", "rect"}


class Nesting(HTMLParser):
    """Note tags that are closed in another order than they were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.opened.append(tag)
        names = [name for name, _ in attrs]
        if "style" in names or len(names) != len(set(names)) or any(name.startswith("on") for name in names):
            self.faults.append(f"{tag} {names}")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self.opened.pop() != tag:
            self.faults.append(f"{tag} at {self.getpos()}")


def test_tags_are_closed_in_order_and_carry_no_code(report: Report) -> None:
    nesting = Nesting()
    nesting.feed(report.text)
    assert (nesting.faults, nesting.opened) == ([], [])


def test_the_policy_allows_this_style_and_script_alone(report: Report) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', report.text)
    assert policy is not None and policy[1].startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", report.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]


def test_nothing_points_outside_the_page(report: Report) -> None:
    addresses = re.findall(r'(?:src|href|srcset|action|data)="([^"]*)"', report.text)
    assert len(addresses) > 20
    assert [address[:40] for address in addresses if not address.startswith(("data:", "#"))] == []
    assert not re.search(r"url\(|@import|https?://", report.text)


def test_ids_are_plain_and_told_apart() -> None:
    assert re.fullmatch(r"[a-z0-9-]+", anchor("<b>Größe & mehr</b> " * 9))
    assert anchor("a b") == anchor("a b") != anchor("a-b")
