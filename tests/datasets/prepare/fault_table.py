"""Which fault ended how: filled by the tests, printed at the end of the session."""

OUTCOMES: list[tuple[str, str]] = []
