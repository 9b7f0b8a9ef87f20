from datasets.doctor.finding import plural, printable


def test_anything_is_shown_on_one_line() -> None:
    assert printable("a b\u00e9\U0001f600") == "a b\u00e9\U0001f600"
    assert printable("a\nb\x1b[2J\ud800\x00") == "a\\nb\\x1b[2J\\ud800\\x00"
    assert printable(ValueError("x\ty")) == "x\\ty"


def test_numbers_and_nouns_agree() -> None:
    assert [plural(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
