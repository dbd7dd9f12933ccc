"""Right cosets N·y and quotient groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coset.core.errors import DomainError
from coset.groups.elements import Elements, freeze
from coset.groups.span import Span
from coset.groups.subgroups import normalizes, read_subgroup, span_within

if TYPE_CHECKING:
    from coset.groups.group import Group

__all__ = ["Cosets", "cosets_of", "quotient", "right_cosets"]

# Below this order of N the least element of each N·y is found for all y at once.
_ALL_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Cosets:
    """The right cosets N·y of a subgroup; N itself is coset 0.

    Attributes:
        index: (n,) int64 coset of each element, −1 for elements outside.
        representatives: (Q,) int64 one element of each: the identity of N, else the least.
    """

    index: np.ndarray
    representatives: np.ndarray

    def __repr__(self) -> str:
        return f"{self.num_cosets} right cosets"

    @property
    def num_cosets(self) -> int:
        """How many there are."""
        return self.representatives.size


def _least(group: Group, inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Return the least element of N·y for each y of `outer`."""
    if inner.size <= _ALL_AT_ONCE:
        found: np.ndarray = group.mul[inner[0], outer]
        for a in inner[1:].tolist():
            np.minimum(found, group.mul[a, outer], out=found)
        return found
    label = np.full(group.order, -1, dtype=np.int64)
    for y in outer.tolist():
        if label[y] < 0:
            label[group.mul[inner, y]] = y
    labels: np.ndarray = label[outer]
    return labels


def cosets_of(group: Group, inner: Span, outer: Span) -> Cosets:
    """Number the right cosets of one subgroup in another.

    Args:
        group: the group.
        inner: N.
        outer: the subgroup that holds it.

    Returns:
        The cosets.

    Complexity: O(n · min(|N|, 64) + n/|N|).
    """
    members = outer.elements
    least = _least(group, inner.members, members)
    home = least[np.searchsorted(members, group.identity)]
    place = np.zeros(group.order, dtype=np.int64)
    place[least] = 1
    place[home] = 0
    # N first, whatever number the identity has.
    others = np.flatnonzero(place)
    place[others] = np.arange(1, others.size + 1)
    index = np.full(group.order, -1, dtype=np.int64)
    index[members] = place[least]
    representatives = np.concatenate([[group.identity], others])
    return Cosets(freeze(index), freeze(representatives))


def right_cosets(group: Group, subgroup: Elements, within: Elements | None = None) -> Cosets:
    """Return the right cosets N·y.

    Args:
        group: the group.
        subgroup: N, all its elements; it need not be normal.
        within: the subgroup whose elements y are; by default the whole group.

    Returns:
        The cosets, N first, the others by their least element.

    Raises:
        DomainError: if N or `within` is not a subgroup, or N does not lie in it.
        RangeError: if one is not an element.
        DtypeError: if they are not integers.

    Complexity: O(n · min(|N|, 64) + n/|N|).

    Example:
        >>> from coset.groups import cyclic
        >>> right_cosets(cyclic(6), [0, 3]).index.tolist()
        [0, 1, 2, 0, 1, 2]
    """
    inner, outer = read_subgroup(group, subgroup), span_within(group, within)
    if not outer.mask[inner.members].all():
        alien = int(inner.members[~outer.mask[inner.members]].min())
        raise DomainError(f"the subgroup must lie in the group within; {alien} does not")
    return cosets_of(group, inner, outer)


def quotient(group: Group, subgroup: Elements) -> tuple[Group, np.ndarray]:
    """Return G/N and the projection onto it.

    Args:
        group: the group G.
        subgroup: a normal subgroup N, all its elements.

    Returns:
        The group, identity 0, and the projection (n,) int64.

    Raises:
        DomainError: if N is not a normal subgroup.
        RangeError: if one is not an element.
        DtypeError: if they are not integers.

    Example:
        >>> from coset.groups import symmetric
        >>> s4 = symmetric(4)
        >>> quotient(s4, s4.derived_series()[2])[0].order
        6
    """
    from coset.groups.group import Group

    inner = read_subgroup(group, subgroup)
    if not normalizes(group, inner, list(group.generators)):
        raise DomainError(
            f"the subgroup must be normal in {group!r}; one of order {inner.members.size} was "
            f"given that is not; use normal_closure"
        )
    cosets = cosets_of(group, inner, span_within(group, None))
    reps = cosets.representatives
    made = Group(
        cosets.index[group.mul[reps[:, None], reps]],
        0,
        name=f"quotient of {group.name} of order {reps.size}",
        labels=[f"{group.labels[a]}N" for a in reps.tolist()],
        generators=cosets.index[list(group.generators)].tolist(),
    )
    return made, cosets.index
