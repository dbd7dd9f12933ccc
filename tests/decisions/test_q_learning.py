"""Tabular lexicographic Q-learning: the choice, the update, known optima, what is refused."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coset.core.errors import (
    DomainError,
    DtypeError,
    NotConvergedError,
    RangeError,
    ShapeError,
    UnsupportedError,
)
from coset.core.results import Record
from coset.decisions.envs import LexReward, ModelEnv
from coset.decisions.learn import LexQ, kept_actions, lexicographic_argmax, q_learning
from coset.decisions.learn.kernels import greedy, random_unit, update
from coset.decisions.processes.mdp import MDP

F64 = torch.float64
RATES = np.array([1.0, 0.05, 0.75, 0.0])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def brute_choice(q, slack, mask):
    """Return the lexicographic choice by lists."""
    left = [a for a in range(len(q)) if mask[a]]
    for k in range(len(q[0])):
        tolerance = slack if k < len(q[0]) - 1 else 0.0
        best = max((q[a][k] for a in left), default=0.0)
        left = [a for a in left if q[a][k] >= best - tolerance]
    return left[0] if left else -1


small = st.integers(-3, 3).map(lambda n: n / 4)


@settings(deadline=None)  # the first example compiles
@given(
    st.integers(1, 3).flatmap(
        lambda d: st.lists(st.lists(small, min_size=d, max_size=d), min_size=1, max_size=5)
    ),
    st.sampled_from([0.0, 0.25, 0.3, 1.0]),
    st.data(),
)
def test_the_choice_equals_lists_and_the_kernel(q, slack, data):
    mask = data.draw(st.lists(st.booleans(), min_size=len(q), max_size=len(q)))
    expected = brute_choice(q, slack, mask)
    table = torch.tensor(q, dtype=F64)
    assert int(lexicographic_argmax(table, slack, torch.tensor(mask))) == expected
    limits = np.array([slack] * (len(q[0]) - 1) + [0.0])
    work, visits = np.empty(len(q), np.bool_), np.zeros(len(q), np.int64)
    assert greedy(np.array(q), visits, np.array(mask), limits, RATES, work) == expected


def test_the_choice_in_batches_and_with_one_slack_each():
    q = torch.tensor([[[1.0, 0.0], [0.8, 5.0]], [[1.0, 0.0], [0.8, 5.0]]])
    slack = torch.tensor([[0.1], [0.3]])
    assert lexicographic_argmax(q, slack).tolist() == [0, 1]
    assert kept_actions(q, 0.3).tolist() == [[False, True], [False, True]]
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    assert lexicographic_argmax(q, 0.1, nothing).tolist() == [-1, -1]
    assert lexicographic_argmax(torch.zeros(3, 0, 2)).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("q", "slack", "mask", "error"),
    [
        (torch.zeros(3, dtype=torch.int64), 0.0, None, DtypeError),
        ([[0.0]], 0.0, None, DtypeError),
        (torch.zeros(3), 0.0, None, ShapeError),
        (torch.zeros(3, 0), 0.0, None, ShapeError),
        (torch.full((2, 2), torch.nan), 0.0, None, DomainError),
        (torch.zeros(3, 2), -0.1, None, DomainError),
        (torch.zeros(3, 2), float("nan"), None, DomainError),
        (torch.zeros(3, 2), float("inf"), None, DomainError),
        (torch.zeros(3, 2), (0.1, 0.1), None, ShapeError),
        (torch.zeros(3, 2), "little", None, DtypeError),
        (torch.zeros(3, 2), 0.0, torch.ones(2, dtype=torch.bool), ShapeError),
        (torch.zeros(3, 2), 0.0, torch.ones(3), ShapeError),
    ],
)
def test_choices_that_are_refused(q, slack, mask, error):
    with pytest.raises(error):
        kept_actions(q, slack, mask)


def test_random_numbers_are_uniform_and_known():
    counter = np.array([0], np.uint64)
    draws = np.array([random_unit(counter) for _ in range(20_000)])
    # The first outputs of SplitMix64 from 0, as published with it: 0xE220A8397B1DCDAF, …
    assert draws[0] == (0xE220A8397B1DCDAF >> 11) / 2**53
    assert draws[1] == (0x6E789E6AA1B965F4 >> 11) / 2**53
    assert ((draws >= 0) & (draws < 1)).all()
    assert abs(draws.mean() - 0.5) < 6 * np.sqrt(1 / 12 / 20_000)


def test_one_update_by_hand():
    q = np.zeros((2, 2, 2))
    q[1] = [[1.0, 4.0], [0.995, 6.0]]  # with a slack of .01 the choice for both levels is b = 1
    visits = np.array([[3, 0], [0, 0]])
    gamma, slack = np.array([[0.5, 0.0], [3.0, 0.25]]), np.array([0.01, 0.0])
    mask, work = np.ones((2, 2), np.bool_), np.empty(2, np.bool_)
    rates = np.array([0.8, 1.0, 0.5, 0.0])
    update(q, visits, 0, 0, 1, np.array([2.0, 1.0]), gamma, False, mask, slack, rates, work)
    alpha = 0.8 / 2  # n = 3: (1 + 3)^−1/2
    assert q[0, 0].tolist() == pytest.approx(
        [alpha * (2 + 0.5 * 0.995), alpha * (1 + 3 * 0.995 + 0.25 * 6)]
    )
    assert visits[0, 0] == 4
    update(q, visits, 0, 1, 1, np.array([2.0, 1.0]), gamma, True, mask, slack, rates, work)
    assert q[0, 1].tolist() == pytest.approx([0.8 * 2, 0.8 * 1])


def test_a_step_that_stays_reads_values_from_before():
    q, visits = np.array([[[1.0, 2.0]]]), np.zeros((1, 1), np.int64)
    gamma = np.array([[0.5, 0.0], [1.0, 0.5]])
    mask, work = np.ones((1, 1), np.bool_), np.empty(1, np.bool_)
    update(q, visits, 0, 0, 0, np.zeros(2), gamma, False, mask, np.zeros(2), RATES, work)
    assert q[0, 0].tolist() == [0.5, 2.0]


def cross(gain):
    """Return the example T6 of two states: Γ₂₁ = gain decides between a and b in state 0."""
    reward = torch.zeros(3, 2, 1, 2, dtype=F64)
    reward[0, 0, 0], reward[0, 1, 0] = torch.tensor([[0.0, 1.0], [0.5, 5.0]], dtype=F64)
    reward[1, 0, 0], reward[1, 1, 0] = torch.tensor([[1.0, 0.0], [0.5, 2.0]], dtype=F64)
    gamma = torch.zeros(3, 2, 1, 2, 2, dtype=F64)
    gamma[0, 0, 0] = torch.tensor([[0.5, 0.0], [gain, 0.5]])
    gamma[1, 1, 0] = 0.5 * torch.eye(2)
    successor = [[[1], [2]], [[2], [1]], [[2], [2]]]
    return MDP(successor, torch.ones(3, 2, 1), reward, gamma, terminal=[False, False, True])


# Steps are deterministic: a constant rate of 1 makes learning exact, so that a tie is one.
EXACT = LexQ(slack=1e-9, rate_power=0.0, exploration=0.5)


@pytest.mark.parametrize(
    ("gain", "action", "value"), [(1.0, 1, (0.5, 5.0)), (2.0, 0, (0.5, 5.0)), (3.0, 0, (0.5, 6.0))]
)
def test_off_diagonal_multipliers_are_learned(gain, action, value):
    agent = EXACT.fit(cross(gain), 4000, generator=seeded())
    assert agent.policy.tolist() == [action, 1, -1]
    assert agent.value[0].tolist() == pytest.approx(value)
    assert agent.value[1].tolist() == pytest.approx((1.0, 4.0))
    assert agent.value[2].tolist() == [0.0, 0.0]
    if gain == 2.0:
        assert agent.tie_set()[0].tolist() == [True, True]


def test_all_objectives_follow_one_action():
    # In s' the first objective wants b (0.6, 0), the second alone would want c (0.5, 9).
    mdp = MDP(
        [[[1], [2]], [[2], [2]], [[2], [2]]],
        torch.ones(3, 2, 1),
        torch.tensor(
            [[[[0.0, 0]], [[0.6, 1]]], [[[0.6, 0]], [[0.5, 9]]], [[[0.0, 0]], [[0.0, 0]]]]
        ),
        1.0,
        terminal=[False, False, True],
    )
    agent = EXACT.fit(mdp, 2000, generator=seeded())
    assert agent.policy.tolist() == [1, 0, -1]  # bootstrapping each level alone chooses 0 in 0
    assert agent.gaps().tolist() == pytest.approx([0.1, 1.0])


def test_ties_of_the_first_level_are_kept_through_a_self_loop():
    # Lexmax inside each sweep of value iteration never finds the tie .9 = .9 (spec, T7).
    reward = torch.tensor(
        [[[[0.0, 0.0]], [[0.9, 0.0]]], [[[0.1, 0.1]], [[0.1, 0.1]]], [[[0.0, 0.0]]] * 2]
    )
    gamma = torch.full((3, 2, 1), 0.9)
    gamma[0, 1] = 0.0
    mdp = MDP(
        [[[1], [2]], [[1], [1]], [[2], [2]]],
        torch.ones(3, 2, 1),
        reward,
        gamma,
        terminal=[False, False, True],
    )
    agent = LexQ(slack=1e-6, rate_power=0.0, exploration=0.5, restart=0.1).fit(
        mdp, 20_000, generator=seeded()
    )
    assert agent.policy[0] == 0
    assert agent.value[0].tolist() == pytest.approx((0.9, 0.9), abs=1e-6)


def test_where_the_start_is_wrong_a_level_without_discount_stays_wrong():
    # A safe self-loop satisfies V = V: only the limit from 0 is the value (C8c).
    mdp = MDP([[[0]]], [[[1.0]]], [[0.0]], 1.0)
    good = LexQ(initial=0.0, restart=0.1).fit(mdp, 500, generator=seeded())
    wrong = LexQ(initial=-1.0, restart=0.1).fit(mdp, 500, generator=seeded())
    assert (good.value.item(), wrong.value.item()) == (0.0, -1.0)


def noisy_chain():
    """Return a walk on five states with an end on the right; d = 1."""
    successor = torch.tensor([[[max(s - 1, 0), s + 1], [s + 1, max(s - 1, 0)]] for s in range(5)])
    successor = torch.cat([successor, torch.full((1, 2, 2), 5)])
    probability = torch.tensor([0.8, 0.2]).expand(6, 2, 2)
    return MDP(successor, probability, -torch.ones(6, 2), 0.9, terminal=[False] * 5 + [True])


def test_one_objective_is_ordinary_q_learning():
    agent = LexQ(rate_power=0.85).fit(noisy_chain(), 1_000_000, generator=seeded())
    assert agent.policy.tolist() == [1] * 5 + [-1]
    value = torch.zeros(6, dtype=F64)
    for _ in range(500):
        value = noisy_chain().level(0).backup(value)
    torch.testing.assert_close(agent.value[:, 0], value, atol=0.05, rtol=0.0)


def test_interrupting_changes_nothing():
    learner = LexQ()
    whole = learner.fit(noisy_chain(), 3000, generator=seeded(5))
    part = learner.fit(noisy_chain(), 1000, generator=seeded(5))
    rest = learner.fit(noisy_chain(), 2000, generator=seeded(99), agent=part)
    assert torch.equal(rest.q, whole.q)
    assert torch.equal(rest.visits, whole.visits)
    assert (rest.num_steps, rest.counter, rest.state) == (3000, whole.counter, whole.state)
    assert int(whole.visits.sum()) == 3000
    again = Record.from_json(part.to_json())
    assert torch.equal(again.q, part.q)


def test_slack_shrinks_with_visits():
    agent = LexQ(slack=0.5, slack_power=0.3).fit(cross(3.0), 3000, generator=seeded())
    least = agent.visits[:2].min(1).values.double()
    expected = 0.5 * (1 + 0.05 * least) ** -0.3
    torch.testing.assert_close(agent.slack[:2, 0], expected)
    assert not agent.slack[:, 1].any()


def test_the_environment_loop_learns_the_same_optimum():
    agent = EXACT.fit(ModelEnv(cross(3.0)), 3000, generator=seeded())
    assert agent.policy.tolist()[:2] == [0, 1]
    assert agent.value[:2].flatten().tolist() == pytest.approx([0.5, 6.0, 1.0, 4.0])
    assert agent.num_steps == int(agent.visits.sum()) == 3000
    assert [agent.act(s) for s in (0, 1)] == [0, 1]


def test_masked_actions_are_never_taken():
    mask = torch.tensor([[False, True], [True, True], [False, False]])
    mdp = replace(cross(3.0), mask=mask)
    for model in (mdp, ModelEnv(mdp)):
        agent = EXACT.fit(model, 1000, generator=seeded())
        assert agent.visits[0, 0] == 0
        assert agent.policy[0] == 1
        assert agent.mask[0].tolist() == [False, True]


class Corridor(gymnasium.Env):
    """States 1 … 3, actions 2 and 3 (left, right); no end: the time limit cuts it off."""

    observation_space = gymnasium.spaces.Discrete(3, start=1)
    action_space = gymnasium.spaces.Discrete(2, start=2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 1
        return self.place, {}

    def step(self, action):
        self.place = min(3, max(1, self.place + (1 if action == 3 else -1)))
        return self.place, float(self.place == 3), False, False, {}


def test_spaces_that_start_elsewhere_and_truncated_steps_bootstrap():
    env = gymnasium.wrappers.TimeLimit(Corridor(), 7)
    env = LexReward(env, lambda s, a, t, r, e, i: (r,), num_objectives=1, multiplier=0.5)
    agent = EXACT.fit(env, 5000, generator=seeded())
    assert agent.policy.tolist() == [1, 1, 1]
    assert [agent.act(state) for state in (1, 2, 3)] == [3, 3, 3]  # as the environment counts
    for state in (0, 4):
        with pytest.raises(RangeError, match="1…3"):
            agent.act(state)
    assert repr(agent) == "LexQAgent(3×2×1 values, 5,000 steps)"
    # Treating the time limit as an end would leave less than 1 / (1 − .5).
    assert agent.value[:, 0].tolist() == pytest.approx([1.0, 2.0, 2.0])


def test_progress_is_told():
    told = []
    LexQ().fit(noisy_chain(), 10, generator=seeded(), progress=told.append)
    assert told == [10]


def test_no_steps_learn_nothing():
    agent = LexQ(initial=2.0).fit(noisy_chain(), 0, generator=seeded())
    assert agent.num_steps == 0
    assert torch.equal(agent.q, torch.full((6, 2, 1), 2.0, dtype=F64))


@pytest.mark.parametrize(
    "options",
    [
        {"exploration": 0.0},
        {"exploration": 1.5},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"rate_decay": -1.0},
        {"rate_decay": float("inf")},
        {"rate_power": 1.5},
        {"slack_power": -0.1},
        {"restart": 2.0},
        {"slack": -0.1},
        {"slack": (0.1, float("nan"))},
    ],
)
def test_settings_that_are_refused(options):
    with pytest.raises(DomainError):
        LexQ(**options)


def test_models_that_are_refused():
    mdp = noisy_chain()
    with pytest.raises(DtypeError, match="model"):
        LexQ().fit("FrozenLake-v1", 10)
    with pytest.raises(DtypeError, match="num_steps"):
        LexQ().fit(mdp, 1.5)
    with pytest.raises(DomainError, match="num_steps"):
        LexQ().fit(mdp, -1)
    with pytest.raises(ShapeError, match="slack"):
        LexQ(slack=(0.1, 0.1)).fit(mdp, 10)
    with pytest.raises(ShapeError, match="initial"):
        LexQ(initial=(0.1, 0.1)).fit(mdp, 10)
    with pytest.raises(DomainError, match="initial"):
        LexQ(initial=float("inf")).fit(mdp, 10)
    with pytest.raises(DomainError, match="negative"):
        LexQ().fit(MDP([[[0]]], [[[1.0]]], [[0.0]], -0.5), 10)
    with pytest.raises(DomainError, match="terminal"):
        LexQ().fit(MDP([[[0]]], [[[1.0]]], [[0.0]], 0.5, terminal=[True]), 10)
    with pytest.raises(NotConvergedError, match="bounds"):
        LexQ(rate_power=0.0).fit(MDP([[[0]]], [[[1.0]]], [[1.0]], 9.0), 2000)
    with pytest.raises(DtypeError, match="agent"):
        LexQ().fit(mdp, 10, agent={"q": []})
    with pytest.raises(DtypeError, match="initial"):
        LexQ(initial="low").fit(mdp, 10)
    with pytest.raises(DomainError, match="state 5 has none"):
        LexQ().fit(mdp, 10).act(5)
    with pytest.raises(ShapeError, match="agent"):
        LexQ().fit(cross(1.0), 10, agent=LexQ().fit(mdp, 10))
    with pytest.raises(DtypeError, match="Discrete"):
        LexQ().fit(gymnasium.make("CartPole-v1"), 10)


def test_environments_that_are_refused():
    class Silent(Corridor):
        reward_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    with pytest.raises(UnsupportedError, match="reward_space"):
        LexQ().fit(Corridor(), 10)
    with pytest.raises(UnsupportedError, match="multiplier"):
        LexQ().fit(Silent(), 10)
    env = ModelEnv(cross(1.0))
    env.reward_space = Silent.reward_space
    with pytest.raises(ShapeError):
        LexQ().fit(env, 10)


@pytest.mark.parametrize("name", ["exploration", "rate", "restart", "slack"])
def test_settings_that_are_no_numbers_are_refused(name):
    with pytest.raises(DtypeError, match=name):
        LexQ(**{name: "much"})
    assert LexQ(slack=np.float32(0.5)).fit(noisy_chain(), 1, generator=seeded()).num_steps == 1


class Odd(gymnasium.Env):
    """Says what it is told to say after the first step."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)
    reward_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, after=1, reward=0.0, mask=None):
        self.after, self.reward = after, reward
        self.info = {} if mask is None else {"action_mask": np.array(mask)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, dict(self.info)

    def step(self, action):
        info = {"multiplier": np.eye(1)}
        return self.after, np.array([self.reward]), False, False, info


@pytest.mark.parametrize(
    ("odd", "error", "words"),
    [
        # The compiled loop does not look at bounds: this wrote outside of the table.
        ({"after": 99_999_999}, DomainError, "observations must be in 0…1"),
        ({"after": -1}, DomainError, "observations must be in 0…1"),
        ({"reward": float("nan")}, DomainError, "rewards must be finite"),
        ({"mask": [False, False]}, DomainError, "forbids all in state 0"),
        ({"mask": [True, True, True]}, ShapeError, "action_mask"),
    ],
)
def test_what_an_environment_must_not_say(odd, error, words):
    with pytest.raises(error, match=words):
        LexQ().fit(Odd(**odd), 3, generator=seeded())


def test_only_models_restart():
    with pytest.raises(DomainError, match="restart"):
        LexQ(restart=0.5).fit(ModelEnv(noisy_chain()), 3)


def test_the_arrays_of_a_model():
    arrays, starts = q_learning.model_arrays(noisy_chain())
    assert starts.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(arrays[1][:5, :, -1], 1.0)
    assert arrays[3].shape == (1, 1, 1, 1, 1)
