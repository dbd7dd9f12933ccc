"""One number instead of priorities: the weights that do for finitely many preferences."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from coset.core.errors import DomainError, ShapeError
from coset.core.results import Verdict
from coset.decisions.axioms.preferences import Preferences
from coset.decisions.preferences.lottery import Lottery

__all__ = ["explains_lexicographically", "scalar_weight", "scalarize"]

Levels = Mapping[Any, Sequence[Any]]

# The signs that u(p) − u(q) may have.
_ALLOWED = {"strict": (1,), "weak": (0, 1), "indifferent": (0,)}


def scalar_weight(preferences: Preferences, levels: Levels) -> Fraction:
    """Return ε for which Σ_k ε^(k−1) u_k explains what the lexicographic utility u explains.

    A strict preference whose first difference is δ at some level, with later ones of at most M,
    needs ε/(1 − ε) · M < δ, and ε < δ/(δ + M) is enough. Half of the least such bound is returned.

    Args:
        preferences: exact or not; floats count as the fractions that they are.
        levels: outcome → (u₁, …, u_d), a lexicographic utility that explains the preferences.

    Returns:
        ε in (0, ½].

    Raises:
        DomainError: if the utility does not explain the preferences; names the first that fails.
        ShapeError: if the outcomes have different numbers of levels.

    Claims: decisions.C3.

    Examples:
        >>> from coset.decisions.axioms.preferences import Preferences
        >>> data = Preferences.from_pairs([("safe", "fast"), ("fast", "slow")])
        >>> scalar_weight(data, {"safe": (1, 0), "fast": (0, 3), "slow": (0, 0)})
        Fraction(1, 8)
    """
    least = Fraction(1)
    for i, (first, rest, relation) in enumerate(_differences(preferences, levels)):
        if (first > 0) - (first < 0) not in _ALLOWED[relation]:
            raise DomainError(
                f"the lexicographic utility must explain the preferences; number {i + 1} "
                f"({relation}) has the first difference {first}"
            )
        if first > 0:
            least = min(least, first / (first + rest))
    return least / 2


def scalarize(preferences: Preferences, levels: Levels) -> dict[Hashable, Fraction]:
    """Return the scalar utility Σ_k ε^(k−1) u_k that explains the same preferences.

    It explains these finitely many, and no more: other lotteries may be ordered differently.

    Args:
        preferences: the data.
        levels: outcome → (u₁, …, u_d), a lexicographic utility that explains them.

    Returns:
        Outcome → number.

    Raises:
        DomainError: as `scalar_weight`.
        ShapeError: as `scalar_weight`.

    Claims: decisions.C3.
    """
    weight = scalar_weight(preferences, levels)
    return {
        outcome: sum((weight**k * Fraction(x) for k, x in enumerate(levels[outcome])), Fraction())
        for outcome in preferences.outcomes
    }


def explains_lexicographically(preferences: Preferences, levels: Levels) -> Verdict:
    """Decide whether a lexicographic utility explains preferences, exactly.

    Args:
        preferences: exact or not; floats count as the fractions that they are.
        levels: outcome → (u₁, …, u_d).

    Returns:
        The verdict, with the number of the first preference that fails.

    Raises:
        ShapeError: if the outcomes have different numbers of levels.
        DomainError: if an outcome is missing or a number is not finite.
    """
    for i, (first, _, relation) in enumerate(_differences(preferences, levels)):
        if (first > 0) - (first < 0) not in _ALLOWED[relation]:
            return Verdict(False, f"preference {i + 1} ({relation}) is not explained", {"first": i})
    return Verdict(True, "every preference is explained")


def _differences(preferences: Preferences, levels: Levels) -> list[tuple[Fraction, Fraction, str]]:
    """Return for each preference the first difference ≠ 0, and how large later ones are."""
    exact = _exact_levels(preferences, levels)
    found = []
    for i in range(preferences.num_pairs):
        p, q, relation = preferences.pair(i)
        parts = [
            _expected(p, exact, level) - _expected(q, exact, level)
            for level in range(len(exact[p.outcomes[0]]))
        ]
        place = next((k for k, part in enumerate(parts) if part), len(parts))
        later = max((abs(part) for part in parts[place + 1 :]), default=Fraction(0))
        found.append((parts[place] if place < len(parts) else Fraction(0), later, relation))
    return found


def _expected(lottery: Lottery, levels: Mapping[Any, tuple[Fraction, ...]], level: int) -> Fraction:
    return sum((Fraction(w) * levels[o][level] for o, w in lottery.items()), Fraction())


def _exact_levels(preferences: Preferences, levels: Levels) -> dict[Hashable, tuple[Fraction, ...]]:
    missing = [o for o in preferences.outcomes if o not in levels]
    if missing:
        raise DomainError(f"a utility must name every outcome; it lacks {missing[0]!r}")
    try:
        exact = {o: tuple(Fraction(x) for x in levels[o]) for o in preferences.outcomes}
    except (TypeError, ValueError, OverflowError) as error:
        raise DomainError(f"a utility's values must be finite numbers: {error}") from error
    if len({len(vector) for vector in exact.values()}) > 1 or () in exact.values():
        raise ShapeError("every outcome must have the same number of levels, at least one")
    return exact
