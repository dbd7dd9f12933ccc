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
from coset.scan import phase_scan
from coset.ssm.phase_layer import PhaseLayer, check_tokens, check_words

__all__ = ["Cascade", "PhaseLayer", "check_start", "check_tokens", "walk_table"]

# Codes and sums of increments are 64-bit integers.
MAX_CODES = 2**62
# A table of transitions has num_codes · num_tokens entries of 8 bytes.
MAX_TABLE = 2**27
# Words are run by the table of transitions if it has at most this many entries, 8 MB.
SMALL_TABLE = 2**20


@dataclass(frozen=True, eq=False)
class Cascade:
    """Phase layers, bottom to top, each gated by the state of those below.

    The state of all layers is one number, the mixed-radix code of the phases in order (the first
    phase of layer 0 is the most significant); every word begins at code 0.

    Attributes:
        layers: the layers; layer ℓ has as many cells as the layers below have codes.
        num_tokens: X.

    Raises:
        ShapeError: if a layer has not one cell for each code of those below.
        UnsupportedError: if there are more than 2⁶² codes.

    Example:
        >>> parity = PhaseLayer((2,), np.array([[[0], [1]]]))
        >>> turn = PhaseLayer((3,), np.array([[[1], [0]], [[2], [0]]]))
        >>> cascade = Cascade((parity, turn), 2)
        >>> cascade.run(torch.tensor([0, 1, 0, 0])).tolist()
        [1, 4, 3, 5]
    """

    layers: tuple[PhaseLayer, ...]
    num_tokens: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not isinstance(self.num_tokens, int | np.integer) or self.num_tokens < 0:
            raise DomainError(
                f"num_tokens must be an integer of at least 0; given {self.num_tokens}"
            )
        cells = 1
        for place, layer in enumerate(self.layers):
            if layer.increments.shape[:2] != (cells, self.num_tokens):
                raise ShapeError(
                    f"layer {place} must have increments for {cells} cells and {self.num_tokens} "
                    f"tokens; given shape {layer.increments.shape}"
                )
            cells *= layer.num_states
        if cells > MAX_CODES:
            raise UnsupportedError(
                f"a cascade may have at most 2^62 codes, so that each fits an integer; the moduli "
                f"multiply to {cells}"
            )

    def __repr__(self) -> str:
        moduli = "".join(str(list(layer.moduli)) for layer in self.layers) or "no layer"
        return f"Cascade({moduli}, {self.num_tokens} tokens)"

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
        codes, tokens = np.asarray(codes), np.asarray(tokens)
        states, first = self.decode(codes), 0
        cells: np.ndarray = np.zeros(codes.shape, dtype=np.int64)
        found: np.ndarray = np.zeros(np.broadcast_shapes(codes.shape, tokens.shape), np.int64)
        for layer in self.layers:
            mine = states[..., first : first + layer.num_phases]
            after = layer.apply(cells, tokens, mine)
            for j, m in enumerate(layer.moduli):
                cells = cells * m + mine[..., j]
                found = found * m + after[..., j]
            first += layer.num_phases
        return found

    @cached_property
    def _table(self) -> np.ndarray:
        self.check_codes(self.num_tokens)
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
        """Return the code after each token, by a table if it is small, else layer by layer.

        Args:
            tokens: (…, T) int64.
            start: code before the first token, a number or (…), in 0 … num_codes − 1.

        Returns:
            (…, T) int64, on the device of the tokens; exact at every length.

        Raises:
            RangeError: if a token or the start is out of range.
            DtypeError: if the tokens are not integers.

        Complexity: O(T · R) time and memory; run long words in chunks, each from the last code.
        """
        tokens = check_words(tokens, self.num_tokens)
        begin = check_start(start, tokens, self.num_codes)
        if tokens.device.type == "cpu" and self.num_codes * self.num_tokens <= SMALL_TABLE:
            return walk_table(self._table_tensor, tokens, begin)
        return self._run_layers(tokens, begin)

    def _run_layers(self, tokens: Tensor, begin: Tensor) -> Tensor:
        """Return the codes layer by layer: each one a sum over time, gated by those below."""
        radices = torch.as_tensor(self.radices.copy(), device=tokens.device)
        top = torch.tensor(self.moduli, dtype=torch.int64, device=tokens.device)
        phases_begin = begin[..., None] // radices % top
        codes, cells, first = torch.zeros_like(tokens), torch.zeros_like(tokens), 0
        for place, layer in enumerate(self.layers):
            increments, resets = self._tensors(place, tokens.device)
            part = slice(first, first + layer.num_phases)
            first += layer.num_phases
            if not layer.num_phases:
                continue
            kept = phases_begin[..., part]
            fixed = None if resets is None else resets[cells, tokens]
            phases = phase_scan(increments[cells, tokens], top[part], kept, resets=fixed)
            before = torch.cat([kept[..., None, :], phases], -2)[..., : tokens.shape[-1], :]
            for j, m in enumerate(layer.moduli):
                codes = codes * m + phases[..., j]
                cells = cells * m + before[..., j]
        return codes

    @cached_property
    def _table_tensor(self) -> Tensor:
        return torch.from_numpy(self.transition_table().copy())

    def _tensors(self, place: int, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Return a layer's tables as tensors, kept for the device of the last run."""
        kept = self._kept.get((place, device))
        if kept is None:
            layer = self.layers[place]
            added = torch.from_numpy(layer.increments.copy()).to(device)
            fixed = layer.resets
            kept = added, None if fixed is None else torch.from_numpy(fixed.copy()).to(device)
            self._kept[place, device] = kept
        return kept

    @cached_property
    def _kept(self) -> dict[tuple[int, torch.device], tuple[Tensor, Tensor | None]]:
        return {}

    def reachable(self) -> np.ndarray:
        """Return the codes that some word reaches from code 0, sorted.

        Returns:
            (n,) int64.

        Raises:
            UnsupportedError: if there are more than 2²⁷ codes to mark.
        """
        self.check_codes()
        seen = np.zeros(self.num_codes, dtype=bool)
        seen[0] = True
        frontier = np.zeros(1, dtype=np.int64)
        tokens = np.arange(self.num_tokens)[None]
        while frontier.size:
            after = np.unique(self.step(frontier[:, None], tokens))
            frontier = after[~seen[after]]
            seen[frontier] = True
        return np.flatnonzero(seen)

    def check_codes(self, each: int = 1) -> None:
        """Refuse a table over all codes that would be too large, before it is allocated.

        Args:
            each: its entries a code.

        Raises:
            UnsupportedError: if it would have more than 2²⁷ entries.
        """
        if self.num_codes * each > MAX_TABLE:
            raise UnsupportedError(
                f"a table over all codes may have {MAX_TABLE} entries; this cascade needs "
                f"{self.num_codes} codes × {each}; use fewer phases or a smaller alphabet"
            )

    def below(self, layer: int) -> Cascade:
        """Return the cascade of the layers under one.

        Args:
            layer: its place, 0 … number of layers.

        Returns:
            The cascade of the first `layer` layers.
        """
        return Cascade(self.layers[:layer], self.num_tokens)

    def current_increments(self, layer: int) -> np.ndarray:
        """Return Θ′ of a layer, addressed by the state of the layers below AFTER the token.

        Θ′[c′, x] = Θ[c, x] for the code c that token x turns into c′: a layer that sees the current
        states below it, as in an ordinary stack, needs no memory of the previous ones.

        Args:
            layer: its place.

        Returns:
            (C, X, r) int64; 0 where x leads from no reachable code to c′.

        Raises:
            UnsupportedError: if two codes that x merges ask for different actions of the layer.

        Claims: ssm.C2.
        """
        return self._current(layer)[0]

    def current_resets(self, layer: int) -> np.ndarray | None:
        """Return the resets of a layer, addressed as by `current_increments`.

        Args:
            layer: its place.

        Returns:
            (C, X, r) int64 with −1 where nothing is reset, or ``None`` if the layer resets nothing.

        Raises:
            UnsupportedError: as `current_increments`.
        """
        return self._current(layer)[1]

    def _current(self, place: int) -> tuple[np.ndarray, np.ndarray | None]:
        layer, below = self.layers[place], self.below(place)
        below.check_codes(self.num_tokens)
        codes = below.reachable()[:, None]
        tokens = np.arange(self.num_tokens)[None]
        after = below.step(codes, tokens)
        previous = np.full((below.num_codes, self.num_tokens), -1, dtype=np.int64)
        previous[after, tokens] = codes
        # A reset hides the increment: two actions are equal if this array is.
        action = layer.increments if layer.resets is None else layer.resets + 1
        if layer.resets is not None:
            moduli = np.array(layer.moduli, dtype=np.int64)
            action = np.where(action > 0, moduli + action - 1, layer.increments)
        if (action[previous[after, tokens], tokens] != action[codes, tokens]).any():
            raise UnsupportedError(
                f"layer {place} acts differently on states below it that a token merges, so the "
                f"current states do not determine its action; use the modes int or table"
            )
        known = (previous >= 0)[..., None]
        increments = np.where(known, layer.increments[previous, tokens], 0)
        if layer.resets is None:
            return increments, None
        return increments, np.where(known, layer.resets[previous, tokens], -1)


def check_start(start: Tensor | int, tokens: Tensor, num_codes: int) -> Tensor:
    """Return the code before the first token, one for each word.

    Args:
        start: a code or (…).
        tokens: (…, T).
        num_codes: a code must lie in 0 … num_codes − 1.

    Returns:
        (…) int64 on the device of the tokens.

    Raises:
        DtypeError: if it is not an integer.
        RangeError: if it is out of range.
        ShapeError: if it has another shape than the words.
    """
    if not isinstance(start, torch.Tensor):
        if not isinstance(start, int | np.integer) or isinstance(start, bool):
            raise DtypeError(f"start must be an integer code; given {start!r}")
        # A number that no code can be must not overflow before it is refused.
        start = torch.tensor(min(max(int(start), -1), MAX_CODES))
    if start.is_floating_point() or start.is_complex() or start.dtype == torch.bool:
        raise DtypeError(f"start must be an integer code; given {start.dtype}")
    codes = start.to(tokens.device, torch.int64)
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < num_codes:
        raise RangeError(
            f"start must be a code in 0 … {num_codes - 1}; "
            f"given {int(codes.min())} … {int(codes.max())}"
        )
    try:
        return codes.expand(tokens.shape[:-1])
    except RuntimeError as error:
        raise ShapeError(
            f"start must be one code or have the shape {tuple(tokens.shape[:-1])} of the "
            f"tokens without time; given {tuple(codes.shape)}"
        ) from error


def walk_table(table: Tensor, tokens: Tensor, start: Tensor) -> Tensor:
    """Return the code after each token by a table of transitions, one gather a step.

    Args:
        table: (num_codes, X) int64: the code after each code and token.
        tokens: (…, T) int64, in range.
        start: (…) int64 codes before the first token.

    Returns:
        (…, T) int64.

    Raises:
        RangeError: if a code lies outside of the table.
    """
    codes = torch.empty_like(tokens, memory_format=torch.contiguous_format)
    if tokens.device.type == "cpu":
        from coset.ssm.kernels.cpu import walk

        if codes.numel():
            words = tokens.reshape(-1, tokens.shape[-1]).numpy()
            rows = codes.view(-1, tokens.shape[-1]).numpy()
            row = walk(table.numpy(), words, start.reshape(-1).numpy(), rows)
            if row >= 0:
                raise RangeError(
                    f"codes must lie in 0 … {len(table) - 1}; word {row} starts at another one, or "
                    f"the table leads to one"
                )
        return codes
    for t, x in enumerate(tokens.unbind(-1)):
        start = table[start, x]
        codes[..., t] = start
    return codes
