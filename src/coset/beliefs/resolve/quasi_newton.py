"""L-BFGS with a line search that trusts slopes where values are rounding.

An optimizer that asks for lower values stops when gains fall below the rounding of the value, which
is at a distance of about the root of that from the minimizer. Near it, this one accepts a step by
its slope (the approximate Wolfe conditions of Hager and Zhang), and so finds minimizers to the
accuracy of gradients.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from torch import Tensor

__all__ = ["minimize_smooth"]

# x ↦ (value, gradient)
Evaluate = Callable[[Tensor], tuple[float, Tensor]]

_HISTORY = 20
_TRIALS = 30
_PATIENCE = 20  # searches without a lower value or a flatter slope
_DECREASE, _CURVATURE, _ROUNDING = 1e-4, 0.9, 1e-13


def minimize_smooth(
    evaluate: Evaluate, start: Tensor, *, tolerance: float, max_iter: int = 2000
) -> Tensor:
    """Return a point where every partial derivative is at most `tolerance`, or the best found.

    Args:
        evaluate: returns the value, which may be +∞, and the gradient at a point.
        start: (n,), where the value is finite.
        tolerance: > 0.
        max_iter: the largest number of line searches.

    Returns:
        (n,).

    Example:
        >>> import torch
        >>> def evaluate(x):
        ...     return float((x - 2).square().sum()), 2 * (x - 2)
        >>> minimize_smooth(evaluate, torch.zeros(2).double(), tolerance=1e-12)
        tensor([2., 2.], dtype=torch.float64)
    """
    x = best = start
    value, gradient = evaluate(x)
    lowest, flattest, idle = value, math.inf, 0
    pairs: deque[tuple[Tensor, Tensor]] = deque(maxlen=_HISTORY)
    for _ in range(max_iter):
        largest = float(gradient.abs().amax()) if len(gradient) else 0.0
        falls = value < lowest - _ROUNDING * (1 + abs(lowest))
        idle = 0 if falls or largest < flattest else idle + 1
        if idle == 0:
            best, lowest, flattest = x, value, largest
        if not math.isfinite(value) or largest <= tolerance or idle > _PATIENCE:
            break
        direction = _direction(gradient, pairs)
        found = _search(evaluate, x, value, gradient, direction, first=not pairs)
        if found is None and not pairs:
            break
        if found is None:
            pairs.clear()
            continue
        new_x, value, new_gradient = found
        step, change = new_x - x, new_gradient - gradient
        if float(step @ change) > 1e-300:
            pairs.append((step, change))
        x, gradient = new_x, new_gradient
    return best


def _direction(gradient: Tensor, pairs: deque[tuple[Tensor, Tensor]]) -> Tensor:
    """Return −H g, by the two loops over the last steps and changes of the gradient."""
    direction, shares = -gradient, []
    for step, change in reversed(pairs):
        share = (step @ direction) / (step @ change)
        direction = direction - share * change
        shares.append(share)
    if pairs:
        step, change = pairs[-1]
        direction = direction * ((step @ change) / (change @ change))
    for (step, change), share in zip(pairs, reversed(shares), strict=True):
        direction = direction + (share - (change @ direction) / (step @ change)) * step
    return direction


def _search(
    evaluate: Evaluate, x: Tensor, value: float, gradient: Tensor, direction: Tensor, *, first: bool
) -> tuple[Tensor, float, Tensor] | None:
    """Return a point on the ray with its value and gradient, ``None`` if no step is acceptable."""
    slope = float(gradient @ direction)
    if not slope < 0:
        return None
    length = min(1.0, 1.0 / float(gradient.abs().sum())) if first else 1.0
    low, high = 0.0, math.inf
    noise = _ROUNDING * (1 + abs(value))
    for _ in range(_TRIALS):
        point = x + length * direction
        new, new_gradient = evaluate(point)
        here = float(new_gradient @ direction) if math.isfinite(new) else math.inf
        flat = new <= value + noise and here <= (2 * _DECREASE - 1) * slope
        if not (new <= value + _DECREASE * length * slope or flat):
            high = length
        elif here < _CURVATURE * slope:
            low = length
        else:
            return point, new, new_gradient
        length = 2 * length if high == math.inf else (low + high) / 2
    return None
