"""idx files: every type, every damage, no allocation on a header's word."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import tracemalloc

import pytest
import torch

from coset.core.errors import DtypeError, FileFormatError, StorageError
from coset.data import read_idx
from coset.data.idx import decode_idx, file_digest, read_header

from .idx_files import idx_bytes, mutated, outcome


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some-idx3-ubyte"


@pytest.mark.parametrize(
    ("code", "letter", "dtype", "values"),
    [
        (0x08, "B", torch.uint8, [0, 1, 255]),
        (0x09, "b", torch.int8, [-128, 0, 127]),
        (0x0B, "h", torch.int16, [-32768, 258, 1]),
        (0x0C, "i", torch.int32, [-(2**31), 16909060, 1]),
        (0x0D, "f", torch.float32, [0.5, -1.25, 1e30]),
        (0x0E, "d", torch.float64, [0.1, -1e300, 3.0]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_element_type(path, code, letter, dtype, values, packed):
    content = idx_bytes((3,), struct.pack(f">3{letter}", *values), code)
    path.write_bytes(gzip.compress(content) if packed else content)
    assert torch.equal(read_idx(path), torch.tensor(values, dtype=dtype))


@pytest.mark.parametrize(
    "shape", [(1,), (2, 3), (2, 3, 4), (1, 1, 1, 1, 1, 1, 1, 2), (0,), (0, 28)]
)
def test_every_shape_in_row_major_order(path, shape):
    path.write_bytes(idx_bytes(shape))
    found = read_idx(str(path))
    assert tuple(found.shape) == shape
    assert found.flatten().tolist() == [i % 10 for i in range(found.numel())]


def test_the_tensor_is_fresh_and_writable(path):
    path.write_bytes(idx_bytes((4,)))
    read_idx(path).fill_(9)
    assert read_idx(path).tolist() == [0, 1, 2, 3]


WHOLE = idx_bytes((2, 3, 4))


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        (b"", "byte 0", "the file is empty"),
        (WHOLE[:3], "byte 3", "the file ends here"),
        (WHOLE[:9], "byte 9", "sizes of 3 dimensions"),
        (WHOLE[:-1], f"byte {len(WHOLE) - 1}", "2×3×4"),
        (WHOLE[:16], "byte 16", "truncated"),
        (WHOLE + b"x", f"byte {len(WHOLE)}", "more follows"),
        (b"\x89PNG\r\n\x1a\n", "byte 0", "not an idx file"),
        (b"label,pixel0\n5,0\n", "byte 0", "not an idx file"),
        (b"\0\0\x07\x01\0\0\0\0", "byte 2", "0x07"),
        (b"\0\0\x08\0", "byte 3", "found 0"),
        (b"\0\0\x08\x09" + bytes(36), "byte 3", "found 9"),
        (idx_bytes((2**32 - 1, 28, 28), b"x"), "byte 4", "4294967295×28×28"),
        (idx_bytes((2**32 - 1,) * 8, b""), "byte 4", "at most"),
        (idx_bytes((0, *(2**32 - 1,) * 7), b""), "byte 4", "at most"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damage_names_file_and_byte(path, content, place, words, packed):
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(FileFormatError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert place in message
    assert words in message


@pytest.mark.parametrize("damage", ["cut", "flip", "checksum", "tail", "magic only"])
def test_damaged_compression(path, damage):
    packed = bytearray(gzip.compress(idx_bytes((5, 28, 28)), mtime=0))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    elif damage == "flip":
        packed[20] ^= 0xFF
    elif damage == "checksum":
        packed[-8] ^= 1
    elif damage == "tail":
        packed += b"garbage"
    else:
        packed = packed[:2]
    path.write_bytes(packed)
    with pytest.raises(FileFormatError, match=r"gzip stream must be whole") as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_a_hostile_header_allocates_nothing(path, packed):
    content = idx_bytes((2**30 - 1,), bytes(100))
    path.write_bytes(gzip.compress(content) if packed else content)
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="truncated"):
            read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**24


def test_a_gzip_bomb_stops_at_what_its_header_declares(path):
    path.write_bytes(gzip.compress(idx_bytes((10,), bytes(2**26))))
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="more follows"):
            read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**24


def test_the_limit_can_be_set(path):
    path.write_bytes(idx_bytes((11,)))
    assert len(read_idx(path, max_bytes=11)) == 11
    with pytest.raises(FileFormatError, match="at most 10 bytes"):
        read_idx(path, max_bytes=10)


def test_what_is_not_a_file(tmp_path):
    with pytest.raises(StorageError, match="missing"):
        read_idx(tmp_path / "absent")
    with pytest.raises(StorageError, match="a folder"):
        read_idx(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="no ordinary file"):
        read_idx(tmp_path / "pipe")
    with pytest.raises(StorageError, match="missing"):
        read_idx("a\0b")
    for wrong in (5, None, b"bytes"):
        with pytest.raises(DtypeError, match="string or a path"):
            read_idx(wrong)


def test_what_the_system_refuses(path, monkeypatch):
    path.write_bytes(WHOLE)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        read_idx(path)


def test_header_and_digests(path):
    packed = gzip.compress(WHOLE)
    path.write_bytes(packed)
    assert read_header(path).shape == (2, 3, 4)
    assert file_digest(path) == hashlib.sha256(packed).hexdigest()
    assert decode_idx(path).digest() == hashlib.sha256(WHOLE).hexdigest()


@pytest.mark.property
@pytest.mark.parametrize("packed", [False, True])
def test_two_hundred_damaged_files(path, packed):
    content = idx_bytes((3, 4, 5))
    whole = gzip.compress(content, mtime=0) if packed else content
    refused = 0
    for seed in range(200):
        path.write_bytes(mutated(whole, seed))
        found, refusal = outcome(read_idx, path)
        assert isinstance(found, torch.Tensor) or str(path) in refusal
        refused += found is None
    assert refused > 100
