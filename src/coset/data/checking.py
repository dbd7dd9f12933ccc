"""Checks the files of a data set against their digests."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from coset.core.errors import FileFormatError
from coset.data.catalog import DataFile, find_dataset
from coset.data.idx import file_digest, read_header

__all__ = ["FileCheck", "FileStatus", "verify"]

FileStatus = Literal["ok", "missing", "changed", "foreign"]
"""What became of a file: ``ok`` has the expected digest; ``missing`` is not there; ``changed`` has
the header of the expected file and another digest; ``foreign`` is something else altogether."""


@dataclass(frozen=True)
class FileCheck:
    """What a file of a data set should be and what it is.

    Attributes:
        path: where the file lies or would lie.
        status: see `FileStatus`.
        expected: SHA-256 digest of the right file.
        found: SHA-256 digest of the file that is there; None if there is none.
    """

    path: Path
    status: FileStatus
    expected: str
    found: str | None


def verify(name: str) -> list[FileCheck]:
    """Compare each file of a data set with its SHA-256 digest.

    Args:
        name: the data set.

    Returns:
        One check a file, in the order of `Dataset.files`.

    Raises:
        UnknownNameError: if there is no data set of that name.
        StorageError: if a file is there and cannot be read.

    Complexity:
        Time O(bytes of the data set), memory O(1).

    Example:
        >>> [check.status for check in verify("digits")]
        ['ok', 'ok', 'ok', 'ok']
    """
    dataset = find_dataset(name)
    folder = dataset.folder()
    return [_check(folder.joinpath(file.name), file) for file in dataset.files]


def _check(source: Traversable, file: DataFile) -> FileCheck:
    path = Path(str(source))
    if not source.is_file():
        status: FileStatus = "foreign" if source.is_dir() else "missing"
        return FileCheck(path, status, file.sha256, None)
    found = file_digest(source)
    if found == file.sha256:
        return FileCheck(path, "ok", file.sha256, found)
    try:
        is_alike = read_header(source).shape == file.shape
    except FileFormatError:
        is_alike = False
    return FileCheck(path, "changed" if is_alike else "foreign", file.sha256, found)
