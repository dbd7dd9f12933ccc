"""The score as an exponential-cone program, solved by an interior point method.

Each conditional entropy is Σ μ(s,t) log(μ(s,t) / μ(s)), and b log(b / c) ≤ a says that (−a, b, c)
lies in the exponential cone. Marginals are variables of their own, tied to the worlds by 0/1 rows,
so that the systems to be solved stay sparse.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import sparse

from coset.beliefs.solvers.cells import (
    Cells,
    Scope,
    constraint_rows,
    entropic_scopes,
    possible_worlds,
)
from coset.beliefs.solvers.cone_program import Affine, ConeProgram
from coset.beliefs.solvers.problem import DenseProblem, elements
from coset.beliefs.solvers.result import DenseResult, stacked
from coset.beliefs.solvers.score import gap_of, gradient_of, score_of

__all__ = ["solve_cone"]


def solve_cone(problem: DenseProblem, *, tol: float = 1e-9, max_iter: int = 200) -> DenseResult:
    """Minimize a convex score by an interior point method.

    Args:
        problem: with γα ≤ β on every arc; constraints need not be a chain.
        tol: the gap at which to stop.
        max_iter: the most iterations of the interior point method, an element of the batch.

    Returns:
        The minimizer, repaired so that the constraints of a chain hold exactly, and its gap.

    Raises:
        UnavailableError: if Clarabel is not installed.
    """
    return stacked(problem, [_solve_one(e, tol, max_iter) for e in elements(problem)])


def _solve_one(problem: DenseProblem, tol: float, max_iter: int) -> DenseResult:
    worlds, _ = possible_worlds(problem)
    joint, iterations = np.zeros(math.prod(problem.shape)), 0
    if len(worlds):
        program, first = _program(problem, worlds)
        solution = program.solve(tol, max_iter)[first : first + len(worlds)]
        joint[worlds], iterations = np.maximum(solution, 1e-300), program.iterations
    log_joint, _ = problem.chain.project(torch.from_numpy(np.log(joint)).reshape(problem.shape))
    value = score_of(problem, log_joint)
    gap = gap_of(problem, log_joint, gradient_of(problem, log_joint))
    return DenseResult(value, log_joint, gap, iterations, bool(gap <= tol))


def _program(problem: DenseProblem, worlds: np.ndarray) -> tuple[ConeProgram, int]:
    """Write the score as a program; return it with the position of μ among its variables."""
    cells = Cells(problem.shape, worlds)
    program = ConeProgram()
    count = len(worlds)
    cost = problem.cost.double().expand(problem.shape).reshape(-1).numpy()[worlds]
    joint = program.columns(cost)
    everything = sparse.identity(count)
    program.equal([(joint, np.ones((1, count)))], np.ones(1))
    rows = constraint_rows(problem, cells)
    program.equal([(joint, rows)], np.zeros(rows.shape[0]))
    if problem.gamma:
        above = program.columns(np.full(count, problem.gamma))
        program.relative_entropy(above, [(joint, everything)], None, count)
    else:
        program.positive([(joint, everything)], count)
    for scope in entropic_scopes(problem):
        _conditional_entropy(program, cells, joint, scope)
    return program, joint


def _conditional_entropy(program: ConeProgram, cells: Cells, joint: int, scope: Scope) -> None:
    """Add weight · Σ μ(s,t) log μ(t|s) to the cost, with the marginals as variables."""
    marginal = cells.matrix((*scope.sources, *scope.targets))
    reached = np.flatnonzero(marginal.getnnz(1))
    count = len(reached)
    both = program.columns(np.zeros(count))
    identity = sparse.identity(count)
    program.equal([(joint, marginal[reached]), (both, -identity)], np.zeros(count))
    above = program.columns(np.full(count, scope.weight))
    to: Affine | None = None
    if scope.sources:
        _, row = np.unique(reached // cells.count(scope.targets), return_inverse=True)
        num_rows = int(row.max()) + 1
        repeat = sparse.csr_matrix((np.ones(count), (np.arange(count), row)), (count, num_rows))
        source = program.columns(np.zeros(num_rows))
        program.equal([(both, repeat.T), (source, -sparse.identity(num_rows))], np.zeros(num_rows))
        to = [(source, repeat)]
    program.relative_entropy(above, [(both, identity)], to, count)
