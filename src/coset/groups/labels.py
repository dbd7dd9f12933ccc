"""How an element is printed: cycles of a permutation, rows of a matrix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from coset.core.errors import DomainError, DtypeError, ShapeError

__all__ = ["cycle_label", "form_labels", "matrix_label", "read_labels"]


def read_labels(labels: Any, count: int) -> tuple[str, ...]:
    """Read how a user wants elements to be printed.

    Args:
        labels: texts.
        count: how many there must be.

    Returns:
        The texts.

    Raises:
        DtypeError: if they are no texts.
        ShapeError: if they are more or fewer.
        DomainError: if two are equal: `element` could not tell which is meant.
    """
    found = tuple(labels) if isinstance(labels, Iterable) else (labels,)
    wrong = [label for label in found if not isinstance(label, str)]
    if wrong:
        raise DtypeError(f"labels must be texts, one for each element; given {wrong[0]!r}")
    if len(found) != count:
        raise ShapeError(f"there must be {count} labels, one for each element; given {len(found)}")
    if len(set(found)) < count:
        double = next(label for label in found if found.count(label) > 1)
        raise DomainError(f"labels must differ, so that they name elements; given {double!r} twice")
    return found


def cycle_label(permutation: list[int]) -> str:
    """Write a permutation as its cycles, fixed points left out.

    Args:
        permutation: p with p[i] the image of i.

    Returns:
        For example "(0 1)(2 3)"; "()" for the identity.

    Example:
        >>> cycle_label([1, 0, 3, 2])
        '(0 1)(2 3)'
    """
    seen, cycles = [False] * len(permutation), []
    for first in range(len(permutation)):
        point, cycle = first, []
        while not seen[point]:
            seen[point] = True
            cycle.append(str(point))
            point = permutation[point]
        if len(cycle) > 1:
            cycles.append(f"({' '.join(cycle)})")
    return "".join(cycles) or "()"


def matrix_label(matrix: list[list[int]]) -> str:
    """Write a matrix by its rows.

    Args:
        matrix: rows of integers.

    Returns:
        For example "[1 1; 0 1]".

    Example:
        >>> matrix_label([[1, 1], [0, 1]])
        '[1 1; 0 1]'
    """
    return f"[{'; '.join(' '.join(str(entry) for entry in row) for row in matrix)}]"


def form_labels(forms: np.ndarray) -> tuple[str, ...]:
    """Write permutations (n, degree) or matrices (n, d, d).

    Args:
        forms: integers, as `Group.forms` holds them.

    Returns:
        One text for each.
    """
    write = cycle_label if forms.ndim == 2 else matrix_label
    return tuple(write(form) for form in forms.tolist())
