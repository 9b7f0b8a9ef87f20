"""One image with its label, and the base class of data sets with few-shot sampling."""

import os
import random
import tarfile
import warnings
import zipfile
from collections.abc import Sequence
from typing import Any

from dassl.utils.files import check_isfile, download_url


class Datum:
    """An image file with its label.

    Few-shot caches pickle these objects, so the four private names are part of the contract. Unpickling does not
    look for the file.

    Args:
        impath: The image file.
        label: Class, counted from 0.
        domain: Domain, counted from 0.
        classname: Name of the class.

    Raises:
        AssertionError: If impath is no text or no existing file.
    """

    def __init__(self, impath: str = "", label: int = 0, domain: int = 0, classname: str = "") -> None:
        if not isinstance(impath, str):
            raise AssertionError(f"impath must be a str, but got {type(impath).__name__}")
        if not check_isfile(impath):
            raise AssertionError(f'No image file at "{impath}"')
        self._impath = impath
        self._label = label
        self._domain = domain
        self._classname = classname

    @property
    def impath(self) -> str:
        """The image file."""
        return self._impath

    @property
    def label(self) -> int:
        """The class, counted from 0."""
        return self._label

    @property
    def domain(self) -> int:
        """The domain, counted from 0."""
        return self._domain

    @property
    def classname(self) -> str:
        """The name of the class."""
        return self._classname


