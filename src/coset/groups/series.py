"""Derived and verbal series: how a group falls into Abelian layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from coset.core.errors import DomainError
from coset.groups.elements import integer
from coset.groups.orders import commutators, powers
from coset.groups.span import Span, whole_span

if TYPE_CHECKING:
    from coset.groups.group import Group

__all__ = ["read_exponent", "verbal_series", "verbal_span"]


def read_exponent(exponent: int) -> int:
    """Read the exponent m of a verbal subgroup.

    Args:
        exponent: an integer ≥ 0.

    Returns:
        The number.

    Raises:
        DtypeError: if it is not an integer.
        DomainError: if it is negative.
    """
    value = integer(exponent, "the exponent")
    if value < 0:
        raise DomainError(f"the exponent must be at least 0 (0: commutators only); given {value}")
    return value


def verbal_span(group: Group, generators: list[int], exponent: int) -> Span:
    """Return V(H; m) for the subgroup H that the generators span.

    Modulo [H, H] the group is Abelian, so m-th powers and commutators of generators suffice, closed
    under conjugation by them.

    Args:
        group: the group.
        generators: element ids, already checked.
        exponent: m ≥ 0, already checked; 0 adds no powers.

    Returns:
        The subgroup.
    """
    gens = np.array(generators, dtype=np.int64)
    table = commutators(group, gens, gens).tolist()
    words = [word for i, row in enumerate(table) for word in row[i + 1 :]]
    if exponent:
        words += powers(group, gens, exponent).tolist()
    return Span(group, words).close_under(generators)


def verbal_series(group: Group, exponent: int) -> tuple[np.ndarray, ...]:
    """Return G, V(G; m), V(V(G; m); m), … until it no longer shrinks.

    Args:
        group: the group.
        exponent: m ≥ 0; 0 gives the derived series.

    Returns:
        Sorted element arrays, read-only, G first, repeats dropped.

    Raises:
        DtypeError: if the exponent is not an integer.
        DomainError: if it is negative.

    Claims: ssm.C3, ssm.C5.
    """
    exponent = read_exponent(exponent)
    whole = np.arange(group.order)
    whole.setflags(write=False)
    found, span = [whole], whole_span(group)
    while True:
        step = verbal_span(group, span.generators, exponent)
        if step.members.size == span.members.size:
            return tuple(found)
        span = step
        found.append(span.elements)
        group.known_spans.keep(found[-1], span)
