import pytest

from amu_raft.wording import examples, plural, printable, quoted, reason, shortened


def test_long_lists_are_cut() -> None:
    assert shortened("ab") == "'a', 'b'"
    assert shortened("abc", limit=1) == "'a' and 2 more"
    assert examples("abcd") == "'a', 'b', 'c' and 1 more"


def test_all_names_in_letters_that_any_terminal_shows() -> None:
    assert quoted(["é", "caf\udce9", "it's"]) == "'é', 'caf\\udce9', \"it's\""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b\u00e9\U0001f600猫", "a b\u00e9\U0001f600猫"),
        ("a\nb\x1b[2J\ud800\x00", "a\\nb\\x1b[2J\\ud800\\x00"),
        ("\x1b[31m", "\\x1b[31m"),
        ("caf\udce9", "caf\\udce9"),
        (ValueError("x\ty"), "x\\ty"),
    ],
)
def test_anything_is_shown_on_one_line(text: object, shown: str) -> None:
    assert printable(text) == shown


def test_numbers_and_nouns_agree() -> None:
    assert [plural(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


def test_reasons_without_the_path() -> None:
    assert reason(PermissionError(13, "Permission denied", "/x")) == "Permission denied"
    assert reason(FileNotFoundError("no split file x")) == "no split file x"
    assert reason(RecursionError()) == "RecursionError"
