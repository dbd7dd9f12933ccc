"""The limit of minimizers for γ → 0: least structural deficiency among the least incompatible."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from coset.beliefs.solvers.cells import possible_worlds
from coset.beliefs.solvers.interior import Interior
from coset.beliefs.solvers.primal_dual import result_of
from coset.beliefs.solvers.problem import DenseProblem, Term, elements
from coset.beliefs.solvers.result import DenseResult, impossible, stacked
from coset.beliefs.solvers.settled import require_convex, settled

__all__ = ["solve_zero_plus"]

# The first program is solved to this gap, so that what has weight and what has none lie apart.
FIRST_TOLERANCE = 1e-11


def solve_zero_plus(
    problem: DenseProblem, structure: DenseProblem, *, tol: float = 1e-9, max_iter: int = 200
) -> DenseResult:
    """Find lim γ→0 of the minimizers of [[M]]_γ, in two convex programs.

    All minimizers of the incompatibility share the conditionals ν(T|S) of arcs with β > 0, and the
    worlds W that any of them gives weight; so among them SDef(μ) = Σ μ log(μ / k) with
    k = ∏ ν(T|S)^α is strictly convex, and the limit is where it is least:

        min Σ μ log(μ / k)   over μ on W with μ(S,T) = μ(S) ν(T|S) for each arc.

    Args:
        problem: the graph at γ = 0, convex.
        structure: the same graph at γ = 1, from which α is read.
        tol: the gap to aim at.
        max_iter: the most iterations of each program.

    Returns:
        The value at γ = 0, the joint, and the gap of that value.

    Raises:
        NonConvexError: if β < 0 on an arc, or β = 0 and α > 0.

    Claims: beliefs.C2, beliefs.C3.
    """
    pairs = zip(elements(problem), elements(structure), strict=True)
    return stacked(problem, [_solve_one(*pair, tol, max_iter) for pair in pairs])


def _solve_one(
    problem: DenseProblem, structure: DenseProblem, tol: float, max_iter: int
) -> DenseResult:
    simple = settled(problem)
    require_convex(simple)
    worlds, start = possible_worlds(problem)
    if not len(worlds):
        return impossible(problem)
    first = Interior(simple, worlds, start)
    iterations = first.run(min(tol, FIRST_TOLERANCE), max_iter)
    # Strict complementarity: a world has weight or a multiplier, the other is near 0
    weighty = first.point.joint * len(worlds) > first.point.z / first.scale
    joint = first.point.joint[weighty] / first.point.joint[weighty].sum()
    tie_break = _tie_break(problem, structure, worlds[weighty], joint)
    require_convex(tie_break)
    second = Interior(tie_break, worlds[weighty], joint)
    iterations += second.run(tol, max_iter)
    return result_of(
        simple,
        second.log_joint(),
        first.log_conditionals(),
        first.multipliers(),
        iterations=iterations,
        tol=tol,
    )


def _tie_break(
    problem: DenseProblem, structure: DenseProblem, worlds: np.ndarray, joint: np.ndarray
) -> DenseProblem:
    """Return the second program: γ = 1, no free conditionals but those with β = 0."""
    table = np.zeros(math.prod(problem.shape))
    table[worlds] = joint
    nu = torch.from_numpy(table).reshape(problem.shape)
    cost = torch.zeros(problem.shape, dtype=torch.float64)
    constraints, terms = list(problem.constraints), []
    for stage in problem.chain.stages:
        scope = [a for a in range(-nu.ndim, 0) if stage.log_kernel.shape[a] > 1]
        sources = tuple(a for a in scope if a not in stage.targets)
        constraints.append(Term(stage.name, sources, stage.targets, 0.0, 0.0, stage.log_kernel))
    hard = {term.name for term in constraints}
    for observational, structural in zip(problem.terms, structure.terms, strict=True):
        alpha = structural.linear - structural.weight
        if not observational.targets:
            continue
        if observational.name not in hard and observational.linear == 0:
            terms.append(replace(observational, weight=-alpha))
            continue
        log_conditional = _log_conditional(observational, nu)
        cost = cost - alpha * log_conditional.masked_fill(log_conditional == -math.inf, 0.0)
        if observational.name not in hard:
            constraints.append(replace(observational, log_p=log_conditional))
    return replace(
        problem,
        gamma=1.0,
        cost=cost,
        allowed=nu > 0,
        terms=tuple(terms),
        chain=replace(problem.chain, stages=(), rest=tuple(range(-nu.ndim, 0))),
        constraints=tuple(constraints),
    )


def _log_conditional(term: Term, joint: Tensor) -> Tensor:
    others = tuple(a for a in range(-joint.ndim, 0) if a not in (*term.sources, *term.targets))
    both = joint.sum(others, keepdim=True) if others else joint
    source = both.sum(term.targets, keepdim=True)
    return torch.where(source > 0, both / source, 0.0).log()
