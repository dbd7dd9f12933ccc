"""Deep lexicographic Q-learning: one network with a head for each objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from coset.core.errors import ShapeError
from coset.decisions.learn.deep import (
    DeepAgent,
    Report,
    Telling,
    check_range,
    check_steps,
    keeper,
    seeds_of,
)
from coset.decisions.learn.networks import LexicographicQNetwork
from coset.decisions.learn.pool import EnvPool
from coset.decisions.learn.replay import ReplayBuffer
from coset.train import TrainConfig, fit

if TYPE_CHECKING:
    import gymnasium

__all__ = ["LexDQN"]

_MANY = 10**9
_EPOCH = 250  # gradient steps between two reports


@dataclass(frozen=True)
class LexDQN:
    """Lexicographic deep Q-learning with replay and a slowly moving target network.

    For a remembered step the targets of all objectives follow one action: b = the lexicographic
    choice of the online network in s', y_k = r_k + Σ_{j≤k} Γ_kj Q̄_j(s', b), Q̄ the target network.

    Attributes:
        slack: τ ≥ 0 of the objectives but the last, a number or d − 1; must exceed the error of the
            network at that level.
        hidden: widths of the trunk.
        value_scale: how large the values of each objective are, a number or d.
        learning_rate: of Adam.
        batch_size: steps drawn for a gradient step.
        capacity: steps remembered.
        num_envs: environments side by side.
        steps_per_update: steps of all environments together for one gradient step, ≥ `num_envs`.
        learning_starts: steps collected before the first one.
        target_rate: share of the online weights that enters the target after each gradient step.
        exploration: probability of a random action at the start, and at the end.
        exploration_share: part of the steps over which it falls, in (0, 1].
        num_evaluation: episodes of an evaluation, by which the best weights are kept; 0: the last
            weights are returned. An evaluation runs whole episodes: they must end.
        evaluate_every: reports (250 gradient steps) between two evaluations.

    Raises:
        DomainError: if a setting is out of range.
        ShapeError: if `exploration` is not two numbers.
        DtypeError: if a setting is no number.

    Claims: decisions.C15.
    """

    slack: float | tuple[float, ...] = 0.02
    hidden: tuple[int, ...] = (64, 64)
    value_scale: float | tuple[float, ...] = 1.0
    learning_rate: float = 1e-3
    batch_size: int = 128
    capacity: int = 100_000
    num_envs: int = 1
    steps_per_update: int = 4
    learning_starts: int = 1000
    target_rate: float = 0.01
    exploration: tuple[float, float] = (1.0, 0.05)
    exploration_share: float = 0.5
    num_evaluation: int = 0
    evaluate_every: int = 2

    def __post_init__(self) -> None:
        sizes = ("batch_size", "capacity", "num_envs", "learning_starts", "evaluate_every")
        check_range(self, {name: (1, _MANY) for name in sizes} | {"num_evaluation": (0, _MANY)})
        check_range(self, {"steps_per_update": (int(self.num_envs), _MANY)})
        rates = {"learning_rate": (1e-12, 1e3), "target_rate": (1e-6, 1.0)}
        check_range(self, {**rates, "exploration_share": (1e-9, 1.0)})
        if not isinstance(self.exploration, tuple | list) or len(self.exploration) != 2:
            raise ShapeError(
                f"exploration must be (at the start, at the end); given {self.exploration!r}"
            )
        first, last = self.exploration
        named = SimpleNamespace(exploration_at_start=first, exploration_at_end=last)
        check_range(named, {name: (0.0, 1.0) for name in vars(named)})

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
            env: an environment, or a function that makes one (needed for several side by side),
                with vector rewards as those of `coset.decisions.envs`, discrete actions, all of
                them allowed, and observations that are numbered or a Box. A truncated step
                bootstraps.
            num_steps: of all environments together, ≥ 1; whole updates are taken, at least one.
            generator: source of randomness; None: torch's global one.
            report: told of the figures of each epoch.

        Returns:
            The agent.

        Raises:
            DomainError: if the loss diverged, or a setting does not fit the environment.
            DtypeError: if the environment has other actions.
            UnsupportedError: if it restricts actions or tells no multiplier.
            ShapeError: if slack or scales do not have its number of objectives.
        """
        total = check_steps(num_steps)
        env_seed, weight_seed, order_seed = seeds_of(generator)
        pool = EnvPool(env, self.num_envs, seed=env_seed)
        networks = []
        for _ in range(2):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(weight_seed)
                networks.append(self._network(pool))
        run = _Run(self, pool, networks[0], networks[1].eval(), total)
        telling = Telling(run.figures, report)
        best = keeper(self, run.online, env, env_seed + len(pool.envs))
        fit(
            run.online,
            torch.optim.Adam(run.online.parameters(), lr=self.learning_rate),
            run.loss,
            run.batches,
            TrainConfig(
                run.num_epochs,
                self.batch_size,
                clip_norm=10.0,
                seed=order_seed,
                checkpoint_every=0,
            ),
            after_step=(run.follow,),
            callbacks=(telling, *best),
        )
        for callback in best:
            callback.restore()
        return DeepAgent(run.online.eval(), run.num_steps, tuple(telling.history))

    def _network(self, pool: EnvPool) -> LexicographicQNetwork:
        return LexicographicQNetwork(
            pool.num_inputs,
            pool.num_actions,
            pool.num_objectives,
            hidden=self.hidden,
            discrete=pool.discrete,
            value_scale=self.value_scale,
            slack=self.slack,
        )


