"""From numbers over worlds, cells and constraints to a result with its gap."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coset.beliefs.solvers.cells import Scope
from coset.beliefs.solvers.dual_bound import dual_gap
from coset.beliefs.solvers.problem import DenseProblem
from coset.beliefs.solvers.result import DenseResult
from coset.beliefs.solvers.score import score_of

__all__ = ["conditional_tables", "log_joint_of", "multiplier_tables", "result_of"]

Floats = NDArray[np.float64]

# Sweeps over constraints that are no chain, after which they hold to rounding.
REPAIRS = 20
# What stands for a conditional probability of 0.
LEAST = 1e-300


def _on_axes(values: Floats, axes: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """Return cells as a tensor with an axis a variable, of size 1 where it is constant."""
    table = torch.from_numpy(values).reshape([shape[a] for a in axes])
    sizes = [shape[a] if a in axes else 1 for a in range(-len(shape), 0)]
    return table.permute(*np.argsort(axes).tolist()).reshape(sizes)


def log_joint_of(problem: DenseProblem, worlds: NDArray[np.int64], joint: Floats) -> Tensor:
    """Return log μ with the constraints of a chain met exactly, others to rounding."""
    table = np.zeros(math.prod(problem.shape))
    table[worlds] = joint
    log_joint, _ = problem.chain.project(torch.from_numpy(table).log().reshape(problem.shape))
    for _ in range(REPAIRS if problem.constraints else 0):
        for term in problem.constraints:
            others = [a for a in range(-log_joint.ndim, 0) if term.log_p.shape[a] == 1]
            both = log_joint.logsumexp(others, keepdim=True) if others else log_joint
            source = both.logsumexp(term.targets, keepdim=True)
            change = source + term.log_p.double() - both
            log_joint = log_joint + torch.where(both > -math.inf, change, 0.0)
    return log_joint


def conditional_tables(
    problem: DenseProblem, found: Sequence[tuple[Scope, NDArray[np.int64], Floats]]
) -> tuple[Tensor, ...]:
    """Return log q of each term from (scope, the cells that have worlds, q of these)."""
    tables: dict[tuple[tuple[int, ...], tuple[int, ...]], Tensor] = {}
    for scope, reached, q in found:
        axes = (*scope.sources, *scope.targets)
        table = np.full(math.prod(problem.shape[a] for a in axes), LEAST)
        table[reached] = np.maximum(q, LEAST)
        tables[scope.sources, scope.targets] = _on_axes(np.log(table), axes, problem.shape)
    none = torch.zeros(())
    return tuple(
        tables.get((tuple(sorted(t.sources)), tuple(sorted(t.targets))), none)
        for t in problem.terms
    )


def multiplier_tables(problem: DenseProblem, nu: Floats) -> tuple[Tensor, ...]:
    """Return multipliers of the rows of `constraint_rows` as a table for each constraint."""
    tables, first, shape = [], 0, problem.shape
    for term in problem.constraints:
        size = term.log_p.shape
        sources = (a for a in range(-len(size), 0) if size[a] > 1 and a not in term.targets)
        axes = (*sources, *term.targets)
        count = math.prod(shape[a] for a in axes)
        tables.append(_on_axes(nu[first : first + count].copy(), axes, shape))
        first += count
    return tuple(tables)


def result_of(
    problem: DenseProblem,
    log_joint: Tensor,
    log_conditionals: tuple[Tensor, ...],
    multipliers: tuple[Tensor, ...],
    *,
    iterations: int,
    tol: float,
) -> DenseResult:
    """Return the result with its value and the gap that conditionals and multipliers prove."""
    gap = dual_gap(problem, log_joint, log_conditionals, multipliers).clamp(min=0.0)
    value = score_of(problem, log_joint)
    converged = bool(gap <= tol)
    return DenseResult(value, log_joint, gap, iterations, converged, log_conditionals, multipliers)
