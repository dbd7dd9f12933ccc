"""How an element is printed: cycles of a permutation, rows of a matrix."""

from __future__ import annotations

import numpy as np

__all__ = ["cycle_label", "form_labels", "matrix_label"]


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
