"""The penalty and its prox, literally: slow, obviously right, and exact on rational numbers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, overload

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, UnsupportedError
from coset.sharing.collisions.reference import REFERENCE_BLOCKS
from coset.sharing.penalty import read_number

__all__ = ["pairwise_penalty_reference", "prox_sharing_reference", "sharing_blocks_reference"]


def _weights(w: Tensor | Sequence[Any]) -> list[Any]:
    if not isinstance(w, Tensor):
        return list(w)
    if not w.is_floating_point():
        raise DtypeError(f"weights must be a real floating-point tensor; given {w.dtype}")
    return w.detach().reshape(-1).to(torch.float64).tolist()


def _exact(number: Any) -> Any:
    """Return integers as fractions, so that dividing them stays exact."""
    return Fraction(number) if isinstance(number, int) else number


def pairwise_penalty_reference(w: Tensor | Sequence[Any]) -> Any:
    """Return R(w) = 1/(d−1) · Σ_{i>j} |w_i − w_j| by a double loop.

    Args:
        w: (any shape) float, read in float64, or a sequence of numbers (fractions stay exact).

    Returns:
        A float, or the numbers' own type; 0 for fewer than two weights.

    Raises:
        DtypeError: if `w` is a tensor that is not real floating-point.

    Complexity: O(d²).

    Example:
        >>> pairwise_penalty_reference([Fraction(3), Fraction(1), Fraction(2)])
        Fraction(2, 1)
    """
    x = _weights(w)
    total = sum(abs(x[i] - x[j]) for i in range(len(x)) for j in range(i))
    return total / (len(x) - 1) if len(x) > 1 else total


def sharing_blocks_reference(
    x: Sequence[Any], strength: Any, method: str = "pava"
) -> list[tuple[int, int]]:
    """Return the blocks that the prox forms of sorted weights.

    Neighboring blocks A, B are pooled iff mean(B) − mean(A) ≤ g (m_A + m_B)/(d−1), or, which is the
    same on rational numbers, iff the mean of z_r = x_r + g (d−1−2r)/(d−1) over A is at least that
    over B.

    Args:
        x: the weights in increasing order.
        strength: g ≥ 0; at g = 0 every element is its own block.
        method: "pava" by the rule itself; "imminent", "end" or "search" by the paper's algorithms
            on z, which are exact on integers and fractions.

    Returns:
        Half-open ranges of ranks (first, end), in order.

    Raises:
        UnsupportedError: for an unknown method.
        DtypeError: if the strength is not a real number.
        DomainError: if it is negative or NaN.

    Complexity: O(d) merge tests for "pava"; see `coset.sharing.collisions.reference`.

    Claims: sharing.C5, sharing.C13, sharing.C14.

    Example:
        >>> sharing_blocks_reference([0, 0, 3], 1)
        [(0, 2), (2, 3)]
        >>> sharing_blocks_reference([0, 0, 3], 1, method="search")
        [(0, 2), (2, 3)]
    """
    if method not in REFERENCE_BLOCKS:
        known = ", ".join(REFERENCE_BLOCKS)
        raise UnsupportedError(f"method must be one of {known}; given {method!r}")
    read_number(strength, "strength")
    if not strength >= 0:
        raise DomainError(f"strength must be a number ≥ 0; given {strength}")
    d, strength = len(x), _exact(strength)
    if strength == 0 or d < 2:
        return [(r, r + 1) for r in range(d)]
    if method != "pava":
        z = [x[r] + strength * (d - 1 - 2 * r) / (d - 1) for r in range(d)]
        return REFERENCE_BLOCKS[method](z)
    blocks: list[tuple[int, int, Any]] = []
    for r in range(d):
        blocks.append((r, r + 1, x[r]))
        while len(blocks) > 1:
            (a, k, left), (_, b, right) = blocks[-2:]
            if right - left > strength * (b - a) / (d - 1):
                break
            blocks[-2:] = [(a, b, left + (right - left) * (b - k) / (b - a))]
    return [(a, b) for a, b, _ in blocks]


@overload
def prox_sharing_reference(
    w: Tensor, strength: Any, *, l1: Any = ..., rewind: Any = ...
) -> Tensor: ...


@overload
def prox_sharing_reference(
    w: Sequence[Any], strength: Any, *, l1: Any = ..., rewind: Any = ...
) -> list[Any]: ...


def prox_sharing_reference(
    w: Tensor | Sequence[Any], strength: Any, *, l1: Any = 0, rewind: Any = 0
) -> Tensor | list[Any]:
    """Return the prox of the pairwise-difference penalty by sorting and pooling neighbors.

    argmin_u ½‖u − w‖² + g R(u) + l ‖u‖₁ for rewind 0: every block C = [a, b) of ranks goes to
    y = mean(C) + g (d − a − b)/(d−1), then to 0 if |y| < l, else to
    mean(C) + (1 − rewind)(g (d − a − b)/(d−1) − l sign(y)).

    Args:
        w: (any shape) float, computed in float64, or a sequence of integers, fractions or floats.
        strength: g ≥ 0, finite.
        l1: l ≥ 0.
        rewind: ρ in [0, 1].

    Returns:
        A tensor of the shape and dtype of `w`, or a list; rational for rational input.

    Raises:
        DomainError: if strength or l1 is negative, or rewind outside [0, 1].
        DtypeError: if `w` is a tensor that is not real floating-point, or strength, l1 or rewind
            not a real number.

    Complexity: O(d log d) operations on Python numbers.

    Claims: sharing.C2, sharing.C5, sharing.C11.

    Example:
        >>> prox_sharing_reference([Fraction(1), Fraction(2)], Fraction(1, 2))
        [Fraction(3, 2), Fraction(3, 2)]
    """
    for name, value in (("strength", strength), ("l1", l1), ("rewind", rewind)):
        read_number(value, name)
    if not (strength >= 0 and l1 >= 0 and 0 <= rewind <= 1):
        raise DomainError(
            f"strength and l1 must be ≥ 0 and rewind in [0, 1]; given {strength}, {l1}, {rewind}"
        )
    values = _weights(w)
    if not isinstance(w, Tensor):
        values = [_exact(v) for v in values]
    strength, l1, rewind = _exact(strength), _exact(l1), _exact(rewind)
    d = len(values)
    order = sorted(range(d), key=lambda i: values[i])
    x = [values[i] for i in order]
    out = list(values)
    is_identity = strength == 0 and l1 == 0
    for a, b in [] if is_identity else sharing_blocks_reference(x, strength):
        # About the first element, so that a large common offset costs no digits.
        mean = x[a] + sum(v - x[a] for v in x[a:b]) / (b - a)
        sites = d - a - b
        drift = strength * sites / (d - 1) if d > 1 and sites != 0 else 0
        y = mean + drift
        sign = (y > 0) - (y < 0)
        moved = mean + (1 - rewind) * (drift - l1 * sign) if abs(y) >= l1 else 0 * y
        for r in range(a, b):
            out[order[r]] = moved
    if not isinstance(w, Tensor):
        return out
    return torch.tensor(out, dtype=torch.float64, device=w.device).reshape(w.shape).to(w.dtype)
