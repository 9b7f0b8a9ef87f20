"""Share out the size of the page, so that it can still be sent by mail."""


class PageSize:
    """Grant room for images until the page would be too large, and remember what did not fit.

    Args:
        limit: Bytes that images and plots may take together, as they stand in the page.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.left_out: list[str] = []

    def take(self, size: int, what: str) -> bool:
        """Reserve room; return False, and note what had to stay out, if there is not enough."""
        if self.used + size > self.limit:
            self.left_out.append(what)
            return False
        self.used += size
        return True
