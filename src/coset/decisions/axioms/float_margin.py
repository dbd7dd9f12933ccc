"""A verdict from floats: a clear margin, a contradiction up to rounding, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from coset.decisions.axioms.certificate import PreferenceCertificate
from coset.decisions.axioms.margin_guess import MarginGuess, largest_entries
from coset.decisions.axioms.preferences import INDIFFERENT, STRICT, Preferences

__all__ = ["FloatMargin", "float_margin"]

# Weights need to sum to 1 only to 1e-9; a margin ten times that survives any such slip.
_VIOLATION = 1e-9
_MARGIN = 1e-8
# The residual of a contradiction; `PreferenceCertificate.verify` has the last word.
_RESIDUAL = 1e-12
_MAX_COLUMNS = 3000


@dataclass(frozen=True, eq=False)
class FloatMargin:
    """What floats say.

    Attributes:
        status: "representable", "refuted" or "ambiguous".
        low: a margin that the utility attains; 0 if it attains none.
        high: a margin that no utility exceeds.
        utility: (n,) floats.
        weights: number of a preference → weight; negative ones turn an indifferent pair.
    """

    status: Literal["representable", "refuted", "ambiguous"]
    low: float
    high: float
    utility: tuple[float, ...]
    weights: dict[int, float]


def float_margin(preferences: Preferences, guess: MarginGuess) -> FloatMargin:
    """Judge the optimum of the linear program by what it attains.

    Args:
        preferences: with at least one strict pair.
        guess: the optimum as HiGHS sees it.

    Returns:
        "representable" if the utility separates all strict pairs by 1e-8 and violates no other by
        more than 1e-9 of its largest entry; "refuted" if weights are found whose compound lotteries
        agree as `PreferenceCertificate.verify` wants it; "ambiguous" otherwise.
    """
    low = _attained(preferences, guess.utility)
    weights, high = _least_residual(preferences, guess)
    status: Literal["representable", "refuted", "ambiguous"] = "ambiguous"
    if low >= _MARGIN:
        status = "representable"
    elif weights and PreferenceCertificate.of(preferences, weights).verify():
        status = "refuted"
    return FloatMargin(status, max(0.0, low), high, tuple(guess.utility.tolist()), weights)


def _attained(preferences: Preferences, utility: np.ndarray) -> float:
    """Return the least strict difference, or −1 if another preference is violated."""
    value = preferences.differences @ utility
    relation = preferences.relation
    # Small differences of probabilities count as much as large ones.
    slip = np.where(relation == INDIFFERENT, np.abs(value), -value) / largest_entries(preferences)
    if float(slip[relation != STRICT].max(initial=0.0)) > _VIOLATION:
        return -1.0
    return float(value[relation == STRICT].min())


def _least_residual(preferences: Preferences, guess: MarginGuess) -> tuple[dict[int, float], float]:
    """Return weights of total 1, and the residual Σ_o |Σ w d(o)| per weight of strict pairs."""
    best: tuple[dict[int, float], float] = ({}, 2.0)
    candidates = [guess.pairs]
    if preferences.num_pairs <= _MAX_COLUMNS:
        candidates.append(np.arange(preferences.num_pairs))
    for pairs in candidates:
        found = _non_negative(preferences, pairs)
        if found is not None and found[1] < best[1]:
            best = found
        if best[1] <= _RESIDUAL:
            break
    return best


def _non_negative(
    preferences: Preferences, pairs: np.ndarray
) -> tuple[dict[int, float], float] | None:
    """Fit Σ w d = 0 with weights 1 in all on the strict pairs, by non-negative least squares."""
    from scipy.optimize import nnls

    if not (preferences.relation[pairs] == STRICT).any():
        return None
    equal = pairs[preferences.relation[pairs] == INDIFFERENT]
    columns = np.concatenate([pairs, equal])
    sign = np.concatenate([np.ones(len(pairs)), -np.ones(len(equal))])
    matrix = preferences.differences[columns].toarray().T * sign
    strict = (preferences.relation[columns] == STRICT).astype(np.float64)
    target = np.zeros(len(matrix) + 1)
    target[-1] = 1.0
    try:
        weights, _ = nnls(np.vstack([matrix, strict]), target)
    except RuntimeError:  # its iterations ran out
        return None
    if weights @ strict <= 0:
        return None
    weights = weights / (weights @ strict)
    residual = float(np.abs(matrix @ weights).sum())
    total: dict[int, float] = {}
    for i, w in zip(columns.tolist(), (weights * sign).tolist(), strict=True):
        if w != 0:
            total[i] = total.get(i, 0.0) + w
    return {i: w for i, w in total.items() if w != 0}, residual
