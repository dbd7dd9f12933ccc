"""Sticky particles: the motion whose state at time g is the prox of strength g."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.sharing.magnitude import DOWN, HUGE
from coset.sharing.penalty import check_weights, read_number

__all__ = ["MergeEvent", "ParticleHistory", "simulate_particles"]


@dataclass(frozen=True)
class MergeEvent:
    """Two neighboring clusters [start, split) and [split, stop) of sorted ranks meet and stick.

    Attributes:
        time: when, which is also the strength at which the prox ties them.
        start: first rank of the left cluster.
        split: first rank of the right cluster.
        stop: one past the last rank of the right cluster.
        position: where they meet.
        velocity: of the merged cluster, (d − start − stop)/(d−1).
    """

    time: float
    start: int
    split: int
    stop: int
    position: float
    velocity: float

    @property
    def mass(self) -> int:
        """Mass of the merged cluster: how many particles it holds."""
        return self.stop - self.start


@dataclass(frozen=True)
class ParticleHistory:
    """Where sticky particles are at given times, and every merge up to the last of them.

    Attributes:
        times: (t,) float64: the times asked for.
        positions: (t, d) float64: position of each particle, in the order of the input.
        velocities: (t, d) float64: velocity of each particle's cluster.
        masses: (t, d) int64: mass of each particle's cluster.
        momentum: (t,) float64: total momentum, 0 up to rounding.
        events: the merges in order of time.
    """

    times: Tensor
    positions: Tensor
    velocities: Tensor
    masses: Tensor
    momentum: Tensor
    events: tuple[MergeEvent, ...]


class _Clusters:
    """Neighboring clusters by their first rank: end, mean initial position, left neighbor."""

    def __init__(self, x: list[float]) -> None:
        self.d = len(x)
        self.end = list(range(1, self.d + 1))
        self.mean = list(x)
        self.left = list(range(-1, self.d - 1))
        self.heap: list[tuple[float, int, int, int]] = []
        for a in range(self.d - 1):
            self.schedule(a)

    def velocity(self, a: int) -> float:
        return (self.d - a - self.end[a]) / (self.d - 1) if self.d > 1 else 0.0

    def schedule(self, a: int) -> None:
        """Put the meeting of the cluster at `a` with its right neighbor on the heap."""
        k = self.end[a]
        if k < self.d:
            b = self.end[k]
            time = (self.d - 1) * (self.mean[k] - self.mean[a]) / (b - a)
            heapq.heappush(self.heap, (time, a, k, b))

    def next_event(self, now: float, until: float) -> MergeEvent | None:
        """Carry out and return the earliest merge not after `until`."""
        while self.heap and self.heap[0][0] <= until:
            time, a, k, b = heapq.heappop(self.heap)
            # A meeting is stale when either cluster has merged since it was scheduled.
            if self.end[a] != k or self.end[k] != b or self.left[k] != a:
                continue
            self.mean[a] += (self.mean[k] - self.mean[a]) * (b - k) / (b - a)
            self.end[a], self.end[k] = b, -1
            if b < self.d:
                self.left[b] = a
            self.schedule(a)
            if self.left[a] >= 0:
                self.schedule(self.left[a])
            # Rounding may put a meeting a little before one that was carried out already.
            time, velocity = max(time, now), self.velocity(a)
            return MergeEvent(time, a, k, b, self.mean[a] + time * velocity, velocity)
        return None

    def state(self, time: float) -> tuple[list[float], list[float], list[int]]:
        """Return position, velocity and mass of each rank's cluster."""
        positions: list[float] = []
        velocities: list[float] = []
        masses: list[int] = []
        a = 0
        while a < self.d:
            mass, velocity = self.end[a] - a, self.velocity(a)
            drift = time * velocity if velocity else 0.0
            positions += [self.mean[a] + drift] * mass
            velocities += [velocity] * mass
            masses += [mass] * mass
            a = self.end[a]
        return positions, velocities, masses


def _checked(w: Tensor, times: Sequence[float] | Tensor) -> tuple[Tensor, list[float]]:
    check_weights(w)
    flat = w.detach().reshape(-1).to("cpu", torch.float64)
    if not bool(torch.isfinite(flat).all()):
        raise DomainError("weights must be finite; given NaN or infinity; remove them first")
    if isinstance(times, Tensor) and times.dim() != 1:
        raise ShapeError(
            f"times must have one dimension; given shape {tuple(times.shape)}; "
            f"use times.reshape(-1)"
        )
    if not isinstance(times, Iterable) or isinstance(times, (str, bytes)):
        raise DtypeError(f"times must be a sequence of numbers; given {times!r}; write [5.0]")
    given = times.tolist() if isinstance(times, Tensor) else times
    listed = [read_number(time, "each of times") for time in given]
    wrong = [time for time in listed if not time >= 0]
    if wrong:
        raise DomainError(f"times must be numbers ≥ 0; given {wrong[0]}")
    return flat, listed


def simulate_particles(w: Tensor, times: Sequence[float] | Tensor) -> ParticleHistory:
    """Simulate particles released at the weights that attract and stick, event by event.

    The particle of rank r has mass 1 and velocity (d − 1 − 2r)/(d−1). On contact clusters stick,
    conserving mass and momentum; A and B meet at t = (d−1)(mean_B − mean_A)/(m_A + m_B), with means
    of the initial positions. The positions at time g are prox_{gR}(w).

    Args:
        w: (any shape) float: initial positions, finite; computed in float64.
        times: when to look, each ≥ 0 (inf: after the last merge), in any order.

    Returns:
        The history; its events are those up to the latest of the times. The time of a merge
        beyond 1.8e308 is inf.

    Raises:
        DtypeError: if `w` is not a real floating-point tensor, or a time not a real number.
        ShapeError: if `times` is a tensor without exactly one dimension.
        UnsupportedError: if `w` is sparse.
        DomainError: if a weight is not finite or a time is negative or NaN.

    Complexity: O(d log d) for all merges, O(d) a time.

    Claims: sharing.C4.

    Example:
        >>> history = simulate_particles(torch.tensor([0.0, 1.0, 3.0, 7.0]), [1.5, 5.0])
        >>> [event.time for event in history.events]
        [1.5, 2.5, 4.25]
        >>> history.positions[1].tolist()
        [2.75, 2.75, 2.75, 2.75]
    """
    flat, listed = _checked(w, times)
    d = flat.numel()
    x, order = flat.sort(stable=True)
    scale = DOWN if d and float(x.abs().max()) >= HUGE else 1.0
    clusters = _Clusters((x * scale).tolist())
    shape = (len(listed), d)
    positions = torch.empty(shape, dtype=torch.float64)
    velocities, masses = torch.empty_like(positions), torch.empty(shape, dtype=torch.int64)
    events: list[MergeEvent] = []
    for i in sorted(range(len(listed)), key=listed.__getitem__):
        # At time 0 the prox is the identity: ties are separate particles until time passes.
        until = listed[i] * scale if listed[i] > 0 else -math.inf
        while event := clusters.next_event(events[-1].time if events else 0.0, until):
            events.append(event)
        state = clusters.state(listed[i] * scale)
        for target, values in zip((positions, velocities, masses), state, strict=True):
            target[i, order] = torch.tensor(values, dtype=target.dtype)
    if scale != 1.0:
        positions /= scale
        events = [replace(e, time=e.time / scale, position=e.position / scale) for e in events]
    seen = torch.tensor(listed, dtype=torch.float64)
    return ParticleHistory(seen, positions, velocities, masses, velocities.sum(1), tuple(events))
