"""The linear systems of one policy: x = b + W_π x, with a check of what was solved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import NotConvergedError
from coset.core.numerics import EPSILON
from coset.decisions.processes.level import ScalarLevel

__all__ = ["DENSE_STATES", "PolicyKernel", "perron_vector", "row_tolerance"]

# Up to so many states a dense factorization is used; up to so many a sparse one as last resort.
DENSE_STATES = 1200
_FACTORED_STATES = 20_000
# Blocks of a graph up to this size get their Perron vector from all eigenvalues.
_EIGEN_STATES = 400


def row_tolerance(level: ScalarLevel) -> float:
    """Return by how much the stored weights of a row may miss the sum that was meant.

    Args:
        level: the problem.

    Returns:
        K + 1 times the spacing of the weights' dtype.
    """
    name = str(level.weight.dtype).removeprefix("torch.")
    return (level.weight.shape[2] + 1) * EPSILON[name]


@dataclass(frozen=True, eq=False)
class PolicyKernel:
    """W_π as a sparse matrix, and systems in I − W_π.

    Attributes:
        matrix: (S, S) scipy CSR, float64; rows of states without an action are 0.
        live: (S,) bool, the states where the policy has an action.
        device: where results go.
        longest: lifetimes above this cannot be told from infinite ones.
    """

    matrix: Any
    live: np.ndarray
    device: torch.device
    longest: float = 1e11

    @classmethod
    def of(cls, level: ScalarLevel, policy: Tensor) -> PolicyKernel:
        """Read the rows of a policy from a level.

        Args:
            level: the problem.
            policy: (S,) int64 actions, −1 at states without one; or (S, A) float64 shares.

        Returns:
            The kernel.
        """
        from scipy.sparse import csr_matrix

        num_states, _, num_successors = level.successor.shape
        live = level.active.cpu().numpy()
        if policy.ndim == 2:
            state, action = torch.nonzero((policy != 0) & level.active[:, None], as_tuple=True)
            share = policy[state, action]
        else:
            state = torch.nonzero(level.active & (policy >= 0)).squeeze(1)
            action = policy[state]
            share = torch.ones(len(state), dtype=torch.float64, device=policy.device)
        weight = level.weight[state, action].double() * level.scale * share[:, None]
        rows = state.repeat_interleave(num_successors).cpu().numpy()
        columns = level.successor[state, action].reshape(-1).cpu().numpy()
        data = weight.reshape(-1).cpu().numpy()
        used = (data != 0) & live[columns]  # the value is 0 where the process has ended
        matrix = csr_matrix(
            (data[used], (rows[used], columns[used])), shape=(num_states, num_states)
        )
        # Rows that should sum to 1 may miss it by the rounding of their dtype.
        longest = min(1e11, 1 / row_tolerance(level))
        return cls(matrix, live, policy.device, longest)

    def restrict(self, states: np.ndarray) -> PolicyKernel:
        """Return the kernel among some states.

        Args:
            states: (S,) bool.

        Returns:
            The kernel of those states, numbered anew; all of them live.
        """
        matrix = self.matrix[states][:, states]
        return PolicyKernel(matrix, np.ones(matrix.shape[0], bool), self.device, self.longest)

    def solve(self, right: Tensor) -> Tensor:
        """Solve x = b + W_π x.

        Args:
            right: (S,) float64, b.

        Returns:
            (S,) float64; its accuracy is for the caller to check.

        Raises:
            NotConvergedError: if the matrix is singular or no method reached a small residual.
        """
        b = right.double().cpu().numpy()
        x = self._dense(b) if len(b) <= DENSE_STATES else self._iterative(b)
        if x is None or not np.isfinite(x).all():
            raise NotConvergedError(
                f"I − W_π must be solved for {len(b)} states; it is singular or too close to it; "
                f"check `transience`"
            )
        return torch.from_numpy(x).to(self.device)

    def lifetimes(self) -> Tensor | None:
        """Solve w = 1 + |W_π| w, which has a solution ≥ 1 iff ρ(|W_π|) < 1.

        Returns:
            (S,) float64, 0 where the process has ended; ``None`` if there is no such solution.
        """
        size = replace(self, matrix=abs(self.matrix))
        try:
            found = size.solve(torch.from_numpy(self.live.astype(np.float64))).cpu().numpy()
        except NotConvergedError:
            return None
        moved, here = (size.matrix @ found)[self.live], found[self.live]
        # Enough for a proof: w > 0 and W w < w at each live state.
        proved = bool((here > 0).all() and (moved < here).all())
        proved &= float(here.max(initial=0.0)) <= self.longest
        return torch.from_numpy(found).to(self.device) if proved else None

    def _dense(self, b: np.ndarray) -> np.ndarray | None:
        system = np.eye(len(b)) - self.matrix.toarray()
        try:
            x = np.linalg.solve(system, b)
            # One step of refinement: cheap, and it halves what rounding leaves.
            return np.asarray(x + np.linalg.solve(system, b - (x - self.matrix @ x)))
        except np.linalg.LinAlgError:
            return None

    def _iterative(self, b: np.ndarray) -> np.ndarray | None:
        from scipy.sparse import identity
        from scipy.sparse.linalg import bicgstab, gmres, splu

        system = (identity(len(b), format="csr") - self.matrix).tocsr()
        scale = float(np.abs(b).max(initial=0.0)) or 1.0
        aim = 1e-13 * scale * np.sqrt(len(b))
        best, least = None, np.inf
        for method, limits in ((bicgstab, {"maxiter": 2000}), (gmres, {"maxiter": 20})):
            start = best if least < 1 else None
            with np.errstate(all="ignore"):
                x, _ = method(system, b, x0=start, rtol=1e-14, atol=aim, **limits)
            left = float(np.abs(b - system @ x).max()) / scale
            if left < least:
                best, least = x, left
            if least <= 1e-10:
                return best
        if len(b) > _FACTORED_STATES:
            return best if least <= 1e-6 else None
        try:
            return np.asarray(splu(system.tocsc()).solve(b))
        except RuntimeError:
            return None


def perron_vector(kernel: PolicyKernel) -> tuple[Tensor, float]:
    """Return x ≥ 0 and the largest ρ found with W_π x ≥ ρ x.

    Args:
        kernel: the policy's kernel, ≥ 0.

    Returns:
        ((S,) float64, ρ): the Perron vector of the class of states with the largest radius, 0
        elsewhere, and min (W x)_s / x_s over that class.
    """
    from scipy.sparse.csgraph import connected_components

    matrix = kernel.matrix
    count, label = connected_components(matrix, directed=True, connection="strong")
    order = np.argsort(label, kind="stable")
    first = np.searchsorted(label[order], np.arange(count + 1))
    # A class of one state matters only for its self-loop: all of them at once.
    loops = matrix.diagonal()
    state = int(np.argmax(loops))
    vector, best = np.zeros(len(loops)), float(loops[state])
    vector[state] = 1.0
    for number in np.nonzero(np.diff(first) > 1)[0]:
        states = order[first[number] : first[number + 1]]
        block = matrix[states][:, states]
        found = _block_perron(block)
        radius = float(((block @ found) / found).min())
        if radius > best:
            best, vector = radius, np.zeros(len(loops))
            vector[states] = found
    return torch.from_numpy(vector).to(kernel.device), best


def _block_perron(block: Any) -> np.ndarray:
    """Return the positive Perron vector of an irreducible matrix, as well as it can be had."""
    size = block.shape[0]
    if size <= _EIGEN_STATES:
        values, vectors = np.linalg.eig(block.toarray())
        found = np.abs(vectors[:, np.argmax(values.real)])
        if found.min() > 0:
            return np.asarray(found / found.max())
    x = np.ones(size)
    for _ in range(20_000):
        y = 0.5 * (x + block @ x)  # lazily, so that periods do not matter
        y /= y.max()
        if np.abs(y - x).max() <= 1e-15:
            break
        x = y
    return np.asarray(np.maximum(x, np.finfo(float).tiny))
