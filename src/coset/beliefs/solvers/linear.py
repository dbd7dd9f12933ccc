"""Scores that are linear in μ: the least expected cost."""

from __future__ import annotations

import math

import torch

from coset.beliefs.solvers.problem import DenseProblem
from coset.beliefs.solvers.result import DenseResult
from coset.beliefs.solvers.score import gap_of, gradient_of, score_of

__all__ = ["solve_linear"]


def solve_linear(problem: DenseProblem, *, tol: float = 1e-9) -> DenseResult:
    """Minimize Σ μ · cost over joints that meet a chain of constraints.

    μ ∝ exp(−cost / ε) is at most ε log(worlds) above the least, and shares its weight among worlds
    that tie.

    Args:
        problem: with γ = 0, all weights 0 (see `settled`), and a chain of constraints.
        tol: the gap that is allowed.

    Returns:
        The minimizer and its gap.
    """
    worlds = math.prod(problem.shape)
    epsilon = tol / (2.0 * math.log(max(worlds, 2)))
    weights = (-problem.cost.double() / epsilon).expand(problem.batch_shape + problem.shape)
    if problem.allowed is not None:
        weights = weights.masked_fill(~problem.allowed, -math.inf)
    log_joint, total = problem.chain.project(weights)
    possible = total.reshape(problem.batch_shape) > -math.inf
    gap = gap_of(problem, log_joint, gradient_of(problem, log_joint)).clamp(min=0.0)
    return DenseResult(
        torch.where(possible, score_of(problem, log_joint), math.inf),
        log_joint.to(problem.cost.dtype),
        torch.where(possible, gap, 0.0),
        1,
        bool((gap[possible] <= tol).all()),
    )
