"""A cascade of exact phases with fading coordinates beside them: |a| < 1, gated from below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from coset.core.errors import DomainError, ShapeError
from coset.ssm.cascade import Cascade
from coset.ssm.witness.finite import run_word, single_step
from coset.ssm.witness.tables import finite_numbers
from coset.ssm.witness.words import Word

__all__ = ["FadingLayer", "FadingStack"]


@dataclass(frozen=True, eq=False)
class FadingLayer:
    """Coordinates that forget: v ← a[c, x] ∘ v + b[c, x] + mix · (those of all layers below).

    Attributes:
        a: (C, X, d) complex128, |a| < 1; C is the number of codes of the phases below.
        b: (C, X, d) complex128.
        mix: (d, D) complex128, D the number of fading coordinates below.
    """

    a: np.ndarray = field(repr=False)
    b: np.ndarray = field(repr=False)
    mix: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("a", "b", "mix"):
            object.__setattr__(self, name, finite_numbers(getattr(self, name), name))
        if self.a.ndim != 3 or self.a.shape != self.b.shape:
            raise ShapeError(
                f"a and b must have shape (cells, tokens, d); given {self.a.shape}, {self.b.shape}"
            )
        if self.a.size and np.abs(self.a).max() >= 1:
            raise DomainError(f"|a| must be < 1; given {np.abs(self.a).max()}")
        if self.mix.ndim != 2 or self.mix.shape[0] != self.width:
            raise ShapeError(f"mix must have shape ({self.width}, D); given {self.mix.shape}")

    @property
    def width(self) -> int:
        """How many coordinates this layer has."""
        return int(self.a.shape[2])


@dataclass(frozen=True, eq=False)
class FadingStack:
    """A diagonal stack with phases that turn for ever and coordinates that contract.

    Each layer is a `PhaseLayer` and a `FadingLayer`; both are gated by the phases below, and fading
    coordinates also add those below them. All begin at 0. In a finite-precision sense only the
    phases remember, so the stack tracks what its cascade tracks.

    Attributes:
        cascade: the phases.
        fading: the fading coordinates of each layer of the cascade.
    """

    cascade: Cascade
    fading: tuple[FadingLayer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "fading", tuple(self.fading))
        if len(self.fading) != len(self.cascade.layers):
            raise ShapeError(
                f"each of the {len(self.cascade.layers)} layers must have its fading coordinates; "
                f"given {len(self.fading)}"
            )
        below = 0
        for place, (phases, fading) in enumerate(
            zip(self.cascade.layers, self.fading, strict=True)
        ):
            if fading.a.shape[:2] != phases.increments.shape[:2] or fading.mix.shape[1] != below:
                raise ShapeError(
                    f"fading layer {place} must have {phases.increments.shape[:2]} cells and "
                    f"tokens and {below} coordinates below; given {fading.a.shape[:2]} and "
                    f"{fading.mix.shape[1]}"
                )
            below += fading.width

    @property
    def num_tokens(self) -> int:
        """X."""
        return self.cascade.num_tokens

    @property
    def width(self) -> int:
        """How many fading coordinates there are in all."""
        return sum(layer.width for layer in self.fading)

    def transition(self, code: int, token: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the matrix and shift by which a token updates the fading coordinates.

        Args:
            code: of the phases just before it.
            token: the token.

        Returns:
            A (D, D), lower triangular, and B (D,): v ← A v + B, over all layers.
        """
        slope = np.zeros((self.width, self.width), complex)
        shift = np.zeros(self.width, complex)
        cells = self._cells(code)
        first = 0
        for cell, layer in zip(cells, self.fading, strict=True):
            rows = slice(first, first + layer.width)
            slope[rows, rows] = np.diag(layer.a[cell, token])
            # What is below is read after this token: its new value, not its old one.
            slope[rows, :first] = layer.mix @ slope[:first, :first]
            shift[rows] = layer.b[cell, token] + layer.mix @ shift[:first]
            first += layer.width
        return slope, shift

    @cached_property
    def _step(self) -> Callable[[int, int], int]:
        return single_step(self.cascade)

    @cached_property
    def _edges(self) -> dict[tuple[int, int], tuple[int, tuple[np.ndarray, np.ndarray]]]:
        return {}

    def _edge(self, code: int, token: int) -> tuple[int, tuple[np.ndarray, np.ndarray]]:
        """Return the code after a token, and what it does to the fading coordinates; kept."""
        found = self._edges.get((code, token))
        if found is None:
            after = self._step(code, token)
            found = self._edges[code, token] = after, self.transition(code, token)
        return found

    def _cells(self, code: int) -> list[int]:
        """Return the code of the layers below each layer."""
        sizes = [layer.num_states for layer in self.cascade.layers]
        above = [int(np.prod(sizes[i:], dtype=np.int64)) for i in range(len(sizes))]
        return [code // size for size in above]

    def state(
        self, word: Word, start: tuple[int, np.ndarray] | None = None
    ) -> tuple[int, np.ndarray]:
        """Return code and fading coordinates after a word in power form.

        Args:
            word: any length.
            start: code and fading coordinates before it; code 0 and zeros if ``None``.

        Returns:
            The code of the phases, and (D,) complex128.

        Raises:
            RangeError: if a token is out of range.
        """
        word.check(self.num_tokens)

        identity = (np.eye(self.width, dtype=complex), np.zeros(self.width, complex))
        code, fading = start if start is not None else (0, identity[1])
        code, (slope, shift) = run_word(self._edge, word, code, _compose, identity)
        return code, slope @ fading + shift

    def largest_state(self) -> float:
        """Return a bound on every fading coordinate after every word.

        In a layer whose inputs are at most β, |v| ≤ β/(1 − max|a|); mix adds to the inputs what the
        layers below are at most.

        Returns:
            The bound; 0 without fading coordinates.
        """
        bounds = np.zeros(0)
        for layer in self.fading:
            inputs = np.abs(layer.b).max(axis=(0, 1), initial=0.0) + np.abs(layer.mix) @ bounds
            slowest = np.abs(layer.a).max(axis=(0, 1), initial=0.0)
            bounds = np.concatenate((bounds, inputs / (1 - slowest)))
        return float(bounds.max(initial=0.0))


def _compose(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    return second[0] @ first[0], second[0] @ first[1] + second[1]
