"""Vector rewards and their multipliers for any Gymnasium environment, and back to one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from coset.core.errors import DomainError, DtypeError, ShapeError

__all__ = ["LexReward", "LinearReward", "TransitionFunction", "checked_multiplier"]

# (observation, action, next observation, reward, terminated, info) -> what is said of the step.
TransitionFunction = Callable[[Any, Any, Any, float, bool, dict[str, Any]], Any]


class LexReward(gymnasium.Wrapper, RecordConstructorArgs):
    """An environment whose rewards are vectors, compared lexicographically, with multipliers.

    `step` returns a float64 vector r(e) of d numbers in place of the reward, and puts the
    multiplier Γ(e) of u(e∘τ) = r(e) + Γ(e) u(τ) into ``info["multiplier"]``, d × d; the original
    reward is ``info["reward"]``. After a terminal step Γ = 0. A truncated step is not terminal: the
    trajectory was cut off, not ended, its Γ is what it is, and learners bootstrap.

    The attribute ``reward_space`` is a Box of shape (d,), as in MO-Gymnasium. Gymnasium's
    `check_env` passes; about a vector reward it warns, since it knows numbers only: for learners of
    numbers wrap once more by `LinearReward`.

    Args:
        env: the environment.
        function: called as ``function(observation, action, next_observation, reward, terminated,
            info)``; returns the vector.
        multiplier: Γ of steps that are not terminal: a number, (d,), a lower triangular (d, d), or
            a function of the same arguments that returns one of these.
        num_objectives: d ≥ 1; wrong lengths are refused at the first step.
        low: lower bounds of the rewards, a number or (d,).
        high: upper bounds.

    Raises:
        DomainError: if d < 1, a bound is NaN, or the multiplier is negative on its diagonal, not 0
            above it, or not finite.
        ShapeError: if the vector or the multiplier does not have d entries.
        DtypeError: if the function is none or does not return numbers, or a bound is no number.

    Claims: decisions.C5.

    Example:
        >>> env = gymnasium.make("FrozenLake-v1", is_slippery=False)
        >>> def goal_and_time(before, action, after, reward, terminated, info):
        ...     return reward, -1.0
        >>> goal_then_time = LexReward(env, goal_and_time, num_objectives=2, multiplier=(1.0, 0.9))
        >>> _ = goal_then_time.reset(seed=0)
        >>> _, reward, *_, info = goal_then_time.step(1)
        >>> reward, info["multiplier"].tolist()
        (array([ 0., -1.]), [[1.0, 0.0], [0.0, 0.9]])
    """

    def __init__(
        self,
        env: gymnasium.Env,
        function: TransitionFunction,
        *,
        num_objectives: int,
        multiplier: Any = 1.0,
        low: float | Sequence[float] = -np.inf,
        high: float | Sequence[float] = np.inf,
    ) -> None:
        RecordConstructorArgs.__init__(
            self,
            function=function,
            num_objectives=num_objectives,
            multiplier=multiplier,
            low=low,
            high=high,
        )
        super().__init__(env)
        if isinstance(num_objectives, bool) or not isinstance(num_objectives, int | np.integer):
            raise DtypeError(f"num_objectives must be an integer; given {num_objectives!r}")
        if not callable(function):
            raise DtypeError(f"function must be called with a step; given {function!r}")
        if num_objectives < 1:
            raise DomainError(f"num_objectives must be ≥ 1; given {num_objectives}")
        self.num_objectives = int(num_objectives)
        self.reward_space = _box(low, high, self.num_objectives)
        self._function = function
        self._multiplier = (
            multiplier if callable(multiplier) else checked_multiplier(multiplier, num_objectives)
        )
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
            Next observation, float64 (d,) reward, terminated, truncated, info with "multiplier".

        Raises:
            ShapeError: if the function returned a vector of another length.
            DtypeError: if it returned no numbers.
            DomainError: if one of them is not finite.
        """
        after, reward, terminated, truncated, info = self.env.step(action)
        event = (self._observation, action, after, float(reward), bool(terminated), info)
        vector = self._vector(self._function(*event))
        size = self.num_objectives
        if terminated:
            gamma = np.zeros((size, size))
        elif callable(self._multiplier):
            gamma = checked_multiplier(self._multiplier(*event), size)
        else:
            gamma = self._multiplier.copy()
        self._observation = after
        info = {**info, "multiplier": gamma, "reward": float(reward)}
        return after, vector, terminated, truncated, info

    def _vector(self, given: Any) -> np.ndarray:
        try:
            vector = np.array(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DtypeError(f"the reward function must return numbers; given {given!r}") from error
        if vector.shape != (self.num_objectives,):
            raise ShapeError(
                f"the reward function must return {self.num_objectives} numbers, one for each "
                f"objective; it returned shape {vector.shape}"
            )
        if not np.isfinite(vector).all():
            raise DomainError(f"rewards must be finite; the function returned {vector.tolist()}")
        return vector


class LinearReward(gymnasium.Wrapper, RecordConstructorArgs):
    """One number in place of a vector reward: w · r, for learners and checkers of numbers.

    The vector stays in ``info["vector_reward"]``. No weights w are right for every environment (a
    lexicographic order has no scalar reward in general); this is for comparison.

    Args:
        env: an environment with vector rewards, such as `LexReward`.
        weights: (d,) finite numbers.

    Raises:
        DomainError: if a weight is not finite.
        ShapeError: if the weights are not a vector.
        DtypeError: if they are no numbers.

    Claims: decisions.C10b.

    Example:
        >>> env = gymnasium.make("FrozenLake-v1", is_slippery=False)
        >>> vector = LexReward(
        ...     env, lambda s, a, t, r, end, info: (r, -1.0), num_objectives=2, multiplier=1.0
        ... )
        >>> weighted = LinearReward(vector, (10.0, 1.0))
        >>> _ = weighted.reset(seed=0)
        >>> weighted.step(1)[1]
        -1.0
    """

    def __init__(self, env: gymnasium.Env, weights: Sequence[float]) -> None:
        RecordConstructorArgs.__init__(self, weights=weights)
        super().__init__(env)
        try:
            self.weights = np.array(weights, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DtypeError(f"weights must be numbers; given {weights!r}") from error
        if self.weights.ndim != 1 or not self.weights.size:
            raise ShapeError(f"weights must be (d,); given shape {self.weights.shape}")
        if not np.isfinite(self.weights).all():
            raise DomainError(f"weights must be finite; given {self.weights.tolist()}")

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take an action.

        Args:
            action: as the environment wants it.

        Returns:
            Next observation, the weighted reward, terminated, truncated, info.

        Raises:
            ShapeError: if rewards and weights differ in length.
        """
        after, reward, terminated, truncated, info = self.env.step(action)
        vector = np.asarray(reward, dtype=np.float64)
        if vector.shape != self.weights.shape:
            raise ShapeError(
                f"rewards must have one entry for each of the {self.weights.size} weights; given "
                f"shape {vector.shape}"
            )
        return (
            after,
            float(vector @ self.weights),
            terminated,
            truncated,
            {**info, "vector_reward": vector},
        )


def checked_multiplier(given: Any, size: int) -> np.ndarray:
    """Return a multiplier as a lower triangular matrix.

    Args:
        given: a number, (d,) or (d, d).
        size: d.

    Returns:
        (d, d) float64, a new array.

    Raises:
        ShapeError: if it has another shape.
        DomainError: if it is not finite, has a negative diagonal, or numbers above it.
        DtypeError: if it is not numbers.
    """
    try:
        gamma = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DtypeError(f"multiplier must be numbers; given {given!r}") from error
    if gamma.ndim < 2:
        if gamma.shape not in ((), (size,)):
            raise ShapeError(f"multiplier must be a number or ({size},); given {gamma.shape}")
        gamma = np.diag(np.broadcast_to(gamma, (size,)))
    if gamma.shape != (size, size):
        raise ShapeError(f"multiplier must be ({size}, {size}); given {gamma.shape}")
    if not np.isfinite(gamma).all() or (np.diag(gamma) < 0).any() or np.triu(gamma, 1).any():
        raise DomainError(
            f"multiplier must be finite, ≥ 0 on its diagonal and 0 above it; given {gamma.tolist()}"
        )
    return gamma.copy()


def _box(low: Any, high: Any, size: int) -> Any:
    try:
        lower, upper = (np.asarray(bound, dtype=np.float64) for bound in (low, high))
    except (TypeError, ValueError) as error:
        raise DtypeError(f"low and high must be numbers; given {low!r} and {high!r}") from error
    for name, bound in (("low", lower), ("high", upper)):
        if bound.shape not in ((), (size,)):
            raise ShapeError(f"{name} must be a number or ({size},); given {bound.shape}")
        if np.isnan(bound).any():
            raise DomainError(f"{name} must not be NaN; given {bound.tolist()}")
    if (lower > upper).any():
        raise DomainError(f"low must be ≤ high; given {low} and {high}")
    return gymnasium.spaces.Box(
        np.broadcast_to(lower, (size,)).copy(),
        np.broadcast_to(upper, (size,)).copy(),
        dtype=np.float64,
    )
