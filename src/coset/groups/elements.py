"""Reading sets of elements from users: integers in 0 … n − 1, sorted, without repeats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from coset.core.errors import DtypeError, RangeError, ShapeError

if TYPE_CHECKING:
    from coset.groups.arithmetic import GroupTable

__all__ = ["Elements", "element_array", "element_set", "freeze"]

# What a set of elements may be given as.
Elements = np.ndarray | Iterable[int]


def freeze(array: np.ndarray) -> np.ndarray:
    """Return the array, C-contiguous and read-only.

    Args:
        array: of any shape.

    Returns:
        The same numbers; a copy only where they were not contiguous.
    """
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


def element_array(
    group: GroupTable, elements: Elements | Any, what: str = "elements"
) -> np.ndarray:
    """Read element ids in the order given, repeats kept.

    Args:
        group: the group they belong to.
        elements: array, tensor or iterable of integers in 0 … n − 1.
        what: what they are called in messages.

    Returns:
        (k,) int64.

    Raises:
        DtypeError: if they are not integers.
        ShapeError: if they have more than one dimension.
        RangeError: if one is outside 0 … n − 1.
    """
    if isinstance(elements, set | frozenset):
        elements = sorted(elements)
    elif not hasattr(elements, "__array__"):
        elements = list(elements)
    found = np.asarray(elements)
    if found.ndim != 1:
        raise ShapeError(f"{what} must be a flat list of element ids; given shape {found.shape}")
    if found.size and not np.issubdtype(found.dtype, np.integer):
        raise DtypeError(f"{what} must be integers (element ids); given {found.dtype}")
    found = found.astype(np.int64)
    if found.size and (found.min() < 0 or found.max() >= group.order):
        wrong = int(found[(found < 0) | (found >= group.order)][0])
        raise RangeError(
            f"{what} must lie in 0 … {group.order - 1}, the elements of {group!r}; given {wrong}"
        )
    return found


def element_set(group: GroupTable, elements: Elements | Any, what: str = "elements") -> np.ndarray:
    """Read element ids as a set: sorted, without repeats.

    Args:
        group: the group they belong to.
        elements: array, tensor or iterable of integers in 0 … n − 1.
        what: what they are called in messages.

    Returns:
        (k,) int64, increasing.

    Raises:
        DtypeError: if they are not integers.
        ShapeError: if they have more than one dimension.
        RangeError: if one is outside 0 … n − 1.
    """
    found = element_array(group, elements, what)
    if found.size > 1 and not (found[1:] > found[:-1]).all():
        return np.unique(found)
    return found
