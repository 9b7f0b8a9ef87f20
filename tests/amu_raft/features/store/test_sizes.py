import pytest

from amu_raft.features.store.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *[("0", 0), ("123B", 123), ("2K", 2048), ("0M", 0), ("1M", 1 << 20), ("50G", 50 << 30), ("2T", 2 << 40)],
        *[("10g", 10 << 30), ("1 GB", 1 << 30), ("3MiB", 3 << 20), (" 7B\n", 7)],
    ],
)
def test_sizes_by_hand(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "50", "G", "1.5G", "-1G", "1e3M", "²", "²G", "10X", "1 2G", "1GG", "plenty"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_size(text)
    assert str(error.value) == f"{text!r} is no size; give a whole number with B, K, M, G or T, such as 50G"
