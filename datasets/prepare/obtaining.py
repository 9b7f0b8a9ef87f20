"""Get the file of a part: from the user's own archives if possible, else from the first source that has it."""

import dataclasses
import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from amu_raft.downloads.expected import Expected, WrongContent, verify_file
from amu_raft.downloads.sources import Origin, fetch_any
from datasets.catalog import Download, Part, Source
from datasets.prepare.job import Job, PreparationError, free_bytes
from datasets.prepare.presence import destination

GIB = 1 << 30
ATTEMPTS, TIMEOUT = 5, 30.0  # of one source; seconds without a byte
# What is wrong with the disk here: no other source would help.
LOCAL = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENOTDIR, errno.EISDIR}


@dataclasses.dataclass(frozen=True)
class Obtained:
    """A file that can serve as a part.

    Attributes:
        path: Where it is.
        download: What the catalog knows about it.
        own: Whether it was downloaded by this command, which may then remove it.
        verified: Whether a checksum was compared.
    """

    path: Path
    download: Download
    own: bool
    verified: bool


def expected(download: Download) -> Expected:
    """Return what is known of a file's bytes."""
    return Expected(download.size, download.md5, download.sha256, download.git_blob_sha1)


def candidates(job: Job, part: Part) -> Iterator[Obtained]:
    """Yield every file that may serve as a part, the most trustworthy first; each is fetched when it is its turn.

    First come the user's own archives, then the sources of each alternative. Sources that are reported dead, and
    alternatives that have no other, come last.

    Raises:
        PreparationError: At the end, with the reasons of all that failed.
        OSError: If the disk here is full or cannot be written to.
    """
    reasons: list[str] = []
    for number, download in enumerate(part.alternatives):
        for path in own_files(job, part, number):
            if found := _accept(job, path, download, reasons):
                yield found
    for number, source in ordered_sources(job, part):
        download = part.alternatives[number]
        path = job.downloaded(part, number)
        try:
            _require_space(job, download, path)
            _fetch(source, download, path, title=f"{job.entry.name}, {download.file}")
        except (OSError, ValueError, PreparationError) as error:
            if isinstance(error, OSError) and error.errno in LOCAL:
                raise
            reasons.append(_one_line(error))
            continue
        yield Obtained(path, download, own=True, verified=source.compared and download.checked)
    raise PreparationError("; ".join([*reasons, *_by_hand(job, part)]) or f"no source of {part.name} is known")


def own_files(job: Job, part: Part, number: int) -> list[Path]:
    """Return the files with an alternative's name that lie where the user may have put them."""
    download = part.alternatives[number]
    names = [*_names(download), *download.also_named]
    given = [job.archives, job.archives / job.entry.directory] if job.archives else []
    paths = [folder / name for folder in (*given, job.folder, job.root) for name in names]
    # A list that lies in its place was looked at before and is not what it should be.
    paths = [path for path in paths if path.is_file() and path != destination(job, download)]
    kept = job.downloaded(part, number)
    return list(dict.fromkeys([*paths, *([kept] if kept.is_file() else [])]))


def ordered_sources(job: Job, part: Part) -> list[tuple[int, Source]]:
    """Return where to fetch a part from, in order, with the number of the alternative each belongs to."""
    sources = []
    for number, download in enumerate(part.alternatives):
        for mirror in filter(is_address, job.mirrors):
            urls = [f"{mirror.rstrip('/')}/{name}" for name in _names(download)]
            sources += [(number, Source(url=url, mirror=mirror)) for url in urls]
        if not download.account:
            sources += [(number, source) for source in download.sources]
    return sorted(sources, key=lambda item: (_rank(job, item[1]), item[0]))


def _rank(job: Job, source: Source) -> int:
    if source.mirror in job.mirrors:
        return job.mirrors.index(source.mirror)
    return len(job.mirrors) + bool(source.dead)


def is_address(mirror: str) -> bool:
    """Tell an address from the name of a mirror."""
    return "://" in mirror


def _accept(job: Job, path: Path, download: Download, reasons: list[str]) -> Obtained | None:
    own = path.is_relative_to(job.staging)
    try:
        verify_file(path, expected(download), progress=True)
    except WrongContent as error:
        if own:
            if not any(not source.compared for source in download.sources):
                path.unlink()
                return None
            return Obtained(path, download, own=True, verified=False)
        print(f"  {error}; it is not used")
        reasons.append(str(error))
        return None
    return Obtained(path, download, own=own, verified=download.checked)


def _fetch(source: Source, download: Download, path: Path, *, title: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wanted = expected(download) if source.compared else Expected()
    print(f"  fetching {download.file} from {source.address}")
    origin = Origin(url=source.url, drive_id=source.drive_id, expected=wanted)
    fetch_any([origin], path, attempts=ATTEMPTS, timeout=TIMEOUT, title=title)
    if not source.compared and download.checked:
        try:
            verify_file(path, expected(download))
        except WrongContent as error:
            print(f"  note: {error}; its content decides")


def _require_space(job: Job, download: Download, path: Path) -> None:
    """Refuse a download that cannot fit, with its unpacked files beside it.

    Raises:
        PreparationError: If the disk is too small.
    """
    size = download.size or download.size_about or 0
    part_file = path.with_name(f"{path.name}.part")
    there = part_file.stat().st_size if part_file.is_file() else 0
    needed = (size if download.place.to else 2 * size) - there
    free = free_bytes(job.root)
    if needed > free:
        raise PreparationError(
            f"{download.file} needs about {needed / GIB:.1f} GiB with its files, "
            f"{free / GIB:.1f} GiB are free in {job.root}"
        )


def _by_hand(job: Job, part: Part) -> list[str]:
    labels = part.alternatives[0].place.labels_from
    told_by = [one.file for other in job.entry.parts if other.name == labels for one in other.alternatives]
    needed = f"; its images are sorted by {' or '.join(told_by)}, which belongs beside it" if told_by else ""
    return [
        f"{download.file}{_size(download)}{_other_names(download)} needs an account, "
        f"get it from {download.page}{needed}"
        for download in part.alternatives
        if download.account
    ]


def hint_by_hand(job: Job, parts: Sequence[Part]) -> str:
    """Say what to do with files that are fetched by hand; empty if none of the parts has such."""
    if not any(download.account for part in parts for download in part.alternatives):
        return ""
    return f"put what you fetch by hand into {job.archives or job.root} and run {job.command()}"


def _other_names(download: Download) -> str:
    return f", also called {' or '.join(download.also_named)}," if download.also_named else ""


def _names(download: Download) -> list[str]:
    sent = [_file_name(source) for source in download.sources if source.url]
    return list(dict.fromkeys([download.file, *sent]))


def _size(download: Download) -> str:
    size = download.size or download.size_about
    return f" ({size} bytes)" if size else ""


def _file_name(source: Source) -> str:
    return unquote(urlsplit(source.url).path).rpartition("/")[2]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
