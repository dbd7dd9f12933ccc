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

from coset.decisions.level import ScalarLevel

__all__ = ["Extremes", "LevelArrays", "empty_vector", "merge", "run_shares"]

# States are shared among threads from this many gathers on: starting a thread costs about 50 µs.
_THREADING = 200_000
_NONE = np.empty(0)

Extremes = tuple[float, float, float]


def empty_vector(size: int, dtype: torch.dtype) -> Tensor:
    """Allocate by NumPy, which asks for huge pages: random reads in small ones are slower.

    Args:
        size: number of elements.
        dtype: of torch.

    Returns:
        (size,) on the CPU, not initialized.
    """
    return torch.from_numpy(np.empty(size, torch.empty(0, dtype=dtype).numpy().dtype))


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
    """A level on the CPU as NumPy views that the compiled loops take; nothing is copied."""

    def __init__(self, level: ScalarLevel) -> None:
        tensors = (level.successor, level.weight, level.reward, level.allowed)
        self.successor, self.weight, self.reward, self.allowed = (
            x.detach().contiguous().numpy() for x in tensors
        )
        self.scale = float(level.scale)
        self.shape = self.successor.shape

    @property
    def num_gathers(self) -> int:
        """S A K."""
        return self.successor.size

    def improve(
        self, value: Tensor, out: Tensor, norm: Tensor | None = None, policy: Tensor | None = None
    ) -> Extremes:
        """Write TV into `out`, the best actions into `policy` if there is one.

        Args:
            value: (S,) float32 or float64, contiguous.
            out: (S,) of either dtype, not `value`.
            norm: (S,) float64 by which δ is divided.
            policy: (S,) int32, to be written.

        Returns:
            The least and greatest δ / norm of states with an action, and the greatest |TV|.
        """
        from coset.decisions.kernels import cpu

        kernel: Any = cpu.improve
        vectors = (value.numpy(), out.numpy(), _or_none(norm), _choices(policy))
        return self._run(kernel, (*self._level, self.scale, *vectors), self.num_gathers)

    def improve_in_place(self, value: Tensor, norm: Tensor | None = None) -> Extremes:
        """Do one Gauss–Seidel sweep: each state sees the new values of those before it.

        Args:
            value: (S,) float32 or float64, changed.
            norm: (S,) float64 by which changes are divided.

        Returns:
            As `improve`, of the changes made.
        """
        from coset.decisions.kernels import cpu

        kernel: Any = cpu.improve_in_place
        vectors = (value.numpy(), _or_none(norm), _choices(None))
        return merge([kernel(*self._level, self.scale, *vectors, 0, self.shape[0])])

    def evaluate(
        self, policy: Tensor, value: Tensor, out: Tensor, norm: Tensor | None = None
    ) -> Extremes:
        """Write T_π V into `out`.

        Args:
            policy: (S,) int32, −1 where there is no action.
            value: (S,) float32 or float64, contiguous.
            out: (S,) of either dtype, not `value`.
            norm: (S,) float64 by which changes are divided.

        Returns:
            As `improve`.
        """
        from coset.decisions.kernels import cpu

        kernel: Any = cpu.evaluate
        level = (self.successor, self.weight, self.reward, self.scale)
        vectors = (policy.numpy(), value.numpy(), out.numpy(), _or_none(norm))
        return self._run(kernel, (*level, *vectors), self.num_gathers // max(1, self.shape[1]))

    def row_extremes(self, norm: Tensor) -> tuple[float, float]:
        """Return the extremes of c Σ_k w(s, a, k) x(succ) / x(s) over allowed (s, a).

        Args:
            norm: (S,) float64, x > 0 where there is an action and 0 elsewhere.

        Returns:
            (least, greatest); (0, 0) if there is no action at all.
        """
        from coset.decisions.kernels import cpu

        kernel: Any = cpu.row_extremes
        arguments = (self.successor, self.weight, self.allowed, self.scale, norm.numpy())
        parts = run_shares(lambda a, b: kernel(*arguments, a, b), self.shape[0], self.num_gathers)
        low = min(p[0] for p in parts)
        return (0.0, 0.0) if low == math.inf else (low, max(p[1] for p in parts))

    @property
    def _level(self) -> tuple[np.ndarray, ...]:
        return self.successor, self.weight, self.reward, self.allowed

    def _run(self, kernel: Any, arguments: tuple[Any, ...], num_gathers: int) -> Extremes:
        return merge(run_shares(lambda a, b: kernel(*arguments, a, b), self.shape[0], num_gathers))


def _or_none(x: Tensor | None) -> np.ndarray:
    return _NONE if x is None else x.detach().contiguous().numpy()


def _choices(policy: Tensor | None) -> np.ndarray:
    return np.empty(0, np.int32) if policy is None else policy.numpy()
