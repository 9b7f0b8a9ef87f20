"""What one request, and all of them together, may cost."""

from dataclasses import dataclass

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Bounds that are checked before anything is spent.

    Attributes:
        file_bytes: Of one picture's file.
        files: Pictures in one request.
        request_bytes: Of one request's body.
        held_bytes: Of the bodies of all requests that are being answered.
        pixels: Width times height of one picture; a few bytes may claim any size.
        seconds: From a request's first byte to its answer.
        requests: POST requests that are uploading, waiting or being answered.
        connections: To clients; a process may often have no more than 1024 files and connections open.
    """

    file_bytes: int = 20 * MEGABYTE
    files: int = 200
    request_bytes: int = 200 * MEGABYTE
    held_bytes: int = 1000 * MEGABYTE
    pixels: int = 50_000_000
    seconds: float = 60.0
    requests: int = 128
    connections: int = 512

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"the limit {name} must be above 0, got {value}")
