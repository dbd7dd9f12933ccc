"""The concave-convex procedure: a local minimum of a score that is not convex."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from coset.beliefs.solvers.problem import DenseProblem
from coset.beliefs.solvers.result import DenseResult
from coset.beliefs.solvers.score import score_of

__all__ = ["solve_cccp"]

# A conditional probability below this counts as this: its logarithm must stay finite.
LEAST = 1e-300


def _linearized(problem: DenseProblem, log_joint: Tensor) -> DenseProblem:
    """Replace concave terms by their tangents at μ, which lie above them."""
    ndim = len(problem.variables)
    cost, terms = problem.cost.double(), []
    for term in problem.terms:
        if term.weight < 0 and term.targets:
            kept = {*term.sources, *term.targets}
            others = tuple(a for a in range(-ndim, 0) if a not in kept)
            both = log_joint.exp().sum(others, keepdim=True) if others else log_joint.exp()
            source = both.sum(term.targets, keepdim=True)
            conditional = torch.where(source > 0, both / source, 1.0)
            cost = cost + term.weight * conditional.clamp(min=LEAST).log()
            term = replace(term, weight=0.0)
        terms.append(term)
    if problem.allowed is not None:
        cost = cost.masked_fill(~problem.allowed, 0.0)
    return replace(problem, cost=cost, terms=tuple(terms))


def solve_cccp(
    problem: DenseProblem,
    solve_convex: Callable[[DenseProblem], DenseResult],
    *,
    tol: float = 1e-9,
    max_iter: int = 1_000,
    start: Tensor | None = None,
) -> DenseResult:
    """Minimize a score with γα > β on some arcs: replace them by tangents, solve, repeat.

    Tangents of concave functions lie above them, so the score never rises; it ends at a local
    minimum or saddle point, which depends on the start.

    Args:
        problem: the problem, or a batch.
        solve_convex: a solver of convex problems.
        tol: how little the score falls in the last round.
        max_iter: the most rounds.
        start: a joint to begin from, (*batch, *shape); else the uniform one.

    Returns:
        The result; its `gap` is NaN, as no bound is known.
    """
    if start is None:
        weights = torch.zeros(problem.batch_shape + problem.shape, device=problem.cost.device)
        weights = weights.double()
    else:
        weights = start.double().log()
    if problem.allowed is not None:
        weights = weights.masked_fill(~problem.allowed, -math.inf)
    log_joint, _ = problem.chain.project(weights)
    value, iterations = score_of(problem, log_joint), 0
    for rounds in range(max_iter):
        found = solve_convex(_linearized(problem, log_joint))
        log_joint, iterations = found.log_joint, iterations + max(found.iterations, 1)
        new = torch.where(found.value < math.inf, score_of(problem, log_joint), math.inf)
        fallen = torch.where(new < math.inf, value - new, 0.0)
        value = new
        if rounds and bool((fallen <= tol).all()):
            return DenseResult(value, log_joint, torch.full_like(value, math.nan), iterations, True)
    return DenseResult(value, log_joint, torch.full_like(value, math.nan), iterations, False)
