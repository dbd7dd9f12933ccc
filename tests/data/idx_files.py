"""Small idx files, whole and damaged, and a small stand-in for MNIST."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import random
import struct
import tarfile
from pathlib import Path

from coset.core.errors import FileFormatError
from coset.data.catalog import DataFile, Dataset

NUM = {"train": 20, "t10k": 10}


def idx_bytes(shape, payload=None, type_code=0x08, item_size=1) -> bytes:
    """Return an idx file; the elements count 0, 1, 2, … modulo 10 unless given."""
    if payload is None:
        payload = bytes(i % 10 for i in range(math.prod(shape) * item_size))
    header = bytes([0, 0, type_code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return header + payload


def mnist_contents() -> dict[str, bytes]:
    """Return the four files of a small data set with the layout of MNIST."""
    contents = {}
    for prefix, count in NUM.items():
        pixels = random.Random(prefix).randbytes(count * 784)
        contents[f"{prefix}-images-idx3-ubyte"] = idx_bytes((count, 28, 28), pixels)
        contents[f"{prefix}-labels-idx1-ubyte"] = idx_bytes((count,))
    return contents


def small_mnist() -> Dataset:
    """Return the catalog's entry of `mnist_contents`."""
    files = tuple(
        DataFile(
            name,
            "train" if name.startswith("train") else "test",
            (NUM[name.split("-")[0]],) + ((28, 28) if "images" in name else ()),
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
        for name, content in mnist_contents().items()
    )
    return Dataset("mnist", "small stand-in", files, "none", "none", packaged=False)


def write_folder(folder: Path, contents: dict[str, bytes]) -> Path:
    """Write the files and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def npm_archive(contents: dict[str, bytes], prefix="package/data/", extra=()) -> bytes:
    """Return a gzip-compressed tar archive as npm makes them; `extra` holds (TarInfo, bytes)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for info, content in extra:
            archive.addfile(info, None if content is None else io.BytesIO(content))
        for name, content in contents.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), 1, mtime=0)


def mutated(content: bytes, seed: int) -> bytes:
    """Return `content` with one to three random damages: flips, cuts, insertions, header fields."""
    rng = random.Random(seed)
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        where = rng.randrange(len(data)) if data else 0
        match rng.randrange(6):
            case 0 if data:
                data[where] ^= 1 << rng.randrange(8)
            case 1:
                del data[where:]
            case 2:
                data[where:where] = rng.randbytes(rng.randint(1, 9))
            case 3:
                del data[where : where + rng.randint(1, 9)]
            case 4 if data:
                data[rng.randrange(min(16, len(data)))] = rng.randrange(256)
            case _:
                data += rng.randbytes(rng.randint(1, 9))
    return bytes(data)


def outcome(call, *args):
    """Return (result, None), or (None, message) if `call` refuses a file; let other errors out."""
    try:
        return call(*args), None
    except FileFormatError as error:
        return None, str(error)
