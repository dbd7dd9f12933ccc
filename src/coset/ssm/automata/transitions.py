"""What an automaton is given: its table of transitions, states and names, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError, UnsupportedError
from coset.ssm.phase_layer import check_tokens

__all__ = [
    "MAX_TRANSITIONS",
    "as_table",
    "check_delta",
    "check_labels",
    "check_state",
    "check_words",
    "listed",
]

# A table of transitions has num_states · num_tokens entries.
MAX_TRANSITIONS = 10_000_000


def as_table(delta: Any) -> np.ndarray:
    """Return δ as an array, or say that its rows differ in length.

    Args:
        delta: rows of states.

    Returns:
        The array, of any dtype and shape.

    Raises:
        ShapeError: if the rows have different lengths.
    """
    try:
        return np.asarray(delta)
    except ValueError as error:  # rows of different lengths
        raise ShapeError(
            "delta must be a table with one row for each state and one column for each token; "
            "given rows of different lengths"
        ) from error


def check_delta(delta: np.ndarray) -> np.ndarray:
    """Return δ as a read-only copy if it is a table of states.

    Args:
        delta: (num_states, num_tokens).

    Returns:
        The same as int64.

    Raises:
        ShapeError, DtypeError, UnsupportedError, RangeError: if it is none; names the place.
    """
    delta = np.asarray(delta)
    if delta.ndim != 2 or 0 in delta.shape:
        raise ShapeError(
            f"delta must have shape (num_states, num_tokens), both at least 1; given {delta.shape}"
        )
    if delta.dtype.kind not in "iu":
        raise DtypeError(f"delta must hold integers; given {delta.dtype}")
    if delta.size > MAX_TRANSITIONS:
        raise UnsupportedError(
            f"an automaton may have {MAX_TRANSITIONS:,} transitions; given {delta.size:,}; "
            f"merge tokens that act alike"
        )
    wrong = (delta < 0) | (delta >= len(delta))
    if wrong.any():
        q, x = (int(i) for i in np.argwhere(wrong)[0])
        raise RangeError(
            f"delta must hold states 0 … {len(delta) - 1}; given {delta[q, x]} at state {q}, "
            f"token {x}"
        )
    delta = np.ascontiguousarray(delta, dtype=np.int64).copy()
    delta.setflags(write=False)
    return delta


def check_words(tokens: Tensor, num_tokens: int) -> Tensor:
    """Return words as int64, time last.

    Args:
        tokens: (…, T) integers.
        num_tokens: X; each token must lie in 0 … X − 1.

    Returns:
        (…, T) int64.

    Raises:
        DtypeError, RangeError: as `check_tokens`.
        ShapeError: if there is no time dimension.
    """
    tokens = check_tokens(tokens, num_tokens)
    if tokens.ndim == 0:
        raise ShapeError("tokens must have shape (…, T), time last; given a single number")
    return tokens


def listed(values: Any, what: str) -> tuple[Any, ...]:
    """Return the items of a list, array or tensor.

    Args:
        values: the list.
        what: what an error calls it.

    Returns:
        The items.

    Raises:
        DtypeError: if it is no list.
    """
    values = values.tolist() if isinstance(values, Tensor) else values
    if not isinstance(values, Iterable):
        raise DtypeError(f"{what} must be a list; given {values!r}")
    return tuple(values)


def check_state(state: Any, num_states: int, what: str) -> int:
    """Return a state's number if there is such a state.

    Args:
        state: the number.
        num_states: how many there are.
        what: what an error calls it.

    Returns:
        The same as an int.

    Raises:
        DtypeError, RangeError: if it is none.
    """
    if isinstance(state, bool) or not isinstance(state, int | np.integer):
        raise DtypeError(f"{what} must be a state's number; given {state!r}")
    if not 0 <= state < num_states:
        raise RangeError(f"{what} must lie in 0 … {num_states - 1}; given {state}")
    return int(state)


def check_labels(labels: Sequence[str], count: int, what: str) -> tuple[str, ...]:
    """Return names of states or tokens, their numbers if none are given.

    Args:
        labels: the names, all or none.
        count: how many there must be.
        what: "state" or "token".

    Returns:
        The names.

    Raises:
        ShapeError, DtypeError, DomainError: if some are missing, no text, or there twice.
    """
    if not labels:
        return tuple(str(i) for i in range(count))
    if len(labels) != count:
        raise ShapeError(f"there must be {count} {what}_labels; given {len(labels)}")
    seen: set[str] = set()
    for label in labels:
        if not isinstance(label, str):
            raise DtypeError(f"each of {what}_labels must be text; given {label!r}")
        if label in seen:
            raise DomainError(f"each of {what}_labels must be there once; given {label!r} twice")
        seen.add(label)
    return tuple(labels)
