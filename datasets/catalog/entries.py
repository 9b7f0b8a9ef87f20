"""What a catalog consists of: data sets, their parts, files that serve as a part, and places to fetch a file from."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One place to fetch a file from.

    Attributes:
        url: Address; "" if the file lies on Google Drive.
        drive_id: Google Drive's id of the file; "" if it has an address.
        mirror: Name that ``--mirror`` chooses it by.
        compared: Whether the checksums were taken from these bytes. Otherwise the content decides, not the checksum.
        dead: Report that says it no longer answers; such a source is tried last. "" if there is none.
    """

    url: str = ""
    drive_id: str = ""
    mirror: str = ""
    compared: bool = True
    dead: str = ""

    @property
    def address(self) -> str:
        """The address as a person would open it."""
        return self.url or f"https://drive.google.com/file/d/{self.drive_id}/view"


@dataclass(frozen=True)
class Move:
    """A folder of an unpacked archive and its place in the data set's folder.

    Attributes:
        find: Names or paths of the folder, the first that is there counts; "." is the archive's top.
        to: Its place below the data set's folder; "." for that folder itself.
        images: Files that the finished folder holds at least; None if the list of images tells.
    """

    find: tuple[str, ...]
    to: str
    images: int | None = None


@dataclass(frozen=True)
class ClassNamesCheck:
    """How to tell the right list of class names from a wrong one of the same form.

    Attributes:
        lines: Number of its lines, each "<wnid> <name>".
        twice: Names that two classes share in the right list.
        never: Names that only the wrong list holds.
    """

    lines: int
    twice: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """What is done with a file that has been fetched.

    Attributes:
        to: Place of a plain file below the data set's folder; "" for an archive.
        above: Folder below ROOT that ``to`` counts from instead of the data set's own.
        copy_of: File below ROOT that serves as well, such as the class names of ImageNet for its variants.
        inner: Patterns of archives inside the archive that are unpacked first.
        inner_folders: Whether each of them gets a folder of its own, named like it.
        moves: Folders to put into place.
        labels_from: Part that tells the class of each image of a folder without class folders.
        class_names: Check of a list of class names.
    """

    to: str = ""
    above: str = ""
    copy_of: str = ""
    inner: tuple[str, ...] = ()
    inner_folders: bool = False
    moves: tuple[Move, ...] = ()
    labels_from: str = ""
    class_names: ClassNamesCheck | None = None


@dataclass(frozen=True)
class Download:
    """A file that holds a part of a data set.

    Attributes:
        file: Its name; also what it is looked up by in the user's own archives.
        role: What it holds, for people.
        also_named: Other names that it is given where people fetch it by hand.
        sources: Places to fetch it from, the most reliable first.
        size: Bytes; None if not known for certain.
        size_about: Bytes, not certain enough to refuse a file by; None if unknown.
        md5: Checksum or None.
        sha256: Checksum or None.
        git_blob_sha1: Id of the file's content in git or None.
        account: Whether only people with an account can fetch it.
        page: Page where people fetch it by hand; "" if it is not needed.
        place: What is done with it.
    """

    file: str
    role: str
    sources: tuple[Source, ...] = ()
    size: int | None = None
    size_about: int | None = None
    md5: str | None = None
    sha256: str | None = None
    git_blob_sha1: str | None = None
    account: bool = False
    page: str = ""
    place: Place = Place()
    also_named: tuple[str, ...] = ()

    @property
    def checked(self) -> bool:
        """Whether a checksum of it is known."""
        return bool(self.md5 or self.sha256 or self.git_blob_sha1)


@dataclass(frozen=True)
class Part:
    """A part of a data set, such as its images, and the files that can serve as it, tried in order."""

    name: str
    alternatives: tuple[Download, ...]
    required: bool = True


@dataclass(frozen=True)
class Entry:
    """What is known about one data set.

    Attributes:
        name: Name in ``DATASET_REGISTRY``.
        stem: Name of its configuration file.
        directory: Its folder below the data root.
        title: Name for people.
        classes: Number of classes.
        counts: Images of each split; only "test" for a data set that is evaluated only.
        counts_known_from: How these numbers are known.
        min_per_class: Images of the smallest class of each split, where known.
        tree: The finished layout, one line for each thing.
        parts: What it is made of.
        prompt_file: File of GPT-3 sentences, below the data root (with the folder); "" if none is published.
        terms: Licence and terms of use.
        notes: What one should know before using it.
        dead_links: Reports of addresses that no longer answer.
        trained_on: Data set whose model is evaluated on it; "" for one that is trained on itself.
    """

    name: str
    stem: str
    directory: str
    title: str
    classes: int
    counts: Mapping[str, int]
    counts_known_from: str
    parts: tuple[Part, ...]
    min_per_class: Mapping[str, int]
    tree: tuple[str, ...] = ()
    prompt_file: str = ""
    terms: str = ""
    notes: tuple[str, ...] = ()
    dead_links: tuple[str, ...] = ()
    trained_on: str = ""
