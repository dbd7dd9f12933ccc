"""Safety first: an environment in which no reward makes up for an unsafe event."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from coset.core.errors import DomainError, DtypeError
from coset.decisions.envs.lex_reward import TransitionFunction

__all__ = ["SafetyFirst"]


class SafetyFirst(gymnasium.Wrapper, RecordConstructorArgs):
    """The two objectives of a safety-first order: never an unsafe event; then the return.

    An unsafe step has the reward (−1, 0), multiplier 0, and ends the episode. Any other step has
    (0, r), and unless it is terminal the multiplier Γ = [[1, 0], [r, γ]]: the entry r makes
    trajectories that end unsafe earn nothing. Then u = (−P(unsafe), P(safe)·E[Σ γ^t r | safe]).

    The theorem has the multiplier 1 in the first objective: an accident counts the same whenever it
    happens. A `safety_discount` < 1 lets later ones count less; that is another order, whose values
    a network can learn from pieces of long episodes.

    Args:
        env: the environment; its rewards are numbers.
        unsafe: ``unsafe(observation, action, next_observation, reward, terminated, info) -> bool``.
        discount: γ > 0 of the second objective.
        safety_discount: of the first, in (0, 1].
        reward: a function of the same arguments that returns r, in place of the environment's.

    Raises:
        DtypeError: if a discount is no number, or `unsafe` or `reward` no function.
        DomainError: if γ is not positive and finite, or the safety's not in (0, 1].

    Claims: decisions.C7.

    Example:
        >>> cliff = gymnasium.make("CliffWalking-v1")
        >>> env = SafetyFirst(cliff, lambda s, a, t, r, end, info: r == -100)
        >>> _ = env.reset(seed=0)
        >>> env.step(1)[1:3]
        (array([-1.,  0.]), True)
    """

    def __init__(
        self,
        env: gymnasium.Env,
        unsafe: TransitionFunction,
        *,
        discount: float = 0.99,
        safety_discount: float = 1.0,
        reward: TransitionFunction | None = None,
    ) -> None:
        RecordConstructorArgs.__init__(
            self, unsafe=unsafe, discount=discount, safety_discount=safety_discount, reward=reward
        )
        super().__init__(env)
        if not callable(unsafe) or not (reward is None or callable(reward)):
            raise DtypeError(f"unsafe and reward must be functions; given {unsafe!r}, {reward!r}")
        for name, given in (("discount", discount), ("safety_discount", safety_discount)):
            if not isinstance(given, int | float | np.number):
                raise DtypeError(f"{name} must be a number; given {given!r}")
        if not 0.0 < discount < np.inf:
            raise DomainError(f"discount must be positive and finite; given {discount}")
        if not 0.0 < safety_discount <= 1.0:
            raise DomainError(f"safety_discount must be in (0, 1]; given {safety_discount}")
        self.num_objectives = 2
        self.reward_space = gymnasium.spaces.Box(
            np.array([-1.0, -np.inf]), np.array([0.0, np.inf]), dtype=np.float64
        )
        self._discounts = float(safety_discount), float(discount)
        self._unsafe, self._reward = unsafe, reward
        self._observation: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, as the environment does.

        Args:
            seed: of the environment's randomness.
            options: as the environment wants them.

        Returns:
            The observation and info.
        """
        self._observation, info = self.env.reset(seed=seed, options=options)
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take an action.

        Args:
            action: as the environment wants it.

        Returns:
            Next observation, float64 (2,) reward, terminated (also after an unsafe step),
            truncated, info with "multiplier", "unsafe" and the environment's "reward".

        Raises:
            DomainError: if the reward is not finite.
        """
        after, reward, terminated, truncated, info = self.env.step(action)
        event = (self._observation, action, after, float(reward), bool(terminated), info)
        unsafe = bool(self._unsafe(*event))
        earned = float(reward if self._reward is None else self._reward(*event))
        if not np.isfinite(earned):
            raise DomainError(f"rewards must be finite; given {earned}")
        vector = np.array([-1.0, 0.0] if unsafe else [0.0, earned])
        ended = bool(terminated) or unsafe
        first, second = self._discounts
        gamma = np.array([[first, 0.0], [earned, second]]) * (not ended)
        self._observation = after
        info = {**info, "multiplier": gamma, "unsafe": unsafe, "reward": float(reward)}
        return after, vector, ended, bool(truncated), info
