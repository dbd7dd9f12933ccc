"""Generative flow networks written out: loops over trajectories, steps and parts, in floats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from coset.beliefs.gflow.hypergrid import HyperGrid

__all__ = [
    "subtrajectory_balance",
    "terminal_distribution",
    "trajectory_balance",
    "variance_gradient",
    "walk",
]


def walk(
    grid: HyperGrid, log_pf: Tensor, state: tuple[int, ...] | None = None
) -> Iterator[tuple[list[int], tuple[int, ...], float]]:
    """Go through every trajectory of a policy.

    Args:
        grid: the environment; a small one.
        log_pf: (n, D + 1), logarithms of the chances of each action.
        state: where to begin, as coordinates; the origin if ``None``.

    Yields:
        The actions, where they stop, and the chance of the trajectory.

    Example:
        >>> import torch
        >>> table = torch.tensor([[0.25, 0.75], [0.0, 1.0]]).log()
        >>> [(a, x, round(p, 6)) for a, x, p in walk(HyperGrid(2, 1), table)]
        [([1], (0,), 0.75), ([0, 1], (1,), 0.25)]
    """
    state = state or (0,) * grid.dims
    number = 0
    for coordinate in state:
        number = number * grid.height + coordinate
    row = [math.exp(entry) for entry in log_pf[number].double().tolist()]
    yield [grid.dims], state, row[grid.dims]
    for axis in range(grid.dims):
        if state[axis] + 1 < grid.height:
            after = (*state[:axis], state[axis] + 1, *state[axis + 1 :])
            for actions, end, chance in walk(grid, log_pf, after):
                yield [axis, *actions], end, row[axis] * chance


def terminal_distribution(grid: HyperGrid, log_pf: Tensor) -> dict[tuple[int, ...], float]:
    """Return the chance of each end, added up over all trajectories to it.

    Args:
        grid: the environment; a small one.
        log_pf: (n, D + 1), logarithms of the chances of each action.

    Returns:
        Coordinates to chance.
    """
    found: dict[tuple[int, ...], float] = {}
    for _, end, chance in walk(grid, log_pf):
        found[end] = found.get(end, 0.0) + chance
    return found


def trajectory_balance(
    log_pf: Sequence[Sequence[float]],
    log_pb: Sequence[Sequence[float]],
    log_reward: Sequence[float],
    log_z: float,
    *,
    by_length: bool = False,
) -> float:
    """Return the mean of δ², or of δ²/T, from the steps of each trajectory.

    Args:
        log_pf: for each trajectory, log P_F of each of its T actions.
        log_pb: likewise log P_B, of the stop 0.
        log_reward: log R of each.
        log_z: log Z.
        by_length: divide each term by T.

    Returns:
        The loss.
    """
    terms = []
    for forward, backward, reward in zip(log_pf, log_pb, log_reward, strict=True):
        imbalance = log_z - reward
        for there, back in zip(forward, backward, strict=True):
            imbalance += there - back
        terms.append(imbalance**2 / (len(forward) if by_length else 1))
    return sum(terms) / len(terms)


def variance_gradient(
    log_pf: Sequence[Sequence[float]],
    log_pb: Sequence[Sequence[float]],
    log_reward: Sequence[float],
    *,
    by_length: bool = False,
) -> float:
    """Return the mean of (s − s̄)², or of (s − s̄)²/T: `trajectory_balance` at log Z = −s̄.

    Args:
        log_pf: for each trajectory, log P_F of each of its T actions.
        log_pb: likewise log P_B, of the stop 0.
        log_reward: log R of each.
        by_length: divide each term by T.

    Returns:
        The loss.
    """
    scores = [
        sum(forward) - sum(backward) - reward
        for forward, backward, reward in zip(log_pf, log_pb, log_reward, strict=True)
    ]
    center = sum(scores) / len(scores)
    return trajectory_balance(log_pf, log_pb, log_reward, -center, by_length=by_length)


def subtrajectory_balance(
    log_flows: Sequence[Sequence[float]],
    log_pf: Sequence[Sequence[float]],
    log_pb: Sequence[Sequence[float]],
    lam: float,
) -> float:
    """Return the mean over trajectories of Σ λʲ⁻ⁱ δᵢⱼ² / Σ λʲ⁻ⁱ over all parts i < j.

    Args:
        log_flows: for each trajectory, log F of its T + 1 states, the last being log R.
        log_pf: likewise log P_F of each of its T actions.
        log_pb: likewise log P_B, of the stop 0.
        lam: λ > 0.

    Returns:
        The loss.
    """
    total = 0.0
    for flows, forward, backward in zip(log_flows, log_pf, log_pb, strict=True):
        above = below = 0.0
        for i in range(len(forward)):
            for j in range(i + 1, len(forward) + 1):
                gained = sum(forward[i:j]) - sum(backward[i:j])
                above += lam ** (j - i) * (flows[i] + gained - flows[j]) ** 2
                below += lam ** (j - i)
        total += above / below
    return total / len(log_flows)
