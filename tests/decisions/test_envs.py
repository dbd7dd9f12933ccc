"""Wrappers and the environment of a model: Gymnasium's checker, by hand, and what is refused."""

from __future__ import annotations

import contextlib

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.decisions.envs import LexReward, LinearReward, ModelEnv, SafetyFirst
from coset.decisions.processes.mdp import MDP


def lake(**options):
    return gymnasium.make("FrozenLake-v1", **options)


def goal_and_time(before, action, after, reward, terminated, info):
    return reward, -1.0


def is_cliff(before, action, after, reward, terminated, info):
    return reward == -100


@contextlib.contextmanager
def warnings_of(monkeypatch):
    """Collect what Gymnasium's checker warns of."""
    found = []
    monkeypatch.setattr(gymnasium.logger, "warn", lambda text, *rest, **more: found.append(text))
    yield found


def expected_warning(text):
    """Tell whether a warning is about wrappers and vector rewards as such."""
    return "different from the unwrapped" in text or "must be a float" in text or "a spec" in text


@pytest.mark.parametrize("name", ["lex", "safety", "model"])
def test_the_checker_of_gymnasium_passes(name, monkeypatch):
    env = {
        "lex": lambda: LexReward(lake(), goal_and_time, num_objectives=2, multiplier=(1.0, 0.9)),
        "safety": lambda: SafetyFirst(gymnasium.make("CliffWalking-v1"), is_cliff),
        "model": lambda: ModelEnv(loop()),
    }[name]()
    with warnings_of(monkeypatch) as found:
        # Seen: once rendering has opened a window, a later import of triton crashes the process.
        check_env(env, skip_render_check=True)
    assert all(expected_warning(text) for text in found), found
    assert any("must be a float" in text for text in found)  # the one thing a vector cannot pass


def test_with_one_number_the_checker_warns_of_wrapping_only(monkeypatch):
    vector = LexReward(lake(), goal_and_time, num_objectives=2)
    with warnings_of(monkeypatch) as found:
        check_env(LinearReward(vector, (5.0, 1.0)), skip_render_check=True)
    assert all("different from the unwrapped" in text for text in found)


def test_the_wrapped_environment_can_be_made_from_its_spec():
    env = LexReward(lake(), goal_and_time, num_objectives=2, multiplier=(1.0, 0.9))
    twin = env.spec.make()
    assert twin.reward_space == env.reward_space
    for wrapped in (env, twin):
        wrapped.reset(seed=3)
    steps = [wrapped.step(2) for wrapped in (env, twin)]
    assert steps[0][0] == steps[1][0]
    np.testing.assert_array_equal(steps[0][4]["multiplier"], steps[1][4]["multiplier"])


def test_lex_reward_by_hand():
    env = LexReward(
        lake(is_slippery=False),
        goal_and_time,
        num_objectives=2,
        multiplier=lambda s, a, t, r, end, info: [[1.0, 0.0], [0.5, 0.9]],
    )
    env.reset(seed=0)
    for action in (1, 1, 2, 1, 2, 2):  # the way to the goal
        after, reward, terminated, _, info = env.step(action)
        goal = after == 15
        assert reward.tolist() == [float(goal), -1.0]
        assert reward.dtype == np.float64
        assert terminated == goal
        assert info["reward"] == float(goal)
        expected = [[0.0, 0.0], [0.0, 0.0]] if goal else [[1.0, 0.0], [0.5, 0.9]]
        assert info["multiplier"].tolist() == expected
    assert goal
    assert env.reward_space.shape == (2,)


def test_a_truncated_step_keeps_its_multiplier():
    env = LexReward(
        gymnasium.make("FrozenLake-v1", is_slippery=False, max_episode_steps=1),
        goal_and_time,
        num_objectives=2,
        multiplier=0.9,
    )
    env.reset(seed=0)
    _, _, terminated, truncated, info = env.step(1)
    assert (terminated, truncated) == (False, True)
    np.testing.assert_array_equal(info["multiplier"], 0.9 * np.eye(2))


def test_the_function_sees_the_transition():
    seen = []

    def record(*event):
        seen.append(event)
        return (0.0,)

    env = LexReward(lake(is_slippery=False), record, num_objectives=1)
    env.reset(seed=0)
    env.step(1)
    env.step(1)
    before, action, after, reward, terminated, info = seen[1]
    assert (before, action, after, reward, terminated) == (4, 1, 8, 0.0, False)
    assert "prob" in info


def test_safety_first_by_hand():
    env = SafetyFirst(gymnasium.make("CliffWalking-v1"), is_cliff, discount=0.9)
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(0)
    assert (reward.tolist(), terminated, truncated) == ([0.0, -1.0], False, False)
    assert info["multiplier"].tolist() == [[1.0, 0.0], [-1.0, 0.9]]
    assert (info["unsafe"], info["reward"]) == (False, -1.0)
    _, _, terminated, _, _ = env.step(2)  # back to the start
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(1)  # into the cliff, which does not end CliffWalking
    assert (reward.tolist(), terminated, info["unsafe"]) == ([-1.0, 0.0], True, True)
    assert not info["multiplier"].any()
    assert reward in env.reward_space


def test_safety_first_takes_another_reward():
    env = SafetyFirst(
        gymnasium.make("CliffWalking-v1"), is_cliff, reward=lambda s, a, t, r, end, info: 7.0
    )
    env.reset(seed=0)
    _, reward, _, _, info = env.step(0)
    assert reward.tolist() == [0.0, 7.0]
    assert info["multiplier"].tolist() == [[1.0, 0.0], [7.0, 0.99]]


