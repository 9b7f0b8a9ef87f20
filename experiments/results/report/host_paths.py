"""Keep the machine's own folders out of a page that is passed on."""

import re
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

CUT = "…"
_END = r"(?=$|[/\\\s'\",;:)\]])"
_PART = r"[^\s/'\",;:()<>|]"
_QUOTED = re.compile(r"(['\"])(?:file://)?(?:/|[A-Za-z]:[\\/])[^'\"\n]*?([^'\"/\\\n]*)\1")
_WINDOWS = re.compile(r"(?<!\w)[A-Za-z]:\\(?:[^\s\\'\",;:()<>|]+\\)*([^\s\\'\",;:()<>|]*)")
# Neither after "https:" nor inside a relative path: "data/a/b" and "1/2" stay as they are.
_POSIX = re.compile(rf"(?:file://|(?<![\w:/.…\]*-]))/(?:{_PART}+/)+({_PART}*)")


class HostPaths:
    """Shorten absolute paths to their last part, in whatever text they stand.

    Args:
        roots: Folders known to belong to the machine; they are found even where spaces in their names would hide them.
    """

    def __init__(self, roots: Iterable[Path | str] = ()) -> None:
        known = {str(root).rstrip("/\\") for root in (*roots, Path.home(), Path.cwd())}
        longest_first = sorted((root for root in known if is_absolute(root)), key=lambda root: (-len(root), root))
        names = "|".join(map(re.escape, longest_first))
        self._known = re.compile(rf"(?<![\w./-])(?:file://)?(?:{names}){_END}") if names else None

    def cut(self, text: str) -> str:
        """Return the text with every absolute path cut: "/home/me/data/x.png" becomes "…/x.png"."""
        if is_absolute(text) and "\n" not in text and ": " not in text:
            return f"{CUT}/{PureWindowsPath(text).name}"
        if self._known is not None:
            text = self._known.sub(CUT, text)
        for pattern, kept in ((_QUOTED, rf"\1{CUT}/\2\1"), (_WINDOWS, rf"{CUT}/\1"), (_POSIX, rf"{CUT}/\1")):
            text = pattern.sub(kept, text)
        return text


def is_absolute(text: str) -> bool:
    """Return whether a text is an absolute path of any system, the bare root of a file system excepted."""
    return re.match(r"/[^/\s]|[A-Za-z]:[\\/]\S|\\\\\w", text) is not None


def run_names(folders: Iterable[Path]) -> dict[Path, str]:
    """Name run folders by their paths below the deepest folder that holds them all."""
    absolute = {folder: folder.absolute() for folder in folders}
    shared: Path | None = None
    for folder in absolute.values():
        parents = folder.parents
        if shared is None:
            shared = folder.parent
        while shared not in parents and shared != shared.parent:
            shared = shared.parent
    if shared is None:
        return {}
    return {
        folder: path.relative_to(shared).as_posix() if path.is_relative_to(shared) else path.name
        for folder, path in absolute.items()
    }
