"""Constraints μ(T | S) = p(T | S) that can be met exactly, one after the other.

If each constraint's sources hold all variables of those before it, the joint factors as
μ = ∏_k μ(F_k | earlier) p_k(T_k | earlier, F_k) · μ(rest | all of these), where F_k are sources
that nothing before it touches. Projections onto such joints, and the least expected cost over
them, are backward recursions: a sum (or minimum) over what is free, an expectation over what is
fixed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.core.results import Record

__all__ = ["HardChain", "Stage"]


@dataclass(frozen=True, eq=False)
class Stage(Record):
    """One constraint of a chain.

    Attributes:
        name: the arc.
        free: axes of the sources that no earlier stage touches, counted from the end (negative).
        targets: axes of the targets, likewise.
        log_kernel: log p, with one axis a variable of the problem, of size 1 where it is constant.
    """

    name: str
    free: tuple[int, ...]
    targets: tuple[int, ...]
    log_kernel: Tensor


def _log_sum(table: Tensor, axes: tuple[int, ...]) -> Tensor:
    return table.logsumexp(axes, keepdim=True) if axes else table


def _minus(left: Tensor, right: Tensor) -> Tensor:
    # −∞ − (−∞): a forbidden world among forbidden worlds stays forbidden
    return torch.where(right == -math.inf, -math.inf, left - right)


@dataclass(frozen=True, eq=False)
class HardChain(Record):
    """Constraints in an order in which each knows all variables before it; perhaps none.

    Attributes:
        stages: the constraints.
        rest: axes that no stage touches, counted from the end.
    """

    stages: tuple[Stage, ...]
    rest: tuple[int, ...]

    def project(self, log_weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the joint nearest to unnormalized weights that meets the constraints.

        argmin over such μ of Σ μ log(μ / w); without constraints w / Σ w.

        Args:
            log_weights: log w, (*batch, *shape); −∞ where a world is forbidden.

        Returns:
            log μ of the same shape, and −min of that sum, (*batch, 1, …, 1): −∞ where the
            constraints leave no world (log μ is then −∞ throughout).
        """
        value = _log_sum(log_weights, self.rest)
        log_joint = _minus(log_weights, value)
        for stage in reversed(self.stages):
            kernel = stage.log_kernel
            inside = kernel > -math.inf
            term = torch.where(inside, kernel.exp() * (value - kernel.masked_fill(~inside, 0)), 0)
            fixed = term.sum(stage.targets, keepdim=True)
            value = _log_sum(fixed, stage.free)
            log_joint = log_joint + kernel + _minus(fixed, value)
        return log_joint, value

    def least_expectation(self, costs: Tensor) -> Tensor:
        """Return min E_μ[costs] over the joints that meet the constraints.

        Args:
            costs: (*batch, *shape); +∞ where a world is forbidden.

        Returns:
            (*batch, 1, …, 1).
        """
        value = costs.amin(self.rest, keepdim=True) if self.rest else costs
        for stage in reversed(self.stages):
            kernel = stage.log_kernel
            term = torch.where(kernel > -math.inf, kernel.exp() * value, 0)
            value = term.sum(stage.targets, keepdim=True)
            value = value.amin(stage.free, keepdim=True) if stage.free else value
        return value
