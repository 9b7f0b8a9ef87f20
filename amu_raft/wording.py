"""Words for messages: names in quotes, numbers with nouns, text that any terminal shows."""

from collections.abc import Iterable


def shortened(names: Iterable[str], limit: int = 5) -> str:
    """Return names in quotes, the first few of them."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(repr(name) for name in names[:limit]) + more


def examples(names: Iterable[str]) -> str:
    """Return the first three names in quotes, with the number of the others."""
    return shortened(names, 3)


def quoted(names: Iterable[str]) -> str:
    """Return names in quotes, all of them, in letters that any terminal shows."""
    return ", ".join(repr(name) if is_text(name) else ascii(name) for name in names)


def is_text(name: str) -> bool:
    """Tell whether a name can be written in UTF-8, which a file's name need not."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: object) -> str:
    """Return text on one line, without anything that would move the cursor or colour a terminal.

    Damaged files and foreign disks put anything into names, also halves of letters ("surrogates").
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in str(text)
    )


def plural(number: int, noun: str) -> str:
    """Return "1 image", "2 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def reason(error: Exception) -> str:
    """Return an error's cause without the path, which the message around it names."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
