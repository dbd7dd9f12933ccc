"""Where the largest margin lies, in float64 (HiGHS), on as few preferences as it takes.

A utility over n outcomes is held by at most n + 1 of the preferences. So the program begins with
some thousand of them and adds those that its utility violates most, until there are none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from coset.decisions.axioms.preferences import INDIFFERENT, STRICT, WEAK, Preferences

__all__ = ["MarginGuess", "guess_margin", "largest_entries"]

# HiGHS keeps no tolerance below this.
_TOLERANCE = 1e-10
_MAX_ROUNDS = 100


@dataclass(frozen=True, eq=False)
class MarginGuess:
    """An optimum as floats see it; a guide for exact methods, and never a proof.

    Attributes:
        margin: t.
        utility: (n,) float64 in [−1, 1].
        pairs: (k,) int64: the preferences that carry weight.
        weights: (k,) float64: their weights; negative for an indifferent pair used the other way
            round.
    """

    margin: float
    utility: np.ndarray
    pairs: np.ndarray
    weights: np.ndarray


def guess_margin(preferences: Preferences) -> MarginGuess:
    """Solve max t with d_i·u ≥ t, d_j·u ≥ 0, d_k·u = 0, −1 ≤ u ≤ 1 in float64.

    Args:
        preferences: with at least one strict pair.

    Returns:
        The optimum to about 1e-10.
    """
    n = preferences.num_outcomes
    batch = max(200, 4 * n)
    chosen = _first_rows(preferences, 4 * batch)
    # At length 1 no row drowns in the tolerance; the strict ones keep theirs, which the margin is.
    strict = preferences.relation == STRICT
    scale = np.where(strict, 1.0, 1 / largest_entries(preferences))
    for _ in range(_MAX_ROUNDS):
        guess = _solve(preferences, chosen, scale)
        if len(chosen) == preferences.num_pairs or guess.margin <= _TOLERANCE:
            break
        value = scale * (preferences.differences @ guess.utility)
        violation = np.where(strict, guess.margin, 0.0) - value
        equal = preferences.relation == INDIFFERENT
        violation[equal] = np.abs(value[equal])
        violation[chosen] = -1.0
        worst = np.argsort(-violation, kind="stable")[:batch]
        worst = worst[violation[worst] > _TOLERANCE]
        if not len(worst):
            break
        chosen = np.sort(np.concatenate([chosen, worst]))
    return guess


def _first_rows(preferences: Preferences, num: int) -> np.ndarray:
    """Return preferences spread evenly over the list, a strict one among them."""
    total = preferences.num_pairs
    if total <= num:
        return np.arange(total)
    rows = np.unique(np.linspace(0, total - 1, num).astype(np.int64))
    strict = np.flatnonzero(preferences.relation == STRICT)[:1]
    return np.union1d(rows, strict)


def largest_entries(preferences: Preferences) -> np.ndarray:
    """Return max_o |p(o) − q(o)| of each preference.

    Args:
        preferences: N of them.

    Returns:
        (N,) float64; 1 where p = q.
    """
    size = np.zeros(preferences.num_pairs)
    matrix = preferences.differences
    np.maximum.at(size, np.repeat(np.arange(len(size)), np.diff(matrix.indptr)), abs(matrix.data))
    # Of one below 1e-290 the reciprocal could overflow.
    return np.where(size > 0, np.maximum(size, 1e-290), 1.0)


def _solve(preferences: Preferences, chosen: np.ndarray, scale: np.ndarray) -> MarginGuess:
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, hstack

    n = preferences.num_outcomes
    relation = preferences.relation[chosen]
    above = chosen[relation <= WEAK]
    equal = chosen[relation == INDIFFERENT]
    rows = preferences.differences
    asked = (preferences.relation[above] == STRICT).astype(np.float64)[:, None]
    at_most = hstack([-rows[above].multiply(scale[above, None]), csr_array(asked)], format="csr")
    same = hstack(
        [rows[equal].multiply(scale[equal, None]), csr_array((len(equal), 1))], format="csr"
    )
    options: dict[str, Any] = {
        "primal_feasibility_tolerance": _TOLERANCE,
        "dual_feasibility_tolerance": _TOLERANCE,
    }
    found = linprog(
        np.concatenate([np.zeros(n), [-1.0]]),
        A_ub=at_most,
        b_ub=np.zeros(len(above)),
        A_eq=same if len(equal) else None,
        b_eq=np.zeros(len(equal)) if len(equal) else None,
        bounds=[(-1.0, 1.0)] * n + [(0.0, None)],
        method="highs",
        options=options,
    )
    if found.x is None:  # numerically lost: the exact method begins without a guess
        return MarginGuess(0.0, np.zeros(n), chosen[:0], np.zeros(0))
    # Marginals are those of a minimum: weights of inequalities come with the sign turned.
    weights = np.concatenate([-found.ineqlin.marginals, -found.eqlin.marginals])
    pairs = np.concatenate([above, equal])
    heavy = np.abs(weights) > 1e-11
    weights = weights * scale[pairs]
    return MarginGuess(
        max(0.0, float(found.x[-1])),
        np.clip(found.x[:-1], -1.0, 1.0),
        pairs[heavy],
        weights[heavy],
    )
