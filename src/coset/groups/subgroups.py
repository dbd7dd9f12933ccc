"""Subgroups of a finite group: generated, normal, commutator, verbal, center, classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from coset.core.errors import DomainError
from coset.groups.classes import common_labels, parts_of
from coset.groups.elements import Elements, element_set, freeze
from coset.groups.orders import commutators
from coset.groups.series import read_exponent, verbal_span
from coset.groups.span import Span, whole_span

if TYPE_CHECKING:
    from coset.groups.group import Group

__all__ = [
    "center",
    "centralizer",
    "commutator_subgroup",
    "conjugacy_classes",
    "generated_subgroup",
    "is_normal",
    "is_subgroup",
    "normal_closure",
    "normalizes",
    "read_subgroup",
    "span_within",
    "verbal_subgroup",
]


def read_subgroup(group: Group, elements: Elements, what: str = "the elements") -> Span:
    """Check that elements are a subgroup.

    Args:
        group: the group.
        elements: element ids.
        what: how messages call them.

    Returns:
        The subgroup with a generating set.

    Raises:
        DomainError: if they are not a subgroup; the message names a product that is missing.
        RangeError: if one is not an element.
        DtypeError: if they are not integers.
    """
    members = element_set(group, elements, what)
    known = group.known_spans.find(members)
    if known is not None:
        return known
    span = Span(group, members.tolist()) if members.size < group.order else whole_span(group)
    if span.members.size == members.size:
        group.known_spans.keep(members, span)
        return span
    if not members.size or members[np.searchsorted(members, group.identity) % members.size] != (
        group.identity
    ):
        raise DomainError(
            f"{what} must be a subgroup of {group!r}; the identity {group.identity} is missing"
        )
    inside = np.isin(group.mul[members[:, None], members], members)
    a, b = members[np.argwhere(~inside)[0]].tolist()
    raise DomainError(
        f"{what} must be a subgroup of {group!r}; the product {a}·{b} = {group.mul[a, b]} is "
        f"missing; use generated_subgroup"
    )


def span_within(group: Group, within: Elements | None) -> Span:
    """Read a subgroup that is the whole group when it is not given.

    Args:
        group: the group.
        within: all elements of a subgroup, or ``None``.

    Returns:
        The subgroup with a generating set.

    Raises:
        DomainError: if it is not a subgroup.
    """
    return whole_span(group) if within is None else read_subgroup(group, within, "the group within")


def generated_subgroup(group: Group, elements: Elements) -> np.ndarray:
    """Return the subgroup that some elements generate.

    Args:
        group: the group.
        elements: element ids, any number.

    Returns:
        (k,) int64 elements, increasing, read-only.

    Raises:
        RangeError: if one is not an element.
        DtypeError: if they are not integers.

    Complexity: O(n) for a subgroup of order n.

    Example:
        >>> from coset.groups import cyclic
        >>> generated_subgroup(cyclic(12), [8, 6]).tolist()
        [0, 2, 4, 6, 8, 10]
    """
    return Span(group, element_set(group, elements).tolist()).elements


def is_subgroup(group: Group, elements: Elements) -> bool:
    """Say whether elements are a subgroup.

    Args:
        group: the group.
        elements: element ids.

    Returns:
        Whether they hold the identity and all their products.

    Raises:
        RangeError: if one is not an element.
        DtypeError: if they are not integers.
    """
    members = element_set(group, elements)
    return Span(group, members.tolist()).members.size == members.size


def normal_closure(group: Group, elements: Elements, within: Elements | None = None) -> np.ndarray:
    """Return the least subgroup that holds the elements and is normalized by `within`.

    Args:
        group: the group.
        elements: element ids.
        within: a subgroup; by default the whole group.

    Returns:
        (k,) int64 elements, increasing, read-only.

    Raises:
        DomainError: if `within` is not a subgroup.
        RangeError: if one is not an element.
        DtypeError: if they are not integers.
    """
    span = Span(group, element_set(group, elements).tolist())
    return span.close_under(span_within(group, within).generators).elements


def is_normal(group: Group, subgroup: Elements, within: Elements | None = None) -> bool:
    """Say whether a subgroup N is normal: g⁻¹·N·g = N for all g of `within`.

    Args:
        group: the group.
        subgroup: N.
        within: the subgroup that holds N; by default the whole group.

    Returns:
        Whether N is normalized, and lies in `within`.

    Raises:
        DomainError: if one of them is not a subgroup.
        RangeError: if one is not an element.
        DtypeError: if they are not integers.
    """
    inner, outer = read_subgroup(group, subgroup), span_within(group, within)
    return bool(outer.mask[inner.members].all()) and normalizes(group, inner, outer.generators)


def normalizes(group: Group, inner: Span, conjugators: list[int]) -> bool:
    """Say whether g⁻¹·N·g = N for each g given.

    Args:
        group: the group.
        inner: N.
        conjugators: element ids g.

    Returns:
        Whether N is closed under these conjugations (seen on its generators).
    """
    by, gens = np.array(conjugators, dtype=np.int64), np.array(inner.generators, dtype=np.int64)
    mul = group.mul
    images = mul[mul[group.inverse[by][:, None], gens], by[:, None]]
    return bool(inner.mask[images].all())


def commutator_subgroup(
    group: Group, first: Elements | None = None, second: Elements | None = None
) -> np.ndarray:
    """Return [H, K], the subgroup generated by all a⁻¹·b⁻¹·a·b with a in H and b in K.

    It is the normal closure, in the group that H and K generate, of the commutators of their
    generators.

    Args:
        group: the group.
        first: a subgroup H; by default the whole group.
        second: a subgroup K; by default H.

    Returns:
        (k,) int64 elements, increasing, read-only.

    Raises:
        DomainError: if one of them is not a subgroup.
        RangeError: if one is not an element.
        DtypeError: if they are not integers.

    Example:
        >>> from coset.groups import symmetric
        >>> commutator_subgroup(symmetric(4)).size
        12
    """
    one = span_within(group, first)
    two = one if second is None else span_within(group, second)
    a, b = (np.array(part.generators, dtype=np.int64) for part in (one, two))
    words = commutators(group, a, b)
    span = Span(group, words.ravel().tolist())
    return span.close_under([*one.generators, *two.generators]).elements


def verbal_subgroup(group: Group, subgroup: Elements | None, exponent: int) -> np.ndarray:
    """Return V(H; m) = ⟨h^m, [h, h'] : h, h' ∈ H⟩.

    It is the least normal subgroup N of H for which H/N is Abelian of an exponent that divides m.

    Args:
        group: the group.
        subgroup: H; ``None`` means the whole group.
        exponent: m ≥ 0; 0 gives [H, H].

    Returns:
        (k,) int64 elements, increasing, read-only.

    Raises:
        DomainError: if H is not a subgroup, or m is negative.
        RangeError: if one is not an element.
        DtypeError: if they are not integers.

    Claims: ssm.C5.
    """
    exponent = read_exponent(exponent)
    return verbal_span(group, span_within(group, subgroup).generators, exponent).elements


def centralizer(group: Group, elements: Elements) -> np.ndarray:
    """Return all a with a·b = b·a for each b given.

    Args:
        group: the group.
        elements: element ids; none give the whole group.

    Returns:
        (k,) int64 elements, increasing, read-only.

    Raises:
        RangeError: if one is not an element.
        DtypeError: if they are not integers.

    Complexity: O(n r) for r elements.
    """
    chosen = element_set(group, elements)
    return freeze(np.flatnonzero((group.mul[chosen] == group.mul[:, chosen].T).all(0)))


def center(group: Group) -> np.ndarray:
    """Return all elements that commute with every element.

    Args:
        group: the group.

    Returns:
        (k,) int64 elements, increasing, read-only.
    """
    return centralizer(group, group.generators)


def conjugacy_classes(group: Group) -> tuple[np.ndarray, ...]:
    """Return the classes {g⁻¹·a·g : g ∈ G}.

    Args:
        group: the group.

    Returns:
        Increasing element arrays, read-only, ordered by their least element.

    Complexity: O(n r log n) for r generators.
    """
    mul, gens = group.mul, group.generators
    images = [mul[mul[group.inverse[g]], g] for g in gens]
    return parts_of(common_labels(group.order, images))