class _Run:
    """One training run: environments, memory and both networks."""

    def __init__(
        self,
        settings: LexDQN,
        pool: EnvPool,
        online: LexicographicQNetwork,
        target: LexicographicQNetwork,
        total: int,
    ) -> None:
        self.settings, self.pool, self.total = settings, pool, total
        self.online, self.target = online, target
        kind = torch.int64 if pool.discrete else torch.float32
        self.memory = ReplayBuffer(
            min(settings.capacity, total + settings.num_envs),
            pool.observation_shape,
            pool.num_objectives,
            dtype=kind,
        )
        self.num_steps, self.reported = 0, 0
        self.start = min(settings.learning_starts, total)
        self.num_updates = max(1, (total - self.start) // settings.steps_per_update)

    @property
    def num_epochs(self) -> int:
        return -(-self.num_updates // _EPOCH)

    def batches(self, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Give the batches of an epoch: walk on, and draw from the memory."""
        while self.num_steps < self.start:
            self._collect(1.0, generator)
        epoch = min(_EPOCH, self.num_updates - self.reported)
        self.reported += epoch
        per_update = self.settings.steps_per_update // self.settings.num_envs
        for _ in range(epoch):
            for _ in range(per_update):
                self._collect(self.exploration, generator)
            yield self._batch(generator)

    @property
    def exploration(self) -> float:
        """The present probability of a random action."""
        first, last = self.settings.exploration
        done = self.num_steps / (self.settings.exploration_share * self.total)
        return first + (last - first) * min(1.0, done)

    @torch.no_grad()
    def _collect(self, exploration: float, generator: torch.Generator) -> None:
        num = len(self.pool.envs)
        action = torch.randint(self.pool.num_actions, (num,), generator=generator)
        greedy = torch.rand(num, generator=generator) >= exploration
        if bool(greedy.any()):
            action = torch.where(greedy, self.online.act(self.pool.observation), action)
        steps = self.pool.step(action)
        self.memory.append(
            steps.observation, steps.action, steps.reward, steps.multiplier, steps.after
        )
        self.num_steps += num

    @torch.no_grad()
    def _batch(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return observations, actions and targets."""
        drawn = self.memory.sample(self.settings.batch_size, generator)
        observation, action, reward, gamma, after = drawn
        return observation, action, td_target(self.online, self.target, reward, gamma, after)

    def loss(self, network: LexicographicQNetwork, batch: Sequence[Tensor]) -> Tensor:
        """Return the Huber loss of all objectives, each in its scale."""
        observation, action, target = batch
        scale = network.value_scale
        index = action[:, None, None].expand(-1, 1, network.num_objectives)
        found = network(observation).gather(1, index)[:, 0]
        return nn.functional.smooth_l1_loss(found / scale, target / scale)

    @torch.no_grad()
    def follow(self) -> None:
        """Move the target network."""
        ours = [p.data for p in self.target.parameters()]
        theirs = [p.data for p in self.online.parameters()]
        torch._foreach_lerp_(ours, theirs, self.settings.target_rate)

    def figures(self) -> dict[str, float]:
        """Return the figures of an epoch."""
        done = self.pool.take_finished()
        means = done.returns.mean(0).tolist() if len(done.lengths) else []
        named = {f"return_{k}": value for k, value in enumerate(means, 1)}
        length = {"length": float(done.lengths.double().mean())} if means else {}
        return {"step": float(self.num_steps), "exploration": self.exploration, **named, **length}


def td_target(
    online: LexicographicQNetwork,
    target: LexicographicQNetwork,
    reward: Tensor,
    multiplier: Tensor,
    after: Tensor,
) -> Tensor:
    """Return y = r + Γ Q̄(s', b), b the lexicographic choice of the online network in s'.

    Args:
        online: chooses b, one action for all objectives.
        target: Q̄.
        reward: (N, d).
        multiplier: (N, d, d).
        after: (N, …) s'.

    Returns:
        (N, d).

    Claims: decisions.C15.
    """
    index = online.act(after)[:, None, None].expand(-1, 1, online.num_objectives)
    value: Tensor = target(after).gather(1, index)[:, 0]
    return reward + (multiplier @ value.unsqueeze(-1)).squeeze(-1)
