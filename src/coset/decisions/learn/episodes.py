"""Walking through a Gymnasium environment one step at a time, learning a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coset.core.errors import DomainError, ShapeError, UnsupportedError
from coset.decisions.envs.lex_reward import checked_multiplier

__all__ = ["multiplier_of", "num_objectives_of", "vector_of", "walk_environment"]

_PAUSE = 2048


def walk_environment(
    env: Any,
    tables: tuple[np.ndarray, np.ndarray, np.ndarray],
    settings: tuple[np.ndarray, np.ndarray, float],
    num_steps: int,
    seed: int,
    progress: Callable[[int], object],
) -> None:
    """Learn in place from steps of an environment; each call starts a new episode.

    Args:
        env: an environment with discrete states and actions.
        tables: q (S, A, d), visits (S, A), and mask (S, A), filled from ``info["action_mask"]``.
        settings: slack (d,), rates (4,), exploration.
        num_steps: how many.
        seed: of the environment and the exploration.
        progress: told the number of steps done.

    Raises:
        DomainError: if an observation is out of range, or no action is allowed.
        ShapeError: if a reward, a multiplier or a mask has the wrong shape.
        UnsupportedError: if ``info`` holds no multiplier.

    Claims: decisions.C13.
    """
    from coset.decisions.learn import kernels

    choose: Any = kernels.choose
    learn: Any = kernels.update
    q, visits, mask = tables
    slack, rates, exploration = settings
    counter, kept = np.array([seed], np.uint64), np.empty(q.shape[1], np.bool_)
    first, offset = int(env.observation_space.start), int(env.action_space.start)
    state = -1
    for step in range(num_steps):
        if state < 0:
            # Only the first reset seeds: the environment goes on with its own numbers.
            seeded: dict[str, Any] = {"seed": seed % 2**31} if step == 0 else {}
            given, info = env.reset(**seeded)
            state = _place(given, first, len(q))
            _take_mask(mask, state, info)
        if not mask[state].any():
            raise DomainError(
                f"an action must be allowed in each state that is not terminal; "
                f"info['action_mask'] forbids all in state {state + first}"
            )
        a = choose(q[state], visits[state], mask[state], slack, rates, exploration, counter, kept)
        given, reward, terminated, truncated, info = env.step(a + offset)
        after = _place(given, first, len(q))
        if not terminated:
            _take_mask(mask, after, info)
        gamma = multiplier_of(info, q.shape[2])
        vector = vector_of(reward, q.shape[2])
        ended = bool(terminated) or not gamma.any()
        learn(q, visits, state, a, after, vector, gamma, ended, mask, slack, rates, kept)
        state = -1 if terminated or truncated else after
        if step % _PAUSE == _PAUSE - 1 or step == num_steps - 1:
            progress(step + 1)


def _place(given: Any, first: int, num_states: int) -> int:
    """Return the row of a state; the compiled loop would write outside of the table."""
    place = int(given) - first
    if not 0 <= place < num_states:
        raise DomainError(
            f"observations must be in {first}…{first + num_states - 1}, as the environment's "
            f"observation_space says; it gave {given}"
        )
    return place


def _take_mask(mask: np.ndarray, state: int, info: dict[str, Any]) -> None:
    given = info.get("action_mask")
    if given is None:
        return
    allowed = np.asarray(given)
    if allowed.shape != mask.shape[1:]:
        raise ShapeError(
            f"info['action_mask'] must be of shape {mask.shape[1:]}; given {allowed.shape}"
        )
    mask[state] = allowed.astype(np.bool_)


def num_objectives_of(env: Any) -> int:
    """Return the number of objectives of an environment with vector rewards.

    Args:
        env: the environment.

    Returns:
        d, the length of its `reward_space`.

    Raises:
        UnsupportedError: if it has none.
    """
    try:
        space = env.get_wrapper_attr("reward_space")
    except AttributeError as error:
        raise UnsupportedError(
            "the environment must have a reward_space (d,), since its rewards are vectors; wrap it "
            "by coset.decisions.envs.LexReward or SafetyFirst"
        ) from error
    return int(space.shape[0])


def vector_of(reward: Any, size: int) -> np.ndarray:
    """Return a reward as a vector.

    Args:
        reward: what the environment returned; one number is a vector of one.
        size: d.

    Returns:
        (d,) float64.

    Raises:
        ShapeError: if it has another length.
        DomainError: if it is not finite.
    """
    vector = np.atleast_1d(np.asarray(reward, dtype=np.float64))
    if vector.shape != (size,):
        raise ShapeError(f"rewards must be ({size},), one for each objective; given {vector.shape}")
    if not np.isfinite(vector).all():
        raise DomainError(f"rewards must be finite; the environment gave {vector.tolist()}")
    return vector


def multiplier_of(info: dict[str, Any], size: int) -> np.ndarray:
    """Return the multiplier of a step.

    Args:
        info: what the environment returned.
        size: d.

    Returns:
        (d, d) float64.

    Raises:
        UnsupportedError: if there is none.
        ShapeError: if it has another shape.
    """
    if "multiplier" not in info:
        raise UnsupportedError(
            "the environment must tell the multiplier of each step in info['multiplier']; wrap it "
            "by coset.decisions.envs.LexReward or SafetyFirst"
        )
    gamma = info["multiplier"]
    if isinstance(gamma, np.ndarray) and gamma.shape == (size, size) and gamma.dtype == np.float64:
        return gamma
    return checked_multiplier(gamma, size)
