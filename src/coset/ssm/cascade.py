"""A cascade of diagonal layers on finite phases, in integers: exact at every length.

Layer ℓ keeps r phases s_j in Z_{m_j}, that is h_j = exp(2πi·s_j/m_j). A token x adds
Θ_ℓ[c, x, j] to s_j, or sets s_j, where c is the state of the layers below just before x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError, UnsupportedError

__all__ = ["Cascade", "PhaseLayer", "check_tokens"]

# A table of transitions has num_codes · num_tokens entries of 8 bytes.
MAX_TABLE = 2**27


@dataclass(frozen=True, eq=False)
class PhaseLayer:
    """One diagonal layer: s_j ← resets[c, x, j] if that is ≥ 0, else s_j + Θ[c, x, j] mod m_j.

    Attributes:
        moduli: (r,) positive integers m_j.
        increments: (C, X, r) int64 Θ in 0 … m_j − 1; C is the number of codes of the layers below.
        resets: (C, X, r) int64 in −1 … m_j − 1, −1 where the increment is added, or ``None``.
    """

    moduli: tuple[int, ...]
    increments: np.ndarray
    resets: np.ndarray | None = None

    def __post_init__(self) -> None:
        moduli = tuple(int(m) for m in self.moduli)
        if any(m < 1 for m in moduli):
            raise DomainError(f"moduli must be at least 1; given {moduli}")
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
            states: (…, r) int64.

        Returns:
            (…, r) int64.
        """
        after: np.ndarray = states + self.increments[cells, tokens]
        after %= np.array(self.moduli, dtype=np.int64)
        if self.resets is None:
            return after
        resets: np.ndarray = self.resets[cells, tokens]
        kept: np.ndarray = np.where(resets >= 0, resets, after)
        return kept


def _integers(array: np.ndarray, width: int, name: str) -> np.ndarray:
    array = np.asarray(array)
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


@dataclass(frozen=True, eq=False)
class Cascade:
    """Phase layers, bottom to top, each gated by the state of those below.

    The state of all layers is one number, the mixed-radix code of the phases in order (the first
    phase of layer 0 is the most significant); every word begins at code 0.

    Attributes:
        layers: the layers; layer ℓ has as many cells as the layers below have codes.
        num_tokens: X.
    """

    layers: tuple[PhaseLayer, ...]
    num_tokens: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        cells = 1
        for place, layer in enumerate(self.layers):
            if layer.increments.shape[:2] != (cells, self.num_tokens):
                raise ShapeError(
                    f"layer {place} must have increments for {cells} cells and {self.num_tokens} "
                    f"tokens; given shape {layer.increments.shape}"
                )
            cells *= layer.num_states

    @cached_property
    def moduli(self) -> tuple[int, ...]:
        """The moduli of all phases, bottom to top."""
        return tuple(m for layer in self.layers for m in layer.moduli)

    @property
    def num_codes(self) -> int:
        """Π of all moduli: how many states the phases can spell."""
        return math.prod(self.moduli)

    @cached_property
    def radices(self) -> np.ndarray:
        """(R,) int64: code = Σ_j s_j · radices[j]."""
        place = [math.prod(self.moduli[j + 1 :]) for j in range(len(self.moduli))]
        return np.array(place, dtype=np.int64)

    def encode(self, states: np.ndarray) -> np.ndarray:
        """Return the codes of phases.

        Args:
            states: (…, R) int64.

        Returns:
            (…) int64.
        """
        codes: np.ndarray = np.asarray(states, dtype=np.int64) @ self.radices
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the phases of codes.

        Args:
            codes: (…) int64 in 0 … num_codes − 1.

        Returns:
            (…, R) int64.
        """
        top = np.array(self.moduli, dtype=np.int64)
        states: np.ndarray = np.asarray(codes, dtype=np.int64)[..., None] // self.radices % top
        return states

    def step(self, codes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Return the codes after one token each.

        Args:
            codes: (…) int64.
            tokens: (…) int64, in range.

        Returns:
            (…) int64.
        """
        codes, tokens = np.broadcast_arrays(np.asarray(codes), np.asarray(tokens))
        states, after, cells, first = self.decode(codes), [], np.zeros(codes.shape, np.int64), 0
        for layer in self.layers:
            mine = states[..., first : first + layer.num_phases]
            after.append(layer.apply(cells, tokens, mine))
            for j, m in enumerate(layer.moduli):
                cells = cells * m + mine[..., j]
            first += layer.num_phases
        return self.encode(np.concatenate(after, -1)) if after else np.zeros_like(codes)

    @cached_property
    def _table(self) -> np.ndarray:
        if self.num_codes * self.num_tokens > MAX_TABLE:
            raise UnsupportedError(
                f"a transition table may have {MAX_TABLE} entries; this cascade needs "
                f"{self.num_codes} codes × {self.num_tokens} tokens; use step or a smaller alphabet"
            )
        codes, tokens = np.arange(self.num_codes)[:, None], np.arange(self.num_tokens)[None]
        table = self.step(codes, tokens)
        table.setflags(write=False)
        return table

    def transition_table(self) -> np.ndarray:
        """Return the code after each code and token.

        Returns:
            (num_codes, num_tokens) int64, read-only.

        Raises:
            UnsupportedError: if it would have more than 2²⁷ entries.
        """
        return self._table

    def run(self, tokens: Tensor, start: Tensor | int = 0) -> Tensor:
        """Return the code after each token.

        Args:
            tokens: (…, T) int64.
            start: code before the first token, a number or (…).

        Returns:
            (…, T) int64.

        Raises:
            RangeError: if a token is out of range.
            DtypeError: if the tokens are not integers.
        """
        tokens = check_tokens(tokens, self.num_tokens)
        table = torch.as_tensor(self.transition_table().copy())
        now = torch.as_tensor(start, dtype=torch.int64).expand(tokens.shape[:-1])
        codes = []
        for x in tokens.unbind(-1):
            now = table[now, x]
            codes.append(now)
        return torch.stack(codes, -1) if codes else tokens.clone()

    def reachable(self) -> np.ndarray:
        """Return the codes that some word reaches from code 0, sorted.

        Returns:
            (n,) int64.
        """
        seen = np.zeros(self.num_codes, dtype=bool)
        seen[0] = True
        frontier = np.zeros(1, dtype=np.int64)
        while frontier.size:
            after = np.unique(self.step(frontier[:, None], np.arange(self.num_tokens)[None]))
            frontier = after[~seen[after]]
            seen[frontier] = True
        return np.flatnonzero(seen)
