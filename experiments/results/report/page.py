"""From collected contents to one page that loads nothing: templates, style and script stand beside this file."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

FOLDER = Path(__file__).parent / "templates"


def render_page(content: Mapping[str, Any]) -> str:
    """Fill the template; every text of the content is escaped.

    Source:
        Content Security Policy Level 3 (W3C): with 'none' as the default, a browser loads and runs nothing but what
        is listed, which here is images inside the page, and the one style and script whose hashes are named.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["anchor"] = anchor
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    template = environment.get_template("page.html.jinja")
    return template.render(**content, style=Markup(style), script=Markup(script), policy=Markup(policy))


def anchor(text: str) -> str:
    """Return an id for a text that any browser accepts; equal texts get equal ids, others practically never."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.casefold()).strip("-")
    return f"{words[:40]}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"
