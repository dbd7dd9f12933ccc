"""Compiled trackers in floats: phases as points of the unit circle, complex or real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import RangeError, ShapeError
from coset.scan import scan
from coset.ssm.cascade import Cascade
from coset.ssm.circle import circle_tables, nearest_codes
from coset.ssm.float_tracker import FloatTracker
from coset.ssm.phase_layer import check_tokens, check_words

__all__ = ["ComplexTracker", "PhasorTracker", "RealTracker"]


class PhasorTracker(FloatTracker):
    """What the float modules share: layers h ← a∘h + b from h = 1, run one after another.

    The decoder is linear in the real and imaginary parts: logit_g = Σ_j Re(h_j·conj ζ_j(g)) with
    ζ_j(g) = exp(2πi·s_j(g)/m_j), largest at g alone.
    """

    def layer_transition(
        self, index: int, lower: Sequence[Tensor], tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return a and b of one layer; see the subclasses."""
        raise NotImplementedError

    def _check_lower(self, index: int, lower: Sequence[Tensor]) -> None:
        if not 0 <= index < len(self.moduli):
            raise RangeError(f"index must lie in 0 … {len(self.moduli) - 1}; given {index}")
        if len(lower) != index:
            raise ShapeError(
                f"lower must hold the states of the {index} layers below; given {len(lower)}"
            )

    def states(self, tokens: Tensor, start: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Return the states of all layers after each token.

        Args:
            tokens: (…, T) integers.
            start: one (…, r) a layer, or ``None`` for the start.

        Returns:
            One (…, T, r) complex a layer.
        """
        tokens = check_words(tokens, self.num_tokens)
        begin = self._begin(start, tokens.shape[:-1])
        states: list[Tensor] = []
        for index, before in enumerate(begin):
            a, b = self.layer_transition(index, states, tokens)
            states.append(scan(a, b, before))
        return states

    def start_state(self, *batch: int) -> tuple[Tensor, ...]:
        """Return the state before the first token: every phase 0, every h = 1.

        Args:
            *batch: sizes of the batch dimensions; none for a single word.

        Returns:
            One (*batch, r) complex a layer.
        """
        device = self.points.device
        return tuple(
            torch.ones(*batch, len(m), dtype=self.complex_dtype, device=device) for m in self.moduli
        )

    def _begin(self, state: Sequence[Tensor] | None, shape: torch.Size) -> Sequence[Tensor]:
        """Return the state before the first token, one (*shape, d) a layer, checked."""
        right = self.start_state(*shape)
        if state is None:
            return right
        given = [(tuple(s.shape), s.dtype) for s in state]
        wanted = [(tuple(s.shape), s.dtype) for s in right]
        if given != wanted:
            raise ShapeError(
                f"a state must be one tensor a layer, as start_state gives for words of batch "
                f"shape {tuple(shape)}: {wanted}; given {given}"
            )
        return state

    def step(self, tokens: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read one token a word.

        Args:
            tokens: (…) integers.
            state: what `start_state` or `step` returned.

        Returns:
            (…, n) logits, and the state after the token.
        """
        tokens = check_tokens(tokens, self.num_tokens)
        after: list[Tensor] = []
        for index, before in enumerate(self._begin(state, tokens.shape)):
            a, b = self.layer_transition(index, after, tokens)
            after.append(a * before + b)
        return self._logits(after, tokens.shape), tuple(after)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits Σ_j Re(h_j·conj ζ_j) after each token.

        Args:
            tokens: (…, T) integers in 0 … X − 1.

        Returns:
            (…, T, n) real.
        """
        return self._logits(self.states(tokens), tokens.shape)

    def _features(self, states: Sequence[Tensor], shape: torch.Size) -> Tensor:
        """Return real and imaginary parts of all states, (…, 2R)."""
        if not states:
            return self.points.new_zeros(*shape, 0)
        return torch.view_as_real(torch.cat(list(states), -1)).flatten(-2)

    def _logits(self, states: Sequence[Tensor], shape: torch.Size) -> Tensor:
        scores = self._features(states, shape) @ self.points.flatten(1).T
        named = self.elements >= 0
        lowest = -float(self.points.shape[1]) - 1.0
        logits = scores.new_full((*shape, self.num_labels), lowest)
        # A label that several codes name gets the largest score; one that none names the lowest.
        places = self.elements[named].expand(*shape, -1)
        return logits.scatter_reduce(-1, places, scores[..., named], "amax")


class ComplexTracker(PhasorTracker):
    """The compiled layers as the theorem writes them: h ← a∘h, a = exp(2πi·Θ′/m), h₀ = 1.

    The gate Θ′ reads the token and the current states below, rounded to the nearest phases, so no
    error passes from layer to layer; each layer's own phase drifts by rounding only.

    Claims: ssm.C1, ssm.C2, ssm.C2c.

    Example:
        >>> from coset.ssm.compile import compile_group
        >>> module = compile_group("Z4").to_module("complex")
        >>> [state] = module.states(torch.tensor([1, 1, 1]))
        >>> state[:, 0].imag.tolist()
        [1.0, 0.0, -1.0]
    """

    file_class = "ssm.ComplexTracker"
    default_dtype = "complex64"
    dtypes = ("complex64", "complex128")

    def __init__(self, *, dtype: str = "complex64", **arguments: Any) -> None:
        super().__init__(dtype=dtype, **arguments)
        for place in range(len(self.moduli)):
            shape = self._table("increments", place).shape
            empty = torch.zeros(shape, dtype=self.complex_dtype)
            self.register_buffer(f"rotations_{place}", empty)
            if self.has_resets[place]:
                self.register_buffer(f"targets_{place}", empty.clone())

    def float_tables(self, cascade: Cascade) -> Iterator[tuple[str, Tensor]]:
        """Yield the points of the circle; see `circle_tables`."""
        return circle_tables(cascade)

    def layer_transition(
        self, index: int, lower: Sequence[Tensor], tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return a and b of one layer, for tokens and current states below.

        Args:
            index: which layer, 0 the lowest.
            lower: the states of the layers below after the token, each (…, r) complex.
            tokens: (…) integers.

        Returns:
            a and b, complex, (…, r) each; b is (r,) zeros in a layer without resets.
        """
        self._check_lower(index, lower)
        tokens = check_tokens(tokens, self.num_tokens)
        cells = torch.zeros_like(tokens)
        for moduli, state in zip(self.moduli, lower, strict=False):
            cells = nearest_codes(state, moduli, cells)
        a = self._table("rotations", index)[cells, tokens]
        if self.has_resets[index]:
            return a, self._table("targets", index)[cells, tokens]
        return a, a.new_zeros(a.shape[-1])

    def track(self, tokens: Tensor) -> Tensor:
        """Return the product so far after each token: the element of the nearest phases.

        Args:
            tokens: (…, T) integers in 0 … X − 1.

        Returns:
            (…, T) int64 element ids, −1 where the nearest phases name none.
        """
        states = self.states(tokens)
        codes = torch.zeros_like(tokens, dtype=torch.int64)
        for index, (moduli, state) in enumerate(zip(self.moduli, states, strict=True)):
            codes = nearest_codes(self._as_complex(index, state), moduli, codes)
        return self.elements[codes]

    def _as_complex(self, index: int, state: Tensor) -> Tensor:
        return state


class RealTracker(ComplexTracker):
    """The same layers in real numbers: ±1 for modulus 2, plane rotations for larger ones.

    A layer's state is (signs, cosines, sines): one real number for each phase of modulus 1 or 2,
    and two for each other one, turned by [[cos, −sin], [sin, cos]].

    Claims: ssm.C2, ssm.C2c.
    """

    file_class = "ssm.RealTracker"
    default_dtype = "float32"
    dtypes = ("float32", "float64")

    def __init__(self, *, dtype: str = "float32", **arguments: Any) -> None:
        super().__init__(dtype=dtype, **arguments)
        self.signed = [[j for j, m in enumerate(s) if m <= 2] for s in self.moduli]
        self.planar = [[j for j, m in enumerate(s) if m > 2] for s in self.moduli]

    def states(self, tokens: Tensor, start: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Return the states of all layers after each token.

        Args:
            tokens: (…, T) integers.
            start: one (…, d) a layer, or ``None`` for the start.

        Returns:
            One (…, T, d) real a layer.
        """
        tokens = check_words(tokens, self.num_tokens)
        begin = self._begin(start, tokens.shape[:-1])
        below: list[Tensor] = []
        states: list[Tensor] = []
        for index, before in enumerate(begin):
            a, b = super().layer_transition(index, below, tokens)
            num = len(self.signed[index])
            one, many = self.signed[index], self.planar[index]
            signs = scan(a[..., one].real, b[..., one].real, before[..., :num])
            cos, sin = before[..., num:].chunk(2, -1)
            # [[c, −s], [s, c]] acts on the plane as c + is on complex numbers.
            turned = scan(a[..., many], b[..., many], torch.complex(cos, sin))
            states.append(torch.cat([signs, turned.real, turned.imag], -1))
            below.append(self._as_complex(index, states[-1]))
        return states

    def _as_complex(self, index: int, state: Tensor) -> Tensor:
        one, many = self.signed[index], self.planar[index]
        cos, sin = state[..., len(one) :].chunk(2, -1)
        found = torch.zeros(
            *state.shape[:-1], len(one) + len(many), dtype=self.complex_dtype, device=state.device
        )
        found[..., one] = state[..., : len(one)].to(self.complex_dtype)
        found[..., many] = torch.complex(cos.contiguous(), sin.contiguous())
        return found

    def start_state(self, *batch: int) -> tuple[Tensor, ...]:
        """Return the state before the first token: signs 1, cosines 1, sines 0.

        Args:
            *batch: sizes of the batch dimensions; none for a single word.

        Returns:
            One (*batch, d) real a layer.
        """
        ones = self.points.new_ones
        return tuple(
            torch.cat([ones(*batch, len(s) + len(p)), ones(*batch, len(p)) * 0], -1)
            for s, p in zip(self.signed, self.planar, strict=True)
        )

    def step(self, tokens: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read one token a word.

        Args:
            tokens: (…) integers.
            state: what `start_state` or `step` returned.

        Returns:
            (…, n) logits, and the state after the token.
        """
        words = check_tokens(tokens, self.num_tokens)[..., None]
        after = self.states(words, state)
        logits = self._logits(after, words.shape)[..., 0, :]
        return logits, tuple(s[..., 0, :] for s in after)

    def _features(self, states: Sequence[Tensor], shape: torch.Size) -> Tensor:
        return super()._features([self._as_complex(i, s) for i, s in enumerate(states)], shape)
