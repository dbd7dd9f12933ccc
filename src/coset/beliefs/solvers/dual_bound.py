"""Lower bounds on the minimum from conditionals that a solver carries beside the joint."""

from __future__ import annotations

import math

from torch import Tensor

from coset.beliefs.solvers.problem import DenseProblem
from coset.beliefs.solvers.score import score_of

__all__ = ["dual_gap"]


def dual_gap(
    problem: DenseProblem,
    log_joint: Tensor,
    log_conditionals: tuple[Tensor, ...],
    multipliers: tuple[Tensor, ...] = (),
) -> Tensor:
    """Return the score of μ less a lower bound on the score of every joint [derived].

    E_ν log ν(t|s) ≥ E_ν log q(t|s) for any q with Σ_t q(t|s) ≤ 1, so the score of ν is at least
    E_ν[S] − γ H(ν) with S = cost + Σ c log q, and so is its minimum over ν, which is elementary.
    Where rows of μ* vanish, their conditionals cannot be read off μ, but q has them.

    Args:
        problem: a convex problem, not a batch.
        log_joint: log μ, of `problem.shape`, with the constraints met.
        log_conditionals: log q for each of `problem.terms`, with an axis a variable, of size 1
            where it is constant.
        multipliers: y(s, t) for each of `problem.constraints`, likewise: y − E_p[y | s] has mean 0
            under every joint that meets the constraint, and is added to S.

    Returns:
        A number ≥ 0 up to rounding.
    """
    slope = problem.cost.double()
    for term, log_q in zip(problem.terms, log_conditionals, strict=True):
        if term.weight and term.targets:
            excess = log_q.exp().sum(term.targets, keepdim=True).log().clamp(min=0.0)
            slope = slope + term.weight * (log_q - excess)
    for constraint, y in zip(problem.constraints, multipliers, strict=True):
        kernel = constraint.log_p.exp()
        slope = slope + y - (kernel * y).sum(constraint.targets, keepdim=True)
    if problem.allowed is not None:
        slope = slope.masked_fill(~problem.allowed, math.inf)
    slope = slope.expand(problem.shape)
    if problem.gamma:
        least = -problem.gamma * problem.chain.project(-slope / problem.gamma)[1]
    else:
        least = problem.chain.least_expectation(slope)
    return score_of(problem, log_joint) - least.reshape(())
