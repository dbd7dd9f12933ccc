"""Read a layer's multipliers at exact lower states, and snap their phases to roots of unity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import UnsupportedError
from coset.ssm.cascade import Cascade

__all__ = [
    "LayerReading",
    "SnappedPhase",
    "choose_phases",
    "clean_states",
    "conditional_entropy",
    "drop_reasons",
    "read_layer",
    "snap_phases",
]

_LEAST_GAIN = 0.3  # nats: the least real gain is log 2, that of chance far below
_LEAST_RADIUS = 0.5  # a multiplier nearer to 0 forgets and has no phase worth reading


@dataclass(frozen=True, eq=False)
class SnappedPhase:
    """One coordinate, all its multipliers rounded to roots of unity of one order.

    Attributes:
        coordinate: which one.
        order: m.
        increments: (R, X) int64 k, the nearest exp(2πi·k/m).
        residual: largest distance from it, in steps 2π/m.
    """

    coordinate: int
    order: int
    increments: np.ndarray = field(repr=False)
    residual: float


@dataclass(frozen=True, eq=False)
class LayerReading:
    """One layer at all reachable exact states of the layers below, before each token.

    Attributes:
        multipliers: (R, X, d) complex128 a.
        shifts: (R, X, d) complex128 b.
        phases: the orders that fit, for every coordinate.
        centers: (d,) the point about which the coordinate turns, b/(1 − a).
        start: (d,) the state before the first token.
    """

    multipliers: np.ndarray = field(repr=False)
    shifts: np.ndarray = field(repr=False)
    phases: tuple[SnappedPhase, ...]
    centers: np.ndarray
    start: np.ndarray


def snap_phases(
    multipliers: np.ndarray, orders: Sequence[int], max_residual: float
) -> tuple[SnappedPhase, ...]:
    """Return all orders of roots of unity that fit all multipliers of a coordinate.

    k = round(m·arg(a)/2π), residual |m·arg(a)/2π − k|, in steps of 2π/m.

    Args:
        multipliers: (R, X, d) complex.
        orders: orders m ≥ 2 to try.
        max_residual: the largest residual that fits.

    Returns:
        The fits, coordinate by coordinate; those that never turn are left out.

    Example:
        >>> a = np.exp(2j * np.pi * np.array([[[0.0], [0.34]]]))
        >>> [(p.order, p.increments.tolist()) for p in snap_phases(a, (2, 3), 0.25)]
        [(3, [[0, 1]])]
    """
    found: list[SnappedPhase] = []
    turns = np.angle(multipliers) / (2 * np.pi)
    for j in range(multipliers.shape[-1]):
        if not np.abs(multipliers[..., j]).min(initial=np.inf) >= _LEAST_RADIUS:
            continue  # also where one is NaN
        for order in orders:
            nearest = np.round(turns[..., j] * order)
            off = float(np.abs(turns[..., j] * order - nearest).max(initial=0.0))
            steps = nearest.astype(np.int64) % order
            if off <= max_residual and steps.any():
                found.append(SnappedPhase(j, order, steps, off))
    return tuple(found)


@torch.no_grad()
def read_layer(
    model: Any,
    index: int,
    cascade: Cascade,
    states: Sequence[np.ndarray],
    start: Tensor,
    orders: Sequence[int],
    max_residual: float,
) -> LayerReading:
    """Read a layer of a model at all exact states of the layers below.

    Args:
        model: shows ``layer_transition``; its gates see the current lower states.
        index: which layer.
        cascade: the exact layers below.
        states: the state of each layer below at each reachable code, (R, d_l) complex128.
        start: (1, d) the layer's own start; gives its dtype.
        orders: of roots of unity to try.
        max_residual: in steps.

    Returns:
        The reading.

    Raises:
        UnsupportedError: if a state has other coordinates than the layer's multipliers.
    """
    reach, num_tokens = cascade.reachable(), cascade.num_tokens
    after = np.searchsorted(reach, cascade.step(reach[:, None], np.arange(num_tokens)[None]))
    below = [_as_model(s[after].reshape(-1, s.shape[-1]), m) for s, m in _paired(model, states)]
    tokens = torch.arange(num_tokens, device=start.device).repeat(len(reach))
    multiplier, shift = model.layer_transition(index, below, tokens)
    if multiplier.shape[-1] != start.shape[-1] or multiplier.is_complex() > start.is_complex():
        raise UnsupportedError(
            f"the state of a layer must have one coordinate for each multiplier, complex if they "
            f"are; layer {index + 1} of {type(model).__name__} has {multiplier.shape[-1]} "
            f"multipliers ({multiplier.dtype}) for {start.shape[-1]} coordinates ({start.dtype}); "
            f"give a model whose layers are h ← a∘h + b"
        )
    a, b = (
        t.detach().cpu().resolve_conj().to(torch.complex128).numpy() for t in (multiplier, shift)
    )
    a, b = (np.broadcast_to(t, (tokens.numel(), start.shape[-1])) for t in (a, b))
    shape = (len(reach), num_tokens, a.shape[-1])
    turning = np.conj(1 - a)
    weight = (np.abs(turning) ** 2).sum(axis=0)
    with np.errstate(invalid="ignore"):  # a diverged model's NaN stays NaN, and is left out
        mean = (b * turning).sum(axis=0) / np.maximum(weight, 1e-6)
    centers = np.where(weight > 1e-6, mean, 0.0)
    own = start.detach().cpu().resolve_conj().to(torch.complex128).numpy().reshape(-1)
    return LayerReading(
        multipliers=a.reshape(shape),
        shifts=b.reshape(shape),
        phases=snap_phases(a.reshape(shape), orders, max_residual),
        centers=centers,
        start=own,
    )


def _paired(model: Any, states: Sequence[np.ndarray]) -> list[tuple[np.ndarray, Tensor]]:
    return list(zip(states, model.start_state(1), strict=False))


def _as_model(state: np.ndarray, like: Tensor) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(state))
    tensor = tensor if like.is_complex() else tensor.real
    return tensor.to(dtype=like.dtype, device=like.device)


def clean_states(
    reading: LayerReading,
    chosen: Sequence[SnappedPhase],
    cascade: Cascade,
    below: np.ndarray,
) -> np.ndarray:
    """Return the layer's exact state at each reachable code.

    The chosen coordinates are turned about their centers by exact steps; the others follow the
    model's own updates along a shortest word.

    Args:
        reading: of the layer.
        chosen: the phases that were kept.
        cascade: the layers below and, on top, the coordinates that were kept.
        below: (R',) the row of the reading for each reachable code of `cascade`.

    Returns:
        (R', d) complex128.
    """
    reach = cascade.reachable()
    tokens = np.arange(cascade.num_tokens)
    after = np.searchsorted(reach, cascade.step(reach[:, None], tokens[None]))
    a, b = reading.multipliers.copy(), reading.shifts.copy()
    for phase in chosen:
        turns = np.exp(2j * np.pi * phase.increments / phase.order)
        a[..., phase.coordinate] = turns
        b[..., phase.coordinate] = (1 - turns) * reading.centers[phase.coordinate]
    states = np.zeros((len(reach), reading.start.size), complex)
    seen = np.zeros(len(reach), bool)
    first = int(np.searchsorted(reach, 0))
    states[first], seen[first] = reading.start, True
    frontier = np.array([first])
    while frontier.size:
        new, edge = np.unique(after[frontier].reshape(-1), return_index=True)
        new, edge = new[~seen[new]], edge[~seen[new]]
        row, token = frontier[edge // len(tokens)], edge % len(tokens)
        cell = below[row]
        states[new] = a[cell, token] * states[row] + b[cell, token]
        seen[new] = True
        frontier = new
    return states


def conditional_entropy(cells: np.ndarray, values: np.ndarray) -> float:
    """Return the plug-in estimate of H(value | cell) in nats.

    Args:
        cells: (N,) int64 ≥ 0.
        values: (N,) int64 ≥ 0.

    Returns:
        The entropy, ≥ 0.

    Example:
        >>> h = conditional_entropy(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2]))
        >>> round(float(h / np.log(2)), 9)
        0.5
    """

    def entropy(keys: np.ndarray) -> float:
        share = np.unique(keys, return_counts=True)[1] / keys.size
        return float(-(share * np.log(share)).sum())

    joint = np.unique(cells, return_inverse=True)[1].reshape(-1) * (values.max() + 1) + values
    return entropy(joint) - entropy(cells)


def choose_phases(
    reading: LayerReading, cascade: Cascade, words: Tensor, values: Tensor
) -> tuple[list[SnappedPhase], float]:
    """Choose phases while they tell values apart: largest gain, then smallest order.

    Args:
        reading: of the layer.
        cascade: the exact layers below.
        words: (N, T) random words.
        values: (N, T) their running products.

    Returns:
        The chosen phases, and H(value | state) in nats with them; it is estimated on the later half
        of the positions.
    """
    half = words.shape[1] // 2
    after = cascade.run(words).numpy() if cascade.layers else np.zeros(tuple(words.shape), np.int64)
    before = np.concatenate((np.zeros_like(after[:, :1]), after[:, :-1]), axis=1)
    at = (np.searchsorted(cascade.reachable(), before), words.numpy())
    labels = values[:, half:].numpy().reshape(-1)
    cells = np.unique(after[:, half:].reshape(-1), return_inverse=True)[1].reshape(-1)
    left = {
        phase: (phase.increments[at].cumsum(axis=1)[:, half:] % phase.order).reshape(-1)
        for phase in reading.phases
    }
    chosen: list[SnappedPhase] = []
    entropy = conditional_entropy(cells, labels)
    while left:
        finer = {phase: cells * phase.order + state for phase, state in left.items()}
        found = {phase: conditional_entropy(keys, labels) for phase, keys in finer.items()}
        least = min(found.values())
        if entropy - least <= _LEAST_GAIN:
            break
        tied = [phase for phase in left if found[phase] <= least + 0.05]
        best = min(tied, key=lambda phase: (phase.order, phase.residual))
        chosen.append(best)
        cells = np.unique(finer[best], return_inverse=True)[1].reshape(-1)
        entropy = found[best]
        left = {p: state for p, state in left.items() if p.coordinate != best.coordinate}
    return chosen, entropy


def drop_reasons(
    reading: LayerReading,
    chosen: Sequence[SnappedPhase],
    orders: Sequence[int],
    max_residual: float,
) -> tuple[str, ...]:
    """Say why coordinates were not kept, one text for each reason.

    Args:
        reading: of the layer.
        chosen: the phases that were kept.
        orders: of roots of unity that were tried.
        max_residual: in steps.

    Returns:
        Texts such as "coordinates 0, 2: …".
    """
    kept = {phase.coordinate for phase in chosen}
    fits = {phase.coordinate for phase in reading.phases}
    found: dict[str, list[int]] = {}
    for j in range(reading.multipliers.shape[-1]):
        if j in fits - kept:
            reason = f"tells values apart by less than {_LEAST_GAIN} nat"
            found.setdefault(reason, []).append(j)
        elif j not in kept:
            reason = _misfit(reading.multipliers[..., j], orders, max_residual)
            found.setdefault(reason, []).append(j)
    return tuple(f"{_named(places)}: {reason}" for reason, places in found.items())


def _misfit(a: np.ndarray, orders: Sequence[int], max_residual: float) -> str:
    """Return why no order fits a coordinate."""
    if not np.isfinite(a).all():
        return "a multiplier is NaN or infinite"
    if np.abs(a).min(initial=np.inf) < _LEAST_RADIUS:
        return f"it forgets: |a| falls below {_LEAST_RADIUS}, no root of unity"
    turns = np.angle(a) / (2 * np.pi)
    off = [float(np.abs(turns * m - np.round(turns * m)).max(initial=0.0)) for m in orders]
    if min(off, default=1.0) <= max_residual:
        return "no token turns it by a step, so it holds no information"
    return f"its phases are more than {max_residual:g} of a step off for every order tried"


def _named(places: list[int]) -> str:
    if len(places) == 1:
        return f"coordinate {places[0]}"
    shown = places if len(places) <= 6 else [*places[:3], "…", places[-1]]
    return f"coordinates {', '.join(map(str, shown))}"
