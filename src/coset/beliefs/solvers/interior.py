"""A primal-dual interior point method for the score, by Newton steps in the marginals [derived].

It solves, for μ over worlds w and conditionals q of the arcs,

    cost + Σ c log q(t|s) + γ log μ + Ēᵀν = z,    μ(s,t) = μ(s) q(t|s),    Ē μ = e,    μ z = τ → 0.

The Hessian in μ is diagonal plus a matrix of the rank of the number of marginal cells, so a step
costs O(worlds · arcs²) and a factorization with one row a cell, however many worlds there are. As
q is a variable of its own, it stays right where rows of μ vanish: there first-order methods stall
at γ = 0, and the gap of μ alone stays large.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import logsumexp
from torch import Tensor

from coset.beliefs.solvers.cells import (
    Cells,
    constraint_rows,
    entropic_scopes,
    possible_worlds,
)
from coset.beliefs.solvers.interior_step import Marginals, Newton, Point, compact
from coset.beliefs.solvers.primal_dual import (
    conditional_tables,
    log_joint_of,
    multiplier_tables,
    result_of,
)
from coset.beliefs.solvers.problem import DenseProblem, elements
from coset.beliefs.solvers.result import DenseResult, impossible, stacked

__all__ = ["Interior", "solve_interior"]

# A step goes this far of the way to the nearest bound.
TO_BOUNDARY = 0.99
# Steps without a smaller gap after which rounding is taken to be the reason.
PATIENCE = 30


def _reach(values: np.ndarray, change: np.ndarray) -> float:
    """Return the largest step ≤ 1 that keeps values positive, less a margin."""
    falling = change < 0
    if not falling.any():
        return 1.0
    return min(1.0, TO_BOUNDARY * float((-values[falling] / change[falling]).min()))


class Interior:
    """The iteration for one problem.

    Args:
        problem: convex, one element.
        worlds: the worlds that can have weight.
        start: a joint over them, positive, that meets the constraints.
    """

    def __init__(self, problem: DenseProblem, worlds: np.ndarray, start: np.ndarray) -> None:
        cells = Cells(problem.shape, worlds)
        self.problem, self.worlds = problem, worlds
        self.marginals = Marginals(entropic_scopes(problem), cells)
        rows = constraint_rows(problem, cells)
        self._held = rows.getnnz(1) > 0
        self.rows = compact(rows[self._held])
        total = sparse.csr_matrix(np.ones((1, len(worlds))))
        self.equal = compact(sparse.vstack([total, rows[self._held]], format="csr"))
        self.right = np.zeros(self.equal.shape[0])
        self.right[0] = 1.0
        self.cost = problem.cost.double().expand(problem.shape).reshape(-1).numpy()[worlds]
        both = self.marginals.matrix @ start
        q = both / self.marginals.row_sums(both)
        slope = self._slope(start, q)
        self.scale = max(float(slope.max() - slope.min()), 1.0)
        z = slope - slope.min() + 0.1 * self.scale
        self.point = Point(start, z, q, np.zeros(len(self.right)))

    def _slope(self, joint: np.ndarray, q: np.ndarray) -> Any:
        slope = self.cost + self.marginals.matrix.T @ (self.marginals.weight * np.log(q))
        return slope + self.problem.gamma * np.log(joint) if self.problem.gamma else slope

    def advance(self) -> None:
        """Take one predictor-corrector step."""
        point, marginals = self.point, self.marginals
        newton = Newton(marginals, self.equal, self.problem.gamma, point)
        both = marginals.matrix @ point.joint
        off = both / newton.source - point.q
        base = -self._slope(point.joint, point.q) - self.equal.T @ point.nu
        base -= marginals.matrix.T @ (marginals.weight * off / point.q)
        missing = self.right - self.equal @ point.joint

        def toward(target: np.ndarray | float) -> Point:
            joint, nu = newton.step(base + target / point.joint, missing)
            z = (target - point.joint * point.z - point.z * joint) / point.joint
            change = marginals.matrix @ joint
            q = (change - point.q * marginals.row_sums(change)) / newton.source + off
            return Point(joint, z, q, nu)

        delta = toward(0.0)
        mean = float(point.joint @ point.z) / len(point.z)
        if not mean > 0:  # μ z has underflowed: no step can improve on this
            return
        ahead = self._moved(delta)
        least = float(ahead.joint @ ahead.z) / len(point.z)
        delta = toward((least / mean) ** 3 * mean - delta.joint * delta.z)
        self.point = self._moved(delta)

    def run(self, tol: float, max_iter: int) -> int:
        """Step until the gap is within half of `tol`; return the number of steps.

        It stops early where rounding lets the gap fall no further, or a step leaves the numbers.
        """
        least, since = math.inf, 0
        for iterations in range(max_iter):
            gap = abs(self.gap()) + self.missing()
            if gap <= tol / 2:
                return iterations
            least, since = min(gap, least), 0 if gap < least else since + 1
            if since >= PATIENCE or not self._advanced():
                return iterations
        return max_iter

    def _advanced(self) -> bool:
        """Take a step if it ends at finite numbers; else stay, and say so."""
        before = self.point
        try:
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                self.advance()
        except np.linalg.LinAlgError:
            self.point = before
            return False
        point = self.point
        if all(np.isfinite(x).all() for x in (point.joint, point.z, point.q, point.nu)):
            return True
        self.point = before
        return False

    def _moved(self, delta: Point) -> Point:
        point = self.point
        primal = _reach(point.joint, delta.joint)
        dual = min(_reach(point.z, delta.z), _reach(point.q, delta.q))
        return Point(
            point.joint + primal * delta.joint,
            point.z + dual * delta.z,
            point.q + dual * delta.q,
            point.nu + dual * delta.nu,
        )

    def gap(self) -> float:
        """Return the score less the lower bound that q and ν give, and how far Ē μ is off e."""
        joint, gamma, marginals = (
            self.point.joint / self.point.joint.sum(),
            self.problem.gamma,
            self.marginals,
        )
        both = marginals.matrix @ joint
        value = self.cost @ joint + gamma * (joint @ np.log(joint))
        value += marginals.weight @ (both * np.log(both / marginals.row_sums(both)))
        q = self.point.q / marginals.row_sums(self.point.q)
        slope = self.cost + marginals.matrix.T @ (marginals.weight * np.log(q))
        slope += self.rows.T @ self.point.nu[1:]
        least = -gamma * logsumexp(-slope / gamma) if gamma else slope.min()
        return float(value - least)

    def missing(self) -> float:
        """Return how far the constraints are from being met."""
        return float(np.abs(self.rows @ self.point.joint).max(initial=0.0))

    def log_joint(self) -> Tensor:
        """Return log μ with the constraints met."""
        return log_joint_of(self.problem, self.worlds, self.point.joint)

    def log_conditionals(self) -> tuple[Tensor, ...]:
        """Return log q of each term; see `dual_gap`."""
        found, first = [], 0
        for scope, reached in self.marginals.scopes:
            found.append((scope, reached, self.point.q[first : first + len(reached)]))
            first += len(reached)
        return conditional_tables(self.problem, found)

    def multipliers(self) -> tuple[Tensor, ...]:
        """Return ν of each constraint that is not of a chain."""
        nu = np.zeros(len(self._held))
        nu[self._held] = self.point.nu[1:]
        return multiplier_tables(self.problem, nu)


def solve_interior(problem: DenseProblem, *, tol: float = 1e-9, max_iter: int = 200) -> DenseResult:
    """Minimize a convex score by Newton steps with a barrier.

    Args:
        problem: with γα ≤ β on every arc; constraints need not be a chain.
        tol: the gap at which to stop; below about 1e-10 rounding may keep it from being reached.
        max_iter: the most iterations, an element of a batch.

    Returns:
        The minimizer and its gap (see `dual_gap`); `log_conditionals` prove it.

    Complexity: O(worlds · arcs² + cells³) an iteration, where cells are the entries of the arcs'
        tables; 10 to 50 iterations.

    Claims: beliefs.C1, beliefs.C3.
    """
    return stacked(problem, [_solve_one(e, tol, max_iter) for e in elements(problem)])


def _solve_one(problem: DenseProblem, tol: float, max_iter: int) -> DenseResult:
    worlds, start = possible_worlds(problem)
    if not len(worlds):
        return impossible(problem)
    method = Interior(problem, worlds, start)
    iterations = method.run(tol, max_iter)
    return result_of(
        problem,
        method.log_joint(),
        method.log_conditionals(),
        method.multipliers(),
        iterations=iterations,
        tol=tol,
    )
