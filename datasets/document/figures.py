"""Figures of the page: sizes, checksums, and whether an account is needed."""

from datasets.catalog import Download, Entry, Part

UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def readable_size(size: int) -> str:
    """Return bytes with three digits at most and a decimal unit, such as "137 MB"."""
    for factor, unit in UNITS:
        if size >= factor * 0.9995:
            value = size / factor
            return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:.3g} {unit}"
    return f"{size} bytes"


def size_of(download: Download) -> str:
    """Return the size of a file as the page says it."""
    if download.size is not None:
        return f"{download.size:,} bytes"
    return f"about {readable_size(download.size_about)}" if download.size_about is not None else "size not known"


def size_to_fetch(entry: Entry) -> str:
    """Return the size of everything that a data set needs, by the first file of each part whose size is known.

    Small files of unknown size do not matter; with images of unknown size nothing can be said.
    """
    total, exact = 0, True
    for part in entry.parts:
        sizes = [
            (download.size or download.size_about or 0, download.size is not None) for download in part.alternatives
        ]
        known = next((size for size in sizes if size[0]), None)
        if known:
            total += known[0]
            exact &= known == sizes[0] and known[1]
        elif part.required and part.name.startswith("images"):
            return "not known"
    return f"{'' if exact else 'about '}{readable_size(total)}"


def needs_account(entry: Entry) -> bool:
    """Tell whether a part can only be fetched with an account, as far as is known."""
    return any(part.required and not freely_available(part) for part in entry.parts)


def freely_available(part: Part) -> bool:
    """Tell whether a file of a part has a source that asks for no account and is not reported dead."""
    return any(
        not download.account and any(not source.dead for source in download.sources) for download in part.alternatives
    )


def counts_of(entry: Entry) -> str:
    """Return "4,128 / 1,649 / 2,465", "-" for parts that there are not."""
    return " / ".join(f"{entry.counts[name]:,}" if name in entry.counts else "-" for name in ("train", "val", "test"))
