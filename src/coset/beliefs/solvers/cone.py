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

from coset.beliefs.solvers.cone_program import Affine, ConeProgram
from coset.beliefs.solvers.problem import DenseProblem, elements
from coset.beliefs.solvers.result import DenseResult
from coset.beliefs.solvers.score import gap_of, gradient_of, score_of

__all__ = ["Cells", "constraint_rows", "possible_worlds", "solve_cone"]


class Cells:
    """Which cell of a marginal each world lies in.

    Args:
        shape: the numbers of values of the variables.
        worlds: flat indices of the worlds that count.
    """

    def __init__(self, shape: tuple[int, ...], worlds: np.ndarray) -> None:
        self.shape, self.num_worlds = shape, len(worlds)
        self._places = np.unravel_index(worlds, shape) if shape else ()

    def count(self, axes: tuple[int, ...]) -> int:
        """Return the number of cells of the marginal on some axes."""
        return math.prod(self.shape[a] for a in axes)

    def of(self, axes: tuple[int, ...]) -> np.ndarray:
        """Return each world's cell of the marginal on some axes, row by row."""
        if not axes:
            return np.zeros(self.num_worlds, dtype=np.int64)
        sizes = tuple(self.shape[a] for a in axes)
        return np.ravel_multi_index(tuple(self._places[a] for a in axes), sizes)

    def matrix(self, axes: tuple[int, ...]) -> sparse.csr_matrix:
        """Return the 0/1 matrix that takes μ to its marginal on some axes."""
        return _indicator(self.of(axes), self.count(axes))


def _indicator(cells: np.ndarray, count: int) -> sparse.csr_matrix:
    columns = np.arange(len(cells))
    return sparse.csr_matrix((np.ones(len(cells)), (cells, columns)), (count, len(cells)))


def possible_worlds(problem: DenseProblem) -> np.ndarray:
    """Return the flat indices of the worlds that some joint that meets the chain gives weight."""
    weights = torch.zeros(problem.shape, dtype=torch.float64)
    if problem.allowed is not None:
        weights = weights.masked_fill(~problem.allowed, -math.inf)
    log_joint, _ = problem.chain.project(weights)
    return np.flatnonzero((log_joint > -math.inf).numpy())


def constraint_rows(problem: DenseProblem, cells: Cells) -> sparse.csr_matrix:
    """Return the rows of μ(S, T) − μ(S) p(T | S) = 0 for the constraints, chain or not."""
    kernels = [(stage.targets, stage.log_kernel) for stage in problem.chain.stages]
    kernels += [(term.targets, term.log_p) for term in problem.constraints]
    blocks = [sparse.csr_matrix((0, cells.num_worlds))]
    for targets, log_kernel in kernels:
        size = log_kernel.shape
        sources = tuple(a for a in range(-len(size), 0) if size[a] > 1 and a not in targets)
        rest = [a for a in range(-len(size), 0) if a not in (*sources, *targets)]
        kernel = log_kernel.permute(*rest, *sources, *targets).double().exp().numpy()
        each_target = np.ones((cells.count(targets), 1))
        of_sources = sparse.kron(cells.matrix(sources), each_target, format="csr")
        share = sparse.diags(kernel.reshape(-1))
        blocks.append(cells.matrix((*sources, *targets)) - share @ of_sources)
    return sparse.vstack(blocks, format="csr")


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
    shape = problem.batch_shape
    found = [_solve_one(part, tol, max_iter) for part in elements(problem)]
    return DenseResult(
        torch.stack([r.value for r in found]).reshape(shape),
        torch.stack([r.log_joint for r in found]).reshape(*shape, *problem.shape),
        torch.stack([r.gap for r in found]).reshape(shape),
        max(r.iterations for r in found),
        all(r.converged for r in found),
    )


def _solve_one(problem: DenseProblem, tol: float, max_iter: int) -> DenseResult:
    worlds = possible_worlds(problem)
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
    weights: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    for term in problem.terms:
        if term.weight and term.targets:
            scope = tuple(sorted(term.sources)), tuple(sorted(term.targets))
            weights[scope] = weights.get(scope, 0.0) + term.weight
    for (sources, targets), weight in weights.items():
        _conditional_entropy(program, cells, joint, (sources, targets), weight)
    return program, joint


def _conditional_entropy(
    program: ConeProgram,
    cells: Cells,
    joint: int,
    scope: tuple[tuple[int, ...], tuple[int, ...]],
    weight: float,
) -> None:
    """Add weight · Σ μ(s,t) log μ(t|s) to the cost."""
    sources, targets = scope
    marginal = cells.matrix((*sources, *targets))
    reached = np.flatnonzero(marginal.getnnz(1))
    count = len(reached)
    both = program.columns(np.zeros(count))
    identity = sparse.identity(count)
    program.equal([(joint, marginal[reached]), (both, -identity)], np.zeros(count))
    above = program.columns(np.full(count, weight))
    to: Affine | None = None
    if sources:
        row = _indicator(reached // cells.count(targets), cells.count(sources))
        used = np.flatnonzero(row.getnnz(1))
        source = program.columns(np.zeros(len(used)))
        program.equal(
            [(both, row[used]), (source, -sparse.identity(len(used)))], np.zeros(len(used))
        )
        to = [(source, row[used].T)]
    program.relative_entropy(above, [(both, identity)], to, count)
