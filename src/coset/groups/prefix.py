"""Prefix products of words: y_t = x₁·x₂·…·x_t, the answer to every word problem."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DtypeError, RangeError, ShapeError
from coset.groups.elements import Elements, element_array

if TYPE_CHECKING:
    from coset.groups.group import Group

__all__ = ["prefix_products"]

_INTEGERS = {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8}
# As many products are worth one step more of the loop over time.
_WIDE = 2048


def _read_words(group: Group, tokens: Tensor, alphabet: Elements | None) -> Tensor:
    """Return the elements that tokens stand for, (…, T) int64."""
    if not isinstance(tokens, Tensor):
        raise DtypeError(f"tokens must be an integer tensor; given {type(tokens).__name__}")
    if tokens.dtype not in _INTEGERS:
        raise DtypeError(f"tokens must be integers (int64); given {tokens.dtype}")
    if tokens.ndim == 0:
        raise ShapeError("tokens must have shape (…, T); given a single number")
    letters = None if alphabet is None else element_array(group, alphabet, "the alphabet")
    size = group.order if letters is None else letters.size
    if tokens.numel():
        low, high = (int(v) for v in tokens.aminmax())
        if low < 0 or high >= size:
            wrong = low if low < 0 else high
            raise RangeError(
                f"tokens must lie in 0 … {size - 1}, the letters of the alphabet; given {wrong}"
            )
    words = tokens.to(torch.int64)
    if letters is None:
        return words
    return torch.from_numpy(letters.copy()).to(words.device)[words]


def _block_length(batch: int, length: int) -> int:
    """Return how many steps a block has: about √T for one word, T for very many words."""
    if batch >= _WIDE:
        return length
    return min(length, max(1, math.isqrt(length * max(1, batch))))


def prefix_products(group: Group, tokens: Tensor, alphabet: Elements | None = None) -> Tensor:
    """Return y_t = x₁·x₂·…·x_t at every t.

    A word is cut into blocks; all blocks advance together, then the products of whole blocks, then
    each block is multiplied by what came before it.

    Args:
        group: the group.
        tokens: (…, T) integers; T = 0 gives an empty result.
        alphabet: (X,) the element of each token; by default token a is element a.

    Returns:
        (…, T) int64 element ids, on the tokens' device.

    Raises:
        RangeError: if a token is outside 0 … X − 1.
        DtypeError: if the tokens are not integers.
        ShapeError: if they have no time dimension.

    Complexity: O(T) products in about 2√T vectorized steps.

    Example:
        >>> from coset.groups import cyclic
        >>> prefix_products(cyclic(5), torch.tensor([1, 2, 3])).tolist()
        [1, 3, 1]
    """
    words = _read_words(group, tokens, alphabet)
    shape, length = words.shape, words.shape[-1]
    if words.numel() == 0:
        return words.clone()
    plain = words.reshape(-1, length).numpy(force=True)
    block = _block_length(len(plain), length)
    count = -(-length // block)
    # Time first, so that each step reads and writes contiguous memory.
    steps = np.full((block, len(plain), count), group.identity)
    for t in range(block):
        part = plain[:, t::block]
        steps[t, :, : part.shape[1]] = part
    _accumulate(group.mul, steps)
    if count > 1:
        carry = steps[-1].T.copy()
        _accumulate(group.mul, carry)
        steps[:, :, 1:] = group.mul[carry[:-1].T, steps[:, :, 1:]]
    products = steps.transpose(1, 2, 0).reshape(len(plain), -1)[:, :length]
    return torch.from_numpy(np.ascontiguousarray(products)).reshape(shape).to(tokens.device)


def _accumulate(mul: np.ndarray, steps: np.ndarray) -> None:
    """Replace steps[t] by steps[0]·…·steps[t], in place."""
    n, flat = len(mul), mul.reshape(-1)
    for t in range(1, len(steps)):
        steps[t] = flat.take(steps[t - 1] * n + steps[t])
