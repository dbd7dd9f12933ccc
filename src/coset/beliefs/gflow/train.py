"""Training of generative flow networks on the hypergrid, on policy or with a memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from coset.beliefs.gflow.exact import exact_terminal_distribution
from coset.beliefs.gflow.hypergrid import HyperGrid
from coset.beliefs.gflow.losses import Normalize, trajectory_balance, variance_gradient
from coset.beliefs.gflow.policy import GridPolicy
from coset.beliefs.gflow.replay import TrajectoryReplay
from coset.beliefs.gflow.trajectories import (
    Trajectories,
    look_up,
    sample_trajectories,
    step_log_probabilities,
)
from coset.core.errors import ConfigError, NotConvergedError

__all__ = ["GFlowNetTrainer", "LossName", "TrainingSettings"]

LossName = Literal["TB", "TB/T", "VarGrad", "VarGrad/T"]


@dataclass(frozen=True)
class TrainingSettings:
    """How a generative flow network is trained.

    Attributes:
        loss: trajectory balance or VarGrad, as they are or each term divided by its length.
        learning_rate: of the networks (AdamW), > 0.
        log_z_factor: the rate of log Z is so many times as large.
        batch_size: trajectories a step, ≥ 2.
        num_steps: over which the rate falls linearly.
        final_rate_share: of the rate, at the last step; 1 for a constant rate.
        hidden_sizes: of the networks.
        replay_capacity: past trajectories from which half of each batch is drawn; 0: on policy.
        loss_clip: at which the term of a trajectory is cut off, or ``None``.
        gradient_clip: the largest norm of a member's gradient, or ``None``.
        second_moment_decay: β₂ of AdamW.
        weight_decay: of AdamW, ≥ 0.

    Raises:
        ConfigError: if a setting is impossible.
    """

    loss: LossName = "TB"
    learning_rate: float = 1e-3
    log_z_factor: float = 100.0
    batch_size: int = 64
    num_steps: int = 1000
    final_rate_share: float = 1.0
    hidden_sizes: tuple[int, ...] = (64, 64)
    replay_capacity: int = 0
    loss_clip: float | None = None
    gradient_clip: float | None = None
    second_moment_decay: float = 0.999
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.loss not in get_args(LossName):
            raise ConfigError(f"loss must be one of {get_args(LossName)}; given {self.loss!r}")
        counts = ((self.batch_size, 2), (self.num_steps, 1), (self.replay_capacity, 0))
        if not all(isinstance(number, int) and number >= least for number, least in counts):
            raise ConfigError(
                f"integers batch_size ≥ 2, num_steps ≥ 1 and replay_capacity ≥ 0; given "
                f"{self.batch_size}, {self.num_steps}, {self.replay_capacity}"
            )
        for name in ("learning_rate", "log_z_factor", "loss_clip", "gradient_clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} must be positive and finite; given {value}")
        if not 0 <= self.final_rate_share <= 1 or not 0 <= self.second_moment_decay < 1:
            raise ConfigError(
                f"final_rate_share must be in 0 … 1 and second_moment_decay below 1; given "
                f"{self.final_rate_share}, {self.second_moment_decay}"
            )
        if not 0 <= self.weight_decay < math.inf:
            raise ConfigError(f"weight_decay must be ≥ 0 and finite; given {self.weight_decay}")


class GFlowNetTrainer:
    """Networks in training, one a generator, all at once and independent of each other.

    Attributes:
        grid: the environment.
        settings: as given.
        policy: the networks.
        log_z: (M,) parameter, the estimates of log Z; VarGrad leaves it at 0.
        uses_tables: whether a step asks the networks once for all states, which is quicker where
            the grid is small beside a batch, or at each state that is visited.
        num_steps: taken so far.
        num_trajectories: sampled by each member so far.

    Args:
        grid: the environment.
        settings: how to train.
        generators: one CPU generator a member; weights and trajectories come from it.

    Claims: beliefs.C20c.

    Example:
        >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
        >>> settings = TrainingSettings("TB/T", learning_rate=1e-2, num_steps=100)
        >>> trainer = GFlowNetTrainer(HyperGrid(4, 2), settings, generators)
        >>> losses = [trainer.step() for _ in range(100)]
        >>> bool((losses[-1] < 0.1 * losses[0]).all())
        True
    """

    def __init__(
        self,
        grid: HyperGrid,
        settings: TrainingSettings,
        generators: Sequence[torch.Generator],
    ) -> None:
        self.grid, self.settings = grid, settings
        self.num_steps = self.num_trajectories = 0
        self.policy = GridPolicy(grid, settings.hidden_sizes, generators)
        self._generators = list(generators)
        self.log_z = nn.Parameter(torch.zeros(len(self._generators), device=grid.device))
        self._groups = [
            {"params": list(self.policy.parameters()), "lr": settings.learning_rate},
            {"params": [self.log_z], "lr": settings.learning_rate * settings.log_z_factor},
        ]
        self._optimizer = torch.optim.AdamW(
            self._groups,
            betas=(0.9, settings.second_moment_decay),
            weight_decay=settings.weight_decay,
        )
        self._schedule = torch.optim.lr_scheduler.LinearLR(
            self._optimizer, 1.0, settings.final_rate_share, settings.num_steps
        )
        self._memory = None
        if settings.replay_capacity:
            self._memory = TrajectoryReplay(
                settings.replay_capacity,
                grid.longest,
                len(self._generators),
                stop=grid.dims,
                device=grid.device,
            )
        self.uses_tables = grid.num_states <= settings.batch_size * grid.longest

    def step(self) -> Tensor:
        """Sample a batch, and change the networks once.

        Returns:
            (M,) the loss of each member before the change.

        Raises:
            NotConvergedError: if a loss is NaN or infinite; the networks are not changed.
        """
        tables = self.policy.tables() if self.uses_tables else None
        trajectories = self._batch(tables)
        loss = self._loss(trajectories, tables)
        if not loss.isfinite().all():
            raise NotConvergedError(
                f"the loss must stay finite; it is {loss.tolist()}; lower learning_rate, or set "
                f"loss_clip or gradient_clip"
            )
        self._optimizer.zero_grad()
        torch.autograd.backward(loss.sum())
        self._clip_gradients()
        self._optimizer.step()
        self._schedule.step()
        self.num_steps += 1
        return loss.detach()

    @torch.no_grad()
    def terminal_distribution(self) -> Tensor:
        """Return where each member stops now, exactly.

        Returns:
            (M, Hᴰ) float64.

        Raises:
            NotConvergedError: if a network has grown beyond the finite numbers.
        """
        table = self.policy.tables()[0]
        if table.isnan().any():
            raise NotConvergedError(
                "the networks must stay finite; they do not: lower learning_rate"
            )
        return exact_terminal_distribution(self.grid, table)

    @torch.no_grad()
    def _batch(self, tables: tuple[Tensor, Tensor] | None) -> Trajectories:
        grid, num = self.grid, self.settings.batch_size
        again = num // 2 if self._memory is not None and len(self._memory) else 0

        sums = tables[0].exp().cumsum(-1) if tables else None

        def cumulative(states: Tensor) -> Tensor:
            if sums is not None:
                return look_up(sums, states)
            return self.policy.forward(states)[0].exp().cumsum(-1)

        fresh = sample_trajectories(grid, cumulative, num - again, self._generators)
        self.num_trajectories += num - again
        if self._memory is None:
            return fresh
        if again:
            old = self._memory.sample(again, self._generators)
            padding = (0, grid.longest - fresh.actions.shape[-1])
            new = nn.functional.pad(fresh.actions, padding, value=grid.dims)
            batch = Trajectories.of_actions(grid, torch.cat([new, old], dim=1))
        self._memory.append(fresh.actions)
        return batch if again else fresh

    def _loss(self, trajectories: Trajectories, tables: tuple[Tensor, Tensor] | None) -> Tensor:
        states = trajectories.states
        if tables:
            rows = look_up(tables[0], states), look_up(tables[1], states)
        else:
            rows = self.policy.forward(states)
        forward, backward = step_log_probabilities(trajectories, *rows)
        log_reward = self.grid.log_rewards[trajectories.terminal].to(forward.dtype)
        sums = forward.sum(-1), backward.sum(-1), log_reward
        name, _, divided = self.settings.loss.partition("/")
        normalize: Normalize = "length" if divided else "none"
        lengths, clip = trajectories.lengths, self.settings.loss_clip
        if name == "TB":
            return trajectory_balance(*sums, self.log_z, lengths, normalize, clip=clip)
        return variance_gradient(*sums, lengths, normalize, clip=clip)

    def _clip_gradients(self) -> None:
        limit = self.settings.gradient_clip
        if limit is None:
            return
        gradients = [p.grad for p in self.policy.parameters() if p.grad is not None]
        norm = sum(g.square().flatten(1).sum(1) for g in gradients) ** 0.5
        scale = (limit / (norm + 1e-12)).clamp(max=1.0)
        for gradient in gradients:
            gradient *= scale.view(-1, *[1] * (gradient.dim() - 1))
