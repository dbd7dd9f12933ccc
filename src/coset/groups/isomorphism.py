"""Is it the same group? Colors of elements that every isomorphism keeps, then a search."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from coset.core.errors import DomainError, DtypeError
from coset.groups.abelian import abelian_invariants
from coset.groups.group import Group
from coset.groups.span import Span
from coset.groups.subgroups import center, conjugacy_classes

__all__ = ["find_isomorphism", "fingerprint", "is_isomorphic"]

MAX_COMPARED = 512


def fingerprint(group: Group) -> tuple[object, ...]:
    """Return figures that isomorphic groups share; different groups may share them too.

    Args:
        group: the group.

    Returns:
        A hashable tuple: order, orders of the classes' elements with the classes' sizes, sizes of
        the derived series, invariant factors of G/[G, G], order of the center.

    Complexity: O(n log n) times the squared number of generators.
    """
    classes = conjugacy_classes(group)
    kinds = sorted((int(group.element_orders[part[0]]), part.size) for part in classes)
    sizes = tuple(part.size for part in group.derived_series())
    return (group.order, tuple(kinds), sizes, abelian_invariants(group), center(group).size)


def _start_colors(group: Group) -> np.ndarray:
    sizes = np.empty(group.order, dtype=np.int64)
    for part in conjugacy_classes(group):
        sizes[part] = part.size
    return group.element_orders * (group.order + 1) + sizes


def _signatures(group: Group, colors: np.ndarray, count: int) -> np.ndarray:
    """Return for each x its color and the sorted colors of (y, x·y) over all y."""
    pairs = np.sort(colors * count + colors[group.mul], axis=1)
    return np.concatenate([colors[:, None], pairs], axis=1)


def _colors(first: Group, second: Group) -> tuple[np.ndarray, np.ndarray]:
    """Color the elements of both groups; isomorphisms keep colors."""
    n = first.order
    joint = np.concatenate([_start_colors(first), _start_colors(second)])
    joint = np.unique(joint, return_inverse=True)[1].reshape(-1)
    while True:
        count = int(joint.max()) + 1
        rows = np.concatenate(
            [_signatures(first, joint[:n], count), _signatures(second, joint[n:], count)]
        )
        finer = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
        if int(finer.max()) + 1 == count:
            return joint[:n], joint[n:]
        joint = finer


def _rare_generators(group: Group, colors: np.ndarray) -> list[int]:
    """Return a generating set whose colors are rare, so that few images are possible."""
    counts = np.bincount(colors)[colors]
    found = Span(group, np.argsort(counts, kind="stable")).generators
    for g in list(found):
        rest = [h for h in found if h != g]
        if rest and Span(group, rest).members.size == group.order:
            found = rest
    return found


def _tree(group: Group, generators: list[int]) -> list[tuple[int, int, int]]:
    """Return (element, parent, generator index) from the identity outward."""
    seen, edges, queue = {group.identity}, [], [group.identity]
    for parent in queue:
        for step, g in enumerate(generators):
            child = int(group.mul[parent, g])
            if child not in seen:
                seen.add(child)
                queue.append(child)
                edges.append((child, parent, step))
    return edges


def _extend(
    first: Group, second: Group, generators: list[int], images: list[int], choices: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the choices for the last generator's image that make an injective homomorphism.

    With each comes the map (n,), −1 outside the subgroup generated so far.
    """
    edges = _tree(first, generators)
    targets = [np.full(choices.size, image) for image in images] + [choices]
    maps = np.full((first.order, choices.size), -1)
    maps[first.identity] = second.identity
    for child, parent, step in edges:
        maps[child] = second.mul[maps[parent], targets[step]]
    members = np.array([first.identity, *(child for child, _, _ in edges)])
    good = (maps[members[1:]] != second.identity).all(0)
    for g, target in zip(generators, targets, strict=True):
        good &= (maps[first.mul[members, g]] == second.mul[maps[members], target]).all(0)
    for place in np.flatnonzero(good):
        yield int(choices[place]), maps[:, place]


def _search(
    first: Group, second: Group, generators: list[int], candidates: list[np.ndarray]
) -> np.ndarray | None:
    def deepen(images: list[int], found: np.ndarray) -> np.ndarray | None:
        depth = len(images)
        if depth == len(generators):
            return found
        for image, extended in _extend(
            first, second, generators[: depth + 1], images, candidates[depth]
        ):
            answer = deepen([*images, image], extended)
            if answer is not None:
                return answer
        return None

    start = np.full(first.order, -1)
    start[first.identity] = second.identity
    return deepen([], start)


def find_isomorphism(first: Group, second: Group) -> np.ndarray | None:
    """Find a bijection f with f(a·b) = f(a)·f(b).

    Args:
        first: a group of order at most 512.
        second: another.

    Returns:
        (n,) int64 image of each element, or ``None`` if the groups are not isomorphic.

    Raises:
        DtypeError: if an argument is not a group.
        DomainError: if both have one order, above 512.

    Complexity: O(n² log n) for the colors; the search is exponential in the number of generators,
    and in practice short.

    Example:
        >>> from coset.groups import dihedral, symmetric
        >>> find_isomorphism(symmetric(3), dihedral(3)) is not None
        True
    """
    for group in (first, second):
        if not isinstance(group, Group):
            raise DtypeError(f"only groups can be compared; given {type(group).__name__}")
    if first.order != second.order:
        return None
    if first.order > MAX_COMPARED:
        raise DomainError(
            f"groups of order at most {MAX_COMPARED} are compared; given order {first.order}; "
            f"compare invariants such as element_orders and derived_series instead"
        )
    if fingerprint(first) != fingerprint(second):
        return None
    mine, other = _colors(first, second)
    if (np.sort(mine) != np.sort(other)).any():
        return None
    generators = _rare_generators(first, mine)
    return _search(
        first, second, generators, [np.flatnonzero(other == mine[g]) for g in generators]
    )


def is_isomorphic(first: Group, second: Group) -> bool:
    """Say whether two groups are the same but for the names of their elements.

    Args:
        first: a group of order at most 512.
        second: another.

    Returns:
        Whether there is a bijection f with f(a·b) = f(a)·f(b).

    Raises:
        DtypeError: if an argument is not a group.
        DomainError: if both have one order, above 512.

    Example:
        >>> from coset.groups import dihedral, quaternion
        >>> is_isomorphic(dihedral(4), quaternion())
        False
    """
    return find_isomorphism(first, second) is not None
