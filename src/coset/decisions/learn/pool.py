"""Several copies of an environment that step together, and what whole episodes earned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, UnsupportedError
from coset.decisions.learn.episodes import multiplier_of, num_objectives_of, vector_of

__all__ = ["EnvPool", "Episodes", "Steps", "run_episodes"]


@dataclass(frozen=True)
class Steps:
    """One step of N environments.

    Attributes:
        observation: (N, …) before the step.
        action: (N,) int64.
        reward: (N, d) float32.
        multiplier: (N, d, d) float32, 0 where the step terminated.
        after: (N, …) observation that the step led to, also where the episode ended there.
        ended: (N,) bool, terminated or truncated.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor
    multiplier: Tensor
    after: Tensor
    ended: Tensor

    def __repr__(self) -> str:
        return f"Steps({len(self.action)} environments)"


@dataclass(frozen=True)
class Episodes:
    """What whole episodes earned.

    Attributes:
        returns: (E, d) float64, u = r₀ + Γ₀ (r₁ + Γ₁ (…)), cut off at truncation.
        lengths: (E,) int64 steps.
        unsafe: (E,) bool, whether some step said ``info["unsafe"]``.
    """

    returns: Tensor
    lengths: Tensor
    unsafe: Tensor

    def __repr__(self) -> str:
        return f"Episodes({len(self.lengths)} episodes, {int(self.unsafe.sum())} unsafe)"