def test_linear_reward_by_hand():
    vector = LexReward(lake(is_slippery=False), goal_and_time, num_objectives=2)
    env = LinearReward(vector, (10.0, 0.5))
    env.reset(seed=0)
    rewards = [env.step(action)[1] for action in (1, 1, 2, 1, 2, 2)]
    assert rewards == [-0.5] * 5 + [9.5]
    assert isinstance(rewards[0], float)


def chain():
    """Return 0 →a 1 →a end, with b staying; two objectives; b exists in state 0 only."""
    return MDP(
        [[[1, 0], [0, 0]], [[2, 1], [1, 1]], [[2, 2], [2, 2]]],
        [[[0.75, 0.25], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]],
        reward=torch.arange(12.0).reshape(3, 2, 1, 2),
        multiplier=torch.tensor([[1.0, 0.0], [0.5, 0.9]]),
        mask=torch.tensor([[True, True], [True, False], [False, False]]),
        terminal=torch.tensor([False, False, True]),
    )


def loop():
    """Return two states, two actions, no end."""
    return MDP([[[0], [1]], [[1], [0]]], torch.ones(2, 2, 1), torch.ones(2, 2, 1, 2), 0.9)


def test_the_environment_of_a_model_samples_the_model():
    env = ModelEnv(chain(), start=0)
    counts = [0, 0]
    env.reset(seed=0)
    for _ in range(4000):
        state, info = env.reset()
        assert state == 0
        assert info["action_mask"].tolist() == [True, True]
        after, reward, terminated, _, info = env.step(0)
        assert (reward.tolist(), terminated) == ([0.0, 1.0], False)
        assert info["multiplier"].tolist() == [[1.0, 0.0], [0.5, pytest.approx(0.9)]]
        counts[after] += 1
    assert abs(counts[1] / 4000 - 0.75) < 6 * np.sqrt(0.75 * 0.25 / 4000)
    while after != 1:
        after, *_ = env.step(0)
    after, reward, terminated, _, info = env.step(0)
    assert (after, reward.tolist(), terminated) == (2, [4.0, 5.0], True)
    assert not info["multiplier"].any()
    with pytest.raises(DomainError, match="reset"):
        env.step(0)


def test_starts_are_spread_over_the_states_that_are_not_terminal():
    env = ModelEnv(chain())
    env.reset(seed=1)
    assert {env.reset()[0] for _ in range(50)} == {0, 1}


def test_what_the_environment_of_a_model_refuses():
    with pytest.raises(RangeError, match="start"):
        ModelEnv(chain(), start=3)
    with pytest.raises(DomainError, match="terminal"):
        ModelEnv(chain(), start=2)
    with pytest.raises(DomainError, match="terminal"):
        ModelEnv(MDP([[[0]]], [[[1.0]]], [[0.0]], terminal=[True]))
    env = ModelEnv(chain(), start=0)
    env.reset(seed=0)
    with pytest.raises(DomainError, match="given 2"):
        env.step(2)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"num_objectives": 0}, DomainError),
        ({"num_objectives": 2.0}, DtypeError),
        ({"multiplier": (1.0, 0.9, 0.8)}, ShapeError),
        ({"multiplier": np.eye(3)}, ShapeError),
        ({"multiplier": -0.5}, DomainError),
        ({"multiplier": [[1.0, 0.5], [0.0, 1.0]]}, DomainError),
        ({"multiplier": float("nan")}, DomainError),
        ({"multiplier": "much"}, DtypeError),
        ({"low": (0.0, 0.0, 0.0)}, ShapeError),
        ({"low": float("nan")}, DomainError),
        ({"low": 1.0, "high": 0.0}, DomainError),
    ],
)
def test_what_lex_reward_refuses(options, error):
    with pytest.raises(error):
        LexReward(lake(), goal_and_time, **{"num_objectives": 2, **options})


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        ((1.0, 2.0, 3.0), ShapeError),
        (1.0, ShapeError),
        (("a", "b"), DtypeError),
        (None, ShapeError),
        ((1.0, float("inf")), DomainError),
    ],
)
def test_rewards_that_are_refused(returned, error):
    env = LexReward(lake(), lambda *event: returned, num_objectives=2)
    env.reset(seed=0)
    with pytest.raises(error):
        env.step(0)


def test_what_is_no_number_or_no_function_is_refused():
    for options in ({"discount": "x"}, {"safety_discount": None}, {"reward": 3}, {"unsafe": None}):
        with pytest.raises(DtypeError):
            SafetyFirst(lake(), **{"unsafe": is_cliff, **options})
    with pytest.raises(DtypeError, match="function"):
        LexReward(lake(), 3, num_objectives=1)
    with pytest.raises(DtypeError, match="low and high"):
        LexReward(lake(), goal_and_time, num_objectives=2, low="x")
    with pytest.raises(DtypeError, match="weights"):
        LinearReward(lake(), "ab")
    with pytest.raises(DtypeError, match="start"):
        ModelEnv(chain(), start=0.5)


def test_other_refusals():
    for discount in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(DomainError, match="discount"):
            SafetyFirst(lake(), is_cliff, discount=discount)
    env = SafetyFirst(lake(), is_cliff, reward=lambda *event: float("nan"))
    env.reset(seed=0)
    with pytest.raises(DomainError, match="finite"):
        env.step(0)
    with pytest.raises(DomainError, match="finite"):
        LinearReward(lake(), (1.0, float("inf")))
    with pytest.raises(ShapeError, match="weights"):
        LinearReward(lake(), ())
    scalar = LinearReward(lake(), (1.0, 2.0))
    scalar.reset(seed=0)
    with pytest.raises(ShapeError, match="weights"):
        scalar.step(0)
