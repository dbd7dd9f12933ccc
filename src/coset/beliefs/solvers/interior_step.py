"""Newton steps of the interior point method: the marginals of a score, and the system of a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from coset.beliefs.solvers.cells import Cells, Scope

__all__ = ["Marginals", "Newton", "Point", "compact"]

# Share of the largest curvature by which directions without any are damped: more would slow the
# last steps, less would let rounding in.
DAMPING = 1e-5
# The same for redundant constraints.
REDUNDANCY = 1e-8

# Matrices of at most so many entries are dense: a sparse product costs 0.1 ms however small it is.
DENSE = 100_000

Floats = NDArray[np.float64]
Matrix = Any  # an array, or a sparse matrix


def compact(matrix: sparse.csr_matrix) -> Matrix:
    """Return the matrix as an array if it is small."""
    return matrix.toarray() if math.prod(matrix.shape) <= DENSE else matrix


class Marginals:
    """The marginals of the arcs over the worlds that count, cells with a world only.

    Attributes:
        matrix: 0/1, (cells, worlds).
        weight: c of each cell's scope.
        scopes: with the flat indices of their cells in the whole table, in order.
    """

    def __init__(self, scopes: list[Scope], cells: Cells) -> None:
        blocks: list[sparse.csr_matrix] = [sparse.csr_matrix((0, cells.num_worlds))]
        self.scopes: list[tuple[Scope, NDArray[np.int64]]] = []
        weights, starts, count = [np.zeros(0)], [np.zeros(0, np.int64)], 0
        for scope in scopes:
            matrix = cells.matrix((*scope.sources, *scope.targets))
            reached = np.flatnonzero(matrix.getnnz(1))
            _, first = np.unique(reached // cells.count(scope.targets), return_index=True)
            blocks.append(matrix[reached])
            weights.append(np.full(len(reached), scope.weight))
            starts.append(count + first)
            self.scopes.append((scope, reached))
            count += len(reached)
        whole = sparse.vstack(blocks, format="csr")
        self.matrix = compact(whole)
        # One 1 a scope in each column, so that positions come sorted by world and scope
        columns = whole.tocsc()
        columns.sort_indices()
        self._places = columns.indices.reshape(cells.num_worlds, len(scopes))
        self.weight = np.concatenate(weights)
        self._starts = np.concatenate(starts)
        self._sizes = np.diff(np.append(self._starts, count))

    def gram(self, weights: Floats) -> Any:
        """Return A diag(weights) Aᵀ."""
        if isinstance(self.matrix, np.ndarray):
            return (self.matrix * weights) @ self.matrix.T
        from coset.beliefs.solvers.kernels.gram import add_pairs

        total = np.zeros((len(self.weight), len(self.weight)))
        add_pairs(self._places, weights, total)
        return total

    def row_sums(self, cells: Floats) -> Any:
        """Sum the cells of each row (s, ·), and repeat the sum for each of them."""
        if not len(cells):
            return cells
        return np.repeat(np.add.reduceat(cells, self._starts, axis=0), self._sizes, axis=0)


@dataclass
class Point:
    """An iterate, or a change of one: μ and z over worlds, q over cells, ν over constraints."""

    joint: Floats
    z: Floats
    q: Floats
    nu: Floats


class Newton:
    """The equations of a step at a point, factorized.

    With D = diag((γ + z) / μ) and K = diag(c / (μ(s) q)) − c 11ᵀ / μ(s) in each row, the matrix is
    D + Aᵀ K A; K = Rᵀ R with R = (I − √q √qᵀ) diag √(c / (μ(s) q)), and I + R A D⁻¹ Aᵀ Rᵀ is what
    is factorized.
    """

    def __init__(self, marginals: Marginals, equal: Matrix, gamma: float, point: Point) -> None:
        self._marginals, self._equal = marginals, equal
        damping = DAMPING * float(marginals.weight.max(initial=0.0))
        if gamma:
            damping = min(damping, gamma)
        self._inverse = point.joint / (gamma + point.z + damping)
        self.source = marginals.row_sums(marginals.matrix @ point.joint)
        self._scale = np.sqrt(marginals.weight / (self.source * point.q))
        self._unit = np.sqrt(point.q)
        inner = marginals.gram(self._inverse)
        inner *= self._scale
        inner *= self._scale[:, None]
        inner = self._centered(inner)
        inner = self._centered(inner.T)
        inner[np.diag_indices_from(inner)] += 1.0
        self._factor = linalg.cho_factor(inner, lower=True, check_finite=False)
        self._columns = self._solve(equal.T if isinstance(equal, np.ndarray) else equal.T.toarray())
        schur = equal @ self._columns
        self._size = 1.0 / np.sqrt(np.diag(schur))
        schur = self._size[:, None] * schur * self._size
        schur[np.diag_indices_from(schur)] += REDUNDANCY
        self._schur = linalg.cho_factor(schur, lower=True, check_finite=False)

    def _centered(self, cells: Any) -> Any:
        unit = self._unit[:, None] if cells.ndim > 1 else self._unit
        return cells - unit * self._marginals.row_sums(unit * cells)

    def _solve(self, right: Floats) -> Any:
        """Apply (D + Aᵀ K A)⁻¹ to columns."""
        matrix, inverse, scale = (
            self._marginals.matrix,
            self._inverse[:, None],
            self._scale[:, None],
        )
        first = inverse * right
        inner = self._centered(scale * (matrix @ first))
        inner = linalg.cho_solve(self._factor, inner, check_finite=False)
        return first - inverse * (matrix.T @ (scale * self._centered(inner)))

    def step(self, right: Floats, missing: Floats) -> tuple[Floats, Floats]:
        """Return δ and ν with (D + Aᵀ K A) δ + Ēᵀν = right and Ē δ = missing."""
        free = self._solve(right[:, None])[:, 0]
        short = self._size * (self._equal @ free - missing)
        nu = self._size * linalg.cho_solve(self._schur, short, check_finite=False)
        return free - self._columns @ nu, nu
