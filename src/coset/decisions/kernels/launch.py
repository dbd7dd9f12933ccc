"""Call the compiled Bellman loops on tensors: views, shares of states, threads."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.decisions.processes.level import ScalarLevel

__all__ = ["Extremes", "LevelArrays", "merge", "run_shares"]

# States are shared among threads from this many gathers on: starting a thread costs about 50 µs.
_THREADING = 200_000
# Loops over actions and successors are unrolled from this many gathers on (they are compiled for
# each shape), where both are short.
_UNROLLING = 1_000_000
_LONGEST = 8
_NONE = np.empty(0)

Extremes = tuple[float, float, float]


def run_shares(work: Callable[[int, int], Any], num_states: int, num_gathers: int) -> list[Any]:
    """Call `work` on ranges of states that cover all of them, in torch's number of threads.

    Args:
        work: takes the first state and the end; releases the interpreter's lock.
        num_states: S.
        num_gathers: how much there is to do; little of it is done in this thread.

    Returns:
        What `work` returned, in the order of the states.
    """
    threads = torch.get_num_threads() if num_gathers >= _THREADING else 1
    threads = max(1, min(threads, num_states))
    if threads == 1:
        return [work(0, num_states)]
    cuts = [num_states * t // threads for t in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, a, b) for a, b in itertools.pairwise(cuts)]
        return [future.result() for future in futures]


def merge(parts: list[Extremes]) -> Extremes:
    """Return the least, the greatest and the largest size of all shares.

    Args:
        parts: (least δ, greatest δ, greatest |TV|) of each; inf and −inf where nothing was seen.

    Returns:
        The same of all; (0, 0, 0) if no state has an action.
    """
    low, high = min(p[0] for p in parts), max(p[1] for p in parts)
    if low == math.inf and high == -math.inf:
        return 0.0, 0.0, 0.0
    return low, high, max(p[2] for p in parts)


class LevelArrays:
    """A level on the CPU as NumPy views that the compiled loops take; nothing is copied.

    Args:
        level: the problem.
        norm: (S,) float64 weights by which changes are divided; 1 by default.
    """

    def __init__(self, level: ScalarLevel, norm: Tensor | None = None) -> None:
        tensors = (level.successor, level.weight, level.reward)
        self.level = tuple(x.detach().contiguous().numpy() for x in tensors)
        whole = bool(level.allowed.all())
        self.allowed = np.empty((0, 0), bool) if whole else level.allowed.contiguous().numpy()
        self.scale = float(level.scale)
        self.norm = _NONE if norm is None else norm.detach().contiguous().numpy()
        self.shape: tuple[int, int, int] = self.level[0].shape
        self.num_gathers = math.prod(self.shape)

    @property
    def unrolled(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Tuples of A and K elements where unrolling pays, empty ones elsewhere."""
        _, num_actions, num = self.shape
        if self.num_gathers < _UNROLLING or max(num_actions, num) > _LONGEST:
            return (), ()
        return (0,) * num_actions, (0,) * num

    def improve(
        self, value: Tensor, out: Tensor, *, backward: bool = False
    ) -> tuple[float, float, float, float]:
        """Write TV into `out`.

        Args:
            value: (S,) float32 or float64, contiguous.
            out: (S,) of either dtype; `value` itself for Gauss–Seidel, which takes one thread.
            backward: from the last state to the first.

        Returns:
            The least and greatest δ of states with an action, the greatest |TV|, and the mean δ
            weighted by the place of the state in the sweep.
        """
        from coset.decisions.kernels import cpu

        kernel: Any = cpu.improve
        allowed = self.allowed if self.allowed.size else None
        arguments = (self.level, allowed, self.scale, value.numpy(), out.numpy(), self.norm)
        tuples = self.unrolled
        gathers = 0 if value is out else self.num_gathers
        parts = run_shares(
            lambda a, b: kernel(*arguments, backward, a, b, *tuples), self.shape[0], gathers
        )
        return *merge([p[:3] for p in parts]), parts[0][3]

    def deferred(
        self,
        value: Tensor,
        out: Tensor,
        policy: Tensor,
        deadline: Tensor,
        moved: float,
        factor: float,
        *,
        backward: bool = False,
    ) -> tuple[float, float, float, float, int]:
        """Write TV into `out`, looking at all actions only where the best could have changed.

        Args:
            value: (S,) float32 or float64, contiguous.
            out: (S,) of either dtype; `value` itself for Gauss–Seidel, which takes one thread.
            policy: (S,) int32, known best actions; updated.
            deadline: (S,) float32, how much may have moved until all must be looked at; updated.
            moved: how much has.
            factor: c₊, by which changes of values enter action values.
            backward: from the last block of states to the first.

        Returns:
            Least and greatest δ, greatest |TV|, mean δ weighted by the place in the sweep, and the
            number of states where all actions were looked at.
        """
        from coset.decisions.kernels import deferred

        kernel: Any = deferred.deferred_sweep
        flat = (self.level[0].reshape(-1), self.level[1].reshape(-1))
        same = value is out
        arguments = (self.level, self.scale, self.allowed, flat, value.numpy(), out.numpy(), same)
        rest = (backward, self.norm, policy.numpy(), deadline.numpy(), moved, factor)
        parts = run_shares(
            lambda a, b: kernel(*arguments, *rest, a, b, self.unrolled),
            self.shape[0],
            0 if same else self.num_gathers,
        )
        low, high, size = merge([p[:3] for p in parts])
        return low, high, size, sum(p[3] for p in parts) / len(parts), sum(p[4] for p in parts)

    def choose(self, value: Tensor, policy: Tensor) -> None:
        """Write the first best action of each state, −1 where there is none.

        Args:
            value: (S,) float32 or float64, contiguous.
            policy: (S,) int32, to be written.
        """
        from coset.decisions.kernels import cpu

        kernel: Any = cpu.choose
        arguments = (*self.level, self.allowed, self.scale, value.numpy(), policy.numpy())
        run_shares(lambda a, b: kernel(*arguments, a, b), self.shape[0], self.num_gathers)

    def action_values(self, value: Tensor, out: Tensor) -> None:
        """Write Q(s, a), −inf where the action is not allowed.

        Args:
            value: (S,) float32 or float64, contiguous.
            out: (S, A) float64, to be written.
        """
        from coset.decisions.kernels import cpu

        kernel: Any = cpu.action_values
        arguments = (*self.level, self.allowed, self.scale, value.numpy(), out.numpy())
        run_shares(lambda a, b: kernel(*arguments, a, b), self.shape[0], self.num_gathers)

    def evaluate(self, policy: Tensor, value: Tensor, out: Tensor) -> Extremes:
        """Write T_π V into `out`.

        Args:
            policy: (S,) int32, −1 where there is no action.
            value: (S,) float32 or float64, contiguous.
            out: (S,) of either dtype, not `value`.

        Returns:
            As `improve`.
        """
        from coset.decisions.kernels import cpu

        kernel: Any = cpu.evaluate
        arguments = (self.scale, policy.numpy(), value.numpy(), out.numpy(), self.norm)
        _, branches = self.unrolled

        def work(first: int, last: int) -> Any:
            return kernel(*self.level, *arguments, first, last, branches)

        gathers = self.num_gathers // max(1, self.shape[1])
        return merge(run_shares(work, self.shape[0], gathers))

    def first_sweep(self, out: Tensor) -> tuple[float, float, float, float]:
        """Write TV for V = 0 into `out`: no gathers.

        Args:
            out: (S,) float32 or float64.

        Returns:
            As `improve`.
        """
        from coset.decisions.kernels import cpu

        kernel: Any = cpu.first_sweep
        arguments = (self.level[2], self.allowed, out.numpy(), self.norm)
        parts = run_shares(lambda a, b: kernel(*arguments, a, b), self.shape[0], self.num_gathers)
        return *merge([p[:3] for p in parts]), sum(p[3] for p in parts) / len(parts)

    def row_extremes(self, active: Tensor) -> tuple[float, float]:
        """Return the extremes of c Σ_k w(s, a, k) x(succ) / x(s) over allowed (s, a).

        x are the weights of the states, 0 where there is no action.

        Args:
            active: (S,) bool, the states with an action.

        Returns:
            (least, greatest); (0, 0) if there is no action at all.
        """
        from coset.decisions.kernels import cpu

        kernel: Any = cpu.row_extremes
        live, norm = active.numpy(), self.norm
        if not live.all():
            norm = np.where(live, norm if norm.size else 1.0, 0.0)
        successor, weight, _ = self.level
        arguments = (successor, weight, self.allowed, self.scale, norm)
        parts = run_shares(lambda a, b: kernel(*arguments, a, b), self.shape[0], self.num_gathers)
        low = min(p[0] for p in parts)
        return (0.0, 0.0) if low == math.inf else (low, max(p[1] for p in parts))
