"""Reading sets of elements from users: integers in 0 … n − 1, sorted, without repeats."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from coset.core.errors import DtypeError, RangeError, ShapeError

if TYPE_CHECKING:
    from coset.groups.arithmetic import GroupTable

__all__ = ["Elements", "element_array", "element_set", "freeze", "integer", "integer_array"]

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


def integer(value: Any, what: str) -> int:
    """Read one integer.

    Args:
        value: an int, or a NumPy or torch number.
        what: what it is called in messages.

    Returns:
        The number.

    Raises:
        DtypeError: if it is anything else, such as a float or a bool.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError as error:
        raise DtypeError(f"{what} must be an integer; given {value!r:.200}") from error


def integer_array(values: Any, what: str) -> np.ndarray:
    """Read integers of any shape as they are; what has no entries may have any dtype.

    Args:
        values: array, tensor, set or iterable, nested to any depth.
        what: what they are called in messages.

    Returns:
        (…) of an integer dtype, unless it is empty.

    Raises:
        ShapeError: if it is no array: rows of several lengths.
        DtypeError: if it holds anything but integers.
    """
    if hasattr(values, "numpy"):  # a tensor, on whatever device
        values = values.numpy(force=True)
    elif isinstance(values, Iterable) and not hasattr(values, "__array__"):
        values = list(values)
    try:
        found = np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{what} must all have one size; given {values!r:.200}") from error
    if found.size and not np.issubdtype(found.dtype, np.integer):
        raise DtypeError(f"{what} must be integers; given {found.dtype}")
    return found


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
    found = integer_array(elements, what)
    if isinstance(elements, set | frozenset):
        found = np.sort(found)  # a set has no order to keep; this one does not depend on hashes
    if found.ndim != 1:
        raise ShapeError(f"{what} must be a flat list of element ids; given shape {found.shape}")
    if found.size and (found.min() < 0 or found.max() >= group.order):
        wrong = int(found[(found < 0) | (found >= group.order)][0])
        raise RangeError(
            f"{what} must lie in 0 … {group.order - 1}, the elements of {group!r}; given {wrong}"
        )
    return found.astype(np.int64)


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
