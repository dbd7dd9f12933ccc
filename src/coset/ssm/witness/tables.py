"""One diagonal layer as tables: h ← a[x] ∘ h + b[x], and what a word in power form does to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.ssm.witness.words import Word, power

__all__ = ["LayerTables", "finite_numbers"]


@dataclass(frozen=True, eq=False)
class LayerTables:
    """A one-layer diagonal model with its transitions written out: h_t = a[x_t] ∘ h_(t−1) + b[x_t].

    Attributes:
        a: (X, d) complex128, finite.
        b: (X, d) complex128, finite.
        start: (d,) complex128 h₀, finite.

    Example:
        >>> parity = LayerTables([[1.0], [-1.0]], [[0.0], [0.0]], [1.0])
        >>> parity.state(Word.of([1]) ** 1001).real
        array([-1.])
    """

    a: np.ndarray = field(repr=False)
    b: np.ndarray = field(repr=False)
    start: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        a, b, start = (
            finite_numbers(value, name)
            for value, name in ((self.a, "a"), (self.b, "b"), (self.start, "start"))
        )
        if a.ndim != 2 or b.shape != a.shape:
            raise ShapeError(f"a and b must have shape (tokens, d); given {a.shape}, {b.shape}")
        if start.shape != a.shape[1:]:
            raise ShapeError(f"start must have shape {a.shape[1:]}; given {start.shape}")
        for name, value in (("a", a), ("b", b), ("start", start)):
            object.__setattr__(self, name, value)

    @property
    def num_tokens(self) -> int:
        """X."""
        return int(self.a.shape[0])

    @property
    def width(self) -> int:
        """d, the number of coordinates."""
        return int(self.a.shape[1])

    def affine(self, word: Word) -> tuple[np.ndarray, np.ndarray]:
        """Return the update of a whole word, h ↦ A ∘ h + B.

        Args:
            word: any length; a coordinate that grows beyond float64 becomes infinite.

        Returns:
            A and B, (d,) complex128.

        Raises:
            RangeError: if a token is ≥ X.

        Complexity: O(rules · log count · d).
        """
        updates = self._updates(word)
        return updates[-1] if updates else self._identity()

    def _identity(self) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(self.width, complex), np.zeros(self.width, complex)

    def _updates(self, word: Word) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the update of each rule of a word."""
        word.check(self.num_tokens)
        with np.errstate(over="ignore", invalid="ignore"):
            return word.fold_rules(lambda x: (self.a[x], self.b[x]), _compose, self._identity())

    def state(self, word: Word) -> np.ndarray:
        """Return the state after a word.

        A power is taken as a walk from where it starts, h + (1 + A + … + Aⁿ⁻¹)(A h + B − h): a
        state at a fixed point stays there, also where Aⁿ is beyond float64.

        Args:
            word: any length; a coordinate that grows beyond float64 becomes infinite or NaN.

        Returns:
            (d,) complex128.

        Raises:
            RangeError: if a token is ≥ X.
        """
        word.check(self.num_tokens)
        updates, state = self._updates(Word(word.rules[:-1])), self.start
        with np.errstate(over="ignore", invalid="ignore"):
            for symbol, count in word.rules[-1] if word.rules else ():
                slope, shift = (
                    (self.a[symbol], self.b[symbol]) if symbol >= 0 else updates[-1 - symbol]
                )
                after = slope * state + shift
                if count == 1:
                    state = after
                    continue
                unit = (slope, np.ones(self.width, complex))
                steps = power(unit, count, _compose, self._identity())[1]
                walk = steps * (shift - (1 - slope) * state)
                state = state + np.where(after == state, 0.0, walk)
        return state


def _compose(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    return second[0] * first[0], second[0] * first[1] + second[1]


def finite_numbers(value: Any, name: str) -> np.ndarray:
    """Return a read-only copy of an array of finite numbers.

    Args:
        value: array or tensor.
        name: for the message.

    Returns:
        complex128, of the same shape.

    Raises:
        DtypeError: if it does not hold numbers.
        DomainError: if one is infinite or NaN.
    """
    if isinstance(value, Tensor):
        value = value.detach().cpu().resolve_conj().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise DtypeError(f"{name} must be numbers; given {array.dtype}")
    array = np.ascontiguousarray(array, dtype=np.complex128).copy()
    if not np.isfinite(array).all():
        raise DomainError(f"{name} must be finite; given {array[~np.isfinite(array)][0]}")
    array.setflags(write=False)
    return array
