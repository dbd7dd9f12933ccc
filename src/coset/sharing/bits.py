"""Small integers as a stream of bits: number i owns the bits [i b, (i + 1) b), lowest first."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["pack_bits", "unpack_bits"]

_WHOLE = {8: "<u1", 16: "<u2", 32: "<u4"}  # widths that need no bits to be moved
_CHUNK = 2**18  # numbers at once; a multiple of 8, so that every chunk but the last ends a byte


def pack_bits(index: Tensor, bits: int) -> Tensor:
    """Write numbers one after another, `bits` bits each.

    Args:
        index: (d,) integers in [0, 2^bits) that int32 can hold.
        bits: from 1 to 32.

    Returns:
        (⌈d · bits / 8⌉,) uint8; the rest of the last byte is 0.

    Complexity: O(d · bits), for whole bytes O(d); 64 bytes of memory for each of up to 2^18
        numbers at once.

    Example:
        >>> pack_bits(torch.tensor([1, 0, 3, 2, 1]), 2)
        tensor([177,   1], dtype=torch.uint8)
    """
    numbers = index.cpu().to(torch.int32).numpy().astype("<u4")
    if bits in _WHOLE:
        return torch.from_numpy(numbers.astype(_WHOLE[bits]).view(np.uint8))
    parts = [np.empty(0, dtype=np.uint8)]
    for start in range(0, numbers.size, _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        each = np.unpackbits(chunk.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
        parts.append(np.packbits(each[:, :bits], bitorder="little"))
    return torch.from_numpy(np.concatenate(parts))


def unpack_bits(stream: Tensor, bits: int, count: int) -> Tensor:
    """Read what `pack_bits` wrote.

    Args:
        stream: (⌈count · bits / 8⌉,) uint8.
        bits: from 1 to 32.
        count: how many numbers there are.

    Returns:
        (count,) int32; of 32 bits the highest is the sign.

    Complexity: as `pack_bits`.

    Example:
        >>> unpack_bits(torch.tensor([177, 1], dtype=torch.uint8), 2, 5)
        tensor([1, 0, 3, 2, 1], dtype=torch.int32)
    """
    content = stream.numpy()
    if bits in _WHOLE:
        return torch.from_numpy(content.view(_WHOLE[bits]).astype("<u4").view(np.int32))
    index = np.empty(count, dtype=np.int32)
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        part = content[start * bits // 8 : -(-(start + size) * bits // 8)]
        given = np.unpackbits(part, count=size * bits, bitorder="little").reshape(size, bits)
        each = np.zeros((size, 32), dtype=np.uint8)
        each[:, :bits] = given
        packed = np.packbits(each, axis=1, bitorder="little")
        index[start : start + size] = packed.reshape(-1).view("<i4")
    return torch.from_numpy(index)