class EnvPool:
    """N copies of an environment; an episode that ends is followed by the next.

    Args:
        env: an environment, or a function without arguments that makes one. Rewards are vectors
            and ``info["multiplier"]`` their multiplier, as those of `coset.decisions.envs`.
        num_envs: N ≥ 1; more than one needs a function.
        seed: of the environments' randomness.

    Raises:
        DtypeError: if it is neither, or actions are not discrete.
        DomainError: if N < 1, or N > 1 with a single environment.
        UnsupportedError: if observations are neither numbered nor a Box.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any] | Callable[[], Any], num_envs: int = 1, *, seed: int = 0
    ) -> None:
        if num_envs < 1:
            raise DomainError(f"num_envs must be ≥ 1; given {num_envs}")
        if not isinstance(env, gymnasium.Env) and not callable(env):
            raise DtypeError(
                f"env must be a Gymnasium environment or make one; given {type(env).__name__}"
            )
        if isinstance(env, gymnasium.Env) and num_envs > 1:
            raise DomainError(
                f"{num_envs} copies need a function that makes an environment; given one "
                f"environment; pass lambda: gymnasium.make(…), or num_envs=1"
            )
        make: Any = env
        self.envs: list[Any] = (
            [env] if isinstance(env, gymnasium.Env) else [make() for _ in range(num_envs)]
        )
        distinct = len({id(e) for e in self.envs}) == num_envs
        if not distinct or not all(isinstance(e, gymnasium.Env) for e in self.envs):
            raise DtypeError(
                f"the function must make a new Gymnasium environment at each call; it made "
                f"{', '.join(str(e) for e in self.envs)[:80]}"
            )
        first = self.envs[0]
        self.discrete = isinstance(first.observation_space, gymnasium.spaces.Discrete)
        if not isinstance(first.action_space, gymnasium.spaces.Discrete):
            raise DtypeError(f"actions must be Discrete; given {first.action_space}")
        if not self.discrete and not isinstance(first.observation_space, gymnasium.spaces.Box):
            raise UnsupportedError(
                f"observations must be Discrete or a Box; given {first.observation_space}; use "
                f"gymnasium.wrappers.FlattenObservation"
            )
        space = first.observation_space
        self.num_inputs = int(space.n) if self.discrete else int(np.prod(space.shape))
        self.num_actions = int(first.action_space.n)
        self.num_objectives = num_objectives_of(first)
        self._offsets = int(space.start) if self.discrete else 0, int(first.action_space.start)
        size = (len(self.envs), self.num_objectives)
        self._carried = np.broadcast_to(np.eye(size[1]), (*size, size[1])).copy()
        self._earned, self._lengths = np.zeros(size), np.zeros(size[0], np.int64)
        self._unsafe = np.zeros(size[0], np.bool_)
        self.finished: list[tuple[np.ndarray, int, bool]] = []
        starts = [e.reset(seed=(seed + i) % 2**31) for i, e in enumerate(self.envs)]
        for _, info in starts:
            _refuse_mask(info)
        self._now = np.stack([self._read(observation) for observation, _ in starts])

    @property
    def observation(self) -> Tensor:
        """(N,) int64 or (N, num_inputs) float32: where the environments stand."""
        return torch.from_numpy(self._now.copy())

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """The shape of one observation."""
        return () if self.discrete else (self.num_inputs,)

    def _read(self, observation: Any) -> np.ndarray:
        if self.discrete:
            return np.asarray(int(observation) - self._offsets[0], dtype=np.int64)
        return np.asarray(observation, dtype=np.float32).reshape(-1)

    def step(self, action: Tensor) -> Steps:
        """Take one action in each environment.

        Args:
            action: (N,) int64 in 0 … A − 1.

        Returns:
            The steps; `finished` grows by the episodes that ended.

        Raises:
            UnsupportedError: if an environment restricts its actions or tells no multiplier.
        """
        before, chosen = self._now.copy(), action.tolist()
        num, d = len(self.envs), self.num_objectives
        reward, gamma = np.empty((num, d)), np.empty((num, d, d))
        after, ended = np.empty_like(before), np.zeros(num, np.bool_)
        for i, env in enumerate(self.envs):
            observation, given, terminated, truncated, info = env.step(chosen[i] + self._offsets[1])
            after[i] = self._now[i] = self._read(observation)
            reward[i], gamma[i] = vector_of(given, d), multiplier_of(info, d)
            if terminated:
                gamma[i] = 0.0
            ended[i] = terminated or truncated
            self._count(i, reward[i], gamma[i], bool(info.get("unsafe", False)))
            if ended[i]:
                self._finish(i)
                observation, info = env.reset()
                self._now[i] = self._read(observation)
            _refuse_mask(info)
        return Steps(
            observation=torch.from_numpy(before),
            action=action,
            reward=torch.from_numpy(reward).float(),
            multiplier=torch.from_numpy(gamma).float(),
            after=torch.from_numpy(after),
            ended=torch.from_numpy(ended),
        )

    def _count(self, i: int, reward: np.ndarray, gamma: np.ndarray, unsafe: bool) -> None:
        self._earned[i] += self._carried[i] @ reward
        self._carried[i] = self._carried[i] @ gamma
        self._lengths[i] += 1
        self._unsafe[i] |= unsafe

    def _finish(self, i: int) -> None:
        self.finished.append((self._earned[i].copy(), int(self._lengths[i]), bool(self._unsafe[i])))
        self._earned[i], self._lengths[i], self._unsafe[i] = 0.0, 0, False
        self._carried[i] = np.eye(self.num_objectives)

    def take_finished(self) -> Episodes:
        """Return the episodes that ended since the last call, and forget them."""
        done, self.finished = self.finished, []
        returns = np.array([u for u, _, _ in done]).reshape(-1, self.num_objectives)
        return Episodes(
            returns=torch.from_numpy(returns),
            lengths=torch.tensor([n for _, n, _ in done], dtype=torch.int64),
            unsafe=torch.tensor([u for _, _, u in done], dtype=torch.bool),
        )


def _refuse_mask(info: dict[str, Any]) -> None:
    mask = info.get("action_mask")
    if mask is not None and not np.all(mask):
        raise UnsupportedError(
            "deep learners need all actions in every state; info['action_mask'] forbids some; use "
            "LexQ, or give forbidden actions an outcome"
        )


def run_episodes(
    act: Callable[[Tensor], Tensor],
    env: gymnasium.Env[Any, Any] | Callable[[], Any],
    num_episodes: int,
    *,
    num_envs: int = 1,
    seed: int = 0,
) -> Episodes:
    """Run whole episodes under a policy.

    Each environment runs the same number of episodes, so that short ones are not favored.

    Args:
        act: from (N, …) observations to (N,) actions, as ``agent.act``.
        env: as in `EnvPool`; its episodes must end.
        num_episodes: how many, ≥ 1, rounded up to a multiple of `num_envs`.
        num_envs: how many run side by side.
        seed: of the environments' randomness.

    Returns:
        What they earned.

    Raises:
        DomainError: if `num_episodes` < 1.
        CosetError: as `EnvPool`.
    """
    if num_episodes < 1:
        raise DomainError(f"num_episodes must be ≥ 1; given {num_episodes}")
    pool = EnvPool(env, num_envs, seed=seed)
    each = -(-num_episodes // num_envs)
    done = [0] * num_envs
    kept: list[tuple[np.ndarray, int, bool]] = []
    while min(done) < each:
        steps = pool.step(act(pool.observation))
        finished = iter(pool.finished)
        for i in steps.ended.nonzero()[:, 0].tolist():
            episode = next(finished)
            if done[i] < each:
                kept.append(episode)
                done[i] += 1
        pool.finished = []
    pool.finished = kept
    return pool.take_finished()
