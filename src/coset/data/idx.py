"""The idx format of MNIST: a typed array behind a short big-endian header, gzip-compressed or not.

Layout: bytes 0 and 1 are zero, byte 2 is the element type, byte 3 the number of dimensions, then
one unsigned 32-bit size for each dimension, then the elements, all big-endian.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DtypeError, FileFormatError, StorageError

__all__ = [
    "MAX_IDX_BYTES",
    "IdxContent",
    "IdxHeader",
    "decode_idx",
    "file_digest",
    "read_header",
    "read_idx",
]

MAX_IDX_BYTES = 2**30
"""Largest declared content, in bytes, that `read_idx` accepts unless it is told otherwise."""

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DIMENSIONS = 8
_GZIP_MAGIC = b"\x1f\x8b"
# Content grows as it is read, so a header that promises more than the file has costs one piece.
_PIECE = 2**20


@dataclass(frozen=True)
class IdxHeader:
    """What the first bytes of an idx file declare.

    Attributes:
        type_code: byte 2, one of 0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E.
        shape: the declared sizes.
    """

    type_code: int
    shape: tuple[int, ...]

    @property
    def offset(self) -> int:
        """Byte at which the elements begin."""
        return 4 + 4 * len(self.shape)

    @property
    def num_bytes(self) -> int:
        """Declared length of the elements in bytes."""
        return math.prod(self.shape) * np.dtype(_TYPES[self.type_code]).itemsize


@dataclass(frozen=True)
class IdxContent:
    """A whole idx file, uncompressed.

    Attributes:
        header: what its first bytes declare.
        raw: header and elements as stored.
    """

    header: IdxHeader
    raw: bytearray

    def digest(self) -> str:
        """Return the SHA-256 of the uncompressed file in hexadecimal."""
        return hashlib.sha256(self.raw).hexdigest()

    def tensor(self) -> Tensor:
        """Return the elements as a fresh tensor in this machine's byte order."""
        stored = np.dtype(_TYPES[self.header.type_code])
        flat = np.frombuffer(self.raw, dtype=stored, offset=self.header.offset)
        return torch.from_numpy(flat.astype(stored.newbyteorder("="))).reshape(self.header.shape)


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = MAX_IDX_BYTES) -> Tensor:
    """Read an idx file, gzip-compressed or not, as a tensor.

    Compression is recognized by content, not by the file's name. The declared sizes are checked
    against `max_bytes` before anything is read, and memory grows with what the file really holds.

    Args:
        path: the file.
        max_bytes: largest declared content accepted, at least 0.

    Returns:
        A tensor of the declared shape; uint8, int8, int16, int32, float32 or float64.

    Raises:
        FileFormatError: if the file is empty, truncated, foreign, damaged, too long or declares
            more than `max_bytes`; names the file and the byte.
        StorageError: if the file is absent, not a regular file, or cannot be read.
        DtypeError: if `path` is not a path.

    Complexity:
        Time and memory O(file size).

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "labels"
        >>> _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        >>> read_idx(file)
        tensor([7, 2, 1], dtype=torch.uint8)
    """
    if not isinstance(path, str | os.PathLike):
        raise DtypeError(
            f"path must be a string or a path; got {type(path).__name__}; give the file's name"
        )
    return decode_idx(Path(path), max_bytes=max_bytes).tensor()


def decode_idx(source: Traversable, *, max_bytes: int = MAX_IDX_BYTES) -> IdxContent:
    """Read an idx file from a folder or from an installed package, and check all of it.

    Args:
        source: a path or a package resource.
        max_bytes: largest declared content accepted, at least 0.

    Returns:
        Header and uncompressed bytes.

    Raises:
        FileFormatError: as `read_idx`.
        StorageError: as `read_idx`.
    """
    with _unpacked(source) as stream:
        header, raw = _parse_header(stream, str(source))
        # Sizes of which one is zero still become strides, so zero counts as one here.
        needed = header.num_bytes or math.prod(size or 1 for size in header.shape)
        if needed > max_bytes:
            raise FileFormatError(
                f"{source} must declare at most {max_bytes} bytes of content; the sizes at byte 4, "
                f"{_times(header.shape)}, need {needed}; the header is damaged, or the "
                "limit is too small for this file"
            )
        _read_elements(stream, raw, header, str(source))
    return IdxContent(header, raw)


