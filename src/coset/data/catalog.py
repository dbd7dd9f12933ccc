"""The data sets that coset knows: what they hold, where they lie, and their checksums."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from importlib.resources.abc import Traversable

from coset.core.errors import DtypeError, UnknownNameError
from coset.core.files import cache_folder

__all__ = ["DataFile", "Dataset", "datasets", "find_dataset"]

_CITATION = (
    "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner. Gradient-based learning applied to document "
    "recognition. Proceedings of the IEEE, 86(11):2278-2324, 1998."
)
_LICENSE = "CC BY-SA 3.0; copyright Yann LeCun and Corinna Cortes, derived from NIST data"


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes:
        name: the file's name.
        split: "train" or "test".
        shape: sizes that its idx header declares, (N, 28, 28) for images and (N,) for labels.
        num_bytes: length as stored.
        sha256: digest of the file as stored, 64 hexadecimal digits.
    """

    name: str
    split: str
    shape: tuple[int, ...]
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """A data set: in the package, or brought on request.

    Attributes:
        name: what `get` and `verify` take.
        title: one line for a person.
        files: its files; for each split the images come before the labels.
        license: terms of use, in one line.
        citation: the publication to cite.
        packaged: whether the files lie in the installed package.
    """

    name: str
    title: str
    files: tuple[DataFile, ...]
    license: str
    citation: str
    packaged: bool

    @property
    def num_bytes(self) -> int:
        """Length of all files as stored."""
        return sum(file.num_bytes for file in self.files)

    def folder(self) -> Traversable:
        """Return where the files lie or would lie: in the package, or in `cache_folder()`."""
        if self.packaged:
            return importlib.resources.files("coset.data").joinpath(self.name)
        return cache_folder() / self.name

    def is_here(self) -> bool:
        """Return whether all files are there; `verify` says whether they are right."""
        folder = self.folder()
        return all(folder.joinpath(file.name).is_file() for file in self.files)


_DIGITS = Dataset(
    name="digits",
    title="4,000 + 1,000 MNIST digits, 28×28, the same number of each",
    files=(
        DataFile(
            "train-images-idx3-ubyte.gz",
            "train",
            (4000, 28, 28),
            650_371,
            "6a7066c929dd9bbfab47367968232a20bb7efbe81b8fe81f7070711df8885011",
        ),
        DataFile(
            "train-labels-idx1-ubyte.gz",
            "train",
            (4000,),
            58,
            "cf065db5073ff51ca39bee8e4b68b3f58cf4a6950b995a29a25cf23899bec2ac",
        ),
        DataFile(
            "test-images-idx3-ubyte.gz",
            "test",
            (1000, 28, 28),
            163_695,
            "89be5fdf394682e689791a75b3250062d149e21de9cfa6031261f83b74b1d821",
        ),
        DataFile(
            "test-labels-idx1-ubyte.gz",
            "test",
            (1000,),
            46,
            "e43bcd9f36f79255b108cfb3d56a066f886477a3797adca24aa7a65c591446d6",
        ),
    ),
    license=_LICENSE,
    citation=_CITATION,
    packaged=True,
)

_MNIST = Dataset(
    name="mnist",
    title="complete MNIST, 60,000 + 10,000 digits, 28×28",
    files=(
        DataFile(
            "train-images-idx3-ubyte",
            "train",
            (60000, 28, 28),
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        DataFile(
            "train-labels-idx1-ubyte",
            "train",
            (60000,),
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        DataFile(
            "t10k-images-idx3-ubyte",
            "test",
            (10000, 28, 28),
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte",
            "test",
            (10000,),
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    license=_LICENSE,
    citation=_CITATION,
    packaged=False,
)

_CATALOG = {dataset.name: dataset for dataset in (_DIGITS, _MNIST)}


def datasets() -> list[Dataset]:
    """Return every data set that coset knows, those in the package first.

    Returns:
        The data sets; nothing is read or fetched.

    Example:
        >>> [(item.name, item.packaged) for item in datasets()]
        [('digits', True), ('mnist', False)]
    """
    return sorted(_CATALOG.values(), key=lambda item: (not item.packaged, item.name))


def find_dataset(name: str) -> Dataset:
    """Return the data set of that name.

    Args:
        name: as in `Dataset.name`.

    Returns:
        The data set.

    Raises:
        UnknownNameError: if there is none; names the closest.
        DtypeError: if `name` is not a string.
    """
    if not isinstance(name, str):
        raise DtypeError(
            f"a data set's name must be a string; got {type(name).__name__}; "
            f"give one of {', '.join(_CATALOG)}"
        )
    if name not in _CATALOG:
        raise UnknownNameError.of("data set", name, _CATALOG)
    return _CATALOG[name]
