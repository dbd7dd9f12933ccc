"""The sharing prox of rows by way of their blocks: sort, find the blocks, move, un-sort."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from coset.core.errors import UnsupportedError
from coset.sharing.collisions.arithmetic import (
    MAX_RATIO_MASS,
    Blocks,
    FixedPoint,
    FixedRule,
    FloatRule,
    Rule,
)
from coset.sharing.collisions.bridge import bridge_starts
from coset.sharing.collisions.end import end_starts
from coset.sharing.collisions.imminent import imminent_starts
from coset.sharing.collisions.reference import pooled_blocks
from coset.sharing.collisions.search import search_starts
from coset.sharing.magnitude import DOWN, HUGE, scaled_strength

__all__ = ["collision_rows"]


_BY_TENSORS: dict[str, Callable[[Blocks, Rule], tuple[Tensor, Tensor]]] = {
    "imminent": imminent_starts,
    "end": end_starts,
    "search": search_starts,
}


def _bounded(x: Tensor, strength: Tensor) -> Tensor:
    """Return smaller strengths where all weights of a row merge anyway (sharing.C8)."""
    width = x[:, -1] - x[:, 0]
    return strength.minimum(torch.where(width > 0, 2 * width, 1.0))


def _literal_starts(integers: Tensor) -> tuple[Tensor, Tensor]:
    starts = torch.zeros(integers.shape, dtype=torch.bool)
    for row, values in zip(starts, integers.tolist(), strict=True):
        row[[a for a, _ in pooled_blocks(values)]] = True
    tests = integers.shape[1] - 1
    return starts, torch.tensor([[1, tests, tests]]).expand(len(starts), 3)


def _find_starts(
    x: Tensor, strength: Tensor, integers: Tensor | None, method: str
) -> tuple[Tensor, Tensor]:
    """Return where blocks of sorted rows start, and the (rounds, depth, work) of each row."""
    d = x.shape[1]
    if method in _BY_TENSORS:
        mass = torch.ones_like(x, dtype=torch.int64)
        if integers is None:
            particles, rule = Blocks(x, mass, torch.zeros_like(x)), FloatRule(strength, d - 1)
            return _BY_TENSORS[method](particles, rule)
        return _BY_TENSORS[method](Blocks(torch.zeros_like(mass), mass, integers), FixedRule())
    if method == "reference" and integers is not None:
        return _literal_starts(integers)
    if method == "bridge":
        return bridge_starts(x, strength, integers)
    starts, counts = bridge_starts(x, strength, integers, leaf=d)
    counts[:, 0] = 1
    return starts, counts


def _moved(mean: Tensor, drift: Tensor, l1: Tensor, keep: float) -> Tensor:
    """Positions after the motion: zero iff |mean + drift| < l1, else shifted by the kept part."""
    y = mean + drift
    pull = torch.where(y > 0, l1, -l1)
    out = y - pull if keep == 1 else mean + keep * (drift - pull)
    return torch.where(y.abs() < l1, 0.0, out)


def _move(
    x: Tensor, strength: Tensor, l1: Tensor, keep: float, starts: Tensor, fixed: FixedPoint | None
) -> tuple[Tensor, Tensor]:
    """Return the prox of sorted rows and their block numbers, given where the blocks start."""
    d, g, threshold = x.shape[1], strength[:, None], l1[:, None]
    labels = starts.cumsum(1) - 1
    first = torch.where(starts, torch.arange(d, device=x.device), 0).cummax(1).values
    mass = torch.zeros_like(labels).scatter_add_(1, labels, torch.ones_like(labels))
    mass = mass.gather(1, labels)
    if fixed is None:
        # About the first weight of the block, so that an offset costs no digits.
        base = x.gather(1, first)
        sums = torch.zeros_like(x).scatter_add_(1, labels, x - base)
        mean = base + sums.gather(1, labels) / mass
    else:
        mean = torch.where(mass == 1, x, fixed.block_means(labels, mass))
    sites = d - 2 * first - mass
    drift = torch.where(sites == 0, 0.0, g * sites / (d - 1))
    out = _moved(mean, drift, threshold, keep)
    if keep == 1:
        return out.cummax(1).values, labels
    # Undo inversions by a rounding error between blocks that nearly touch.
    return torch.where(threshold == 0, out.cummax(1).values, out), labels


def collision_rows(
    w: Tensor,
    strength: Tensor,
    l1: Tensor,
    keep: float,
    *,
    method: str,
    arithmetic: str,
    with_index: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the prox of each row by a method that finds the blocks of sorted rows.

    Args:
        w: (rows, d) float32 or float64, finite, rows ≥ 1, d ≥ 2.
        strength: (rows,) float64, ≥ 0.
        l1: (rows,) float64, ≥ 0.
        keep: 1 − rewind.
        method: as for `coset.sharing.prox_sharing`; "bucket" and "pava" are one stack for each row.
        arithmetic: "float64", or "fixed" for exact integers.
        with_index: whether block numbers are wanted.

    Returns:
        The prox (rows, d), block numbers (rows, d) int32 or (rows, 0), and (rows, 3) int64: rounds,
        depth and work.

    Raises:
        UnsupportedError: if rows are too long for "end" or "search" in fixed point.
    """
    rows, d = w.shape
    exact = arithmetic == "fixed"
    if exact and method in ("end", "search") and d > MAX_RATIO_MASS:
        raise UnsupportedError(
            f"method {method!r} compares fixed-point means of at most 2^26 weights; given groups "
            f"of {d}; use method 'bridge' or 'imminent'"
        )
    ranked, order = w.sort(dim=1, stable=True)
    huge = ranked[:, [0, -1]].to(torch.float64).abs().amax(1) >= HUGE
    scale = torch.ones_like(strength).masked_fill(huge, DOWN)
    # Adding zero turns -0.0 into +0.0.
    x = ranked.to(torch.float64) * scale[:, None] + 0.0
    g, threshold = scaled_strength(strength, scale), l1 * scale
    bounded = _bounded(x, g)
    fixed = FixedPoint.of(x, bounded) if exact else None
    starts = torch.ones_like(x, dtype=torch.bool)
    counts = torch.zeros((rows, 3), dtype=torch.int64, device=w.device)
    pulled = g > 0
    if bool(pulled.any()):
        integers = None if fixed is None else fixed.ends[pulled]
        starts[pulled], counts[pulled] = _find_starts(x[pulled], bounded[pulled], integers, method)
    moved, labels = _move(x, g, threshold, keep, starts, fixed)
    moved = (moved / scale[:, None]).to(w.dtype)
    out = torch.empty_like(w).scatter_(1, order, moved)
    out = torch.where(((strength == 0) & (l1 == 0))[:, None], w, out)
    index = torch.empty((rows, d if with_index else 0), dtype=torch.int32, device=w.device)
    if with_index:
        index.scatter_(1, order, labels.to(torch.int32))
    return out, index, counts