class DatasetBase:
    """The parts of a data set: labelled and unlabelled training, validation and test images.

    Args:
        train_x: Labelled training images. The classes are those that occur here.
        train_u: Unlabelled training images, or None.
        val: Validation images, or None.
        test: Test images.

    Attributes:
        dataset_dir: Folder of the data set under the root of all data.
        domains: Names of all domains.
    """

    dataset_dir: str = ""
    domains: Sequence[str] = []

    def __init__(
        self,
        train_x: Sequence[Datum] | None = None,
        train_u: Sequence[Datum] | None = None,
        val: Sequence[Datum] | None = None,
        test: Sequence[Datum] | None = None,
    ) -> None:
        self._train_x: Any = train_x
        self._train_u = train_u
        self._val = val
        self._test: Any = test
        names: dict[int, str] = {}
        for item in train_x or ():
            names.setdefault(item.label, item.classname)
        self._lab2cname = dict(sorted(names.items()))

    @property
    def train_x(self) -> Sequence[Datum]:
        """Labelled training images; None if not given."""
        images: Sequence[Datum] = self._train_x
        return images

    @property
    def train_u(self) -> Sequence[Datum] | None:
        """Unlabelled training images, or None."""
        return self._train_u

    @property
    def val(self) -> Sequence[Datum] | None:
        """Validation images, or None."""
        return self._val

    @property
    def test(self) -> Sequence[Datum]:
        """Test images; None if not given."""
        images: Sequence[Datum] = self._test
        return images

    @property
    def lab2cname(self) -> dict[int, str]:
        """Class names by label, in ascending order."""
        if not self._lab2cname:
            raise ValueError(f"{type(self).__name__} has no labelled training images, so its classes are unknown")
        return self._lab2cname

    @property
    def classnames(self) -> list[str]:
        """Class names by ascending label."""
        return list(self.lab2cname.values())

    @property
    def num_classes(self) -> int:
        """The highest label in train_x plus one; labels that do not occur count."""
        return max(self.lab2cname) + 1

    def check_input_domains(self, source_domains: Sequence[str], target_domains: Sequence[str]) -> None:
        """Check the domains that a configuration asks for.

        Raises:
            AssertionError: If either list is empty.
            ValueError: If a name is not among `domains`.
        """
        for kind, names in (("source", source_domains), ("target", target_domains)):
            if not names:
                raise AssertionError(f"{kind} domains are empty; choose from {list(self.domains)}")
            for name in names:
                if name not in self.domains:
                    raise ValueError(f"{kind} domain must be one of {list(self.domains)}, but got {name}")

    def download_data(self, url: str, dst: str, from_gdrive: bool = True) -> None:
        """Download an archive and unpack it beside itself.

        Args:
            url: Address, or Google Drive file id.
            dst: Where the archive goes; its ending (.zip, .tar, .tar.gz) tells how it is unpacked.
            from_gdrive: Fetch from Google Drive.

        Raises:
            ValueError: If the ending is another.
            RuntimeError: If this release of Python cannot unpack a tar archive safely.
        """
        if not dst.endswith((".zip", ".tar", ".tar.gz")):
            raise ValueError(f"An archive must end in .zip, .tar or .tar.gz, but got {dst}")
        if not dst.endswith(".zip") and not hasattr(tarfile, "data_filter"):  # before 3.10.12 and 3.11.4
            raise RuntimeError(f"This release of Python cannot unpack {dst} safely; update it, or unpack by hand")
        folder = os.path.dirname(dst)
        download_url(url, dst, from_gdrive=from_gdrive)
        print("Extracting file ...")
        if dst.endswith(".zip"):
            with zipfile.ZipFile(dst) as zipped:
                zipped.extractall(folder or os.curdir)
        else:
            with tarfile.open(dst) as tarred:
                tarred.extractall(folder or os.curdir, filter="data")
        print(f"File extracted to {folder}")

    def generate_fewshot_dataset(
        self, *data_sources: Sequence[Datum], num_shots: int = -1, repeat: bool = False
    ) -> Any:
        """Draw the same number of images of each class.

        Only Python's global ``random`` is used, and a class with fewer images than shots draws nothing, so that
        a seed gives the same sample everywhere. Works before the base constructor has run.

        Args:
            data_sources: One or several lists of images, drawn from one after the other.
            num_shots: Images per class; below 1 means all of them.
            repeat: Draw with replacement where a class has fewer images than shots; otherwise such a class is
                taken whole, in stored order, with one warning that names all such classes.

        Returns:
            A list for one source, a list of lists for several. With num_shots below 1 the source itself, or the
            tuple of sources.
        """
        if num_shots < 1:
            return data_sources[0] if len(data_sources) == 1 else data_sources
        print(f"Creating a {num_shots}-shot dataset")
        short: dict[str, int] = {}
        drawn = [self._draw(source, num_shots, repeat, short) for source in data_sources]
        if short:
            listed = ", ".join(f"{name} ({count})" for name, count in short.items())
            warnings.warn(f"Classes with fewer than {num_shots} images are taken whole: {listed}", stacklevel=2)
        return drawn[0] if len(drawn) == 1 else drawn

    def _draw(self, source: Sequence[Datum], num_shots: int, repeat: bool, short: dict[str, int]) -> list[Datum]:
        """Draw from one source; classes that are taken whole are noted in ``short`` with their sizes."""
        drawn: list[Datum] = []
        for items in self.split_dataset_by_label(source).values():
            if len(items) >= num_shots:
                drawn.extend(random.sample(items, num_shots))
            elif repeat:
                drawn.extend(random.choices(items, k=num_shots))
            else:
                drawn.extend(items)
                name = items[0].classname or f"label {items[0].label}"
                short[name] = min(len(items), short.get(name, len(items)))
        return drawn

    def split_dataset_by_label(self, data_source: Sequence[Datum]) -> dict[int, list[Datum]]:
        """Return the images of each label, labels in order of first appearance."""
        groups: dict[int, list[Datum]] = {}
        for item in data_source:
            groups.setdefault(item.label, []).append(item)
        return groups

    def split_dataset_by_domain(self, data_source: Sequence[Datum]) -> dict[int, list[Datum]]:
        """Return the images of each domain, domains in order of first appearance."""
        groups: dict[int, list[Datum]] = {}
        for item in data_source:
            groups.setdefault(item.domain, []).append(item)
        return groups
