"""What the page says of one data set."""

from collections.abc import Iterator

from datasets.catalog import Download, Entry, Part, Source
from datasets.document.figures import counts_of, needs_account, size_of


def render_section(entry: Entry) -> str:
    """Return the section of one data set."""
    return "\n".join(
        [
            f"### {entry.title}",
            "",
            f"Registered as `{entry.name}`, configured by `configs/datasets/{entry.stem}.yaml`, "
            f"stored in `ROOT/{entry.directory}/`.",
            f"{evaluated(entry)}{entry.classes} classes; train / val / test images: {counts_of(entry)}.",
            f"Known from: {prose(entry.counts_known_from)}.{smallest_classes(entry)}",
            "",
            f"    python -m datasets.prepare {entry.name} --root ROOT",
            "",
            "Folders when it is whole:",
            "",
            "```text",
            *entry.tree,
            *([f"{entry.prompt_file} (optional)"] if entry.prompt_file else []),
            "```",
            "",
            *account_lines(entry),
            "Files:",
            "",
            *(line for part in entry.parts for line in part_lines(part, entry)),
            "",
            f"**Licence and terms.** {prose(entry.terms) or 'Not known.'}",
            "",
            *listing("Worth knowing:", entry.notes),
            *listing("Reports of addresses that no longer answer:", entry.dead_links),
        ]
    )


def evaluated(entry: Entry) -> str:
    """Return what a data set without training images is for."""
    return f"For evaluation only, of models trained on {entry.trained_on}: " if entry.trained_on else ""


def smallest_classes(entry: Entry) -> str:
    """Return the sizes of the smallest class, where they are known."""
    known = " / ".join(f"{number:,} {name}" for name, number in entry.min_per_class.items())
    return f" The smallest class has {known} images." if known else ""


def account_lines(entry: Entry) -> list[str]:
    """Return how to get what cannot be fetched without an account."""
    if not needs_account(entry):
        return []
    files = {download.file: download for part in entry.parts for download in part.alternatives if download.account}
    return [
        "No source without an account is known to work for all of it. Fetch by hand, then give the folder:",
        "",
        *(
            f"- `{file}`{other_names(download)} from {f'<{download.page}>' if download.page else 'its owners'}"
            for file, download in files.items()
        ),
        "",
        f"      python -m datasets.prepare {entry.name} --root ROOT --archives FOLDER",
        "",
    ]


def part_lines(part: Part, entry: Entry) -> Iterator[str]:
    """Yield the lines on the files that can serve as a part."""
    choice = ", the first that can be had" if len(part.alternatives) > 1 else ""
    yield f"- **{part.name}**{'' if part.required else ' (optional)'}{choice}"
    for download in part.alternatives:
        yield f"  - `{download.file}`: {prose(download.role)}; {size_of(download)}{place_of(download, entry)}"
        yield f"    - {checksums(download)}"
        for source in download.sources:
            yield f"    - {source_line(source, checked=download.checked)}"
        if download.account:
            yield f"    - needs an account{f': <{download.page}>' if download.page else ''}"


def other_names(download: Download) -> str:
    """Return the names that a file is given elsewhere, which are recognised as well."""
    return f" (also taken as {', '.join(f'`{name}`' for name in download.also_named)})" if download.also_named else ""


def place_of(download: Download, entry: Entry) -> str:
    """Return where a plain file is put, or where the folders of an archive are."""
    folder = download.place.above or entry.directory
    if download.place.to:
        return f"; stored as `{folder}/{download.place.to}`"
    moves = [f"`{entry.directory}/{move.to}`".replace("/.`", "`") for move in download.place.moves]
    return f"; unpacked into {' and '.join(dict.fromkeys(moves))}" if moves else ""


def checksums(download: Download) -> str:
    """Return the checksums that a file is compared with."""
    known = [("sha256", download.sha256), ("md5", download.md5), ("git blob", download.git_blob_sha1)]
    return ", ".join(f"{kind} `{value}`" for kind, value in known if value) or "no checksum known, the content decides"


def source_line(source: Source, *, checked: bool) -> str:
    """Return a source with what is known of it."""
    unlike = (
        " (its bytes were not compared with the checksum, the content decides)"
        if checked and not source.compared
        else ""
    )
    dead = f" **reported dead**, tried last: {prose(source.dead)}" if source.dead else ""
    return f"{source.mirror or 'source'}: <{source.address}>{unlike}{dead}"


def listing(title: str, lines: tuple[str, ...]) -> list[str]:
    """Return a titled list, nothing if it is empty."""
    return [title, "", *(f"- {prose(line)}" for line in lines), ""] if lines else []


def prose(text: str) -> str:
    """Return text in which Markdown sees neither tags nor emphasis."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*")
