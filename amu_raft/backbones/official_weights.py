"""The official weight files of the backbones and auxiliary encoders: what they are, where they lie, how they come."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amu_raft.cache import cache_folder

WEIGHTS_VARIABLE = "AMU_RAFT_WEIGHTS"
_CLIP_HOST = "https://openaipublic.azureedge.net/clip/models"


@dataclass(frozen=True)
class WeightFile:
    """One published weight file.

    Attributes:
        name: What configurations call it.
        file: Its official file name, by which it is looked for.
        url: Where it is published.
        what: Noun for messages.
        sha256: Its published checksum; "" if there is none, then ``prefix`` is what can be checked.
        prefix: Begins the name of every entry of the network in the file; "" where the checksum decides.
    """

    name: str
    file: str
    url: str
    what: str
    sha256: str = ""
    prefix: str = ""


# name: (file, sha256). The checksum is part of the address, as OpenAI publishes it.
_CLIP = {
    "RN50": ("RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"),
    "RN101": ("RN101.pt", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599"),
    "RN50x4": ("RN50x4.pt", "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd"),
    "RN50x16": ("RN50x16.pt", "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa"),
    "RN50x64": ("RN50x64.pt", "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c"),
    "ViT-B/32": ("ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    "ViT-B/16": ("ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    "ViT-L/14": ("ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
    "ViT-L/14@336px": ("ViT-L-14-336px.pt", "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"),
}
CLIP_FILES: dict[str, WeightFile] = {
    name: WeightFile(name, file, f"{_CLIP_HOST}/{sha256}/{file}", "CLIP weights", sha256)
    for name, (file, sha256) in _CLIP.items()
}
AUX_FILES: dict[str, WeightFile] = {
    "mocov3_rn50": WeightFile(
        "mocov3_rn50",
        "r-50-1000ep.pth.tar",
        "https://dl.fbaipublicfiles.com/moco-v3/r-50-1000ep/r-50-1000ep.pth.tar",
        "aux encoder weights",
        prefix="module.base_encoder.",
    )
}
OFFICIAL_FILES: dict[str, WeightFile] = {**CLIP_FILES, **AUX_FILES}


def default_folder(entry: WeightFile) -> Path:
    """Return the folder that a file is downloaded into: the ``clip`` package's for CLIP, else the project's cache."""
    if entry.name in CLIP_FILES:
        return Path(os.environ.get("CLIP_ROOT") or "~/.cache/clip").expanduser()
    return cache_folder() / "weights"


def locate_weights(entry: WeightFile, weights: Path | str | None = None) -> Path:
    """Return where a file lies, or where a download belongs if it lies nowhere.

    It is looked for in ``weights`` alone if that is given; else in AMU_RAFT_WEIGHTS, then in the default folder.

    Args:
        entry: The file.
        weights: A folder that holds it under its official name, or the file itself under that name.

    Raises:
        FileNotFoundError: If ``weights`` is given and does not hold it.
    """
    if weights:
        found = _within(Path(weights).expanduser(), entry.file)
        if found is None:
            raise FileNotFoundError(
                f"--weights {weights} does not hold {entry.file}, the {entry.what} of {entry.name}; give a folder that "
                f"holds it under this name (it is published at {entry.url}), or leave --weights out to download it"
            )
        return found
    named = os.environ.get(WEIGHTS_VARIABLE)
    found = _within(Path(named).expanduser(), entry.file) if named else None
    return found or default_folder(entry) / entry.file


def official_weights(entry: WeightFile, weights: Path | str | None = None) -> Path:
    """Return the path of a file, downloaded first if it lies nowhere and no place was named.

    A published checksum is compared on every call, not only after a download.

    Raises:
        FileNotFoundError: If it is absent and cannot be downloaded, or is not in the place that was named.
        ValueError: If its checksum differs, or what was downloaded is something else.
    """
    path = locate_weights(entry, weights)
    if path.is_file():
        check_sha256(entry, path)
    else:
        download_weights(entry, path)
    return path


def download_weights(entry: WeightFile, path: Path, *, mirror: str = "") -> None:
    """Download a file, going on where an earlier try stopped; it takes its name only after it was checked.

    Args:
        entry: The file.
        path: Where it goes.
        mirror: Address of a folder that holds a copy under the official name; it is asked before the publisher.

    Raises:
        FileNotFoundError: If no source gives the file.
        OSError: If it cannot be written.
        ValueError: If a source without a checksum gives something else.
    """
    from amu_raft.downloads.expected import Expected  # requests comes with it: a quarter of a second that few runs need
    from amu_raft.downloads.part_file import FetchError, one_process
    from amu_raft.downloads.sources import Origin, fetch_any

    urls = [f"{mirror.rstrip('/')}/{entry.file}", entry.url] if mirror else [entry.url]
    origins = [Origin(url, expected=Expected(sha256=entry.sha256 or None)) for url in urls]
    print(f"{entry.what} of {entry.name} are not here yet: {' or '.join(urls)} is downloaded to {path} (size unknown)")
    try:
        if entry.sha256:
            return fetch_any(origins, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_process(path):
            if not path.is_file():  # another process may have been quicker
                unchecked = path.with_name(f"{path.name}.unchecked")
                fetch_any(origins, unchecked, title=entry.file)
                _name_after_check(entry, unchecked, path)
    except FetchError as error:
        raise FileNotFoundError(
            f"{entry.what} of {entry.name} are absent: {error}; put the file there by hand, name the folder that holds "
            f"it by --weights, or give the path of a copy in place of {entry.name!r}"
        ) from error


def check_sha256(entry: WeightFile, path: Path) -> None:
    """Compare a file with its published checksum, if it has one.

    Raises:
        ValueError: If it differs.
    """
    from amu_raft.backbones.state_files import sha256_of  # torch comes with it, which names and places do not need

    if entry.sha256 and (found := sha256_of(path)) != entry.sha256:
        raise ValueError(
            f"{path} has sha256 {found}, expected {entry.sha256}; delete it to download it again from {entry.url}"
        )


def check_entries(entry: WeightFile, path: Path) -> None:
    """Check that a file without a published checksum holds the network's entries and no code.

    Raises:
        ValueError: If it does not.
    """
    from amu_raft.backbones.state_files import load_state_file

    loaded = load_state_file(path, what=entry.what)
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else {}
    if not isinstance(state, Mapping) or not any(str(key).startswith(entry.prefix) for key in state):
        raise ValueError(f"{path} does not hold the {entry.what} of {entry.name}: it has no entries {entry.prefix}*")


def _name_after_check(entry: WeightFile, unchecked: Path, path: Path) -> None:
    """Give a download its name; what is no such file is removed, so that the next try starts afresh."""
    from amu_raft.backbones.state_files import sha256_of

    try:
        check_entries(entry, unchecked)
    except ValueError as error:
        unchecked.unlink()
        raise ValueError(f"what was downloaded is not {entry.file} and is removed again: {error}") from error
    unchecked.replace(path)
    print(f"{path}: sha256 {sha256_of(path)} (none is published to compare with; its entries were checked)")


def _within(place: Path, file: str) -> Path | None:
    """Return the file of this name in a folder, or the place itself if it is that file."""
    candidate = place / file if place.is_dir() else place
    return candidate if candidate.name == file and candidate.is_file() else None
