"""What deep learners return, and what they share: seeds, reports, checks of settings."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError
from coset.decisions.learn.networks import LexicographicActorCritic, LexicographicQNetwork
from coset.decisions.learn.pool import run_episodes
from coset.decisions.learn.selection import checked_slack
from coset.train import Callback, TrainState

__all__ = [
    "DeepAgent",
    "KeepBest",
    "Report",
    "Telling",
    "check_range",
    "check_steps",
    "is_better",
    "keeper",
    "seeds_of",
]

# (environment steps done, figures) -> nothing.
Report = Callable[[int, Mapping[str, float]], object]

_SIDE_BY_SIDE = 16  # environments of an evaluation


@dataclass(frozen=True, eq=False)
class DeepAgent:
    """A trained network, and how the training went.

    Attributes:
        network: whose `act` is the policy.
        num_steps: environment steps learned from.
        history: figures of each epoch: "step", "loss", "return_1" … of the episodes that ended.

    Claims: decisions.C15.
    """

    network: LexicographicQNetwork | LexicographicActorCritic
    num_steps: int
    history: tuple[Mapping[str, float], ...]

    def __repr__(self) -> str:
        return f"DeepAgent({type(self.network).__name__}, {self.num_steps:,} steps)"

    def act(self, observation: Any) -> Any:
        """Return the greedy action.

        Args:
            observation: one observation as an environment gives it, or a tensor (N, …) of several;
                numbered states are counted from 0 on.

        Returns:
            An int, or (N,) int64 for a tensor; actions are counted from 0 on.
        """
        if isinstance(observation, Tensor):
            return self.network.act(observation)
        array = np.asarray(observation)
        kind = torch.int64 if self.network.discrete else torch.float32
        one = torch.as_tensor(array, dtype=kind)
        return int(self.network.act(one if self.network.discrete else one.reshape(-1)))

    def save(self, path: Path | str) -> None:
        """Write the network as a model file.

        Args:
            path: the file.

        Raises:
            StorageError: if it cannot be written.
        """
        self.network.save(path)


class Telling(Callback):
    """Collects the figures of each epoch, and passes them on.

    Args:
        figures: returns the figures of the epoch that ended, "step" among them.
        report: told of them.
    """

    def __init__(self, figures: Callable[[], dict[str, float]], report: Report | None) -> None:
        self.figures, self.report = figures, report
        self.history: list[Mapping[str, float]] = []

    def on_epoch(self, state: TrainState) -> bool | None:
        """Add an epoch's figures.

        Args:
            state: of the training run.

        Returns:
            ``None``: it never ends a run.
        """
        found = {**self.figures(), "loss": float(state.metrics["train_loss"])}
        self.history.append(found)
        if self.report is not None:
            self.report(int(found["step"]), found)
        return None


class KeepBest(Callback):
    """Evaluates the greedy policy now and then, and keeps the best weights.

    The best is lexicographic: better by more than the slack at an objective, and not worse by more
    at those before it; at the last objective, better at all.

    Args:
        network: whose `act` is evaluated, and whose weights are kept.
        env: makes the environments of the evaluation.
        slack: τ of the objectives but the last, a number or d − 1.
        num_episodes: of an evaluation; the same starts each time.
        every: epochs between two evaluations.
        seed: of the environments.
        active: tells whether to evaluate now.
    """

    def __init__(
        self,
        network: LexicographicQNetwork | LexicographicActorCritic,
        env: Callable[[], Any],
        slack: Any,
        *,
        num_episodes: int,
        every: int,
        seed: int,
        active: Callable[[], bool] = lambda: True,
    ) -> None:
        self.network, self.env, self.seed = network, env, seed
        self.num_episodes, self.every, self.active = num_episodes, every, active
        self.slack = checked_slack(slack, network.num_objectives)
        self.best: Tensor | None = None
        self._kept: dict[str, Tensor] = {}

    def on_epoch(self, state: TrainState) -> bool | None:
        """Evaluate when it is time.

        Args:
            state: of the training run.

        Returns:
            ``None``: it never ends a run.
        """
        if state.epoch % self.every == 0 and self.active():
            self.look()
        return None

    def look(self) -> None:
        """Evaluate now, and keep the weights if they are the best so far."""
        episodes = run_episodes(
            self.network.act,
            self.env,
            self.num_episodes,
            num_envs=min(self.num_episodes, _SIDE_BY_SIDE),
            seed=self.seed,
        )
        mean = episodes.returns.mean(0)
        if self.best is None or is_better(mean, self.best, self.slack):
            self.best, self._kept = mean, copy.deepcopy(self.network.state_dict())

    def restore(self) -> None:
        """Give the network the best weights; the present ones are looked at first."""
        self.look()
        self.network.load_state_dict(self._kept)


def keeper(
    settings: Any,
    network: LexicographicQNetwork | LexicographicActorCritic,
    env: Any,
    seed: int,
    active: Callable[[], bool] = lambda: True,
) -> tuple[KeepBest, ...]:
    """Return the callback that settings ask for, if they do.

    Args:
        settings: with `num_evaluation` and `evaluate_every` and `slack`.
        network: as in `KeepBest`.
        env: what `fit` was given.
        seed: of the environments.
        active: as in `KeepBest`.

    Returns:
        One callback, or none if `num_evaluation` is 0.

    Raises:
        DomainError: if it is not 0 and `env` is a single environment.
    """
    if not settings.num_evaluation:
        return ()
    if isinstance(env, gymnasium.Env):
        raise DomainError(
            "num_evaluation needs environments of its own; given a single environment; pass a "
            "function that makes one, or num_evaluation=0"
        )
    every, num = settings.evaluate_every, settings.num_evaluation
    best = KeepBest(
        network, env, settings.slack, num_episodes=num, every=every, seed=seed, active=active
    )
    return (best,)


def is_better(first: Tensor, second: Tensor, slack: Tensor) -> bool:
    """Tell whether returns are lexicographically better, differences up to a slack ignored.

    Args:
        first: (d,).
        second: (d,).
        slack: (d,) ≥ 0.

    Returns:
        Whether the first difference larger than its slack is a gain.

    Example:
        >>> slack = torch.tensor([0.1, 0.0])
        >>> is_better(torch.tensor([0.95, 2.0]), torch.tensor([1.0, 1.0]), slack)
        True
        >>> is_better(torch.tensor([0.85, 2.0]), torch.tensor([1.0, 1.0]), slack)
        False
    """
    difference = first - second
    large = (difference.abs() > slack).nonzero()
    return bool(len(large)) and bool(difference[large[0, 0]] > 0)


def seeds_of(generator: torch.Generator | None) -> tuple[int, int, int]:
    """Return seeds of the environments, the weights and the training.

    Args:
        generator: source of randomness; None: torch's global one.

    Returns:
        Three integers in [0, 2**31).
    """
    drawn = torch.randint(2**31, (3,), generator=generator).tolist()
    return int(drawn[0]), int(drawn[1]), int(drawn[2])


def check_steps(num_steps: Any) -> int:
    """Return a number of steps.

    Args:
        num_steps: an integer ≥ 1.

    Returns:
        It.

    Raises:
        DtypeError: if it is no integer.
        DomainError: if it is < 1.
    """
    if isinstance(num_steps, bool) or not isinstance(num_steps, int | np.integer):
        raise DtypeError(f"num_steps must be an integer; given {num_steps!r}")
    if num_steps < 1:
        raise DomainError(f"num_steps must be ≥ 1; given {num_steps}")
    return int(num_steps)


def check_range(owner: Any, bounds: Mapping[str, tuple[float, float]]) -> None:
    """Refuse settings out of range.

    Args:
        owner: holds them as attributes.
        bounds: name to (least, most), both allowed; integers are asked for where they are integers.

    Raises:
        DtypeError: if one is no number, or no integer where one is asked for.
        DomainError: if one is outside, infinite or NaN.
    """
    for name, (low, high) in bounds.items():
        value = getattr(owner, name)
        if not isinstance(value, int | float | np.number):
            raise DtypeError(f"{name} must be a number; given {value!r}")
        if isinstance(low, int) and not isinstance(value, int | np.integer):
            raise DtypeError(f"{name} must be an integer; given {value!r}")
        if not low <= value <= high or value == float("inf"):
            raise DomainError(f"{name} must be in [{low:g}, {high:g}]; given {value}")
