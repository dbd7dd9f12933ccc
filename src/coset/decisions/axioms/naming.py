"""The names of contradictions: which axiom a few preferences break by themselves."""

from __future__ import annotations

from collections.abc import Sequence

from coset.decisions.preferences.lottery import Lottery

__all__ = ["NAMES", "name_of"]

# Name -> what is said of it.
NAMES = {
    "self-preference": "A lottery is strictly preferred to itself",
    "weak-order violation": "Two lotteries are preferred to each other, once strictly",
    "indifference clash": "Two lotteries are said to be indifferent, and one to be better",
    "transitivity cycle": "Transitivity fails: the preferences run in a circle",
    "independence violation": (
        "Independence fails (as in Allais's example): one and the same exchange of probability is "
        "judged in two ways"
    ),
    "Dutch book": "No utility explains these preferences, though it could if any were left out",
}


def name_of(
    relations: Sequence[str], preferred: Sequence[Lottery], other: Sequence[Lottery]
) -> str:
    """Name a contradiction by its shape.

    Args:
        relations: of the preferences used.
        preferred: their better sides.
        other: their other sides.

    Returns:
        One of `NAMES`.
    """
    if len(relations) == 1:
        return "self-preference"
    if _is_circle(preferred, other):
        if len(relations) > 2:
            return "transitivity cycle"
        return "indifference clash" if "indifferent" in relations else "weak-order violation"
    return "independence violation" if len(relations) == 2 else "Dutch book"


def _is_circle(preferred: Sequence[Lottery], other: Sequence[Lottery]) -> bool:
    """Tell whether each lottery is left once and reached once, all in one round."""
    after = dict(zip(preferred, other, strict=True))
    if len(after) != len(preferred) or set(other) != set(preferred):
        return False
    place, steps = after[preferred[0]], 1
    while place != preferred[0] and steps <= len(preferred):
        place, steps = after[place], steps + 1
    return steps == len(preferred)
