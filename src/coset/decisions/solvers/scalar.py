"""Solve one level: value iteration, policy iteration or a linear program, with a proved error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from coset.core.errors import ConfigError, DomainError, ShapeError
from coset.core.results import Solution, Status
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.solvers.bounds import ValueBounds, bounds_of_sweeps, certified_bounds
from coset.decisions.solvers.nonpositive import is_nonpositive, nonpositive_bounds
from coset.decisions.solvers.policy_iteration import policy_iteration
from coset.decisions.solvers.policy_kernel import DENSE_STATES
from coset.decisions.solvers.row_sums import contraction_factors
from coset.decisions.solvers.transience import transience

__all__ = ["LevelMethod", "LevelSolution", "solve_level"]

# Beyond, sweeps need tens of thousands of rounds, and a sparse system a fraction of a second.
_SLOW_FACTOR = 0.999
_SPARSE_STATES = 20_000

LevelMethod = Literal["auto", "vi", "mpi", "pi", "lp"]


@dataclass(frozen=True, repr=False)
class LevelSolution(Solution):
    """The solution of one level.

    Attributes:
        value: (S,) float64, the middle of the bounds.
        error_bound: a proved bound on |value − V*|, the largest of all states.
        bounds: the bound of each state, and what it was computed from.
        method: which method made it.
    """

    bounds: ValueBounds | None = None
    method: str = ""

    def __repr__(self) -> str:
        return (
            f"LevelSolution({len(self.value):,} states, {self.status}, within "
            f"{self.error_bound:.2g}, {self.method})"
        )

    @property
    def error(self) -> Tensor:
        """(S,) float64: a proved bound on |value − V*| for each state."""
        assert self.bounds is not None
        return self.bounds.error


def solve_level(
    level: ScalarLevel,
    *,
    method: LevelMethod = "auto",
    tol: float = 1e-8,
    max_iter: int = 100_000,
    start: Tensor | None = None,
    weights: Tensor | None = None,
    factors: tuple[float, float] | None = None,
) -> LevelSolution:
    """Solve V(s) = max over allowed a of r(s, a) + Σ W V, where multipliers die out.

    Args:
        level: the problem.
        method: "vi" (value iteration), "mpi" (modified policy iteration), "pi" (policy iteration),
            "lp" (linear program); "auto" is "pi" up to 1,200 states, and up to 20,000 where
            multipliers die out slowly (factor above 0.999), and sweeps of the fastest kind else.
        tol: the error that is asked for, > 0, absolute, at every state.
        max_iter: the most sweeps over all actions, or evaluated policies, ≥ 1.
        start: (S,) a guess; zeros by default.
        weights: (S,) weights that contract; those of `transience` by default.
        factors: (low_factor, factor) of those weights, if they are known.

    Returns:
        The solution; its status is `STALLED` if float64 cannot prove the error asked for, and
        `MAX_ITERATIONS` if the limit was met. The bound returned is proved in each case.

    Raises:
        NotTransientError: if multipliers do not die out under some policy and some reward is
            positive. Where no reward is positive the optimum exists all the same, and is found by
            sweeps from 0, whatever the method.
        NotConvergedError: if policy iteration met the limit, a system or the linear program could
            not be solved, or the radius is too close to 1 to be told from it.
        ConfigError: if the method is unknown, or max_iter < 1.
        DomainError: if tol is not positive, the guess not finite, or weights do not contract.
        ShapeError: if start or weights are not one number a state.

    Claims: decisions.C17.

    Examples:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> level = ScalarLevel(
        ...     torch.zeros(1, 1, 1, dtype=torch.int32), one[..., None], one, one > 0, scale=0.75
        ... )
        >>> found = solve_level(level)
        >>> found.value.tolist(), found.error_bound < 1e-8
        ([4.0], True)
    """
    start = None if start is None else torch.as_tensor(start)
    _check(level, method, tol, max_iter, start)
    if not bool(level.active.any()):
        zeros = torch.zeros(level.num_states, dtype=torch.float64, device=level.reward.device)
        return _finished(ValueBounds(zeros, zeros, 0.0, 0.0), tol, 0, max_iter, "auto")
    contracting = _contracting(level, weights, factors)
    if contracting is None:
        return _from_costs(level, tol, max_iter)
    weights, factors = contracting
    guess = torch.zeros(level.num_states, dtype=torch.float64, device=level.reward.device)
    if start is not None:
        guess = torch.where(level.active, start.double(), guess)
    if method == "pi" or (method == "auto" and _suits_policies(level, factors[1])):
        value, _, iterations = policy_iteration(level, guess, max_iter=max_iter)
        bounds = certified_bounds(level, value, weights, factors)
        return _finished(bounds, tol, iterations, max_iter, "pi")
    if method == "lp":
        from coset.decisions.solvers.linear_program import solve_linear_program

        program = solve_linear_program(level)
        bounds = certified_bounds(level, program.value, weights, factors)
        return _finished(bounds, tol, program.iterations, max_iter, "lp")
    bounds, iterations = _sweep(level, guess, weights, factors, tol, max_iter, method)
    return _finished(bounds, tol, iterations, max_iter, method)


def _suits_policies(level: ScalarLevel, factor: float) -> bool:
    """Tell whether few exact evaluations beat many sweeps."""
    slow = factor > _SLOW_FACTOR and level.num_states <= _SPARSE_STATES
    return level.num_states <= DENSE_STATES or slow


def _check(
    level: ScalarLevel, method: str, tol: float, max_iter: int, start: Tensor | None
) -> None:
    if method not in get_args(LevelMethod):
        raise ConfigError(f"method must be one of {get_args(LevelMethod)}; given {method!r}")
    if not (tol > 0 and math.isfinite(tol)):
        raise DomainError(f"tol must be a positive number; given {tol}")
    if max_iter < 1:
        raise ConfigError(f"max_iter must be at least 1; given {max_iter}")
    if start is not None and start.shape != (level.num_states,):
        raise ShapeError(
            f"start must be one number a state, ({level.num_states},); given {tuple(start.shape)}"
        )
    if start is not None and not bool(torch.isfinite(start).all()):
        raise DomainError("start must be finite; it holds NaN or infinity")


def _contracting(
    level: ScalarLevel, weights: Tensor | None, factors: tuple[float, float] | None
) -> tuple[Tensor, tuple[float, float]] | None:
    """Return weights and factors; ``None`` if there are none and no reward is positive."""
    if weights is None:
        found = transience(level)
        if not found.holds and is_nonpositive(level):
            return None
        found.throw()
        assert found.weights is not None
        return found.weights, (found.low_factor, found.factor)
    weights = torch.as_tensor(weights)
    factors = factors or contraction_factors(level, weights)
    if not factors[1] < 1:
        raise DomainError(
            f"weights must contract: Σ W w ≤ λ w with λ < 1; the largest factor is "
            f"{factors[1]:.6g}; leave them out, or take those of transience(level)"
        )
    return weights, factors


def _from_costs(level: ScalarLevel, tol: float, max_iter: int) -> LevelSolution:
    """Solve a level of costs whose multipliers need not die out."""
    lower, upper, _, sweeps = nonpositive_bounds(level, 2 * tol, max_iter)
    known = torch.isfinite(lower)
    center = torch.where(known, 0.5 * (lower + upper), upper)
    gap = torch.maximum(upper - center, center - lower)
    gap = torch.where(level.active, gap, 0.0)
    bounds = ValueBounds(center, gap, 1.0, 0.0)
    return _finished(bounds, tol, sweeps, max_iter, "costs")


def _finished(
    bounds: ValueBounds, tol: float, iterations: int, max_iter: int, method: str
) -> LevelSolution:
    error = bounds.error_bound
    status, advice = Status.SOLVED, ""
    if not error <= tol:
        stalled = iterations < max_iter
        status = Status.STALLED if stalled else Status.MAX_ITERATIONS
        change = "float64 can prove no less: raise tol, or use exact arithmetic"
        if error == math.inf:
            change = "no policy that was met has a finite value: the optimum may be −∞ somewhere"
        elif not stalled:
            change = "raise max_iter or tol"
        advice = f"the proved error is {error:.3g}, asked for was {tol:.3g}; {change}"
    return LevelSolution(
        value=bounds.center,
        status=status,
        advice=advice,
        error_bound=error,
        iterations=iterations,
        bounds=bounds,
        method=method,
    )


def _sweep(
    level: ScalarLevel,
    guess: Tensor,
    weights: Tensor,
    factors: tuple[float, float],
    tol: float,
    max_iter: int,
    method: Literal["auto", "vi", "mpi"],
) -> tuple[ValueBounds, int]:
    """Sweep until the bounds are close enough; add what the last sweep may have rounded."""
    from coset.decisions.solvers.iterate import iterate

    # Weights 1 at all states need no vector in the loops.
    plain = weights.stride() == (0,) and float(weights[0]) == 1
    found = iterate(
        level,
        tol=0.9 * tol / max(1.0, float(weights.max())),
        max_iter=max_iter,
        method=method,
        weights=None if plain else torch.where(level.active, weights, 1.0),
        factors=factors,
        start=guess,
    )
    return bounds_of_sweeps(level, found, weights, factors[1]), found.iterations
