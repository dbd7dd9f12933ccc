"""The sweeps that `iterate` is made of, compiled or as tensor operations."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from coset.core.numerics import EPSILON
from coset.decisions.kernels.launch import Extremes
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.solvers.bellman import greedy, policy_sweep, sweep
from coset.decisions.solvers.row_sums import outwards, spread

__all__ = ["Extremes", "Sweeper", "make_sweeper"]

# The lead of the best action is looked at in so many states to see whether waiting pays.
_SAMPLE = 2048
# It pays if more than this share of the states need one action only.
_WORTH = 0.35


class Sweeper(Protocol):
    """Sweeps over the states of one level; each returns extremes of δ and the greatest |TV|.

    Attributes:
        mean: mean δ of the last sweep in place, weighted by the place in the sweep.
    """

    mean: float

    def first(self, out: Tensor) -> Extremes:
        """Write TV for V = 0, the best rewards."""

    def improve(self, value: Tensor, out: Tensor, *, last: bool) -> Extremes:
        """Write TV; `last`: whether `policy` may be asked for afterwards."""

    def improve_in_place(self, value: Tensor, *, backward: bool) -> Extremes:
        """Replace V by TV, states seeing the new values of earlier ones where the backend can."""

    def evaluate(self, value: Tensor, out: Tensor) -> Extremes:
        """Write T_π V for the policy of the last `improve`."""

    def shift(self, value: Tensor, amount: float) -> None:
        """Add a number to the values of all states with an action."""

    def add(self, value: Tensor, change: Tensor) -> None:
        """Add a vector to the values; what belongs to states without an action must be 0."""

    def policy(self) -> Tensor | None:
        """Return the greedy policy of the last `improve`, if it was looked for."""

    def factors(self) -> tuple[float, float]:
        """Return the extremes of Σ W w / w."""


def make_sweeper(
    level: ScalarLevel,
    norm: Tensor | None,
    active: Tensor,
    backend: str,
    factors: tuple[float, float] | None = None,
) -> Sweeper:
    """Return the sweeps of a level.

    Args:
        level: the problem.
        norm: (S,) float64 weights, or `None` for 1.
        active: (S,) bool, the states with an action.
        backend: "numba", "triton" or "eager".
        factors: the extremes of Σ W w / w, if they are known.

    Returns:
        The sweeps.
    """
    if backend == "numba":
        return _Compiled(level, norm, active, factors)
    return _Eager(level, norm, active, backend, factors)


class _Compiled:
    """Compiled sweeps which leave actions alone that cannot have become best."""

    def __init__(
        self,
        level: ScalarLevel,
        norm: Tensor | None,
        active: Tensor,
        factors: tuple[float, float] | None,
    ) -> None:
        from coset.decisions.kernels.launch import LevelArrays

        self.level, self.active = level, active
        self.arrays = LevelArrays(level, norm)
        self.least = 1.0 if norm is None else float(norm[active].min()) if active.any() else 1.0
        self.all_active = bool(active.all())
        self._factors = factors
        self.moved, self.mean, self.width = 0.0, 0.0, float("inf")
        self.choice = torch.zeros(level.num_states, dtype=torch.int32)
        self.deadline = torch.full((level.num_states,), -1.0)
        self._only_choices()
        self.gaps: Tensor | None = None
        self.deferring = self.fresh = False
        self.size = 0.0

    def _only_choices(self) -> None:
        """Note the states with a single action or none: they never need another look."""
        if self.arrays.allowed.size == 0 and self.level.num_actions > 1:
            return
        num = self.level.allowed.sum(1)
        few = num <= 1
        first = self.level.allowed.to(torch.int8).argmax(1).to(torch.int32)
        self.choice = torch.where(self.active, first, -1)
        self.deadline.masked_fill_(few, float("inf"))

    def factors(self) -> tuple[float, float]:
        if self._factors is None:
            low, high = self.arrays.row_extremes(self.active)
            self._factors = outwards(low, high, self.arrays.shape[2])
        return self._factors

    def _worth(self, value: Tensor) -> bool:
        """Say whether the next sweep should note deadlines, from the leads in a sample."""
        if self.deferring:
            return True
        if self.gaps is None:
            self.gaps = self._sample_gaps(value)
        # Within this sweep and the next, values change by about its width and a half.
        ahead = self.factors()[1] * self.width
        self.deferring = float((self.gaps > ahead).float().mean()) > _WORTH
        return self.deferring

    def _sample_gaps(self, value: Tensor) -> Tensor:
        num_states = self.level.num_states
        rows = torch.arange(0, num_states, max(1, num_states // _SAMPLE))
        part = ScalarLevel(
            self.level.successor[rows],
            self.level.weight[rows],
            self.level.reward[rows],
            self.level.allowed[rows],
            self.level.scale,
        )
        values = part.action_values(value.double())
        if values.shape[1] == 1:
            return torch.full((len(rows),), torch.inf)
        top = values.topk(2, dim=1).values
        return torch.nan_to_num(top[:, 0] - top[:, 1], nan=torch.inf)

    def first(self, out: Tensor) -> Extremes:
        low, high, size, self.mean = self.arrays.first_sweep(out)
        self.fresh = False
        self._moved_by(low, high, size, out.dtype)
        return low, high, size

    def improve(self, value: Tensor, out: Tensor, *, last: bool) -> Extremes:
        if not last and not self._worth(value):
            self.fresh = False
            low, high, size, _ = self.arrays.improve(value, out)
        else:
            self.fresh = True
            low, high, size = self._deferred(value, out)
        self._moved_by(low, high, size, out.dtype)
        return low, high, size

    def _deferred(self, value: Tensor, out: Tensor, backward: bool = False) -> Extremes:
        notes = (self.choice, self.deadline, self.moved, self.factors()[1])
        low, high, size, self.mean, _ = self.arrays.deferred(value, out, *notes, backward=backward)
        return low, high, size

    def _moved_by(self, low: float, high: float, size: float, dtype: torch.dtype) -> None:
        """Count a sweep in which all values changed by amounts between two numbers."""
        self._move(self._swing(low, high), size, dtype)
        self.width = high - low

    def _swing(self, low: float, high: float) -> float:
        """Return how far apart sums of changes between two numbers may come to lie."""
        less, more = self.factors()
        return max(more * high, less * high) - min(more * low, less * low)

    def _move(self, amount: float, size: float, dtype: torch.dtype) -> None:
        """Count how far differences of action values can have moved, rounding included."""
        self.size = size
        rounding = 4 * EPSILON[str(dtype).removeprefix("torch.")] * size / self.least
        self.moved += amount + self.factors()[1] * rounding

    def improve_in_place(self, value: Tensor, *, backward: bool) -> Extremes:
        if self._worth(value):
            low, high, size = self._deferred(value, value, backward)
        else:
            low, high, size, self.mean = self.arrays.improve(value, value, backward=backward)
        low, high = min(low, 0.0), max(high, 0.0)
        self._move(self.factors()[1] * (high - low), size, value.dtype)
        self.width = high - low
        return low, high, size

    def evaluate(self, value: Tensor, out: Tensor) -> Extremes:
        low, high, size = self.arrays.evaluate(self.choice, value, out)
        self._move(self._swing(low, high), size, out.dtype)
        return low, high, size

    def shift(self, value: Tensor, amount: float) -> None:
        if self.all_active:
            value += amount
        else:
            value[self.active] += amount
        less, more = self.factors()
        self._move((more - less) * abs(amount), self.size + abs(amount), value.dtype)

    def add(self, value: Tensor, change: Tensor) -> None:
        value += change
        if self.arrays.norm.size:
            change = change / torch.from_numpy(self.arrays.norm)
        low, high = (float(x) for x in torch.aminmax(change[self.active]))
        self._moved_by(min(low, 0.0), max(high, 0.0), self.size + max(-low, high), value.dtype)

    def policy(self) -> Tensor | None:
        return self.choice if self.fresh else None


class _Eager:
    """Tensor operations on any device; sweeps without weights by the backend's own kernel."""

    def __init__(
        self,
        level: ScalarLevel,
        norm: Tensor | None,
        active: Tensor,
        backend: str,
        factors: tuple[float, float] | None,
    ) -> None:
        self.level, self.norm, self.active, self.mean = level, norm, active, 0.0
        self.backend, self.fresh, self._factors = backend, False, factors
        self.choice = torch.full((level.num_states,), -1, device=active.device)

    def first(self, out: Tensor) -> Extremes:
        zero = torch.zeros_like(out)
        return self._write(self.level.backup(zero.double()), zero, out)

    def improve(self, value: Tensor, out: Tensor, *, last: bool) -> Extremes:
        self.fresh = last
        if last:
            self.choice = greedy(self.level, value, "eager")
        if self.norm is not None or out.dtype != value.dtype or self.backend == "eager":
            return self._write(self.level.backup(value.double()), value, out)
        _, low, high = sweep(self.level, value, out, self.backend)
        return low, high, float(out.abs().max()) if out.numel() else 0.0

    def improve_in_place(self, value: Tensor, *, backward: bool) -> Extremes:
        return self._write(self.level.backup(value.double()), value.clone(), value)

    def evaluate(self, value: Tensor, out: Tensor) -> Extremes:
        swept, _, _ = policy_sweep(self.level, self.choice, value, 1, "eager")
        return self._write(swept.double(), value, out)

    def shift(self, value: Tensor, amount: float) -> None:
        value[self.active] += amount

    def add(self, value: Tensor, change: Tensor) -> None:
        value += change

    def policy(self) -> Tensor | None:
        return self.choice if self.fresh else None

    def factors(self) -> tuple[float, float]:
        if self._factors is None:
            self._factors = self._row_extremes()
        return self._factors

    def _row_extremes(self) -> tuple[float, float]:
        active = self.active
        norm = active.double() if self.norm is None else torch.where(active, self.norm, 0.0)
        ratio = (spread(self.level, norm) / norm[:, None])[self.level.allowed]
        if ratio.numel() == 0:
            return 0.0, 0.0
        return outwards(float(ratio.min()), float(ratio.max()), self.level.weight.shape[2])

    def _write(self, swept: Tensor, value: Tensor, out: Tensor) -> Extremes:
        change = swept - value.double()
        out.copy_(swept)
        if self.norm is not None:
            change = change / self.norm
        change = change[self.active]
        if change.numel() == 0:
            return 0.0, 0.0, 0.0
        self.mean = float(change.mean()) / 2
        return float(change.min()), float(change.max()), float(swept.abs().max())
