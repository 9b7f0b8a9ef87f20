import pytest

from amu_raft.errors import described, one_line

FROM_A_WORKER = """Caught OSError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "x", line 1
OSError: Cannot read: a.png
"""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("plain"), "plain"),
        (ValueError("two\n  lines\n\n"), "two lines"),
        (KeyError("quoted once"), "quoted once"),
        (KeyError(), "KeyError"),
        (AssertionError(), "AssertionError"),
        (FileNotFoundError(2, "No such file", "x.png"), "[Errno 2] No such file: 'x.png'"),
        (OSError(FROM_A_WORKER), "Cannot read: a.png"),
        (RuntimeError("Caught E in DataLoader worker process 0.\nlast words"), "last words"),
    ],
)  # fmt: skip
def test_messages_are_one_line(error: BaseException, line: str) -> None:
    assert one_line(error) == line


def test_a_defect_is_named_by_its_type() -> None:
    assert described(TypeError("no such argument")) == "TypeError: no such argument"
    assert described(ValueError("no such data set")) == "no such data set"
