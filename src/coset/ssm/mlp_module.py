"""The compiled layers with gates that ReLU layers compute: weights that can be trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coset.core.errors import UnsupportedError
from coset.ssm.cascade import Cascade
from coset.ssm.circle import drift_horizon, unit_points
from coset.ssm.phase_layer import check_tokens
from coset.ssm.phasor_modules import PhasorTracker
from coset.ssm.tracker_module import check_size

__all__ = ["MLPTracker", "ReluGate"]

# How much a hidden unit gains from its own token: as much as from one phase that agrees, at most.
_TOKEN = 2.0
# Rows of hidden units are computed in parts of about this many numbers where no gradient is asked.
_CHUNK = 2**24


class ReluGate(nn.Module):
    """Phases of a layer from the current states below and the token, by hidden units of steps.

    Unit (q, x) has u = (4/δ)(Σ_j Re(h_j·conj ζ_j(q)) + 2·1[token = x] − (D + 2 − δ/2)) with D
    phases below and δ = 1 − cos(2π/m) for their largest modulus m (2 if there are none), and puts
    out relu(u + ½) − relu(u − ½): exactly 1 at its own state and token and exactly 0 elsewhere,
    unless the score is off by more than 0.375 δ. The phase is 2π·Σ steps·Θ′/m.

    Args:
        num_cells: how many states the layers below have.
        num_tokens: X.
        num_below: D, how many phases the layers below have.
        num_phases: r, how many phases the layer turns.
        dtype: of the weights.

    Claims: ssm.C2.
    """

    def __init__(
        self, num_cells: int, num_tokens: int, num_below: int, num_phases: int, dtype: torch.dtype
    ) -> None:
        super().__init__()
        hidden = num_cells * num_tokens
        check_size(hidden * (2 * num_below + num_tokens + num_phases + 1), "a ReLU gate")
        self.lower = nn.Parameter(torch.zeros(hidden, 2 * num_below, dtype=dtype))
        self.token = nn.Parameter(torch.zeros(hidden, num_tokens, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(hidden, dtype=dtype))
        self.phase = nn.Parameter(torch.zeros(num_phases, hidden, dtype=dtype))

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Return the angles by which the layer turns.

        Args:
            features: (…, 2D) real and imaginary parts of the current states below.
            tokens: (…) int64.

        Returns:
            (…, r) angles.
        """
        flat, words = features.reshape(tokens.numel(), features.shape[-1]), tokens.reshape(-1)
        if torch.is_grad_enabled() or flat.shape[0] * len(self.bias) <= _CHUNK:
            angles = self._angles(flat, words)
        else:
            rows = max(1, _CHUNK // len(self.bias))
            parts = zip(torch.split(flat, rows), torch.split(words, rows), strict=True)
            angles = torch.cat([self._angles(f, x) for f, x in parts])
        return angles.reshape(*tokens.shape, len(self.phase))

    def _angles(self, features: Tensor, tokens: Tensor) -> Tensor:
        rows = nn.functional.embedding(tokens, self.token.T)
        u = torch.addmm(rows + self.bias, features, self.lower.T)
        return (torch.relu(u + 0.5) - torch.relu(u - 0.5)) @ self.phase.T


def _gate_weights(
    below: np.ndarray, largest: int, increments: np.ndarray, moduli: Sequence[int]
) -> dict[str, np.ndarray]:
    """Return the weights of a `ReluGate` that compute Θ′.

    Args:
        below: (C, D) complex points ζ of the states of the layers below.
        largest: the largest modulus below, 1 if there is none.
        increments: (C, X, r) Θ′.
        moduli: the r moduli of the layer.
    """
    (cells, depth), num_tokens = below.shape, increments.shape[1]
    delta = _gap(largest)
    scale = 4.0 / delta
    parts = np.stack([below.real, below.imag], -1).reshape(cells, 2 * depth)
    # Angles in (−π, π]: a unit that is slightly off turns the layer as little as it can.
    steps = increments.reshape(-1, len(moduli)) / np.array(moduli, dtype=float)
    angles = 2 * np.pi * np.where(steps > 0.5, steps - 1, steps)
    return {
        "lower": scale * parts.repeat(num_tokens, 0),
        "token": scale * _TOKEN * np.tile(np.eye(num_tokens), (cells, 1)),
        "bias": np.full(cells * num_tokens, -scale * (depth + _TOKEN - delta / 2)),
        "phase": np.ascontiguousarray(angles.T),
    }


def _gap(largest: int) -> float:
    """Return δ, by how much the score of a neighbor is lower."""
    return 1.0 - math.cos(2 * math.pi / max(2, largest))


class MLPTracker(PhasorTracker):
    """A tracker whose gates are ReLU layers and whose decoder is linear: ordinary weights.

    Exact at its start, and free to be trained: what training does to an exact solution can be
    measured. The states are complex, h ← exp(iφ)∘h, φ from a `ReluGate` on the current states.

    Claims: ssm.C2, ssm.C2c, ssm.C7.

    Example:
        >>> from coset.ssm.compile import compile_group
        >>> module = compile_group("S3").to_module("mlp")
        >>> sum(p.numel() for p in module.parameters())
        192
    """

    file_class = "ssm.MLPTracker"
    default_dtype = "float32"
    dtypes = ("float32", "float64")

    def __init__(self, *, dtype: str = "float32", **arguments: Any) -> None:
        super().__init__(dtype=dtype, **arguments)
        if any(self.has_resets):
            raise UnsupportedError(
                "mode 'mlp' holds no resets; use the modes complex, int or table"
            )
        real = self.points.dtype
        gates, cells, below = [], 1, 0
        for moduli in self.moduli:
            gates.append(ReluGate(cells, self.num_tokens, below, len(moduli), real))
            cells, below = cells * math.prod(moduli), below + len(moduli)
        self.gates = nn.ModuleList(gates)
        self.decoder = nn.Parameter(torch.zeros(self.num_labels, 2 * below, dtype=real))

    def float_tables(self, cascade: Cascade) -> Iterator[tuple[str, Tensor]]:
        """Yield the weights that track exactly, and the points of the circle.

        Args:
            cascade: the layers, as integers.

        Yields:
            The name of a buffer or parameter, and its values in double precision.

        Raises:
            UnsupportedError: if some element has several codes or none: no linear decoder.
        """
        elements = self.elements.cpu().numpy()
        codes = elements.argsort()
        if not np.array_equal(elements[codes], np.arange(self.num_labels)):
            raise UnsupportedError(
                "mode 'mlp' needs exactly one code for each element of the group, so that a linear "
                "decoder tells them apart; use the mode complex, or compile the subgroup itself"
            )
        for place, moduli in enumerate(self.moduli):
            lower = cascade.below(place)
            points = _circle(lower)
            increments = cascade.current_increments(place)
            largest = max(lower.moduli, default=1)
            for name, weights in _gate_weights(points, largest, increments, moduli).items():
                yield f"gates.{place}.{name}", torch.from_numpy(weights)
        circle = torch.view_as_real(torch.from_numpy(_circle(cascade)))
        yield "points", circle
        yield "decoder", circle[torch.from_numpy(codes)].flatten(1)

    def horizon(self) -> int:
        """Estimate from below for how many tokens ``track`` is right.

        Each token moves a state by at most 4ε; a gate bears a score that is 0.375 δ off.

        Returns:
            The estimate; a half turn by a float angle is not exact, so there always is one.
        """
        below = [m for layer in self.moduli[:-1] for m in layer]
        margin = math.pi / max((m for layer in self.moduli for m in layer), default=1)
        if below:
            margin = min(margin, 0.375 * _gap(max(below)) / len(below))
        return drift_horizon(margin, 4.0, self.complex_dtype)

    def layer_transition(
        self, index: int, lower: Sequence[Tensor], tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return a and b of one layer, for tokens and current states below.

        Args:
            index: which layer, 0 the lowest.
            lower: the states of the layers below after the token, each (…, r) complex.
            tokens: (…) integers.

        Returns:
            a = exp(iφ), complex, (…, r), and b, (r,) zeros.
        """
        self._check_lower(index, lower)
        tokens = check_tokens(tokens, self.num_tokens)
        angles = self.gates[index](self._features(lower, tokens.shape), tokens)
        a = torch.polar(torch.ones_like(angles), angles)
        return a, a.new_zeros(a.shape[-1])

    def _logits(self, states: Sequence[Tensor], shape: torch.Size) -> Tensor:
        return self._features(states, shape) @ self.decoder.T


def _circle(cascade: Cascade) -> np.ndarray:
    """Return the points of the circle of all codes, (num_codes, D) complex."""
    phases = cascade.decode(np.arange(cascade.num_codes))
    return unit_points(phases, np.array(cascade.moduli, dtype=np.int64))
