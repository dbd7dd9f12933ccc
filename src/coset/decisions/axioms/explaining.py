"""Does a given utility explain given preferences: decided exactly, whatever the number of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from coset.core.errors import DomainError, DtypeError
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
        DtypeError: if the utility is no mapping.

    Examples:
        >>> stated = Preferences.from_pairs(strict=[("a", "b")], weak=[("b", "c")])
        >>> bool(explains(stated, {"a": 1, "b": 0, "c": 0}))
        True

    Claims: decisions.C1b.
    """
    exact = _fractions(preferences, utility)
    rows, relation = preferences.rows, preferences.relation
    floats = np.array([_rounded(u) for u in exact])
    with np.errstate(all="ignore"):  # beyond 1e308 nothing is sure
        value = rows.matrix @ floats
        unsure = ~(np.abs(value) > rows.rounding(floats)) | (relation == INDIFFERENT)
    fails = np.where(relation == STRICT, value <= 0, value < 0) & ~unsure
    for i in np.flatnonzero(unsure).tolist():
        entries = preferences.exact_difference(i).items()
        difference = sum((exact[j] * d for j, d in entries), Fraction())
        value[i] = _rounded(difference)
        if relation[i] == INDIFFERENT:
            fails[i] = difference != 0
        else:
            fails[i] = difference < 0 or (relation[i] == STRICT and difference == 0)
    least = float(value[relation == STRICT].min(initial=np.inf))
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
    if not isinstance(utility, Mapping):
        raise DtypeError(f"a utility maps each outcome to a number; given {type(utility).__name__}")
    missing = [o for o in preferences.outcomes if o not in utility]
    if missing:
        raise DomainError(f"a utility must name every outcome; it lacks {missing[0]!r}")
    try:
        return [Fraction(utility[o]) for o in preferences.outcomes]
    except (ValueError, OverflowError, TypeError) as error:
        raise DomainError(f"a utility's values must be finite numbers: {error}") from error


def _rounded(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
