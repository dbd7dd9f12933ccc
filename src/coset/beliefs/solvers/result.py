"""What a dense solver hands to `solve`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.beliefs.solvers.problem import DenseProblem

__all__ = ["DenseResult", "impossible", "stacked"]


@dataclass(frozen=True)
class DenseResult:
    """A minimizer of a `DenseProblem` and how near it is.

    Attributes:
        value: the score, (*batch,), without the problem's constant; +∞ where no world is allowed.
        log_joint: log μ, (*batch, *shape); −∞ where μ = 0.
        gap: an upper bound on value − minimum, (*batch,); NaN where the score is not convex.
        iterations: how many were used.
        converged: whether the gap is within the tolerance, for all of a batch.
        log_conditionals: log q(t|s) of each term, (*batch or none, *shape or 1s), by which
            `dual_gap` bounds the minimum; empty if those of μ itself do.
        multipliers: likewise of each constraint that is not of a chain.
    """

    value: Tensor
    log_joint: Tensor
    gap: Tensor
    iterations: int
    converged: bool
    log_conditionals: tuple[Tensor, ...] = ()
    multipliers: tuple[Tensor, ...] = ()


def stacked(problem: DenseProblem, results: Sequence[DenseResult]) -> DenseResult:
    """Return the results of the elements of a batch as one.

    Args:
        problem: the batch.
        results: one for each element, in the order of `elements`.

    Returns:
        The result for the batch, in the dtype and on the device of the problem.
    """
    shape, device = problem.batch_shape, problem.cost.device

    def each(lists: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        return tuple(join(tables) for tables in zip(*lists, strict=True)) if all(lists) else ()

    def join(tables: Sequence[Tensor]) -> Tensor:
        # Without a batch there is one element
        return torch.stack(list(tables)).reshape(shape + tables[0].shape).to(device)

    return DenseResult(
        join([r.value for r in results]),
        join([r.log_joint for r in results]).to(problem.cost.dtype),
        join([r.gap for r in results]),
        max(r.iterations for r in results),
        all(r.converged for r in results),
        each([r.log_conditionals for r in results]),
        each([r.multipliers for r in results]),
    )


def impossible(problem: DenseProblem) -> DenseResult:
    """Return +∞ for a problem, or all of a batch, whose constraints leave no joint."""
    shape, device = problem.batch_shape, problem.cost.device
    infinite = torch.full(shape, math.inf, dtype=torch.float64, device=device)
    nothing = torch.full(shape + problem.shape, -math.inf, dtype=problem.cost.dtype, device=device)
    return DenseResult(infinite, nothing, torch.zeros_like(infinite), 0, True)
