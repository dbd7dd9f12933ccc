"""Does a given utility explain given preferences: decided exactly, whatever the number of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from coset.core.errors import DomainError
from coset.core.results import Verdict
from coset.decisions.axioms.preferences import INDIFFERENT, STRICT, Preferences

__all__ = ["explains"]


def explains(preferences: Preferences, utility: Mapping[Hashable, Any]) -> Verdict:
    """Decide whether u(p) > u(q), ≥ or = as stated, for every preference.

    Floats decide what they can be sure of; the rest is computed in fractions.

    Args:
        preferences: exact or not; floats count as the fractions that they are.
        utility: outcome → number (fractions, integers or finite floats).

    Returns:
        The verdict; its evidence is the number of the first preference that fails, and the least
        difference of a strict one.

    Raises:
        DomainError: if an outcome is missing or a utility is not finite.

    Examples:
        >>> stated = Preferences.from_pairs(strict=[("a", "b")], weak=[("b", "c")])
        >>> bool(explains(stated, {"a": 1, "b": 0, "c": 0}))
        True

    Claims: decisions.C1b.
    """
    exact = _fractions(preferences, utility)
    rows, relation = preferences.rows, preferences.relation
    floats = np.array([float(u) for u in exact])
    value = rows.matrix @ floats
    size = abs(rows.matrix) @ np.abs(floats)
    error = 2.0**-52 * (np.diff(rows.matrix.indptr) + 4) * size + 1e-290
    unsure = (np.abs(value) <= error) | (relation == INDIFFERENT)
    fails = np.where(relation == STRICT, value <= 0, value < 0) & ~unsure
    least = float(value[relation == STRICT].min(initial=np.inf))
    for i in np.flatnonzero(unsure).tolist():
        difference = _difference(preferences, i, exact)
        if relation[i] == INDIFFERENT:
            fails[i] = difference != 0
        else:
            fails[i] = difference < 0 or (relation[i] == STRICT and difference == 0)
    failed = np.flatnonzero(fails)
    if not len(failed):
        return Verdict(True, "every preference is explained", {"least_difference": least})
    first = int(failed[0])
    return Verdict(
        False,
        f"{len(failed):,} preferences are not explained; the first is number {first + 1}",
        {"first": first, "num_failures": len(failed), "least_difference": least},
    )


def _fractions(preferences: Preferences, utility: Mapping[Hashable, Any]) -> list[Fraction]:
    missing = [o for o in preferences.outcomes if o not in utility]
    if missing:
        raise DomainError(f"a utility must name every outcome; it lacks {missing[0]!r}")
    try:
        return [Fraction(utility[o]) for o in preferences.outcomes]
    except (ValueError, OverflowError, TypeError) as error:
        raise DomainError(f"a utility's values must be finite numbers: {error}") from error


def _difference(preferences: Preferences, row: int, utility: list[Fraction]) -> Fraction:
    rows = preferences.rows
    if rows.numerators is not None:
        columns, numerators, scale = rows.integers(row)
        total = sum(
            (utility[j] * int(v) for j, v in zip(columns, numerators, strict=True)), Fraction()
        )
        return total / scale
    span = slice(int(rows.matrix.indptr[row]), int(rows.matrix.indptr[row + 1]))
    columns, values = rows.matrix.indices[span].tolist(), rows.matrix.data[span].tolist()
    return sum((utility[j] * Fraction(v) for j, v in zip(columns, values, strict=True)), Fraction())
