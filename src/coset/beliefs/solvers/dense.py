"""Solve a dense problem by a method that is named, or by the one that suits it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coset.beliefs.solvers.cccp import solve_cccp
from coset.beliefs.solvers.cells import entropic_scopes
from coset.beliefs.solvers.cone import solve_cone
from coset.beliefs.solvers.interior import solve_interior
from coset.beliefs.solvers.linear import solve_linear
from coset.beliefs.solvers.mirror import solve_mirror
from coset.beliefs.solvers.problem import DenseProblem, elements
from coset.beliefs.solvers.result import DenseResult, impossible
from coset.beliefs.solvers.settled import require_convex, settled

__all__ = ["METHODS", "solve_dense"]

# Steps that the interior point method takes, more or less, and what it is not used beyond.
INTERIOR_STEPS = 12
MOST_PAIRS, MOST_CELLS = 2**27, 2**11
LEAST_BUDGET = 100

METHODS = ("auto", "mirror", "interior", "cone", "tree", "cccp", "zero_plus")


def solve_dense(
    problem: DenseProblem,
    method: str = "auto",
    *,
    tol: float = 1e-9,
    max_iter: int = 20_000,
    start: Tensor | None = None,
) -> tuple[str, DenseResult]:
    """Minimize the score over joints.

    Args:
        problem: what to minimize, or a batch.
        method: "mirror", "interior", "cone", "cccp", or "auto" for one of the first two.
        tol: the gap at which to stop.
        max_iter: the most iterations.
        start: a joint to begin from, (*batch, *shape), or ``None``.

    Returns:
        The method that was used, and what it found.

    Raises:
        NonConvexError: if γα > β on an arc, the constraints leave it free, and the method is not
            "cccp".
    """
    with torch.no_grad():
        return _solve(settled(problem), method, tol, max_iter, start)


def _solve(
    problem: DenseProblem, method: str, tol: float, max_iter: int, start: Tensor | None
) -> tuple[str, DenseResult]:
    if problem.conflicts:
        return "mirror", impossible(problem)
    if method != "cccp":
        require_convex(problem)
    if problem.concave:

        def solve_convex(tangent: DenseProblem) -> DenseResult:
            return _solve_convex(tangent, "auto", tol, max_iter, None)[1]

        return "cccp", solve_cccp(problem, solve_convex, tol=tol, max_iter=max_iter, start=start)
    return _solve_convex(problem, "auto" if method == "cccp" else method, tol, max_iter, start)


def _solve_convex(
    problem: DenseProblem, method: str, tol: float, max_iter: int, start: Tensor | None
) -> tuple[str, DenseResult]:
    if method == "cone":
        return "cone", solve_cone(problem, tol=tol, max_iter=max_iter)
    if method == "interior" or (problem.constraints and method == "auto"):
        return "interior", solve_interior(problem, tol=tol, max_iter=max_iter)
    if not problem.constraints and not problem.smoothness:
        return "mirror", solve_linear(problem, tol=tol)
    log_start = None if start is None else start.log()
    if method == "mirror":
        return "mirror", solve_mirror(problem, tol=tol, max_iter=max_iter, start=log_start)
    return _solve_automatically(problem, tol, max_iter, log_start)


def _solve_automatically(
    problem: DenseProblem, tol: float, max_iter: int, log_start: Tensor | None
) -> tuple[str, DenseResult]:
    """Descend for a while, and hand what has not converged to the interior point method."""
    budget = _budget(problem)
    steps = min(budget, max_iter) if budget else max_iter
    found = solve_mirror(problem, tol=tol, max_iter=steps, start=log_start)
    left = ~(found.gap <= tol).reshape(-1)
    if found.converged or not budget:
        return "mirror", found
    if not found.gap.ndim:
        finished = solve_interior(problem, tol=tol, max_iter=max_iter)
        better = float(finished.gap) <= float(found.gap)
        return ("interior", finished) if better else ("mirror", found)
    parts = [p for p, late in zip(elements(problem), left.tolist(), strict=True) if late]
    results = [solve_interior(part, tol=tol, max_iter=max_iter) for part in parts]
    return "interior", _replaced(found, left, results)


def _replaced(found: DenseResult, left: Tensor, results: list[DenseResult]) -> DenseResult:
    """Put results in the places of a batch that are `left`, where their gap is smaller."""
    value, gap = found.value.flatten().clone(), found.gap.flatten().clone()
    log_joint = found.log_joint.flatten(0, found.gap.ndim - 1).clone()
    for place, result in zip(left.nonzero().flatten().tolist(), results, strict=True):
        if float(result.gap) <= float(gap[place]):
            value[place], gap[place] = result.value, result.gap
            log_joint[place] = result.log_joint
    return DenseResult(
        value.reshape(found.value.shape),
        log_joint.reshape(found.log_joint.shape),
        gap.reshape(found.gap.shape),
        found.iterations + max(r.iterations for r in results),
        all(r.converged for r in results),
    )


def _budget(problem: DenseProblem) -> int:
    """Return how many steps of mirror descent cost as much as the interior point method.

    Whoever descends for that long before changing over pays at most twice what the better of the
    two costs, whichever it is. 0 if the systems of the interior point method would be too large.
    """
    worlds, scopes = math.prod(problem.shape), entropic_scopes(problem)
    cells = sum(math.prod(problem.shape[a] for a in (*s.sources, *s.targets)) for s in scopes)
    places = worlds * (len(scopes) + 1)
    if places * (len(scopes) + 1) > MOST_PAIRS or cells > MOST_CELLS:
        return 0
    # Seconds, measured on one core of a 2.4 GHz server processor; only their ratio matters
    interior = 1e-3 + 3e-8 * places + 1e-9 * places * len(scopes) + 4e-8 * cells**2
    interior += 6e-11 * cells**3
    step = 1e-3 + 1e-8 * places if problem.chain.stages else 2e-5 + 4e-9 * worlds + 1e-7 * cells
    return max(LEAST_BUDGET, round(INTERIOR_STEPS * interior / step))
