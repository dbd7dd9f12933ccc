"""For every group that the zoo can build up to an order: who tracks it, and how deep."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from coset.core.results import Record
from coset.groups import Group, abelian_basis, commutator_subgroup, named_groups, verbal_subgroup
from coset.ssm.alphabet import as_group
from coset.ssm.tracking import tracking_depth

__all__ = ["VerdictRow", "cheapest_stacks", "verdict_row", "verdict_rows", "verdict_table"]


@dataclass(frozen=True)
class VerdictRow(Record):
    """What diagonal layers can do with one group.

    Attributes:
        name: the group's name.
        order: |G|.
        is_abelian: whether one layer tracks it.
        is_solvable: whether some stack does.
        moduli: the phases of each layer of the shallowest stack; empty if there is none.
        depth_complex: how many complex layers it takes, ∞ if no number does.
        depth_real: how many layers with real signed eigenvalues it takes, ∞ unless |G| is 2ᵏ.
        cheapest: stacks of the least depth with as many real layers as can be, bottom to top.
    """

    name: str
    order: int
    is_abelian: bool
    is_solvable: bool
    moduli: tuple[tuple[int, ...], ...]
    depth_complex: int | float
    depth_real: int | float
    cheapest: tuple[str, ...]


def cheapest_stacks(group: Group | str) -> tuple[str, ...]:
    """Return the stacks of the least depth in which no complex layer can be a real one.

    Args:
        group: the group or its name.

    Returns:
        Words in r (real signed) and c (complex), bottom to top, sorted; none if the group is not
        solvable. A stack tracks the group at this depth iff it is one of them with some r made c.

    Claims: ssm.C5.

    Example:
        >>> cheapest_stacks("S4"), cheapest_stacks("A4"), cheapest_stacks("A5")
        (('rcr',), ('cr',), ())
    """
    group = as_group(group)
    depth = tracking_depth(group)
    if not isinstance(depth, int):
        return ()
    words = _tracking_words(group, np.arange(group.order), depth)
    cheapest = [
        word
        for word in words
        if not any(
            letter == "c" and f"{word[:i]}r{word[i + 1 :]}" in words
            for i, letter in enumerate(word)
        )
    ]
    return tuple(sorted(cheapest))


def _tracking_words(group: Group, left: np.ndarray, depth: int) -> set[str]:
    """Return the words of r and c of a length that leave nothing of a subgroup."""
    if depth == 0:
        return {""} if len(left) == 1 else set()
    below_complex = commutator_subgroup(group, left, left)
    words = {"c" + rest for rest in _tracking_words(group, below_complex, depth - 1)}
    below_real = verbal_subgroup(group, left, 2)
    if np.array_equal(below_real, below_complex):
        return words | {"r" + word[1:] for word in words}
    # A real layer leaves at least what a complex one does.
    if words:
        words |= {"r" + rest for rest in _tracking_words(group, below_real, depth - 1)}
    return words


def verdict_row(group: Group | str) -> VerdictRow:
    """Return one group's row.

    Args:
        group: the group or its name.

    Returns:
        The row.

    Claims: ssm.C2, ssm.C3, ssm.C5.

    Example:
        >>> row = verdict_row("SL(2,3)")
        >>> row.depth_complex, row.depth_real, row.moduli, row.cheapest
        (3, inf, ((3,), (2, 2), (2,)), ('crr',))
    """
    group = as_group(group)
    series = group.derived_series()
    steps = itertools.pairwise(series) if group.is_solvable else ()
    return VerdictRow(
        name=group.name,
        order=group.order,
        is_abelian=bool(group.is_abelian),
        is_solvable=bool(group.is_solvable),
        moduli=tuple(
            tuple(int(m) for m in abelian_basis(group, upper, lower).moduli)
            for upper, lower in steps
            if len(lower) < len(upper)
        ),
        depth_complex=tracking_depth(group),
        depth_real=tracking_depth(group, "r"),
        cheapest=cheapest_stacks(group),
    )


def verdict_rows(max_order: int = 63) -> tuple[VerdictRow, ...]:
    """Return the rows of all groups up to an order that the zoo can build, one of each kind.

    Args:
        max_order: the largest order.

    Returns:
        The rows, by order and name.

    Complexity: seconds for the orders up to 63.
    """
    rows = [verdict_row(group) for group in named_groups(max_order)]
    return tuple(sorted(rows, key=lambda row: (row.order, not row.is_abelian, row.name)))


def verdict_table(rows: Iterable[VerdictRow]) -> str:
    """Return rows as a Markdown table.

    Args:
        rows: what `verdict_rows` returned.

    Returns:
        The table, with a final newline.

    Example:
        >>> print(verdict_table([verdict_row("S3"), verdict_row("A5")]), end="")
        | group | order | Abelian | solvable | phases | complex layers | real layers | cheapest |
        |---|---|---|---|---|---|---|---|
        | S3 | 6 | no | yes | [2][3] | 2 | none | rc |
        | A5 | 60 | no | no | – | none | none | – |
    """
    columns = ("group", "order", "Abelian", "solvable", "phases", "complex layers", "real layers")
    lines = [f"| {' | '.join((*columns, 'cheapest'))} |", f"|{'---|' * (len(columns) + 1)}"]
    for row in rows:
        cells = (
            row.name,
            str(row.order),
            _yes(row.is_abelian),
            _yes(row.is_solvable),
            "".join(f"[{','.join(map(str, layer))}]" for layer in row.moduli) or "–",
            _count(row.depth_complex),
            _count(row.depth_real),
            ", ".join(row.cheapest) or "–",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _count(depth: int | float) -> str:
    return "none" if depth == math.inf else str(depth)
