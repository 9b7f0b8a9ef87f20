"""What a run would do, without doing it: files, sources, sizes, disk space; and what the user's archives are worth."""

from pathlib import Path

from amu_raft.downloads.expected import WrongContent, verify_file
from datasets.catalog import Download, Part, Source
from datasets.doctor import inspect
from datasets.prepare.job import Job, free_bytes
from datasets.prepare.obtaining import GIB, expected, ordered_sources, own_files
from datasets.prepare.presence import missing_from
from datasets.prepare.tidying import misplaced


def plan_lines(job: Job) -> list[str]:
    """Say what is there, what is missing, and where each missing file would come from."""
    finding = inspect(job.entry, job.root)
    lines = [f"{job.entry.name} in {job.folder}: {finding.state}", *(f"  {line}" for line in misplaced(job))]
    missing = [(part, lack) for part in job.entry.parts if part.required and (lack := missing_from(job, part))]
    for part, lack in missing:
        lines += [f"  {part.name}: {lack}", *_part_lines(job, part)]
    lines += _label_lines(job, [part for part, _ in missing])
    if missing:
        needed = sum(_needed(part.alternatives[0]) for part, _ in missing)
        lines.append(f"  disk: {_gib(needed)} needed at least while it runs, {_gib(free_bytes(job.root))} free")
    lines.append(f"  terms: {job.entry.terms}")
    return lines


def verification_lines(job: Job) -> list[str]:
    """Compare the archives that the user has with the catalog, changing nothing."""
    lines = []
    for part in job.entry.parts:
        for number, download in enumerate(part.alternatives):
            if download.place.to:
                continue
            lines += [f"  {_verdict(path, download)}" for path in own_files(job, part, number)]
    return lines


def _verdict(path: Path, download: Download) -> str:
    try:
        verify_file(path, expected(download), progress=True)
    except WrongContent as error:
        return str(error)
    return f"{path} is the published file" if download.checked else f"{path}: no checksum of it is known"


def _label_lines(job: Job, missing: list[Part]) -> list[str]:
    """List the files that tell classes of images, where images of that kind are missing."""
    needed = {part.alternatives[0].place.labels_from for part in missing} - {""}
    return [
        line
        for part in job.entry.parts
        if part.name in needed
        for line in (f"  {part.name}: needed to sort the images into folders", *_part_lines(job, part))
    ]


def _part_lines(job: Job, part: Part) -> list[str]:
    order = ordered_sources(job, part)
    lines = []
    for number, download in enumerate(part.alternatives):
        there = own_files(job, part, number)
        account = f"; by hand from {download.page}, an account is needed" if download.account else ""
        lines.append(f"    {download.file}: {download.role}; {_size(download)}, {_checksums(download)}{account}")
        lines += [f"      already there: {path}" for path in there]
        if download.place.copy_of:
            lines.append(f"      copied from {job.root / download.place.copy_of} if that is there")
        lines += [
            f"      {position}. {_source(source)}"
            for position, (other, source) in enumerate(order, start=1)
            if other == number
        ]
    return lines


def _source(source: Source) -> str:
    notes = [f"--mirror {source.mirror}"] if source.mirror else []
    notes += [] if source.compared else ["never compared with the checksums"]
    notes += [f"reported dead: {source.dead}"] if source.dead else []
    return f"{source.address} ({', '.join(notes)})" if notes else source.address


def _needed(download: Download) -> int:
    size = download.size or download.size_about or 0
    return size if download.place.to else 2 * size


def _size(download: Download) -> str:
    if download.size is not None:
        return f"{download.size} bytes"
    return "size unknown" if download.size_about is None else f"about {download.size_about} bytes"


def _checksums(download: Download) -> str:
    known = {"md5": download.md5, "sha256": download.sha256, "git blob": download.git_blob_sha1}
    return ", ".join(f"{kind} {value}" for kind, value in known.items() if value) or "no checksum known"


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
