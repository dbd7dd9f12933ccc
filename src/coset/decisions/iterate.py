"""Sweep a level until its value is known to a stated error: value iteration and its accelerations.

For a level whose effective rows sum to c₋ … c₊ < 1 (or weights by which they do), one sweep bounds
the solution from both sides; see `Iterated`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from coset.core.errors import ConfigError, DomainError
from coset.core.results import Record
from coset.decisions.bellman import checked_value, resolve_backend
from coset.decisions.level import ScalarLevel

__all__ = ["Iterated", "StopRule", "SweepMethod", "iterate"]

SweepMethod = Literal["vi", "mpi", "gauss-seidel"]
StopRule = Literal["span", "weighted", "sup", "residual"]


@dataclass(frozen=True, eq=False)
class Iterated(Record):
    """Where sweeping ended: value(s) + low · w(s) ≤ V*(s) ≤ value(s) + high · w(s).

    Attributes:
        value: (S,) float64, 0 at states without an allowed action.
        low: ≤ 0; −inf if nothing is proved (stop "residual").
        high: ≥ 0; inf if nothing is proved.
        iterations: number of sweeps over all states.
        policy: (S,) int64, a greedy policy of the last sweep, −1 where there is no action.
        converged: whether the bounds reached the error that was asked for.
        residual: greatest |TV − V| / w of the last sweep.
    """

    value: Tensor
    low: float
    high: float
    iterations: int
    policy: Tensor
    converged: bool
    residual: float

    @property
    def error(self) -> float:
        """The larger of −low and high: a bound on |value − V*| / w."""
        return max(-self.low, self.high)


def iterate(
    level: ScalarLevel,
    *,
    tol: float,
    max_iter: int = 100_000,
    method: SweepMethod = "vi",
    stop: StopRule = "span",
    weights: Tensor | None = None,
    factors: tuple[float, float] | None = None,
    start: Tensor | None = None,
    dtype: torch.dtype = torch.float64,
    backend: str = "auto",
) -> Iterated:
    """Sweep until |value − V*| ≤ tol · w.

    With δ = TV − V and c₋ ≤ Σ_k W w(succ) / w ≤ c₊ < 1 for every allowed action, V* − TV lies
    between w c/(1 − c) min δ/w and w c/(1 − c) max δ/w, with c = c₊ for a bound away from 0 and
    c₋ for one that has crossed it. For a plain discount, w = 1, these are the bounds of MacQueen
    and Porteus. [derived]

    Args:
        level: the problem.
        tol: the error that is asked for, > 0.
        max_iter: the most sweeps, ≥ 1.
        method: "vi"; "mpi": sweeps of the greedy policy in between; "gauss-seidel": in place, in
            the order of the states.
        stop: "span" and "weighted" use both bounds (the value returned is their middle), "sup" the
            larger |δ| alone; "residual" proves nothing and stops when |δ| ≤ tol w.
        weights: (S,) w > 0, for instance those of `transience`; 1 by default.
        factors: (c₋, c₊) if they are known; else one more pass finds them.
        start: (S,) V at the start; 0 by default.
        dtype: float64 or float32, of the values between sweeps.
        backend: "auto", "numba" or "eager".

    Returns:
        The value, what is proved about it, and the greedy policy.

    Raises:
        DomainError: if tol is not positive, the start not finite, or c₊ ≥ 1.
        ConfigError: if method or stop are unknown, or max_iter < 1.
        ShapeError: if start or weights are not one number a state.
        DtypeError: if start or weights are neither float32 nor float64.

    Complexity: S A K gathers a sweep; two vectors of S values beside the arrays.

    Claims: decisions.C17.
    """
    _check(level, tol, max_iter, method, stop, dtype)
    run = _Run(level, weights, factors, start, dtype, resolve_backend(backend, _device(level)))
    if stop != "residual" and not run.factors[1] < 1:
        raise DomainError(
            f"bounds need Σ W w ≤ c w with c < 1 for every action; the largest factor is "
            f"{run.factors[1]:.6g}; pass weights that contract (transience gives them), or "
            f"stop='residual', which proves nothing"
        )
    return run.until(tol, max_iter, method, stop)


def _device(level: ScalarLevel) -> torch.device:
    return level.successor.device


def _check(
    level: ScalarLevel, tol: float, max_iter: int, method: str, stop: str, dtype: torch.dtype
) -> None:
    if not (tol > 0 and math.isfinite(tol)):
        raise DomainError(f"tol must be a positive number; given {tol}")
    if max_iter < 1:
        raise ConfigError(f"max_iter must be at least 1; given {max_iter}")
    for name, given, known in (
        ("method", method, get_args(SweepMethod)),
        ("stop", stop, get_args(StopRule)),
    ):
        if given not in known:
            raise ConfigError(f"{name} must be one of {known}; given {given!r}")
    if dtype not in (torch.float32, torch.float64):
        raise ConfigError(f"dtype must be torch.float32 or torch.float64; given {dtype}")


class _Run:
    """The state of one call."""

    def __init__(
        self,
        level: ScalarLevel,
        weights: Tensor | None,
        factors: tuple[float, float] | None,
        start: Tensor | None,
        dtype: torch.dtype,
        backend: str,
    ) -> None:
        from coset.decisions.sweepers import make_sweeper

        self.level, self.dtype = level, dtype
        self.active = level.active
        self.norm = None if weights is None else checked_value(level, weights, "weights").double()
        if self.norm is not None and not bool((self.norm[self.active] > 0).all()):
            raise DomainError("weights must be positive where there is an allowed action")
        self.sweeper = make_sweeper(level, self.norm, backend)
        self.factors = factors or self.sweeper.factors(self.active)
        value = torch.zeros(level.num_states, dtype=dtype, device=_device(level))
        if start is not None:
            value = torch.where(self.active, checked_value(level, start, "start"), 0.0).to(dtype)
            if not bool(torch.isfinite(value).all()):
                raise DomainError("start must be finite; it holds NaN or infinity")
        self.value = value
        self.out = torch.zeros_like(value)
        self.policy = torch.full(value.shape, -1, dtype=torch.int32, device=value.device)

    def until(self, tol: float, max_iter: int, method: str, stop: str) -> Iterated:
        iterations, low, high, best = 0, 0.0, 0.0, math.inf
        stalled = 0
        while True:
            low, high, size = self.sweeper.improve(self.value, self.out, self.policy)
            self.value, self.out = self.out, self.value
            iterations += 1
            bounds = self._bounds(low, high, size, stop)
            width = max(-bounds[0], bounds[1]) if stop != "residual" else max(-low, high)
            if stop in ("span", "weighted"):
                width = (bounds[1] - bounds[0]) / 2
            stalled = 0 if width < best else stalled + 1
            best = min(best, width)
            if width <= tol or iterations >= max_iter or stalled > 20:
                return self._finish(low, high, bounds, iterations, width <= tol, stop)
            iterations += self._between(method, max_iter - iterations - 1)

    def _between(self, method: str, room: int) -> int:
        """Do the cheap sweeps of a method; return how many count as sweeps over all states."""
        if method == "mpi":
            for _ in range(min(4, room)):
                self.sweeper.evaluate(self.policy, self.value, self.out)
                self.value, self.out = self.out, self.value
        elif method == "gauss-seidel" and room > 0:
            self.sweeper.improve_in_place(self.value)
            return 1
        return 0

    def _bounds(self, low: float, high: float, size: float, stop: str) -> tuple[float, float]:
        if stop == "residual":
            return -math.inf, math.inf
        less, more = self.factors
        if stop == "sup":
            error = more / (1 - more) * max(abs(low), abs(high))
            return -error, error
        below = low * (more / (1 - more) if low <= 0 else less / (1 - less))
        above = high * (more / (1 - more) if high >= 0 else less / (1 - less))
        return below, above

    def _finish(
        self,
        low: float,
        high: float,
        bounds: tuple[float, float],
        iterations: int,
        converged: bool,
        stop: str,
    ) -> Iterated:
        value = self.value.double()
        if stop in ("span", "weighted"):
            middle = (bounds[0] + bounds[1]) / 2
            shift = middle if self.norm is None else middle * self.norm
            value = torch.where(self.active, value + shift, 0.0)
            half = (bounds[1] - bounds[0]) / 2
            bounds = (-half, half)
        return Iterated(
            value=value,
            low=bounds[0],
            high=bounds[1],
            iterations=iterations,
            policy=self.policy.long(),
            converged=converged,
            residual=max(abs(low), abs(high)),
        )
