"""Command line: ``python -m datasets.prepare NAME... --root DIR``."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from datasets.catalog import Entry, find_entries, read_catalog
from datasets.catalog.root import data_root
from datasets.doctor.inspection import registered
from datasets.prepare.job import Job
from datasets.prepare.obtaining import is_address
from datasets.prepare.plan import plan_lines, verification_lines
from datasets.prepare.preparation import Outcome, prepare, verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the data sets that are asked for, one after another.

    Returns:
        0 if every one of them is whole, else 1.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        jobs = read_jobs(options)
    except (ValueError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    if options.dry_run:
        print("\n".join(line for job in jobs for line in plan_lines(job)))
        return 0
    try:
        outcomes = [handle(job, verify_only=options.verify_only) for job in jobs]
    except KeyboardInterrupt:
        parser.exit(130, f"\n{parser.prog}: stopped; the same command goes on from here\n")
    print(
        "\n".join(
            f"{outcome.entry.name}: {outcome.reason and 'not whole: '}{outcome.reason or 'whole'}"
            for outcome in outcomes
        )
    )
    return 0 if all(outcome.whole for outcome in outcomes) else 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m datasets.prepare",
        description="Fetch, verify, unpack and arrange data sets. A run that was stopped is finished by the next one.",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="registry name, configuration stem or folder, or all")
    parser.add_argument(
        "--root", required=True, type=data_root, metavar="DIR", help="data root; made if its parent exists"
    )
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="M",
        help="mirror to try first: a name of the catalog, or the address of a folder that holds the files; repeatable",
    )
    parser.add_argument("--archives", type=Path, metavar="DIR", help="folder with files that you have; only read")
    parser.add_argument("--verify-only", action="store_true", help="compare what is there, change nothing")
    parser.add_argument("--dry-run", action="store_true", help="print what would be fetched and from where")
    parser.add_argument("--keep-archives", action="store_true", help="keep what was downloaded, in DIR/.prepare")
    parser.add_argument("--catalog", type=Path, metavar="FILE", help="catalog to read instead of the shipped one")
    return parser


def read_jobs(options: argparse.Namespace) -> list[Job]:
    """Turn the command line into jobs.

    Raises:
        ValueError: If a name or a mirror is unknown, or the catalog is damaged or lists what is no data set here.
        OSError: If a folder or the catalog is missing.
    """
    catalog = read_catalog(options.catalog)
    entries = find_entries(options.names, catalog)
    for entry in entries:
        registered(entry.name)
    mirrors = tuple(options.mirror)
    check_mirrors(mirrors, catalog)
    root = existing_root(options.root, make=not (options.dry_run or options.verify_only))
    archives = None if options.archives is None else options.archives.expanduser().absolute()
    if archives is not None and not archives.is_dir():
        raise NotADirectoryError(f"--archives {options.archives} is no folder")
    return [Job(entry, root, archives, mirrors, options.keep_archives) for entry in entries]


def check_mirrors(mirrors: Sequence[str], catalog: Mapping[str, Entry]) -> None:
    """Refuse a mirror that is neither an address nor a name of the catalog.

    Raises:
        ValueError: Naming the known ones.
    """
    downloads = [one for entry in catalog.values() for part in entry.parts for one in part.alternatives]
    known = sorted({source.mirror for download in downloads for source in download.sources} - {""})
    for mirror in mirrors:
        if is_address(mirror):
            if not mirror.startswith(("http://", "https://")):
                raise ValueError(f"--mirror {mirror} is no http or https address")
        elif mirror not in known:
            raise ValueError(f"unknown mirror {mirror!r}; known: {', '.join(known)}, or an http(s) address")


def existing_root(root: Path, *, make: bool) -> Path:
    """Return the data root as an absolute path, made if only its last folder is missing.

    Raises:
        OSError: If it is a file, cannot be made, or its parent is missing.
    """
    root = root.expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(f"--root {root} is a file, no folder")
    if not root.exists() and not root.parent.is_dir():
        raise FileNotFoundError(f"--root {root} cannot be made: {root.parent} does not exist")
    if make:
        root.mkdir(exist_ok=True)
    return root


def handle(job: Job, *, verify_only: bool) -> Outcome:
    """Prepare or verify one data set, telling what is done."""
    print(f"{job.entry.name} in {job.folder}")
    if not verify_only:
        return prepare(job)
    for line in verification_lines(job):
        print(line)
    return verify(job)


if __name__ == "__main__":
    sys.exit(main())
