"""The sweeps that `iterate` is made of, compiled or as tensor operations."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from coset.decisions.bellman import greedy, policy_sweep
from coset.decisions.level import ScalarLevel

__all__ = ["Sweeper", "make_sweeper"]

Extremes = tuple[float, float, float]


class Sweeper(Protocol):
    """Sweeps over the states of one level, with weights by which changes are divided."""

    def improve(self, value: Tensor, out: Tensor, policy: Tensor) -> Extremes:
        """Write TV and the best actions; return extremes of δ and the greatest |TV|."""

    def improve_in_place(self, value: Tensor) -> Extremes:
        """Replace V by TV, state by state where the backend can."""

    def evaluate(self, policy: Tensor, value: Tensor, out: Tensor) -> Extremes:
        """Write T_π V."""

    def factors(self, active: Tensor) -> tuple[float, float]:
        """Return the extremes of Σ W w / w."""


def make_sweeper(level: ScalarLevel, norm: Tensor | None, backend: str) -> Sweeper:
    """Return the sweeps of a level.

    Args:
        level: the problem.
        norm: (S,) float64 weights, or `None` for 1.
        backend: "numba" or "eager".

    Returns:
        The sweeps.
    """
    return _Compiled(level, norm) if backend == "numba" else _Eager(level, norm)


class _Compiled:
    def __init__(self, level: ScalarLevel, norm: Tensor | None) -> None:
        from coset.decisions.kernels.launch import LevelArrays

        self.arrays, self.norm = LevelArrays(level), norm

    def improve(self, value: Tensor, out: Tensor, policy: Tensor) -> Extremes:
        return self.arrays.improve(value, out, self.norm, policy)

    def improve_in_place(self, value: Tensor) -> Extremes:
        return self.arrays.improve_in_place(value, self.norm)

    def evaluate(self, policy: Tensor, value: Tensor, out: Tensor) -> Extremes:
        return self.arrays.evaluate(policy, value, out, self.norm)

    def factors(self, active: Tensor) -> tuple[float, float]:
        norm = active.double() if self.norm is None else torch.where(active, self.norm, 0.0)
        return self.arrays.row_extremes(norm)


class _Eager:
    def __init__(self, level: ScalarLevel, norm: Tensor | None) -> None:
        self.level, self.norm = level, norm
        self.active = level.active

    def improve(self, value: Tensor, out: Tensor, policy: Tensor) -> Extremes:
        policy.copy_(greedy(self.level, value, "eager"))
        return self._write(self.level.backup(value.double()), value, out)

    def improve_in_place(self, value: Tensor) -> Extremes:
        return self._write(self.level.backup(value.double()), value.clone(), value)

    def evaluate(self, policy: Tensor, value: Tensor, out: Tensor) -> Extremes:
        swept, _, _ = policy_sweep(self.level, policy, value, 1, "eager")
        return self._write(swept.double(), value, out)

    def factors(self, active: Tensor) -> tuple[float, float]:
        norm = active.double() if self.norm is None else torch.where(active, self.norm, 0.0)
        still = torch.zeros_like(self.level.reward)
        linear = ScalarLevel(
            self.level.successor, self.level.weight, still, self.level.allowed, self.level.scale
        )
        ratio = (linear.action_values(norm) / norm[:, None])[self.level.allowed]
        return (float(ratio.min()), float(ratio.max())) if ratio.numel() else (0.0, 0.0)

    def _write(self, swept: Tensor, value: Tensor, out: Tensor) -> Extremes:
        change = swept - value.double()
        out.copy_(swept)
        if self.norm is not None:
            change = change / self.norm
        change = change[self.active]
        if change.numel() == 0:
            return 0.0, 0.0, 0.0
        return float(change.min()), float(change.max()), float(swept.abs().max())
