"""The tables that ``coset decisions elicit`` prints."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

__all__ = ["TABLES", "notes"]

Cells = tuple[list[str], list[list[str]]]


def _exact(x: Any) -> str:
    return str(x) if isinstance(x, Fraction) and x.denominator <= 10_000 else f"{float(x):.5g}"


def _found(x: Any, ends: Any) -> list[str]:
    """Return a number and its interval as two cells; only what is exact is shown as a fraction."""
    low, high = ends
    if low == high:
        return [_exact(low), "exact"]
    return [f"{float(x):.5g}", f"[{float(low):.5g}, {float(high):.5g}]"]


def _affine(found: Any, person: Any, reference: str) -> Cells:
    heads = ["event", "reward", "", "multiplier", ""]
    rows = [
        [
            event,
            *_found(found.reward[event], found.reward_interval[event]),
            *_found(found.multiplier[event], found.multiplier_interval[event]),
        ]
        for event in found.events
    ]
    if person is not None and person.num_levels == 1:
        heads += ["true r", "true m"]
        unit = abs(person.reward[reference])
        for row in rows:
            row += [_exact(person.reward[row[0]] / unit), _exact(person.multiplier[row[0]])]
    return heads, rows


def _safety(found: Any, person: Any, reference: str) -> Cells:
    heads, rows = _affine(found.affine, None, reference)
    for row in rows:
        row.append("")
    for event in found.unsafe:
        rows.append([event, "–", "", "–", "", f"refused down to 2^−{found.resolution}"])
    return [*heads, "unsafe"], rows


def _utility(found: Any, person: Any, reference: str) -> Cells:
    heads = ["outcome", "utility", ""]
    order = sorted(found.outcomes, key=lambda o: -found.utility[o])
    return heads, [[str(o), *_found(found.utility[o], found.interval[o])] for o in order]


def _lexicographic(found: Any, person: Any, reference: str) -> Cells:
    heads = ["outcome", *(f"level {k + 1}" for k in range(found.level))]
    order = sorted(found.outcomes, key=lambda o: found.utility[o], reverse=True)
    return heads, [[str(o), *map(_exact, found.utility[o])] for o in order]


TABLES: dict[str, Callable[[Any, Any, str], Cells]] = {
    "affine": _affine,
    "safety": _safety,
    "utility": _utility,
    "lexicographic": _lexicographic,
}


def notes(found: Any, kind: str) -> list[str]:
    """Say what the numbers mean, in a few lines.

    Args:
        found: what was found.
        kind: of elicitation.

    Returns:
        The lines.
    """
    lines = [f"{found.num_queries} questions"]
    if kind == "safety":
        lines.append(
            f"safety first: {', '.join(found.unsafe)}; then the rewards"
            if found.unsafe
            else f"no event is unsafe at 2^−{found.resolution}: one reward is enough"
        )
    affine = found.affine if kind == "safety" else found
    if kind in ("affine", "safety"):
        lines += [f"unit {affine.unit}", affine.structure()]
    if kind == "utility" and not found.exact:
        lines.append(f"0 is {found.worst}, 1 is {found.best}")
    if kind == "lexicographic":
        lines.append(
            "all equally good"
            if found.level == 0
            else "one level: a scalar utility is enough"
            if found.level == 1
            else f"{found.level} levels: no scalar utility fits"
        )
    return lines
