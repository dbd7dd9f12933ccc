"""Fewer layers for the same phases: each goes as low as what it looks at allows.

The holonomy decomposition gates a level by all levels above it in the chain of sets. Often a phase
needs only some of them; phases that need none of each other share a layer.
"""

from __future__ import annotations

import numpy as np

from coset.ssm.cascade import Cascade
from coset.ssm.phase_layer import PhaseLayer

__all__ = ["regroup"]

# Reachable codes × phases² that are looked at; beyond it the cascade stays as it is.
_MAX_WORK = 20_000_000


def regroup(cascade: Cascade, states: np.ndarray) -> tuple[Cascade, np.ndarray]:
    """Return the same phases in as few layers as what they depend on allows.

    Phase j depends on a set D of other phases if on all reachable codes D and the token tell what
    happens to j. Its layer is one above the highest of D; D is found greedily, so that fewer layers
    may exist still.

    Args:
        cascade: any.
        states: (num_codes,) int64 what its codes stand for, −1 where no word leads.

    Returns:
        A cascade of the same phases, perhaps in another order, and what its codes stand for.

    Example:
        >>> turn, apart = np.ones((1, 1, 1), int), np.ones((2, 1, 1), int)
        >>> two = Cascade((PhaseLayer((2,), turn), PhaseLayer((3,), apart)), 1)
        >>> regroup(two, np.arange(6))[0].moduli, len(regroup(two, np.arange(6))[0].layers)
        ((2, 3), 1)
    """
    codes = np.flatnonzero(states >= 0)
    if codes.size * len(cascade.moduli) ** 2 > _MAX_WORK or len(cascade.layers) < 2:
        return cascade, states
    phases = cascade.decode(codes)
    actions = _actions(cascade, codes)
    heights: list[int] = []
    for j, action in enumerate(actions):
        needed = _needed(phases[:, :j] * cascade.radices[:j], action)
        heights.append(1 + max((heights[i] for i in needed), default=-1))
    if max(heights) + 1 == len(cascade.layers):
        return cascade, states
    layers, order = [], np.argsort(heights, kind="stable")
    for height in range(max(heights) + 1):
        mine = [int(j) for j in order if heights[j] == height]
        below = [int(j) for j in order if heights[j] < height]
        layers.append(_layer(cascade, phases, [actions[j] for j in mine], mine, below))
    found = Cascade(tuple(layers), cascade.num_tokens)
    moved = np.full(found.num_codes, -1, dtype=np.int64)
    moved[found.encode(phases[:, order])] = states[codes]
    return found, moved


def _actions(cascade: Cascade, codes: np.ndarray) -> list[np.ndarray]:
    """Return what happens to each phase, (codes, X): Θ, or m + v where it is reset to v."""
    actions = []
    for place, layer in enumerate(cascade.layers):
        stride = cascade.num_codes // cascade.below(place).num_codes
        added = layer.increments[codes // stride]
        if layer.resets is not None:
            reset = layer.resets[codes // stride]
            added = np.where(reset >= 0, np.array(layer.moduli) + reset, added)
        actions += list(np.moveaxis(added, -1, 0))
    return actions


def _needed(lower: np.ndarray, action: np.ndarray) -> list[int]:
    """Return phases that tell the action, leaving out the highest first.

    Args:
        lower: (codes, j) phases times their radices: sums of columns are equal iff all of them are.
        action: (codes, X).

    Returns:
        The columns that are kept.
    """
    kept = list(range(lower.shape[1]))
    for j in reversed(range(lower.shape[1])):
        fewer = [i for i in kept if i != j]
        _, first, which = np.unique(lower[:, fewer].sum(1), return_index=True, return_inverse=True)
        if np.array_equal(action[first[which]], action):
            kept = fewer
    return kept


def _layer(
    cascade: Cascade,
    phases: np.ndarray,
    actions: list[np.ndarray],
    mine: list[int],
    below: list[int],
) -> PhaseLayer:
    """Return a layer of some phases, gated by others."""
    cells, num_cells = np.zeros(len(phases), dtype=np.int64), 1
    for j in below:
        cells = cells * cascade.moduli[j] + phases[:, j]
        num_cells *= cascade.moduli[j]
    moduli = np.array([cascade.moduli[j] for j in mine], dtype=np.int64)
    table = np.zeros((num_cells, cascade.num_tokens, len(mine)), dtype=np.int64)
    table[cells] = np.stack(actions, -1)
    resets = np.where(table >= moduli, table - moduli, -1)
    increments = np.where(table >= moduli, 0, table)
    moduli_of = tuple(int(m) for m in moduli)
    return PhaseLayer(moduli_of, increments, resets if (resets >= 0).any() else None)