def read_header(source: Traversable) -> IdxHeader:
    """Read only the header of an idx file, gzip-compressed or not.

    Args:
        source: a path or a package resource.

    Returns:
        The declared type and shape.

    Raises:
        FileFormatError: if the header is truncated or foreign; names the file and the byte.
        StorageError: as `read_idx`.
    """
    with _unpacked(source) as stream:
        return _parse_header(stream, str(source))[0]


def file_digest(source: Traversable) -> str:
    """Return the SHA-256 of a file as stored, in hexadecimal.

    Args:
        source: a path or a package resource.

    Returns:
        64 hexadecimal digits.

    Raises:
        StorageError: as `read_idx`.
    """
    with _stored(source) as stream:
        hasher = hashlib.sha256()
        while piece := stream.read(_PIECE):
            hasher.update(piece)
    return hasher.hexdigest()


@contextmanager
def _stored(source: Traversable) -> Iterator[IO[bytes]]:
    """Open `source` as stored; what the system says while it is read becomes a StorageError."""
    try:
        # A pipe or a device could block or never end; following links is fine.
        if not source.is_file():
            kind = "a folder" if source.is_dir() else "missing, or no ordinary file"
            raise StorageError(f"{source} must be a file; it is {kind}; check the path")
        with source.open("rb") as stream:
            yield stream
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"{source} must be readable; the system says: {error.strerror or error}; "
            "check its permissions and the disk"
        ) from error


@contextmanager
def _unpacked(source: Traversable) -> Iterator[IO[bytes]]:
    """Open `source`, decompressing it if its content is gzip."""
    with _stored(source) as stored:
        is_packed = stored.read(2) == _GZIP_MAGIC
        stored.seek(0)
        if not is_packed:
            yield stored
            return
        try:
            with gzip.GzipFile(fileobj=stored) as stream:
                yield stream  # type: ignore[misc]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileFormatError(
                f"{source}, near byte {stored.tell()}: the gzip stream must be whole; "
                f"decompression stopped: {error}; the file is truncated or damaged, get it again"
            ) from error


def _parse_header(stream: IO[bytes], name: str) -> tuple[IdxHeader, bytearray]:
    raw = bytearray(_exactly(stream, 4, name, "an idx header", start=0))
    if raw[:2] != b"\0\0":
        raise FileFormatError(
            f"{name}, byte 0: an idx file begins with two zero bytes; found {raw[:2].hex(' ')}; "
            "this is not an idx file"
        )
    if raw[2] not in _TYPES:
        known = ", ".join(f"0x{code:02x}" for code in _TYPES)
        raise FileFormatError(
            f"{name}, byte 2: the element type must be one of {known}; found 0x{raw[2]:02x}; "
            "this is not an idx file"
        )
    if not 1 <= raw[3] <= _MAX_DIMENSIONS:
        raise FileFormatError(
            f"{name}, byte 3: the number of dimensions must be 1 to {_MAX_DIMENSIONS}; "
            f"found {raw[3]}; the header is damaged"
        )
    sizes = _exactly(stream, 4 * raw[3], name, f"the sizes of {raw[3]} dimensions", start=4)
    return IdxHeader(raw[2], struct.unpack(f">{raw[3]}I", sizes)), raw + sizes


def _read_elements(stream: IO[bytes], raw: bytearray, header: IdxHeader, name: str) -> None:
    end = header.offset + header.num_bytes
    while len(raw) < end:
        piece = stream.read(min(_PIECE, end - len(raw)))
        if not piece:
            raise FileFormatError(
                f"{name}, byte {len(raw)}: the file ends here, but its header declares "
                f"{_times(header.shape)} elements up to byte {end}; it is truncated, get it again"
            )
        raw += piece
    # Reading on to the end is also what makes gzip compare its checksum.
    if stream.read(1):
        raise FileFormatError(
            f"{name}, byte {end}: the content must end here, as its header declares "
            f"{_times(header.shape)} elements; more follows; the header or the file is damaged"
        )


def _exactly(stream: IO[bytes], count: int, name: str, what: str, *, start: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        state = "the file is empty" if start + len(found) == 0 else "the file ends here"
        raise FileFormatError(
            f"{name}, byte {start + len(found)}: {state}, but {what} takes {count} bytes from "
            f"byte {start}; it is truncated or not an idx file"
        )
    return found


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
