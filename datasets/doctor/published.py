"""Whether a file is the published one."""

from pathlib import Path

from amu_raft.downloads.expected import Expected, WrongContent, verify_file
from datasets.catalog import Download


def is_published(path: Path, download: Download) -> bool:
    """Tell whether a file has the checksum of the published one, if that is known."""
    try:
        verify_file(path, Expected(md5=download.md5, sha256=download.sha256, git_blob_sha1=download.git_blob_sha1))
    except (WrongContent, OSError):
        return False
    return download.checked
