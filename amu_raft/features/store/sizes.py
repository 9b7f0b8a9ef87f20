"""Sizes as people write them."""

import re

_UNITS = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Read a number of bytes such as 500M or 10G; GB and GiB mean the same as G.

    A bare number is refused, unless it is 0: whoever leaves out the G means no store of 50 bytes.

    Raises:
        ValueError: If it is none.
    """
    match = re.fullmatch(r"([0-9]+) ?(?:([KMGT])(?:I?B)?|(B))|(0+)", text.strip().upper())
    if match is None:
        raise ValueError(f"{text!r} is no size; give a whole number with B, K, M, G or T, such as 50G")
    number, unit, single, _ = match.groups()
    return int(number or 0) * _UNITS[unit or single or "B"]
