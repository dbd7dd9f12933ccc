"""The literal test of representability: eliminate one outcome after the other, in fractions."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction

from coset.core.errors import DomainError
from coset.decisions.axioms.preferences import Preferences

__all__ = ["utility_reference"]

# A row Σ_j a_j u_j ≥ 0, or > 0 if it is strict.
_Row = tuple[tuple[Fraction, ...], bool]


def utility_reference(
    preferences: Preferences, max_rows: int = 20_000
) -> dict[Hashable, Fraction] | None:
    """Find a utility by Fourier–Motzkin elimination, or none if there is none.

    Each elimination combines every row that bounds an outcome from below with every one that
    bounds it from above; the system has a solution iff what is left at the end, rows 0 ≥ 0 and
    0 > 0, holds. Slow and obviously right: the number of rows can square with each outcome.

    Args:
        preferences: any; floats count as the fractions that they are.
        max_rows: rows at most.

    Returns:
        A utility that explains the preferences, or ``None``.

    Raises:
        DomainError: if the rows become too many.

    Examples:
        >>> utility_reference(Preferences.from_pairs(strict=[("a", "b"), ("b", "a")])) is None
        True

    Claims: decisions.C1b.
    """
    stages = [_rows(preferences)]
    for j in range(preferences.num_outcomes):
        stages.append(_eliminate(stages[-1], j))
        if len(stages[-1]) > max_rows:
            raise DomainError(
                f"Fourier–Motzkin elimination may have {max_rows:,} rows; it has "
                f"{len(stages[-1]):,}; use check"
            )
    if any(strict for _, strict in stages[-1]):
        return None
    utility = [Fraction(0)] * preferences.num_outcomes
    for j in reversed(range(preferences.num_outcomes)):
        utility[j] = _between(stages[j], j, utility)
    return dict(zip(preferences.outcomes, utility, strict=True))


def _rows(preferences: Preferences) -> set[_Row]:
    rows: set[_Row] = set()
    for i in range(preferences.num_pairs):
        p, q, relation = preferences.pair(i)
        names = preferences.outcomes
        row = tuple(Fraction(p.probability(o)) - Fraction(q.probability(o)) for o in names)
        rows.add((_scaled(row), relation == "strict"))
        if relation == "indifferent":
            rows.add((_scaled(tuple(-x for x in row)), False))
    return rows


def _scaled(row: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    size = max(map(abs, row), default=Fraction(0))
    return tuple(x / size for x in row) if size else row


def _eliminate(rows: set[_Row], j: int) -> set[_Row]:
    kept = {row for row in rows if row[0][j] == 0}
    below = [row for row in rows if row[0][j] > 0]
    above = [row for row in rows if row[0][j] < 0]
    for a, a_strict in below:
        for b, b_strict in above:
            row = tuple(x * -b[j] + y * a[j] for x, y in zip(a, b, strict=True))
            kept.add((_scaled(row), a_strict or b_strict))
    return kept


def _between(rows: set[_Row], j: int, utility: list[Fraction]) -> Fraction:
    """Return a value of outcome j that the rows allow, those after it being known."""
    low: tuple[Fraction, bool] | None = None
    high: tuple[Fraction, bool] | None = None
    for row, strict in rows:
        if row[j] == 0:
            continue
        rest = sum((x * u for x, u in zip(row[j + 1 :], utility[j + 1 :], strict=True)), Fraction())
        bound = -rest / row[j]
        if row[j] > 0 and (low is None or (bound, strict) > low):
            low = bound, strict
        if row[j] < 0 and (high is None or (-bound, strict) > (-high[0], high[1])):
            high = bound, strict
    if low is None:
        return Fraction(0) if high is None else high[0] - 1
    if high is None:
        return low[0] + 1
    return (low[0] + high[0]) / 2
