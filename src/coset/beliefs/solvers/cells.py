"""The worlds that can have weight, and the marginals of a problem over them, as sparse rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize, sparse
from torch import Tensor

from coset.beliefs.solvers.problem import DenseProblem

__all__ = ["Cells", "Scope", "constraint_rows", "entropic_scopes", "possible_worlds"]


@dataclass(frozen=True)
class Scope:
    """Sources and targets that terms share, and the sum of their weights.

    Attributes:
        sources: axes, counted from the end, ascending.
        targets: likewise.
        weight: Σ (β − γα).
    """

    sources: tuple[int, ...]
    targets: tuple[int, ...]
    weight: float


def entropic_scopes(problem: DenseProblem) -> list[Scope]:
    """Return what the score depends on beyond a linear function: one scope for equal arcs."""
    weights: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    for term in problem.terms:
        if term.weight and term.targets:
            key = tuple(sorted(term.sources)), tuple(sorted(term.targets))
            weights[key] = weights.get(key, 0.0) + term.weight
    return [Scope(*key, weight) for key, weight in weights.items() if weight]


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
        """Return each world's cell of the marginal on some axes; the last axis runs fastest."""
        if not axes:
            return np.zeros(self.num_worlds, dtype=np.int64)
        sizes = tuple(self.shape[a] for a in axes)
        return np.ravel_multi_index(tuple(self._places[a] for a in axes), sizes)

    def matrix(self, axes: tuple[int, ...]) -> sparse.csr_matrix:
        """Return the 0/1 matrix that takes μ to its marginal on some axes."""
        place = self.of(axes), np.arange(self.num_worlds)
        size = self.count(axes), self.num_worlds
        return sparse.csr_matrix((np.ones(self.num_worlds), place), size)


def _constraints(problem: DenseProblem) -> list[tuple[tuple[int, ...], Tensor]]:
    """Return (targets, log p) of every constraint."""
    chain = [(stage.targets, stage.log_kernel) for stage in problem.chain.stages]
    return chain + [(term.targets, term.log_p) for term in problem.constraints]


def constraint_rows(problem: DenseProblem, cells: Cells) -> sparse.csr_matrix:
    """Return the rows of μ(S, T) − μ(S) p(T | S) = 0, one a cell of (S, T)."""
    blocks = [sparse.csr_matrix((0, cells.num_worlds))]
    for targets, log_kernel in _constraints(problem):
        size = log_kernel.shape
        sources = tuple(a for a in range(-len(size), 0) if size[a] > 1 and a not in targets)
        rest = [a for a in range(-len(size), 0) if a not in (*sources, *targets)]
        kernel = log_kernel.permute(*rest, *sources, *targets).double().exp().cpu().numpy()
        each_target = np.ones((cells.count(targets), 1))
        of_sources = sparse.kron(cells.matrix(sources), each_target, format="csr")
        share = sparse.diags(kernel.reshape(-1))
        blocks.append(cells.matrix((*sources, *targets)) - share @ of_sources)
    return sparse.vstack(blocks, format="csr")


def possible_worlds(problem: DenseProblem) -> tuple[np.ndarray, np.ndarray]:
    """Find the worlds to which some joint that meets the constraints gives weight.

    Args:
        problem: one problem, not a batch.

    Returns:
        Their flat indices, and a joint over them that meets the constraints and is positive on
        each; both empty if the constraints contradict each other.
    """
    weights = torch.zeros(problem.shape, dtype=torch.float64)
    if problem.allowed is not None:
        weights = weights.masked_fill(~problem.allowed.cpu(), -math.inf)
    log_joint, _ = problem.chain.project(weights)
    joint = log_joint.exp().numpy().reshape(-1)
    worlds = np.flatnonzero(joint)
    if not problem.constraints or not len(worlds):
        return worlds, joint[worlds]
    return _positive_solution(worlds, constraint_rows(problem, Cells(problem.shape, worlds)))


def _positive_solution(
    worlds: np.ndarray, rows: sparse.csr_matrix
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest support of x ≥ 0 with rows x = 0, and such an x with Σ x = 1.

    max Σ v over v ≤ x, v ≤ 1: any x can be scaled until it is ≥ 1 wherever it is positive.
    """
    count = len(worlds)
    identity = sparse.identity(count)
    found = optimize.linprog(
        np.concatenate([np.zeros(count), -np.ones(count)]),
        A_ub=sparse.hstack([-identity, identity]),
        b_ub=np.zeros(count),
        A_eq=sparse.hstack([rows, sparse.csr_matrix(rows.shape)]),
        b_eq=np.zeros(rows.shape[0]),
        bounds=[(0, None)] * count + [(0, 1)] * count,
        method="highs",
    )
    joint, reached = found.x[:count], found.x[count:] > 0.5
    return worlds[reached], joint[reached] / joint[reached].sum()
