"""Actions of finite groups on finite sets: orbits, orbits on pairs, stabilizers.

An action is a table with act(b, act(a, x)) = act(a·b, x): first a, then b, like the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.groups.classes import common_labels, parts_of
from coset.groups.cosets import right_cosets
from coset.groups.elements import Elements, element_array, freeze, integer, integer_array
from coset.groups.errors import NotAGroupError
from coset.groups.group import Group

__all__ = [
    "Action",
    "conjugation_action",
    "coset_action",
    "is_transitive",
    "natural_action",
    "orbits",
    "orbits_on_pairs",
    "regular_action",
    "stabilizer",
]


@dataclass(frozen=True, eq=False)
class Action:
    """A group acting on the points 0 … p − 1; the law is checked when it is made.

    Attributes:
        group: the group of order n.
        table: (n, p) int32; table[a, x] is where a takes x.

    Raises:
        DtypeError: if the table does not hold integers, or there is no group.
        ShapeError: if it does not have a row for each element.
        NotAGroupError: if it is not an action; the message holds a, b and x.

    Example:
        >>> from coset.groups import cyclic
        >>> Action(cyclic(2), [[0, 1, 2], [1, 0, 2]]).num_points
        3
    """

    group: Group
    table: np.ndarray

    def __post_init__(self) -> None:
        if not isinstance(self.group, Group):
            raise DtypeError(f"an action needs a Group; given {type(self.group).__name__}")
        table = integer_array(self.table, "the points in the table of an action")
        if table.ndim != 2 or len(table) != self.group.order:
            raise ShapeError(
                f"the table of an action must have a row for each of the {self.group.order} "
                f"elements; given shape {table.shape}"
            )
        _check_law(self.group, table)
        object.__setattr__(self, "table", freeze(table.astype(np.int32)))

    def __repr__(self) -> str:
        return f"action of {self.group!r} on {self.num_points} points"

    @property
    def num_points(self) -> int:
        """How many points it moves."""
        return int(self.table.shape[1])

    def act(self, element: int, point: int) -> int:
        """Return where an element takes a point.

        Args:
            element: an element id.
            point: 0 … p − 1.

        Returns:
            A point.

        Raises:
            RangeError: if there is no such element or point.
            DtypeError: if they are not integers.
        """
        a = int(element_array(self.group, [element], "an element")[0])
        return int(self.table[a, _read_point(self, point)])

    @cached_property
    def kernel(self) -> np.ndarray:
        """(k,) int64 elements that move no point, increasing."""
        return freeze(np.flatnonzero((self.table == np.arange(self.num_points)).all(1)))

    @property
    def is_faithful(self) -> bool:
        """Whether only the identity moves no point."""
        return self.kernel.size == 1

    def restrict(self, points: Sequence[int]) -> Action:
        """Return the action on a union of orbits.

        Args:
            points: points that the group keeps among themselves, each once.

        Returns:
            The action on them, renumbered in the order given.

        Raises:
            RangeError: if one is not a point.
            DomainError: if one is given twice, or taken outside.
        """
        chosen = np.array([_read_point(self, x) for x in points], dtype=np.int64)
        if np.unique(chosen).size < chosen.size:
            raise DomainError(f"each point must be given once; given {chosen.tolist()!s:.200}")
        place = np.full(self.num_points, -1)
        place[chosen] = np.arange(chosen.size)
        table = place[self.table[:, chosen]]
        if (table < 0).any():
            a, x = np.argwhere(table < 0)[0]
            raise DomainError(
                f"the points must be a union of orbits; element {a} takes {chosen[x]} outside"
            )
        return Action(self.group, table)


def _check_law(group: Group, table: np.ndarray) -> None:
    points = table.shape[1]
    if table.size and (table.min() < 0 or table.max() >= points):
        a, x = np.argwhere((table < 0) | (table >= points))[0]
        raise NotAGroupError(
            f"images must be points, 0 … {points - 1}; given table[{a}, {x}] = {table[a, x]}"
        )
    moved = np.flatnonzero(table[group.identity] != np.arange(points))
    if moved.size:
        raise NotAGroupError(
            f"the identity {group.identity} must move no point; it takes {moved[0]} to "
            f"{table[group.identity, moved[0]]}"
        )
    for b in group.generators:
        wrong = table[b][table] != table[group.mul[:, b]]
        if wrong.any():
            a, x = (int(v) for v in np.argwhere(wrong)[0])
            raise NotAGroupError(
                f"act(b, act(a, x)) must be act(a·b, x); for (a, b, x) = ({a}, {b}, {x}) they are "
                f"{table[b, table[a, x]]} and {table[group.mul[a, b], x]}"
            )


def _read_point(action: Action, point: Any) -> int:
    place = integer(point, "a point")
    if not 0 <= place < action.num_points:
        raise RangeError(f"a point must lie in 0 … {action.num_points - 1}; given {place}")
    return place


def natural_action(group: Group) -> Action:
    """Return the action of a group of permutations on its points.

    Args:
        group: made of permutations.

    Returns:
        The action; act(p, i) = p[i].

    Raises:
        DomainError: if its elements are not permutations.

    Example:
        >>> from coset.groups import symmetric
        >>> natural_action(symmetric(4)).num_points
        4
    """
    if group.forms is None or group.forms.ndim != 2:
        raise DomainError(
            f"the natural action needs a group of permutations; {group!r} has none; "
            f"use regular_action or coset_action"
        )
    return Action(group, group.forms)


def regular_action(group: Group) -> Action:
    """Return the action of a group on itself by right multiplication: act(a, x) = x·a.

    Args:
        group: the group.

    Returns:
        The action on n points.

    Complexity: O(n²).
    """
    return Action(group, group.mul.T)


def conjugation_action(group: Group) -> Action:
    """Return the action of a group on itself by conjugation: act(a, x) = a⁻¹·x·a.

    Args:
        group: the group.

    Returns:
        The action on n points; its orbits are the conjugacy classes.

    Complexity: O(n²).
    """
    own = np.arange(group.order)[:, None]
    return Action(group, group.mul[group.mul[group.inverse], own])


def coset_action(group: Group, subgroup: Elements) -> Action:
    """Return the action on the right cosets H·y: act(a, H·y) = H·y·a.

    Args:
        group: the group.
        subgroup: H, all its elements.

    Returns:
        The action on |G|/|H| points, numbered as `right_cosets` does; H is point 0.

    Raises:
        DomainError: if H is not a subgroup.
        RangeError: if one is not an element.
        DtypeError: if they are not integers.

    Example:
        >>> from coset.groups import symmetric
        >>> s3 = symmetric(3)
        >>> coset_action(s3, [0, s3.element("(1 2)")]).table[s3.element("(0 1 2)")].tolist()
        [1, 2, 0]
    """
    cosets = right_cosets(group, subgroup)
    return Action(group, cosets.index[group.mul[cosets.representatives].T])


def orbits(action: Action) -> tuple[np.ndarray, ...]:
    """Return the orbits {act(a, x) : a ∈ G}.

    Args:
        action: the action.

    Returns:
        Increasing arrays of points, read-only, ordered by their least point.

    Complexity: O(p r log p) for p points and r generators.
    """
    return parts_of(common_labels(action.num_points, _generator_rows(action)))


def _generator_rows(action: Action) -> list[np.ndarray]:
    return [action.table[g] for g in action.group.generators]


def orbits_on_pairs(action: Action) -> np.ndarray:
    """Return the orbit of each pair (x, y) under act(a, (x, y)) = (act(a, x), act(a, y)).

    A matrix commutes with the action iff it is constant on these orbits.

    Args:
        action: the action on p points, p ≤ 8192.

    Returns:
        (p, p) int64 labels 0 … k − 1, numbered as they first appear row by row.

    Raises:
        DomainError: if there are more than 8192 points.

    Complexity: O(p² r log p) for r generators.

    Example:
        >>> from coset.groups import cyclic
        >>> orbits_on_pairs(regular_action(cyclic(3))).tolist()
        [[0, 1, 2], [2, 0, 1], [1, 2, 0]]
    """
    p = action.num_points
    if p > 8192:
        raise DomainError(f"orbits on pairs are found for at most 8192 points; given {p}")
    images = [(row[:, None].astype(np.int64) * p + row).ravel() for row in _generator_rows(action)]
    labels = common_labels(p * p, images)
    # A label is the least pair of its orbit, so increasing labels are in order of appearance.
    return np.unique(labels, return_inverse=True)[1].reshape(p, p)


def stabilizer(action: Action, point: int) -> np.ndarray:
    """Return the elements that keep a point.

    Args:
        action: the action.
        point: 0 … p − 1.

    Returns:
        (k,) int64 elements, increasing, read-only.

    Raises:
        RangeError: if there is no such point.
        DtypeError: if it is not an integer.
    """
    x = _read_point(action, point)
    return freeze(np.flatnonzero(action.table[:, x] == x))


def is_transitive(action: Action) -> bool:
    """Say whether there is one orbit (no points count as one).

    Args:
        action: the action.

    Returns:
        Whether each point can be taken to each other.
    """
    return len(orbits(action)) <= 1
