"""Following a vector field for one unit of time: y' = V(y) from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor

from coset.core.errors import DomainError, NotConvergedError

__all__ = ["Integrator", "State", "VectorField", "integrate"]

Integrator = Literal["euler", "rk4", "adaptive"]
State = list[Tensor]
VectorField = Callable[[State], State]

_MAX_STEPS = 10_000


def integrate(
    field: VectorField,
    start: Sequence[Tensor],
    *,
    integrator: Integrator = "euler",
    substeps: int = 1,
    tolerance: float = 1e-6,
) -> State:
    """Return y(1) of y' = V(y), y(0) = start.

    Args:
        field: V; it is given a list of tensors and returns their velocities.
        start: y(0).
        integrator: "euler" (order 1), "rk4" (the classical one, order 4), or "adaptive"
            (Bogacki and Shampine's pair of orders 3 and 2, with steps that it chooses).
        substeps: the number of equal steps; with "adaptive" the first step is 1/substeps.
        tolerance: of "adaptive", the local error relative to max(1, |y|).

    Returns:
        y(1), new tensors.

    Raises:
        DomainError: if the integrator is unknown, substeps < 1 or tolerance ≤ 0.
        NotConvergedError: if "adaptive" would need more than 10,000 steps.

    Complexity: 1, 4 or about 3 evaluations of V a step.

    Example:
        >>> import math, torch
        >>> (y,) = integrate(lambda y: [-y[0]], [torch.ones(())], integrator="rk4", substeps=4)
        >>> round(float(y) - math.exp(-1), 4)
        0.0
    """
    if integrator not in ("euler", "rk4", "adaptive"):
        raise DomainError(f'integrators are "euler", "rk4" and "adaptive"; given {integrator!r}')
    if not isinstance(substeps, int) or substeps < 1 or not tolerance > 0:
        raise DomainError(
            f"substeps is an integer ≥ 1 and tolerance > 0; given {substeps} and {tolerance}"
        )
    state = list(start)
    if integrator == "adaptive":
        return _adaptive(field, state, 1.0 / substeps, tolerance)
    step = _euler if integrator == "euler" else _rk4
    for _ in range(substeps):
        state = step(field, state, 1.0 / substeps)
    return state


def _moved(state: State, *moves: tuple[float, State]) -> State:
    result = state
    for scale, velocity in moves:
        result = [y + scale * v for y, v in zip(result, velocity, strict=True)]
    return result


def _euler(field: VectorField, state: State, step: float) -> State:
    return _moved(state, (step, field(state)))


def _rk4(field: VectorField, state: State, step: float) -> State:
    k1 = field(state)
    k2 = field(_moved(state, (step / 2, k1)))
    k3 = field(_moved(state, (step / 2, k2)))
    k4 = field(_moved(state, (step, k3)))
    return _moved(state, (step / 6, k1), (step / 3, k2), (step / 3, k3), (step / 6, k4))


def _adaptive(field: VectorField, state: State, step: float, tolerance: float) -> State:
    time, k1 = 0.0, field(state)
    for _ in range(_MAX_STEPS):
        step = min(step, 1.0 - time)
        k2 = field(_moved(state, (step / 2, k1)))
        k3 = field(_moved(state, (0.75 * step, k2)))
        candidate = _moved(state, (step * 2 / 9, k1), (step / 3, k2), (step * 4 / 9, k3))
        k4 = field(candidate)
        # The difference to the solution of order 2
        weights = (-5 / 72, 1 / 12, 1 / 9, -1 / 8)
        error = max(
            (
                float(
                    (
                        step
                        * sum(w * k for w, k in zip(weights, ks, strict=True))
                        / y.abs().clamp(min=1.0)
                    )
                    .abs()
                    .amax()
                )
                for y, *ks in zip(state, k1, k2, k3, k4, strict=True)
                if y.numel()
            ),
            default=0.0,
        )
        if error <= tolerance:
            time, state, k1 = time + step, candidate, k4
            if time >= 1.0:
                return state
        # NaN and ∞ shrink the step as an error that is far too large does
        growth = 0.9 * (tolerance / max(error, 1e-30)) ** (1 / 3) if error < float("inf") else 0.2
        step *= min(5.0, max(0.2, growth))
    raise NotConvergedError(
        f"the adaptive integrator takes at most {_MAX_STEPS:,} steps, and time is {time:.3g} of 1; "
        f"use smaller rates of control, or a larger tolerance"
    )
