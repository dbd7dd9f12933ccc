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
from coset.core.numerics import EPSILON
from coset.core.results import Record
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.solvers.bellman import checked_value, resolve_backend
from coset.decisions.solvers.extrapolation import Extrapolation
from coset.decisions.solvers.sweepers import make_sweeper

__all__ = ["Iterated", "StopRule", "SweepMethod", "iterate"]

SweepMethod = Literal["auto", "vi", "mpi", "gauss-seidel"]
StopRule = Literal["span", "weighted", "sup", "residual"]

# So many sweeps may fail to lower the error before rounding is blamed.
_PATIENCE = 20
# Sweeps in place that leave more than this share of the change turn around.
_SLOW = 0.7
# From so many gathers a sweep on the values are float32 at first: twice as many fit into a cache.
_LARGE = 1_000_000
# The most sweeps of one policy between improvements.
_EVALUATIONS = 20


@dataclass(frozen=True, eq=False)
class Iterated(Record):
    """Where sweeping ended: value(s) + low · w(s) ≤ V*(s) ≤ value(s) + high · w(s).

    Attributes:
        value: (S,) float64, 0 at states without an allowed action.
        low: ≤ 0; −inf if nothing is proved (stop "residual").
        high: ≥ 0; inf if nothing is proved.
        iterations: number of sweeps over all actions; those of one policy ("mpi") are not counted.
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
    method: SweepMethod = "auto",
    stop: StopRule = "span",
    weights: Tensor | None = None,
    factors: tuple[float, float] | None = None,
    start: Tensor | None = None,
    dtype: torch.dtype | None = None,
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
        max_iter: the most sweeps over all actions, ≥ 1.
        method: "vi" (value iteration); "mpi": sweeps of the greedy policy in between;
            "gauss-seidel": in place, states seeing the new values of earlier ones; it takes one
            thread, and a last sweep of "vi" proves the error. "auto" is "gauss-seidel" where
            compiled loops run on one thread, else "vi".
        stop: "span" and "weighted" use both bounds (the value returned is their middle), "sup" the
            larger |δ| alone; "residual" proves nothing and stops when |δ| ≤ tol w.
        weights: (S,) w > 0, for instance those of `transience`; 1 by default.
        factors: (c₋, c₊) if they are known; else one more pass finds them.
        start: (S,) V at the start; 0 by default.
        dtype: float64 or float32, of the values between sweeps; what is returned and proved is
            float64, and so are all values once float32 has no more to give. By default float32
            where there are more than a million gathers to a sweep.
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
    if dtype is None:
        dtype = torch.float32 if level.successor.numel() > _LARGE else torch.float64
    _check(level, tol, max_iter, method, stop, dtype)
    run = _Run(level, weights, factors, start, dtype, resolve_backend(backend, _device(level)))
    if stop != "residual" and not run.factors[1] < 1:
        raise DomainError(
            f"bounds need Σ W w ≤ c w with c < 1 for every action; the largest factor is "
            f"{run.factors[1]:.6g}; pass weights that contract (transience gives them), or "
            f"stop='residual', which proves nothing"
        )
    if method == "auto":
        method = "gauss-seidel" if run.sequential else "vi"
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
        self.level, self.active = level, level.active
        self.norm = None if weights is None else checked_value(level, weights, "weights").double()
        if self.norm is not None and not bool((self.norm[self.active] > 0).all()):
            raise DomainError("weights must be positive where there is an allowed action")
        live = None if self.norm is None else self.norm[self.active]
        self.least = 1.0 if live is None or live.numel() == 0 else float(live.min())
        self.sweeper = make_sweeper(level, self.norm, self.active, backend, factors)
        self.factors = self.sweeper.factors()
        self.sequential = backend == "numba" and torch.get_num_threads() == 1
        self.at_zero = start is None or not bool(start.any())
        self.value = self._started(start, dtype)
        self.out = self.value
        self.iterations = 0
        self.shifting, self.extrapolation = True, Extrapolation()
        self.residual = math.inf

    def _started(self, start: Tensor | None, dtype: torch.dtype) -> Tensor:
        value = torch.zeros(self.level.num_states, dtype=dtype, device=_device(self.level))
        if start is None:
            return value
        value.copy_(torch.where(self.active, checked_value(self.level, start, "start"), 0.0))
        if not bool(torch.isfinite(value).all()):
            raise DomainError("start must be finite; it holds NaN or infinity")
        return value

    def until(self, tol: float, max_iter: int, method: str, stop: str) -> Iterated:
        """Sweep until the error is small enough, does not fall any more, or the limit is met."""
        least, since, predicted = math.inf, 0, math.inf
        while True:
            if method == "gauss-seidel":
                self._in_place(tol, max_iter, stop)
            last = method != "vi" or predicted <= 2 * tol or since > 1
            bounds, error = self._sweep(stop, last or self.iterations + 1 >= max_iter)
            done = error <= tol or self.iterations >= max_iter or since > _PATIENCE
            choice = self.sweeper.policy()
            if done and choice is not None:
                return self._finish(bounds, choice, error <= tol, stop)
            predicted = 0.0 if done else error * min(1.0, error / least)
            since = 0 if error < least else since + 1
            least = min(least, error)
            if method == "mpi":
                self._evaluate(max_iter)

    def _sweep(self, stop: str, last: bool) -> tuple[tuple[float, float], float]:
        """Replace V by TV; return the bounds on V* − TV and the error that they leave."""
        # What may be returned is written in float64, and from there on so is all that follows.
        dtype = torch.float64 if last else self.value.dtype
        if self.out is self.value or self.out.dtype != dtype:
            self.out = torch.empty_like(self.value, dtype=dtype)
        if self.at_zero and not last:
            low, high, size = self.sweeper.first(self.out)
        else:
            low, high, size = self.sweeper.improve(self.value, self.out, last=last)
        self.at_zero = False
        self.value, self.out = self.out, self.value
        self.iterations += 1
        self.residual = max(abs(low), abs(high))
        if stop == "residual":
            return (-math.inf, math.inf), self.residual
        bounds = self._bounds(low, high, stop)
        slack = self._rounding(size)
        bounds = bounds[0] - slack, bounds[1] + slack
        if stop == "sup":
            return bounds, max(-bounds[0], bounds[1])
        return bounds, (bounds[1] - bounds[0]) / 2

    def _bounds(self, low: float, high: float, stop: str) -> tuple[float, float]:
        less, more = (c / (1 - c) for c in self.factors)
        if stop == "sup":
            error = more * max(abs(low), abs(high))
            return -error, error
        return low * (more if low <= 0 else less), high * (more if high >= 0 else less)

    def _rounding(self, size: float) -> float:
        """Return what rounding adds: of K + 4 sums in float64 and of TV as it is stored."""
        dtype = str(self.value.dtype).removeprefix("torch.")
        unit = (self.level.weight.shape[2] + 4) * EPSILON["float64"] + EPSILON[dtype]
        return unit * size / (self.least * (1 - self.factors[1]))

    def _in_place(self, tol: float, max_iter: int, stop: str) -> None:
        """Sweep in place until one more sweep should show that the error is small enough."""
        before, backward = math.inf, False
        self.shifting = self.shifting and self._may_shift(stop)
        if self.at_zero and self.iterations < max_iter - 1:
            self._sweep(stop, last=False)
            if self.shifting:
                self.sweeper.shift(self.value, 2 * self._carried())
        least, since = math.inf, 0
        while self.iterations < max_iter - 1:
            low, high, size = self.sweeper.improve_in_place(self.value, backward=backward)
            self.iterations += 1
            width = high - low
            rate = min(1.0, max(0.05, width / before)) if 0 < before < math.inf else 1.0
            since = 0 if width < least else since + 1
            least = min(least, width)
            # What is left may be rounding: the sweep that follows is in float64.
            noise = 16 * EPSILON["float32"] * size if self.value.dtype == torch.float32 else 0.0
            predicted = self._predicted(low * rate, high * rate, stop)
            if predicted <= tol or width <= noise or since > _PATIENCE:
                return
            self.shifting = self.shifting and since == 0
            # Where what matters comes from states further on, the other direction carries it.
            backward ^= rate > _SLOW and before < math.inf
            before = width
            jump = self.extrapolation.propose(self.value, width, rate) if rate > _SLOW else None
            if jump is not None:
                self.sweeper.add(self.value, jump)
            elif self.shifting:
                self.sweeper.shift(self.value, self._carried())

    def _carried(self) -> float:
        """Return the constant that later sweeps would add for the change of the last one."""
        return self.factors[1] / (1 - self.factors[1]) * self.sweeper.mean

    def _may_shift(self, stop: str) -> bool:
        """Say whether a constant added to V is lost by sweeps only at the rate c."""
        less, more = self.factors
        return (
            stop == "span" and self.norm is None and more < 1 and more - less <= 0.01 * (1 - more)
        )

    def _predicted(self, low: float, high: float, stop: str) -> float:
        if stop == "residual":
            return max(abs(low), abs(high))
        more = self.factors[1] / (1 - self.factors[1])
        return more * (max(abs(low), abs(high)) if stop == "sup" else (high - low) / 2)

    def _evaluate(self, max_iter: int) -> None:
        """Sweep with the greedy policy alone until it has little left to give."""
        first = math.inf
        for _ in range(min(_EVALUATIONS, max_iter - self.iterations - 1)):
            low, high, _ = self.sweeper.evaluate(self.value, self.out)
            self.value, self.out = self.out, self.value
            if first == math.inf:
                first = high - low
            elif high - low <= 0.05 * first:
                return

    def _finish(
        self, bounds: tuple[float, float], choice: Tensor, converged: bool, stop: str
    ) -> Iterated:
        value = self.value.double()
        if stop in ("span", "weighted"):
            middle, half = (bounds[0] + bounds[1]) / 2, (bounds[1] - bounds[0]) / 2
            value = value + middle * (1.0 if self.norm is None else self.norm)
            value = value if bool(self.active.all()) else torch.where(self.active, value, 0.0)
            bounds = -half, half
        return Iterated(
            value=value,
            low=bounds[0],
            high=bounds[1],
            iterations=self.iterations,
            policy=choice.long(),
            converged=converged,
            residual=self.residual,
        )
