"""All elements of a group that permutations or matrices generate, and its table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from coset.core.errors import DomainError
from coset.groups.tables import table_of_cayley_graph

__all__ = ["enumerate_group"]

Multiply = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _explore(
    identity: np.ndarray, generators: np.ndarray, multiply: Multiply, max_order: int, name: str
) -> tuple[np.ndarray, np.ndarray, list[list[tuple[int, int, int]]]]:
    """Return the elements in breadth-first order, right multiplication by generators, the tree."""
    found: dict[bytes, int] = {identity.tobytes(): 0}
    forms, edges = [identity], []
    levels: list[list[tuple[int, int, int]]] = [[(0, 0, 0)]]
    while levels[-1]:
        known = [element for element, _, _ in levels[-1]]
        frontier = np.stack([forms[element] for element in known])
        after = np.stack([multiply(frontier, g) for g in generators], 1)
        fresh = []
        for parent, row in zip(known, after, strict=True):
            for step, form in enumerate(row):
                key = form.tobytes()
                target = found.get(key)
                if target is None:
                    target = found[key] = len(forms)
                    forms.append(form)
                    fresh.append((target, parent, step))
                edges.append(target)
        if len(forms) > max_order:
            raise DomainError(
                f"the generators must make a group of at most {max_order} elements, as max_order "
                f"says or a table allows; {name} has more; use fewer or smaller generators"
            )
        levels.append(fresh)
    graph = np.array(edges).reshape(len(forms), len(generators)).T
    return np.stack(forms), graph, levels[:-1]


def enumerate_group(
    identity: np.ndarray, generators: np.ndarray, multiply: Multiply, max_order: int, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Enumerate a finite group and build its table.

    The identity comes first, the others follow in lexicographic order of their entries, so the
    numbering does not depend on the generators.

    Args:
        identity: the identity, an integer array of any shape.
        generators: (r, …) generators, each of the identity's shape and dtype.
        multiply: products of many elements (k, …) with one element on the right.
        max_order: refuse to go on beyond so many elements.
        name: the group, as messages name it.

    Returns:
        The elements (n, …), the table (n, n) int32, and the ids of the generators (r,).

    Raises:
        DomainError: if there are more than `max_order` elements.

    Complexity: O(n (r + n)).
    """
    if not len(generators):
        return identity[None], np.zeros((1, 1), dtype=np.int32), np.zeros(0, dtype=np.int64)
    forms, graph, tree = _explore(identity, generators, multiply, max_order, name)
    order = np.zeros(1, dtype=np.int64)
    if len(forms) > 1:
        rest = forms[1:].reshape(len(forms) - 1, -1)
        order = np.concatenate([order, 1 + np.lexsort(rest.T[::-1])])
    place = np.empty(len(forms), dtype=np.int64)
    place[order] = np.arange(len(forms))
    levels = [
        (place[level[:, 0]], place[level[:, 1]], level[:, 2])
        for level in (np.array(level) for level in tree)
    ]
    graph = place[graph[:, order]]
    return forms[order], table_of_cayley_graph(graph, levels), graph[:, 0]
