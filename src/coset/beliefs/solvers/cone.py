"""The score as an exponential-cone program, solved by an interior point method.

Each conditional entropy is Σ μ(s,t) log(μ(s,t) / μ(s)), and b log(b / c) ≤ a says that (−a, b, c)
lies in the exponential cone. Marginals are variables of their own, tied to the worlds by 0/1 rows,
so that the systems to be solved stay sparse.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from coset.beliefs.solvers.cells import (
    Cells,
    Scope,
    constraint_rows,
    entropic_scopes,
    possible_worlds,
)
from coset.beliefs.solvers.cone_program import Affine, ConeProgram
from coset.beliefs.solvers.primal_dual import (
    conditional_tables,
    log_joint_of,
    multiplier_tables,
    result_of,
)
from coset.beliefs.solvers.problem import DenseProblem, elements
from coset.beliefs.solvers.result import DenseResult, impossible, stacked

__all__ = ["solve_cone"]


def solve_cone(problem: DenseProblem, *, tol: float = 1e-9, max_iter: int = 200) -> DenseResult:
    """Minimize a convex score by an interior point method.

    Args:
        problem: with γα ≤ β on every arc; constraints need not be a chain.
        tol: the gap at which to stop.
        max_iter: the most iterations of the interior point method, an element of the batch.

    Returns:
        The minimizer, repaired so that the constraints hold, and the gap that Clarabel's
        multipliers prove (see `dual_gap`).

    Raises:
        UnavailableError: if Clarabel is not installed.
    """
    return stacked(problem, [_solve_one(e, tol, max_iter) for e in elements(problem)])


def _solve_one(problem: DenseProblem, tol: float, max_iter: int) -> DenseResult:
    worlds, _ = possible_worlds(problem)
    if not len(worlds):
        return impossible(problem)
    cells, program, count = Cells(problem.shape, worlds), ConeProgram(), len(worlds)
    cost = problem.cost.double().expand(problem.shape).reshape(-1).numpy()[worlds]
    first = program.columns(cost)
    everything = sparse.identity(count)
    program.equal([(first, np.ones((1, count)))], np.ones(1))
    rows = constraint_rows(problem, cells)
    held = program.equal([(first, rows)], np.zeros(rows.shape[0]))
    if problem.gamma:
        above = program.columns(np.full(count, problem.gamma))
        program.relative_entropy(above, [(first, everything)], None, count)
    else:
        program.positive([(first, everything)], count)
    scopes = [
        (s, *_conditional_entropy(program, cells, first, s)) for s in entropic_scopes(problem)
    ]
    joint = np.maximum(program.solve(tol, max_iter)[first : first + count], 1e-300)
    found = []
    for scope, reached, place in scopes:
        q = program.slopes[place : place + len(reached)]
        found.append((scope, reached, q / _row_sums(q, reached, cells.count(scope.targets))))
    nu = -program.equality_multipliers[held : held + rows.shape[0]]
    return result_of(
        problem,
        log_joint_of(problem, worlds, joint),
        conditional_tables(problem, found),
        multiplier_tables(problem, nu),
        iterations=program.iterations,
        tol=tol,
    )


def _row_sums(cells: np.ndarray, reached: np.ndarray, size: int) -> np.ndarray:
    """Sum the cells of each row, and repeat the sum for each of them; 1 where it is 0."""
    _, row = np.unique(reached // size, return_inverse=True)
    sums = np.bincount(row, cells)
    return np.where(sums > 0, sums, 1.0)[row]


def _conditional_entropy(
    program: ConeProgram, cells: Cells, joint: int, scope: Scope
) -> tuple[np.ndarray, int]:
    """Add weight · Σ μ(s,t) log μ(t|s) to the cost, with the marginals as variables.

    Returns:
        The cells that have worlds, and the position of their bounds.
    """
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
    return reached, program.relative_entropy(above, [(both, identity)], to, count)
