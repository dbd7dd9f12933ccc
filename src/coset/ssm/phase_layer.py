"""One diagonal layer on finite phases, and the check of tokens that all of ssm shares."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError

__all__ = ["PhaseLayer", "check_tokens", "check_words"]

# The sum of a phase and an increment is a 64-bit integer.
MAX_MODULUS = 2**62


@dataclass(frozen=True, eq=False)
class PhaseLayer:
    """One diagonal layer: s_j ← resets[c, x, j] if that is ≥ 0, else s_j + Θ[c, x, j] mod m_j.

    Attributes:
        moduli: (r,) integers m_j in 1 … 2⁶².
        increments: (C, X, r) int64 Θ in 0 … m_j − 1; C is the number of codes of the layers below.
        resets: (C, X, r) int64 in −1 … m_j − 1, −1 where the increment is added, or ``None``.

    Raises:
        DomainError: if a modulus, an increment or a reset is out of range.
        ShapeError: if the tables have other shapes.
        DtypeError: if they do not hold integers.

    Example:
        >>> counter = PhaseLayer((3,), np.array([[[1], [2]]]))
        >>> counter.apply(np.array(0), np.array(1), np.array([2])).tolist()
        [1]
    """

    moduli: tuple[int, ...]
    increments: np.ndarray
    resets: np.ndarray | None = None

    def __post_init__(self) -> None:
        try:
            moduli = tuple(operator.index(m) for m in self.moduli)
        except TypeError as error:
            raise DtypeError(f"moduli must be integers; given {self.moduli!r}") from error
        if any(not 1 <= m <= MAX_MODULUS for m in moduli):
            raise DomainError(f"moduli must lie in 1 … 2^62; given {moduli}")
        object.__setattr__(self, "moduli", moduli)
        top = np.array(moduli, dtype=np.int64)
        increments = _integers(self.increments, len(moduli), "increments")
        if increments.size and ((increments < 0) | (increments >= top)).any():
            raise DomainError(f"increments must lie in 0 … m − 1 for moduli {moduli}")
        object.__setattr__(self, "increments", increments)
        if self.resets is not None:
            resets = _integers(self.resets, len(moduli), "resets")
            if resets.shape != increments.shape:
                raise ShapeError(
                    f"resets must have the shape of the increments {increments.shape}; "
                    f"given {resets.shape}"
                )
            if resets.size and ((resets < -1) | (resets >= top)).any():
                raise DomainError(f"resets must lie in −1 … m − 1 for moduli {moduli}")
            object.__setattr__(self, "resets", resets)

    def __repr__(self) -> str:
        cells, tokens, _ = self.increments.shape
        resets = "" if self.resets is None else ", with resets"
        return f"PhaseLayer({list(self.moduli)}, {cells} cells, {tokens} tokens{resets})"

    @property
    def num_phases(self) -> int:
        """How many phases the layer keeps: its state size in complex numbers."""
        return len(self.moduli)

    @property
    def num_states(self) -> int:
        """Π m_j."""
        return math.prod(self.moduli)

    def apply(self, cells: np.ndarray, tokens: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Return the phases after one token.

        Args:
            cells: (…) int64 codes of the layers below just before the token.
            tokens: (…) int64.
            states: (…, r) int64 in 0 … m − 1.

        Returns:
            (…, r) int64.
        """
        after: np.ndarray = states + self.increments[cells, tokens]
        top = np.array(self.moduli, dtype=np.int64)
        after -= top * (after >= top)  # both terms are below m: no division
        if self.resets is None:
            return after
        resets: np.ndarray = self.resets[cells, tokens]
        kept: np.ndarray = np.where(resets >= 0, resets, after)
        return kept


def _integers(array: np.ndarray, width: int, name: str) -> np.ndarray:
    try:
        array = np.asarray(array)
    except ValueError as error:
        raise ShapeError(f"{name} must be one array; given rows that differ: {error}") from error
    if array.dtype.kind not in "iu":
        raise DtypeError(f"{name} must be integers; given {array.dtype}")
    if array.ndim != 3 or array.shape[2] != width:
        raise ShapeError(f"{name} must have shape (cells, tokens, {width}); given {array.shape}")
    array = np.ascontiguousarray(array, dtype=np.int64).copy()
    array.setflags(write=False)
    return array


def check_tokens(tokens: Tensor, num_tokens: int) -> Tensor:
    """Return the tokens as int64, or say which one is out of range.

    Args:
        tokens: (…) integers.
        num_tokens: X; each token must lie in 0 … X − 1.

    Returns:
        (…) int64 on the same device.

    Raises:
        DtypeError: if they are not an integer tensor.
        RangeError: if one is out of range, with its place.
    """
    if not isinstance(tokens, Tensor):
        raise DtypeError(f"tokens must be an integer tensor; given {type(tokens).__name__}")
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise DtypeError(f"tokens must be integers such as int64; given {tokens.dtype}")
    tokens = tokens.long()
    if tokens.numel():
        wrong = (tokens < 0) | (tokens >= num_tokens)
        if wrong.any():
            place = tuple(wrong.nonzero()[0].tolist())
            raise RangeError(
                f"tokens must lie in 0 … {num_tokens - 1}; given {int(tokens[place])} at {place}"
            )
    return tokens


def check_words(tokens: Tensor, num_tokens: int) -> Tensor:
    """Return words as int64, checked as by `check_tokens`; time is their last dimension.

    Args:
        tokens: (…, T) integers.
        num_tokens: X; each token must lie in 0 … X − 1.

    Returns:
        (…, T) int64 on the same device.

    Raises:
        ShapeError: if they are a single number.
        DtypeError: if they are not an integer tensor.
        RangeError: if one is out of range, with its place.
    """
    tokens = check_tokens(tokens, num_tokens)
    if tokens.ndim == 0:
        raise ShapeError("tokens must have shape (…, T), time last; given a single number")
    return tokens
