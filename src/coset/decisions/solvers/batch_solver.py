"""Solve many decision processes of one shape at once by tensor operations, on any device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.core.errors import DomainError
from coset.core.numerics import EPSILON
from coset.core.results import Solution, Status
from coset.decisions.solvers.batch import MDPBatch

__all__ = ["BatchSolution", "solve_batch"]

# A device is asked for its numbers after so many sweeps: asking makes it wait.
_SWEEPS_BETWEEN = {"cpu": 1}
_ELSEWHERE = 8
# So many checks may fail to lower the error before rounding is blamed.
_PATIENCE = 20


@dataclass(frozen=True, repr=False)
class BatchSolution(Solution):
    """The solutions of a batch.

    Attributes:
        value: (B, S, d) float64.
        policy: (B, S) int64, the first action that survives all objectives, −1 where there is none.
        tie_set: (B, S, A) bool, the actions that survive.
        level_bounds: (B, d) float64, proved bounds on the error of each objective's value, what
            the errors of those above it carry over included, given that no action was dropped or
            kept wrongly above.
    """

    policy: Tensor | None = None
    tie_set: Tensor | None = None
    level_bounds: Tensor | None = None

    def __repr__(self) -> str:
        processes, num_states, depth = self.value.shape
        return (
            f"BatchSolution({processes:,} processes, {num_states:,} states, {depth} objectives, "
            f"{self.status}, within {self.error_bound:.2g})"
        )


def solve_batch(
    batch: MDPBatch, *, tol: float = 1e-8, max_iter: int = 100_000, tie_tolerance: float = 1e-9
) -> BatchSolution:
    """Find the lexicographically best values of all processes at once.

    Objective by objective, value iteration sweeps all processes until each has two-sided bounds
    closer than 2 tol; actions survive that are within the error of the best, or within
    `tie_tolerance` of the largest value.

    Args:
        batch: the processes; every row of multipliers must sum to less than 1.
        tol: the error asked for, > 0.
        max_iter: the most sweeps of an objective.
        tie_tolerance: ≥ 0, relative to the largest value of the process at that objective.

    Returns:
        The solutions; `status` says whether all of them reached the error.

    Raises:
        DomainError: if tol or the tolerance are no such numbers, or a process has a row of
            multipliers that sums to 1 or more: solve that one by `solve`.

    Complexity: d B S A K gathers a sweep; temporaries of B S A numbers.

    Claims: decisions.C8.

    Examples:
        >>> from coset.decisions.processes.mdp import MDP
        >>> mdp = MDP([[[0], [0]]], [[[1.0], [1.0]]], [[1.0, 0.5]], 0.5)
        >>> reward = torch.tensor([[[[1.0], [0.5]]], [[[0.0], [3.0]]]], dtype=torch.float64)
        >>> found = solve_batch(MDPBatch.with_rewards(mdp, reward))
        >>> found.value.squeeze(-1).round(decimals=6).tolist(), found.policy.tolist()
        ([[2.0], [6.0]], [[0], [1]])
    """
    if not (tol > 0 and math.isfinite(tol)):
        raise DomainError(f"tol must be a positive number; given {tol}")
    if not (tie_tolerance >= 0 and math.isfinite(tie_tolerance)):
        raise DomainError(f"tie_tolerance must be a number ≥ 0; given {tie_tolerance}")
    if max_iter < 1:
        raise DomainError(f"max_iter must be at least 1; given {max_iter}")
    run = _Run(batch)
    for index in range(batch.num_objectives):
        run.advance(index, tol, max_iter, tie_tolerance)
    return run.solution()


class _Run:
    """What is known after some objectives."""

    def __init__(self, batch: MDPBatch) -> None:
        self.batch = batch
        self.allowed = batch.allowed.expand(batch.num_processes, -1, -1).clone()
        self.values: list[Tensor] = []
        self.errors: list[Tensor] = []
        self.iterations, self.status = 0, Status.SOLVED
        # Where all processes share successors, values lie side by side: (S, B).
        self.shared = batch.successor.shape[0] == 1
        index = batch.successor.permute(0, 3, 1, 2).reshape(
            batch.successor.shape[0], batch.successor.shape[3], -1
        )
        self.index = index[0] if self.shared else index.long()
        self.live = self.allowed.any(2)

    def _gathered(self, value: Tensor, k: int) -> Tensor:
        """Return V of the k-th successors, (B, S, A)."""
        shape = self.allowed.shape
        if self.shared:
            return value.t().contiguous().index_select(0, self.index[k]).t().reshape(shape)
        return value.gather(1, self.index[:, k]).reshape(shape)

    def _moved(self, value: Tensor, factor: Tensor) -> Tensor:
        """Return Σ_k P Γ V(succ), (B, S, A), for one entry Γ of the multipliers."""
        total = value.new_zeros(self.allowed.shape)
        for k in range(self.batch.probability.shape[3]):
            gamma = factor[..., min(k, factor.shape[3] - 1)]
            total += self.batch.probability[..., k] * gamma * self._gathered(value, k)
        return total

    def advance(self, index: int, tol: float, max_iter: int, tie_tolerance: float) -> None:
        """Solve one objective and drop the actions that lose there."""
        gamma = self.batch.multiplier[..., index, :]
        reward = self.batch.reward[..., index]
        carried = torch.zeros(len(reward), dtype=torch.float64, device=reward.device)
        for j, (value, error) in enumerate(zip(self.values, self.errors, strict=True)):
            reward = reward + self._moved(value, gamma[..., j])
            carried = carried + error * gamma[..., j].abs().amax(dim=(1, 2, 3))
        less, more = self._factors(gamma[..., index], index)
        value, half = self._iterate(reward, gamma[..., index], less, more, tol, max_iter)
        error = half + carried / (1 - more)
        q = (reward + self._moved(value, gamma[..., index])).masked_fill(~self.allowed, -torch.inf)
        radius = more * error + carried
        scale = value.abs().amax(1) if value.shape[1] else torch.zeros_like(radius)
        margin = torch.maximum(2 * radius, tie_tolerance * scale)
        best = q.amax(2, keepdim=True)
        self.allowed = self.allowed & (q >= best - margin[:, None, None])
        self.values.append(value)
        self.errors.append(error)

    def _factors(self, gamma: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Return for each process the extremes of Σ_k P Γ over states that go on."""
        total = self._moved(self.live.double(), gamma)
        high = total.masked_fill(~self.allowed, 0.0).amax(dim=(1, 2))
        low = total.masked_fill(~self.allowed, torch.inf).amin(dim=(1, 2)).clamp(max=1.0)
        low = torch.minimum(low, high)
        slack = (self.batch.probability.shape[3] + 3) * EPSILON["float64"]
        high, low = high * (1 + slack), low * (1 - slack)
        if bool((high >= 1).any()):
            process = int((high >= 1).nonzero()[0])
            raise DomainError(
                f"every row of multipliers must sum to less than 1; in process {process}, "
                f"objective {index + 1}, one sums to {float(high[process]):.6g}; solve it by solve"
            )
        return low, high

    def _iterate(
        self, reward: Tensor, gamma: Tensor, less: Tensor, more: Tensor, tol: float, max_iter: int
    ) -> tuple[Tensor, Tensor]:
        """Return values and, for each process, how far they can be off."""
        value = torch.zeros(self.live.shape, dtype=torch.float64, device=reward.device)
        terms = self.batch.probability.shape[3] + 6
        every = _SWEEPS_BETWEEN.get(reward.device.type, _ELSEWHERE)
        least, since = torch.full_like(more, torch.inf), 0
        for sweep in range(1, max_iter + 1):
            q = (reward + self._moved(value, gamma)).masked_fill(~self.allowed, -torch.inf)
            swept = torch.where(self.live, q.amax(2), 0.0)
            low, high = _extremes(swept - value, self.live)
            above = torch.where(high >= 0, more / (1 - more), less / (1 - less)) * high
            below = torch.where(low <= 0, more / (1 - more), less / (1 - less)) * low
            value = swept
            if sweep % every and sweep < max_iter:
                continue
            size = swept.abs().amax(1) if swept.shape[1] else torch.zeros_like(more)
            half = (above - below) / 2 + terms * EPSILON["float64"] * size / (1 - more)
            since = 0 if bool((half < least).any()) else since + 1
            least = torch.minimum(least, half)
            if bool((half <= tol).all()):
                break
            if since > _PATIENCE or sweep == max_iter:
                self.status = Status.STALLED if sweep < max_iter else Status.MAX_ITERATIONS
                break
        self.iterations += sweep
        return torch.where(self.live, value + ((above + below) / 2)[:, None], 0.0), half

    def solution(self) -> BatchSolution:
        """Return what was found."""
        bounds = torch.stack(self.errors, 1)
        policy = self.allowed.to(torch.int8).argmax(2).masked_fill(~self.live, -1)
        return BatchSolution(
            value=torch.stack(self.values, 2),
            status=self.status,
            advice="" if self.status is Status.SOLVED else "raise tol or max_iter",
            error_bound=float(bounds.max()),
            iterations=self.iterations,
            policy=policy,
            tie_set=self.allowed,
            level_bounds=bounds,
        )


def _extremes(change: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each process the least and greatest change of states that go on; 0 without."""
    if change.shape[1] == 0:
        return change.new_zeros(change.shape[0]), change.new_zeros(change.shape[0])
    low = change.masked_fill(~live, torch.inf).amin(1)
    high = change.masked_fill(~live, -torch.inf).amax(1)
    return torch.where(live.any(1), low, 0.0), torch.where(live.any(1), high, 0.0)
