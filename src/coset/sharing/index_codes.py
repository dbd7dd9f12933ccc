"""The index of a tied tensor as bytes: packed bits, or an LZMA stream where that is smaller.

*packed*: weight i owns the bits [i b, (i + 1) b), least significant first, b = max(1, ⌈log₂ U⌉).

*lzma*: the same with b rounded up to 1, 2, 4, 8, 16 or 32, so that each byte holds whole numbers,
compressed as one raw LZMA1 stream with an end marker (dictionary 2^20, lc 2; lp = pb = 0, 1 or 2
for numbers of up to 1, 2 or 4 bytes). Its range coder goes below one bit a weight, and it sees
neighbors: networks trained with sharing often take less than the entropy of single weights. Zeros
fill the stream up to one byte for each 1024 weights, so that no short file can ask for a huge
tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import FileFormatError
from coset.sharing.bits import pack_bits, unpack_bits
from coset.sharing.tied import TiedTensor, index_bits

__all__ = ["INDEX_CODES", "code_index", "read_index", "stored_bits"]

INDEX_CODES = ("packed", "lzma")
_PACKED, _LZMA = INDEX_CODES
_WEIGHTS_A_BYTE = 2**10  # at most; zlib's limit is about the same
_CHUNK = 2**18  # weights at once; a multiple of 8, so that every chunk but the last ends a byte


def code_index(
    tied: TiedTensor, on_weights: Callable[[int], None] | None = None
) -> tuple[str, Tensor]:
    """Write the index in whichever code takes fewer bytes; packed if they are equal.

    Args:
        tied: the tensor.
        on_weights: is told how many more weights are done, for a display.

    Returns:
        The code, "packed" or "lzma", and the bytes as a vector of uint8.

    Complexity: about a second for 10⁶ different weights, far less where one value is frequent; 20
        MB of memory beside the bytes.

    Example:
        >>> code_index(TiedTensor.from_dense(torch.tensor([0.0, 1.0, 1.0])))
        ('packed', tensor([6], dtype=torch.uint8))
        >>> code, stream = code_index(TiedTensor.from_dense(torch.zeros(100_000)))
        >>> code, len(stream)
        ('lzma', 98)
    """
    bits = max(1, index_bits(tied.num_unique))
    content = _compress(tied.index, _width(bits), on_weights)
    if len(content) < -(-tied.num_weights * bits // 8):
        return _LZMA, _as_tensor(content)
    return _PACKED, pack_bits(tied.index, bits)


def stored_bits(tied: TiedTensor) -> int:
    """Return the bits that values and index take in a file, without names and shapes.

    Args:
        tied: the tensor.

    Returns:
        U · bits(dtype) + 8 · the bytes of `code_index`; never more than
        U · bits(dtype) + 8 · ⌈d · max(1, ⌈log₂ U⌉) / 8⌉.

    Complexity: as `code_index`.

    Example:
        >>> stored_bits(TiedTensor.from_dense(torch.tensor([0.0, 1.0, 1.0])))
        72
    """
    return 8 * (tied.num_unique * tied.values.element_size() + len(code_index(tied)[1]))


def read_index(stream: Tensor, code: str, bits: int, count: int) -> Tensor:
    """Read what `code_index` wrote; never more than `count` numbers are made.

    Args:
        stream: (n,) uint8, from any source.
        code: one of `INDEX_CODES`.
        bits: of a packed number, max(1, ⌈log₂ U⌉).
        count: how many numbers there are.

    Returns:
        (count,) int32; not checked against U.

    Raises:
        FileFormatError: if the bytes are not exactly `count` numbers in that code.

    Complexity: O(count), at most 1024 numbers a byte; one MB of memory beside the numbers.

    Example:
        >>> read_index(torch.tensor([6], dtype=torch.uint8), "packed", 1, 3)
        tensor([0, 1, 1], dtype=torch.int32)
    """
    width = bits if code == _PACKED else _width(bits)
    size = -(-count * width // 8)
    if code == _PACKED and len(stream) != size:
        raise FileFormatError(f"its index needs {size} bytes; it has {len(stream)}")
    fields = stream if code == _PACKED else _decompress(stream, width, count)
    if count * width % 8 and int(fields[-1]) >> (count * width % 8):
        raise FileFormatError("the bits after its last index must be 0")
    return unpack_bits(fields, width, count)


def _width(bits: int) -> int:
    """Return the next power of two: 1, 2, 4, 8, 16, 32."""
    return 1 << (bits - 1).bit_length()


def _least_length(count: int) -> int:
    return -(-count // _WEIGHTS_A_BYTE)


def _filters(width: int) -> list[dict[str, Any]]:
    """Return the filters of the raw stream: part of the file format, but for the search."""
    import lzma

    place = (width // 16).bit_length()  # bytes of one number: 2^place
    form = {"id": lzma.FILTER_LZMA1, "dict_size": 2**20, "lc": 2, "lp": place, "pb": place}
    search = {"mode": lzma.MODE_NORMAL, "mf": lzma.MF_BT4, "nice_len": 273}
    return [form | search]


def _compress(index: Tensor, width: int, on_weights: Callable[[int], None] | None) -> bytes:
    import lzma

    coder = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=_filters(width))
    parts = []
    for start in range(0, len(index), _CHUNK):
        chunk = index[start : start + _CHUNK]
        parts.append(coder.compress(pack_bits(chunk, width).numpy().tobytes()))
        if on_weights:
            on_weights(len(chunk))
    content = b"".join([*parts, coder.flush()])
    return content.ljust(_least_length(len(index)), b"\0")


def _decompress(stream: Tensor, width: int, count: int) -> Tensor:
    import lzma

    if len(stream) < _least_length(count):
        raise FileFormatError(
            f"its index needs {_least_length(count)} bytes or more, one for each "
            f"{_WEIGHTS_A_BYTE} weights; it has {len(stream)}"
        )
    size = -(-count * width // 8)
    coder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters(width))
    try:
        # With room for one byte more it reaches the end marker, and shows if there is too much.
        content = coder.decompress(stream.numpy().tobytes(), max_length=size + 1)
    except lzma.LZMAError as error:
        raise FileFormatError(f"its index is no LZMA stream: {error}") from error
    if len(content) != size or not coder.eof:
        relation = "more" if len(content) > size else "fewer, or no end marker"
        raise FileFormatError(f"its index must unpack to {size} bytes; it holds {relation}")
    rest = coder.unused_data
    if rest != bytes(max(0, _least_length(count) - (len(stream) - len(rest)))):
        raise FileFormatError(f"its index must end with its LZMA stream; {len(rest)} bytes follow")
    return _as_tensor(content)


def _as_tensor(content: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(bytearray(content), dtype=np.uint8))
