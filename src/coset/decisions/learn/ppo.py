"""Lexicographic proximal policy optimization: objective after objective, those before held."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.decisions.learn.deep import (
    DeepAgent,
    Report,
    Telling,
    check_range,
    check_steps,
    keeper,
    seeds_of,
)
from coset.decisions.learn.networks import LexicographicActorCritic
from coset.decisions.learn.pool import EnvPool, Steps
from coset.decisions.learn.selection import checked_slack
from coset.decisions.processes.returns import multiplier_advantages
from coset.train import Callback, TrainConfig, TrainState, fit

if TYPE_CHECKING:
    import gymnasium

__all__ = ["LexPPO"]

_BIG = 1e9
_MANY = 10**9
_NOISE = 0.02  # in units of an objective's scale


@dataclass(frozen=True)
class LexPPO:
    """Proximal policy optimization in phases: phase k raises J_k and holds J_j, j < k.

    The clipped surrogate uses the advantage (A_k + Σ_{j<k} λ_j A_j) / (1 + Σ λ_j), each A in its
    scale and each with its own multipliers (`multiplier_advantages`). When phase j ends, the best
    J_j of it is kept; from then on λ_j ← [λ_j + η (J_j^best − τ_j − J_j)]₊ after each rollout.

    Attributes:
        slack: τ ≥ 0 of the objectives but the last, a number or d − 1, in units of the objectives;
            must exceed the noise of a mean of `window` episodes.
        shares: parts of the steps that the phases get, one number > 0 for each objective; None:
            equal ones.
        hidden: widths of actor and critic.
        value_scale: how large the values of each objective are, a number or d.
        learning_rate: of Adam at the start; it falls linearly to 0.
        num_envs: environments side by side.
        num_rollout: steps of each environment between two updates.
        num_passes: passes over them.
        batch_size: steps of a gradient step.
        trace: λ of the advantages.
        clip: largest change of a probability's ratio that is rewarded.
        entropy: weight of the entropy.
        value_weight: weight of the critic's loss.
        multiplier_rate: η, per unit of the objective's scale.
        multiplier_start: λ_j when phase j has ended.
        multiplier_limit: largest λ.
        window: episodes of which J is the mean return.
        num_evaluation: episodes of an evaluation, by which the best weights of the last phase are
            kept; 0: the last weights are returned. Episodes must end.
        evaluate_every: rollouts between two evaluations.

    Raises:
        DomainError: if a setting is out of range.

    Claims: decisions.C15.
    """

    slack: float | tuple[float, ...] = 0.02
    shares: tuple[float, ...] | None = None
    hidden: tuple[int, ...] = (64, 64)
    value_scale: float | tuple[float, ...] = 1.0
    learning_rate: float = 1e-3
    num_envs: int = 1
    num_rollout: int = 128
    num_passes: int = 4
    batch_size: int = 256
    trace: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    value_weight: float = 0.5
    multiplier_rate: float = 5.0
    multiplier_start: float = 5.0
    multiplier_limit: float = 100.0
    window: int = 64
    num_evaluation: int = 0
    evaluate_every: int = 4

    def __post_init__(self) -> None:
        sizes = ("num_envs", "num_rollout", "num_passes", "batch_size", "window", "evaluate_every")
        weights = ("entropy", "value_weight", "multiplier_rate", "multiplier_start")
        check_range(self, {name: (1, _MANY) for name in sizes} | {"num_evaluation": (0, _MANY)})
        bounds = {name: (0.0, _BIG) for name in (*weights, "multiplier_limit")}
        bounds |= {"trace": (0.0, 1.0), "clip": (1e-6, 1.0), "learning_rate": (1e-12, 1e3)}
        check_range(self, bounds)
        if self.shares is not None and not isinstance(self.shares, tuple | list):
            raise DtypeError(f"shares must be one number for each objective; given {self.shares!r}")
        for share in self.shares or ():
            check_range(SimpleNamespace(share=share), {"share": (1e-9, _BIG)})
        if self.num_envs * self.num_rollout < 2:
            raise DomainError(
                "a rollout must have 2 steps, since advantages are compared; given num_envs = "
                "num_rollout = 1"
            )

    def fit(
        self,
        env: gymnasium.Env[Any, Any] | Callable[[], Any],
        num_steps: int,
        *,
        generator: torch.Generator | None = None,
        report: Report | None = None,
    ) -> DeepAgent:
        """Learn from steps of an environment.

        Args:
            env: as for `LexDQN.fit`.
            num_steps: of all environments together, ≥ 1; whole rollouts are taken, at least one for
                each objective.
            generator: source of randomness; None: torch's global one.
            report: told of the figures of each rollout.

        Returns:
            The agent.

        Raises:
            DomainError: if the loss diverged, or a setting does not fit the environment.
            DtypeError: if the environment has other actions.
            UnsupportedError: if it restricts actions or tells no multiplier.
            ShapeError: if slack, shares or scales do not have its number of objectives.
        """
        total = check_steps(num_steps)
        env_seed, weight_seed, order_seed = seeds_of(generator)
        pool = EnvPool(env, self.num_envs, seed=env_seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(weight_seed)
            network = LexicographicActorCritic(
                pool.num_inputs,
                pool.num_actions,
                pool.num_objectives,
                hidden=self.hidden,
                discrete=pool.discrete,
                value_scale=self.value_scale,
            )
        num_epochs = max(pool.num_objectives, total // (self.num_envs * self.num_rollout))
        run = _Run(self, pool, network, num_epochs)
        telling = Telling(run.figures, report)
        best = keeper(self, network, env, env_seed + len(pool.envs), run.in_last_phase)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate, eps=1e-5)
        fit(
            network,
            optimizer,
            run.loss,
            run.batches,
            TrainConfig(
                num_epochs, self.batch_size, clip_norm=0.5, seed=order_seed, checkpoint_every=0
            ),
            scheduler=torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, num_epochs),
            callbacks=(telling, run, *best),
        )
        for callback in best:
            callback.restore()
        return DeepAgent(network.eval(), run.num_steps, tuple(telling.history))


class _Run(Callback):
    """One training run: rollouts, phases and the multipliers that hold objectives."""

    def __init__(
        self, settings: LexPPO, pool: EnvPool, network: LexicographicActorCritic, num_epochs: int
    ) -> None:
        self.settings, self.pool, self.network = settings, pool, network
        d = pool.num_objectives
        self.slack = checked_slack(settings.slack, d)
        self.ends = phase_ends(settings.shares, d, num_epochs)
        self.epoch = self.phase = self.num_steps = 0
        self.multipliers = torch.zeros(d, dtype=torch.float64)
        self.best = torch.full((d,), -torch.inf, dtype=torch.float64)
        self.recent: collections.deque[Tensor] = collections.deque(maxlen=settings.window)
        self.lengths: list[float] = []

    @property
    def mean(self) -> Tensor | None:
        """J, the mean return of the last episodes, (d,) float64."""
        return torch.stack(list(self.recent)).mean(0) if self.recent else None

    def batches(self, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Give the batches of an epoch: one rollout, gone through several times."""
        columns = self._rollout(generator)
        num = len(columns[0])
        for _ in range(self.settings.num_passes):
            order = torch.randperm(num, generator=generator)
            for chosen in torch.split(order, self.settings.batch_size):
                yield tuple(column[chosen] for column in columns)

    @torch.no_grad()
    def _rollout(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return observations, actions, log-probabilities, advantages and returns, row by row."""
        steps: list[Steps] = []
        for _ in range(self.settings.num_rollout):
            action = self.network.sample(self.pool.observation, generator)
            steps.append(self.pool.step(action))
        self.num_steps += len(steps) * len(self.pool.envs)
        self._take_episodes()
        names = ("observation", "action", "reward", "multiplier", "after", "ended")
        # (N, T, …): time stands before the objectives.
        parts = {n: torch.stack([getattr(s, n) for s in steps], 1) for n in names}
        logits, value = self.network(parts["observation"])
        _, after = self.network(parts["after"])
        advantage = multiplier_advantages(
            parts["reward"],
            parts["multiplier"],
            value,
            after,
            trace=self.settings.trace,
            ended=parts["ended"],
        )
        log = logits.log_softmax(-1).gather(-1, parts["action"].unsqueeze(-1))[..., 0]
        weighed = self._weigh(advantage)
        columns = (parts["observation"], parts["action"], log, weighed, advantage + value)
        return tuple(column.flatten(0, 1) for column in columns)

    def _weigh(self, advantage: Tensor) -> Tensor:
        """Return one advantage for each step, of mean 0 and deviation about 1.

        Where all actions tie what is left is the critic's error: it is not blown up to 1, so that
        a phase without anything to gain leaves the choice to the next.
        """
        weight = self.multipliers.to(advantage).clone()
        weight[self.phase] = 1.0
        weight[self.phase + 1 :] = 0.0
        weighed = (advantage / self.network.value_scale) @ weight / weight.sum()
        return (weighed - weighed.mean()) / (weighed.std() + _NOISE)

    def _take_episodes(self) -> None:
        done = self.pool.take_finished()
        self.recent.extend(done.returns)
        self.lengths = done.lengths.double().tolist()

    def loss(self, network: LexicographicActorCritic, batch: Sequence[Tensor]) -> Tensor:
        """Return the clipped surrogate's loss with the critic's and the entropy."""
        observation, action, before, advantage, target = batch
        logits, value = network(observation)
        logs = logits.log_softmax(-1)
        ratio = (logs.gather(-1, action.unsqueeze(-1))[..., 0] - before).exp()
        clip = self.settings.clip
        clipped = ratio.clamp(1 - clip, 1 + clip)
        surrogate = torch.minimum(ratio * advantage, clipped * advantage).mean()
        entropy = -(logs.exp() * logs).sum(-1).mean()
        scale = network.value_scale
        critic = nn.functional.mse_loss(value / scale, target / scale)
        loss: Tensor = self.settings.value_weight * critic - surrogate
        loss = loss - self.settings.entropy * entropy
        return loss

    def on_epoch(self, state: TrainState) -> bool | None:
        """Move the multipliers, and go on to the next phase when it is time."""
        self.epoch += 1
        mean = self.mean
        if mean is None:
            return None
        j = self.phase
        settings, scale = self.settings, self.network.value_scale.double()
        if len(self.recent) == self.recent.maxlen or self.epoch == self.ends[j]:
            self.best[j] = torch.maximum(self.best[j], mean[j])
        miss = (self.best - self.slack - mean)[:j]
        moved = self.multipliers[:j] + settings.multiplier_rate * miss / scale[:j]
        self.multipliers[:j] = moved.clamp(0.0, settings.multiplier_limit)
        if j < len(self.ends) - 1 and self.epoch >= self.ends[j]:
            self.multipliers[j] = settings.multiplier_start
            self.phase += 1
        return None

    def in_last_phase(self) -> bool:
        """Tell whether all objectives but the last are held."""
        return self.phase == len(self.ends) - 1

    def figures(self) -> dict[str, float]:
        """Return the figures of an epoch."""
        found = {"step": float(self.num_steps), "phase": float(self.phase + 1)}
        mean = self.mean
        if mean is not None:
            found |= {f"return_{k}": value for k, value in enumerate(mean.tolist(), 1)}
        if self.lengths:
            found["length"] = sum(self.lengths) / len(self.lengths)
        held = self.multipliers[:-1].tolist()
        return found | {f"multiplier_{k}": value for k, value in enumerate(held, 1)}


def phase_ends(
    shares: Sequence[float] | None, num_objectives: int, num_epochs: int
) -> tuple[int, ...]:
    """Return after how many epochs each phase ends.

    Args:
        shares: > 0, one for each objective; None: equal.
        num_objectives: d.
        num_epochs: ≥ d.

    Returns:
        d increasing numbers, the last `num_epochs`.

    Raises:
        ShapeError: if there are not d shares.

    Example:
        >>> phase_ends((1.0, 3.0), 2, 20), phase_ends(None, 3, 4)
        ((5, 20), (1, 3, 4))
    """
    parts = torch.tensor(shares if shares is not None else [1.0] * num_objectives)
    if len(parts) != num_objectives:
        raise ShapeError(
            f"shares must be {num_objectives} numbers, one for each objective; given {len(parts)}"
        )
    ends = (parts.cumsum(0) / parts.sum() * num_epochs).round().long().tolist()
    # Each phase has an epoch of its own.
    for k in range(num_objectives):
        ends[k] = max(k + 1, min(ends[k], num_epochs - (num_objectives - 1 - k)))
    return tuple(ends)
