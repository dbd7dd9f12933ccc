"""The largest margin of a utility, by a simplex method in integers.

The primal problem weighs the stated preferences: min Σ_o |Σ_i λ_i d_i(o)| with Σ λ = 1 over the
strict ones, weak ones weighed ≥ 0 and indifferent ones freely. Its dual is the utility with the
largest margin t: d_i·u ≥ t (strict), ≥ 0 (weak), = 0 (indifferent), −1 ≤ u ≤ 1. Both optima are
equal: it is 0 iff the weights are a Dutch book.

The basis is kept as d·B⁻¹ in integers (Edmonds), so that nothing is ever rounded; floats only
suggest which column to look at next.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from coset.decisions.axioms.preferences import INDIFFERENT, STRICT, Preferences
from coset.decisions.errors import UndecidedError

__all__ = ["ExactMargin", "Hint", "largest_margin"]

# A column: the number of a pair, or −1 − j for the slack of outcome j; and its sign.
Column = tuple[int, int]


@dataclass(frozen=True)
class Hint:
    """Where floats believe the optimum to be.

    Attributes:
        pairs: (pair, sign) of those that carry weight, the heaviest first; the sign is −1 for an
            indifferent pair that is used the other way round.
        free: outcomes whose utility lies strictly between −1 and 1.
    """

    pairs: tuple[Column, ...] = ()
    free: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ExactMargin:
    """The optimum of both problems.

    Attributes:
        margin: t ≥ 0, exact.
        utility: one number for each outcome, in [−1, 1]; optimal if the margin is > 0.
        weights: pair → weight; those of strict pairs sum to 1, those of indifferent pairs have
            either sign.
    """

    margin: Fraction
    utility: tuple[Fraction, ...]
    weights: dict[int, Fraction]


def largest_margin(
    preferences: Preferences, hint: Hint | None = None, max_pivots: int = 5000
) -> ExactMargin:
    """Solve both problems exactly.

    Args:
        preferences: exact ones, with at least one strict pair.
        hint: columns to begin with.
        max_pivots: changes of basis before giving up.

    Returns:
        The optimum; as soon as the margin is 0, the weights that show it.

    Raises:
        UndecidedError: if the pivots run out; carries the interval of the margin.

    Complexity: each pivot costs O(n²) operations on integers of O(n) digits, and one pass over the
    differences in float64.

    Claims: decisions.C1b, decisions.C3.
    """
    tableau = _Tableau(preferences, hint)
    if hint is not None and not tableau.crash(hint):
        tableau = _Tableau(preferences, hint)
    pivots = 0
    bland = False
    while tableau.objective != 0:
        column = tableau.entering(bland)
        if column is None:
            break
        if pivots >= max_pivots:
            raise UndecidedError(
                f"the exact simplex method must end within {max_pivots} pivots; it has not; the "
                f"largest margin lies in [0, {float(tableau.objective):.3g}]; raise max_pivots",
                0.0,
                float(tableau.objective),
            )
        before = tableau.objective
        tableau.enter(column)
        # Degenerate pivots could go round in circles; Bland's rule cannot.
        bland = tableau.objective == before
        pivots += 1
    return tableau.result()


class _Tableau:
    """A basis of n + 1 columns, and d·B⁻¹ as integers, d > 0."""

    def __init__(self, preferences: Preferences, hint: Hint | None = None) -> None:
        self.preferences = preferences
        self.rows = preferences.rows
        self.relation = preferences.relation
        n = self.size = preferences.num_outcomes
        self.basis: list[Column] = [(-1 - j, 1) for j in range(n)]
        self.inverse = np.zeros((n + 1, n + 1), dtype=object) + 0
        for r in range(n + 1):
            self.inverse[r, r] = 1
        self.determinant = 1
        hinted = () if hint is None else (i for i, _ in hint.pairs if self.relation[i] == STRICT)
        first = next(iter(hinted), int(np.flatnonzero(self.relation == STRICT)[0]))
        self.basis.append((first, 1))  # replaces the unit column of the sum's row
        self._pivot(n, self._solve((first, 1)))
        self._turn()

    @property
    def objective(self) -> Fraction:
        """The total of the slacks: an upper bound on the margin."""
        total = sum(self.inverse[r, -1] for r, c in enumerate(self.basis) if c[0] < 0)
        return Fraction(int(total), self.determinant)

    def crash(self, hint: Hint) -> bool:
        """Bring the hinted columns into the basis; tell whether it is feasible then."""
        for column in hint.pairs:
            if column in self.basis:
                continue
            entries = self._solve(column)
            wanted = [r for r, c in enumerate(self.basis) if c[0] < 0 and entries[r] != 0]
            if not wanted:
                continue
            row = min(wanted, key=lambda r: (-1 - self.basis[r][0] not in hint.free, r))
            self.basis[row] = column
            self._pivot(row, entries)
        self._turn()
        return all(value >= 0 for value in self.inverse[:, -1])

    def entering(self, bland: bool) -> Column | None:
        """Return a column whose reduced cost is negative, or none: then the basis is optimal.

        With Bland's rule it is the first one: pairs in their order, then slacks.
        """
        prices = self._prices()
        slack = self._slack(prices)
        if slack is not None and not bland:
            return slack
        gap, error = self._gaps(prices)
        violation = np.where(self.relation == INDIFFERENT, np.abs(gap), -gap)
        if not bland and (violation > error).any():
            best = int(np.argmax(np.where(violation > error, violation, -np.inf)))
            return self._signed(best, gap[best])
        for i in np.flatnonzero(violation >= -error).tolist():
            exact = self._reduced_cost(i, prices)
            if exact < 0 or (exact > 0 and self.relation[i] == INDIFFERENT):
                return self._signed(i, exact)
        return slack

    def _slack(self, prices: np.ndarray) -> Column | None:
        """Return the first slack that is worth more than its cost of 1."""
        for j in range(self.size):
            if abs(prices[j]) > self.determinant:
                return -1 - j, (1 if prices[j] > 0 else -1)
        return None

    def _gaps(self, prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return d·u − t (strict) or d·u of every pair in floats, and a bound on its error."""
        d = self.determinant
        try:
            utility = np.array([-p / d for p in prices[:-1]])
            worth = np.where(self.relation == STRICT, prices[-1] / d, 0.0)
        except OverflowError:  # beyond 1e308: all pairs are computed exactly
            return np.zeros(len(self.relation)), np.full(len(self.relation), np.inf)
        return self.rows.matrix @ utility - worth, self.rows.rounding(utility, worth)

    def _signed(self, pair: int, gap: float) -> Column:
        # Only an indifferent pair may be turned round.
        return pair, (-1 if self.relation[pair] == INDIFFERENT and gap > 0 else 1)

    def enter(self, column: Column) -> None:
        """Let the column replace the one that first reaches 0."""
        entries = self._solve(column)
        value = self.inverse[:, -1]
        rows = [r for r in range(self.size + 1) if entries[r] > 0]
        best = rows[0]
        for r in rows[1:]:
            left, right = value[r] * entries[best], value[best] * entries[r]
            if left < right or (left == right and self._order(r) < self._order(best)):
                best = r
        self.basis[best] = column
        self._pivot(best, entries)

    def result(self) -> ExactMargin:
        """Return what the basis says."""
        prices, d = self._prices(), self.determinant
        weights: dict[int, Fraction] = {}
        for r, (pair, sign) in enumerate(self.basis):
            if pair >= 0 and self.inverse[r, -1] != 0:
                _, _, scale = self.rows.integers(pair)
                share = Fraction(sign * int(self.inverse[r, -1]) * scale, d)
                weights[pair] = weights.get(pair, Fraction(0)) + share
        return ExactMargin(
            margin=self.objective,
            utility=tuple(Fraction(-int(p), d) for p in prices[:-1]),
            weights={i: w for i, w in sorted(weights.items()) if w},
        )

    def _order(self, row: int) -> tuple[int, int]:
        pair, sign = self.basis[row]
        # As in `entering`: the pairs in their order, then the slacks.
        return (pair if pair >= 0 else self.preferences.num_pairs - 1 - pair, sign)

    def _prices(self) -> np.ndarray:
        """Return d·y, the worth of each row: n of outcomes, and one of the sum."""
        slack = [r for r, c in enumerate(self.basis) if c[0] < 0]
        if not slack:
            return np.zeros(self.size + 1, dtype=object) + 0
        total: np.ndarray = self.inverse[slack].sum(axis=0)
        return total

    def _reduced_cost(self, pair: int, prices: np.ndarray) -> int:
        columns, numerators, scale = self.rows.integers(pair)
        worth = sum(int(prices[j]) * v for j, v in zip(columns, numerators, strict=True))
        return -worth - (int(prices[-1]) * scale if self.relation[pair] == STRICT else 0)

    def _solve(self, column: Column) -> np.ndarray:
        """Return d·B⁻¹a for a column a."""
        pair, sign = column
        if pair < 0:
            result: np.ndarray = sign * self.inverse[:, -1 - pair]
            return result
        columns, numerators, scale = self.rows.integers(pair)
        result = np.zeros(self.size + 1, dtype=object) + 0
        for j, value in zip(columns, numerators, strict=True):
            result = result + sign * int(value) * self.inverse[:, j]
        if self.relation[pair] == STRICT:
            result = result + scale * self.inverse[:, -1]
        return result

    def _pivot(self, row: int, entries: np.ndarray) -> None:
        """Replace the basis's column of a row; the divisions are exact (Edmonds)."""
        pivot, line = entries[row], self.inverse[row].copy()
        self.inverse = (pivot * self.inverse - np.outer(entries, line)) // self.determinant
        self.inverse[row] = line
        if pivot < 0:
            self.inverse, pivot = -self.inverse, -pivot
        self.determinant = int(pivot)

    def _turn(self) -> None:
        """Choose the sign of each basic slack and indifferent pair that makes it ≥ 0."""
        for r, (pair, sign) in enumerate(self.basis):
            either = pair < 0 or self.relation[pair] == INDIFFERENT
            if either and self.inverse[r, -1] < 0:
                self.basis[r] = (pair, -sign)
                self.inverse[r] = -self.inverse[r]
