"""Solve a dense problem by a method that is named, or by the one that suits it."""

from __future__ import annotations

from torch import Tensor

from coset.beliefs.errors import NonConvexError
from coset.beliefs.solvers.cone import solve_cone
from coset.beliefs.solvers.problem import DenseProblem
from coset.beliefs.solvers.result import DenseResult
from coset.core.results import Certificate

__all__ = ["METHODS", "solve_dense"]

METHODS = ("auto", "mirror", "cone", "tree", "cccp", "zero_plus")


def solve_dense(
    problem: DenseProblem, method: str, *, tol: float, max_iter: int, start: Tensor | None
) -> tuple[str, DenseResult, Certificate | None]:
    """Minimize the score over joints.

    Args:
        problem: what to minimize.
        method: one of `METHODS`, not "tree".
        tol: the gap at which to stop.
        max_iter: the most iterations.
        start: a joint to begin from, (*batch, *shape), or ``None``.

    Returns:
        The method that was used, what it found, and a certificate of it.
    """
    from coset.beliefs.solvers.mirror import is_pinned, solve_mirror

    # Where constraints leave one joint only, there is nothing to be convex in
    if problem.concave and method != "cccp" and not is_pinned(problem):
        raise NonConvexError(
            f"the score is convex if γα ≤ β on every arc; {', '.join(problem.concave)} "
            f'have γα > β: lower gamma, or use method="cccp" for a local minimum',
            problem.concave,
        )
    if method == "cone" or problem.constraints:
        return "cone", solve_cone(problem, tol=tol, max_iter=max_iter), None
    log_start = None if start is None else start.log()
    return "mirror", solve_mirror(problem, tol=tol, max_iter=max_iter, start=log_start), None
