"""Linear costs over equalities, bounds and exponential cones, handed to Clarabel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from coset.core.errors import UnavailableError

__all__ = ["Affine", "ConeProgram"]

# Σ matrix · x[first : first + columns], a piece each
Affine = list[tuple[int, sparse.spmatrix]]


def _clarabel() -> Any:
    try:
        import clarabel
    except ImportError:
        raise UnavailableError(
            "the cone solver needs Clarabel, which is not installed; run "
            "`pip install coset[convex]`, or choose another method"
        ) from None
    return clarabel


@dataclass
class _Rows:
    """Rows r − A x of one kind of cone, as coordinates."""

    count: int = 0
    entries: list[np.ndarray] = field(default_factory=list)
    right: list[np.ndarray] = field(default_factory=list)

    def place(self, pieces: Affine, rows: np.ndarray) -> None:
        for first, matrix in pieces:
            coordinates = sparse.coo_matrix(matrix)
            at = self.count + rows[coordinates.row]
            self.entries.append(np.stack([at, coordinates.col + first, -coordinates.data]))


class ConeProgram:
    """min q·x over linear equalities, x ≥ 0 in places, and b log(b / c) ≤ a.

    Attributes:
        iterations: how many the last `solve` took.
        equality_multipliers: those of the rows of `equal`, in order.
        slopes: for each row of `relative_entropy`, in order, the multiplier of `to` over that of
            the bound: of / to at the solution, and defined where both vanish.
    """

    def __init__(self) -> None:
        self.iterations = 0
        self.equality_multipliers = self.slopes = np.zeros(0)
        self._costs: list[np.ndarray] = []
        self._num_columns = 0
        self._equal, self._positive, self._entropy = _Rows(), _Rows(), _Rows()

    def columns(self, costs: np.ndarray) -> int:
        """Add variables with these costs, and return the position of the first."""
        first = self._num_columns
        self._num_columns += len(costs)
        self._costs.append(costs)
        return first

    def equal(self, left: Affine, right: np.ndarray) -> int:
        """Ask for left = right, and return the position of the first of these rows."""
        first = self._equal.count
        self._equal.place(left, np.arange(len(right)))
        self._equal.right.append(-right)
        self._equal.count += len(right)
        return first

    def positive(self, left: Affine, count: int) -> None:
        """Ask for left ≥ 0."""
        self._positive.place(left, np.arange(count))
        self._positive.right.append(np.zeros(count))
        self._positive.count += count

    def relative_entropy(self, above: int, of: Affine, to: Affine | None, count: int) -> int:
        """Ask for of · log(of / to) ≤ x[above : above + count], each; `to` is 1 if ``None``.

        Returns:
            The position of the first of these bounds.
        """
        first = self._entropy.count // 3
        rows = 3 * np.arange(count)
        right = np.zeros(3 * count)
        self._entropy.place([(above, -sparse.identity(count))], rows)
        self._entropy.place(of, rows + 1)
        if to is None:
            right[2::3] = 1.0
        else:
            self._entropy.place(to, rows + 2)
        self._entropy.right.append(right)
        self._entropy.count += 3 * count
        return first

    def solve(self, tol: float, max_iter: int) -> np.ndarray:
        """Return x, as near as the interior point method came to a gap of `tol`."""
        clarabel = _clarabel()
        kinds = [self._equal, self._positive, self._entropy]
        starts = np.cumsum([0] + [kind.count for kind in kinds])
        entries = [
            piece + np.array([[start], [0], [0]])
            for kind, start in zip(kinds, starts, strict=False)
            for piece in kind.entries
        ]
        rows, columns, values = np.concatenate(entries, axis=1)
        matrix = sparse.csc_matrix(
            (values, (rows.astype(np.int64), columns.astype(np.int64))),
            shape=(int(starts[-1]), self._num_columns),
        )
        cones = [clarabel.ZeroConeT(self._equal.count)] if self._equal.count else []
        if self._positive.count:
            cones.append(clarabel.NonnegativeConeT(self._positive.count))
        cones += [clarabel.ExponentialConeT()] * (self._entropy.count // 3)
        solver = clarabel.DefaultSolver(
            sparse.csc_matrix((self._num_columns, self._num_columns)),
            np.concatenate(self._costs),
            matrix,
            np.concatenate([right for kind in kinds for right in kind.right]),
            cones,
            self._settings(clarabel, tol, max_iter),
        )
        found = solver.solve()
        self.iterations = int(found.iterations)
        duals = np.array(found.z)
        self.equality_multipliers = duals[: self._equal.count]
        bound, _, to = duals[self._equal.count + self._positive.count :].reshape(-1, 3).T
        self.slopes = np.maximum(to, 0.0) / np.maximum(-bound, 1e-300)
        return np.array(found.x)

    @staticmethod
    def _settings(clarabel: Any, tol: float, max_iter: int) -> Any:
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.max_threads = 1
        settings.max_iter = min(max_iter, 500)
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = min(tol, 1e-9) / 10
        return settings
