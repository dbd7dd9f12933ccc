"""Many decision processes of one shape, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.core.results import Record
from coset.decisions.processes.mdp import MDP

__all__ = ["MDPBatch"]


@dataclass(frozen=True, eq=False, repr=False)
class MDPBatch(Record):
    """B processes with the same numbers of states, actions and objectives.

    Made by `MDPBatch.of`, or by `MDPBatch.with_rewards` for one process under many rewards. Arrays
    that all processes share have 1 instead of B.

    Attributes:
        successor: (B or 1, S, A, K) int32.
        probability: (B or 1, S, A, K) float32 or float64; 0 pads.
        reward: (B, S, A, d) float64, expected.
        multiplier: (B or 1, S or 1, A or 1, K or 1, d, d) float64.
        allowed: (B or 1, S, A) bool.
    """

    successor: Tensor
    probability: Tensor
    reward: Tensor
    multiplier: Tensor
    allowed: Tensor

    @property
    def num_processes(self) -> int:
        """B."""
        return self.reward.shape[0]

    @property
    def num_objectives(self) -> int:
        """D."""
        return self.reward.shape[3]

    def __repr__(self) -> str:
        _, num_states, num_actions, depth = self.reward.shape
        shared = ", shared successors" if self.successor.shape[0] < self.num_processes else ""
        return (
            f"MDPBatch({self.num_processes:,} processes, {num_states:,} states, "
            f"{num_actions:,} actions, {depth} objectives{shared})"
        )

    @classmethod
    def of(cls, processes: Sequence[MDP]) -> MDPBatch:
        """Stack processes; arrays in which all agree are shared.

        Args:
            processes: at least one; S, A, d and the device must agree, K may differ.

        Returns:
            The batch.

        Raises:
            DomainError: if there is no process, or one has negative multipliers.
            ShapeError: if the shapes do not agree.
            DtypeError: if something is not an `MDP`.
        """
        if not isinstance(processes, Sequence):
            raise DtypeError(
                f"a batch needs a sequence of processes; given {type(processes).__name__}"
            )
        if not processes:
            raise DomainError("a batch needs at least one process; none was given")
        _check_alike(processes)
        num = max(p.num_successors for p in processes)
        stacked = [_padded(p, num) for p in processes]
        parts = {name: _stack([row[name] for row in stacked]) for name in stacked[0]}
        reward = torch.stack([p.expected_reward() for p in processes])
        return cls(reward=reward, **parts)

    @classmethod
    def with_rewards(cls, mdp: MDP, reward: Tensor) -> MDPBatch:
        """Pair one process with many rewards; all else is shared.

        Args:
            mdp: the process; its own reward is not used.
            reward: (B, S, A, d) expected rewards, finite where an action exists.

        Returns:
            The batch.

        Raises:
            ShapeError: if the rewards do not fit the process.
            DomainError: if there is none, one is NaN or infinite, or multipliers are negative.
        """
        reward = torch.as_tensor(reward, device=mdp.successor.device)
        shape = (mdp.num_states, mdp.num_actions, mdp.num_objectives)
        if reward.ndim != 4 or tuple(reward.shape[1:]) != shape:
            raise ShapeError(
                f"rewards must be (B, S, A, d) with (S, A, d) = {shape}; "
                f"given {tuple(reward.shape)}"
            )
        if reward.shape[0] == 0:
            raise DomainError("a batch needs at least one process; no rewards were given")
        bad = ~torch.isfinite(reward) & mdp.allowed[None, :, :, None]
        if bool(bad.any()):
            where = tuple(bad.nonzero()[0].tolist())
            raise DomainError(
                f"rewards must be finite; at (process, state, action, objective) {where} "
                f"there is {float(reward[where])}"
            )
        _check_alike([mdp])
        parts = {name: x[None] for name, x in _padded(mdp, mdp.num_successors).items()}
        return cls(reward=reward.double(), **parts)

    def process(self, index: int) -> MDP:
        """Return one of the processes, with expected rewards.

        Args:
            index: 0…B−1.

        Returns:
            The process.

        Raises:
            RangeError: if there is no such process.
        """
        if not 0 <= index < self.num_processes:
            raise RangeError(f"a process is one of 0…{self.num_processes - 1}; given {index}")
        successor, probability, multiplier, allowed = (
            x[min(index, x.shape[0] - 1)]
            for x in (self.successor, self.probability, self.multiplier, self.allowed)
        )
        return MDP(
            successor,
            probability,
            self.reward[index][:, :, None],
            multiplier,
            mask=allowed,
            terminal=~allowed.any(1),
        )

    def to(self, device: torch.device | str) -> MDPBatch:
        """Return the same batch on a device.

        Args:
            device: where.

        Returns:
            The batch.
        """
        names = ("successor", "probability", "reward", "multiplier", "allowed")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def _check_alike(processes: Sequence[Any]) -> None:
    first = processes[0]
    for index, process in enumerate(processes):
        if not isinstance(process, MDP):
            raise DtypeError(f"process {index} must be an MDP; given {type(process).__name__}")
        if process.has_negative_multiplier:
            raise DomainError(
                f"multipliers must not be negative; process {index} has some; "
                f"batch what signed returns"
            )
        shapes = [(p.num_states, p.num_actions, p.num_objectives) for p in (first, process)]
        if shapes[0] != shapes[1]:
            raise ShapeError(
                f"processes must agree in (S, A, d): process 0 has {shapes[0]}, process {index} "
                f"has {shapes[1]}; pad states without actions, or batch those that agree"
            )


def _padded(mdp: MDP, num: int) -> dict[str, Tensor]:
    """Return the arrays of a process with K places and matrices of multipliers."""
    shape = (*mdp.successor.shape[:2], num)
    successor = torch.zeros(shape, dtype=torch.int32, device=mdp.successor.device)
    probability = mdp.probability.new_zeros(shape)
    successor[..., : mdp.num_successors] = mdp.successor
    probability[..., : mdp.num_successors] = mdp.probability
    gamma, depth = mdp.multiplier, mdp.num_objectives
    assert isinstance(gamma, Tensor)
    if gamma.ndim == 3:
        gamma = gamma[..., None].expand(*gamma.shape, depth)
    if gamma.ndim == 4:
        gamma = torch.diag_embed(gamma)
    gamma = gamma.double()
    if 1 < gamma.shape[2] < num:
        wide = gamma.new_zeros(*gamma.shape[:2], num, depth, depth)
        wide[:, :, : gamma.shape[2]] = gamma
        gamma = wide
    return {
        "successor": successor,
        "probability": probability,
        "multiplier": gamma,
        "allowed": mdp.allowed,
    }


def _stack(rows: list[Tensor]) -> Tensor:
    """Stack arrays that may lack dimensions of size; one is enough if all are the same."""
    dtype = torch.float64 if any(x.dtype == torch.float64 for x in rows) else rows[0].dtype
    if all(x.shape == rows[0].shape and torch.equal(x.to(dtype), rows[0].to(dtype)) for x in rows):
        return rows[0][None].to(dtype)
    shape = tuple(max(sizes) for sizes in zip(*(x.shape for x in rows), strict=True))
    return torch.stack([x.expand(shape) for x in rows]).to(dtype)
