"""Tolerances by dtype: the one place where an accuracy that a test asks for is defined."""

from __future__ import annotations

import math

__all__ = ["EPSILON", "tolerance"]

# Unit round-off spacing (distance from 1 to the next number) of each floating dtype.
EPSILON = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
}

# How the rounding errors of n operations add up: not at all, like a random walk, or linearly.
_GROWTH = {
    "elementwise": lambda n: 1.0,
    "mean": lambda n: math.sqrt(n),
    "sum": lambda n: float(n),
}


def tolerance(dtype: object, n: int = 1, op: str = "elementwise", *, scale: float = 1.0) -> float:
    """Return the absolute error that rounding explains: 8 · eps(dtype) · growth(n) · scale.

    Args:
        dtype: a torch or NumPy dtype, or its name.
        n: how many numbers enter one result.
        op: "elementwise" (growth 1), "mean" (√n: pairwise or compensated) or "sum" (n).
        scale: the magnitude of the values.

    Returns:
        The tolerance, a Python float.

    Raises:
        KeyError: if the dtype or the operation is unknown.

    Example:
        >>> tolerance("float64", 100, "mean") == 8 * 2.0**-52 * 10
        True
    """
    name = str(getattr(dtype, "__name__", dtype)).rsplit(".", 1)[-1]
    return 8.0 * EPSILON[name] * _GROWTH[op](max(1, n)) * scale
