"""Deep lexicographic learners: networks, memory, environments, targets, known optima, refusals."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from coset.core import registry
from coset.core.errors import (
    DomainError,
    DtypeError,
    FileFormatError,
    ShapeError,
    UnsupportedError,
)
from coset.core.model_files import load_model
from coset.decisions.envs import LexReward, ModelEnv, SafetyFirst
from coset.decisions.learn import (
    DeepAgent,
    EnvPool,
    LexDQN,
    LexicographicActorCritic,
    LexicographicQNetwork,
    LexPPO,
    ReplayBuffer,
    lexicographic_argmax,
    run_episodes,
)
from coset.decisions.learn.deep import KeepBest, is_better
from coset.decisions.learn.dqn import td_target
from coset.decisions.learn.ppo import phase_ends
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.returns import multiplier_returns


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bandit():
    """Return four arms and one step: in order of importance the last arm is best."""
    reward = torch.tensor([[0.0, 0.0, 9.0], [1.0, 0.0, 5.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    return MDP(
        torch.ones(2, 4, 1, dtype=torch.int32),
        torch.ones(2, 4, 1),
        torch.stack([reward, torch.zeros(4, 3)])[:, :, None],
        1.0,
        terminal=[False, True],
    )


def two_steps():
    """Return the example T6 with Γ₂₁ = 3: a in state 0 and d in state 1, values (½, 6), (1, 4)."""
    reward = torch.zeros(3, 2, 1, 2)
    reward[0, 0, 0], reward[0, 1, 0] = torch.tensor([[0.0, 1.0], [0.5, 5.0]])
    reward[1, 0, 0], reward[1, 1, 0] = torch.tensor([[1.0, 0.0], [0.5, 2.0]])
    gamma = torch.zeros(3, 2, 1, 2, 2)
    gamma[0, 0, 0] = torch.tensor([[0.5, 0.0], [3.0, 0.5]])
    gamma[1, 1, 0] = 0.5 * torch.eye(2)
    successor = [[[1], [2]], [[2], [1]], [[2], [2]]]
    return MDP(successor, torch.ones(3, 2, 1), reward, gamma, terminal=[False, False, True])


def lake():
    env = gymnasium.make("FrozenLake-v1", is_slippery=False, disable_env_checker=True)
    return LexReward(
        env,
        lambda s, a, t, r, end, info: (r, -1.0),
        num_objectives=2,
        multiplier=(0.95, 0.95),
    )


# A table: one weight for each entry.
TABLE_DQN = LexDQN(
    num_envs=4,
    steps_per_update=8,
    learning_starts=100,
    hidden=(),
    value_scale=(1.0, 5.0),
    learning_rate=5e-2,
    target_rate=0.2,
    exploration=(1.0, 0.3),
)


@pytest.fixture(scope="module")
def trained():
    return TABLE_DQN.fit(lambda: ModelEnv(two_steps()), 4000, generator=seeded())


def test_dqn_finds_the_known_values(trained):
    q = trained.network(torch.tensor([0, 1])).detach()
    expected = torch.tensor([[[0.5, 6.0], [0.5, 5.0]], [[1.0, 0.0], [1.0, 4.0]]])
    torch.testing.assert_close(q, expected, atol=0.02, rtol=0.0)
    assert trained.network.act(torch.tensor([0, 1])).tolist() == [0, 1]
    assert (trained.act(0), trained.act(np.int64(1))) == (0, 1)
    assert 4000 - TABLE_DQN.steps_per_update < trained.num_steps <= 4000
    assert trained.history[-1]["step"] == trained.num_steps
    assert trained.history[-1]["loss"] < 1e-3


@pytest.mark.parametrize("learner", [TABLE_DQN, LexPPO(num_envs=4, num_rollout=16)])
def test_agents_depend_on_the_generator_only(learner):
    def run(seed):
        torch.manual_seed(seed)
        return learner.fit(lambda: ModelEnv(two_steps()), 400, generator=seeded())

    once, twice = run(1), run(2)
    for a, b in zip(once.network.parameters(), twice.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert once.history == twice.history


def test_dqn_crosses_the_lake_on_a_shortest_way():
    learner = LexDQN(
        num_envs=8,
        steps_per_update=16,
        learning_starts=500,
        hidden=(),
        value_scale=(1.0, 10.0),
        learning_rate=3e-2,
        target_rate=0.05,
        exploration=(1.0, 0.3),
        num_evaluation=2,
    )
    agent = learner.fit(lake, 10_000, generator=seeded())
    episodes = run_episodes(agent.act, lake, 1)
    assert episodes.lengths.tolist() == [6]
    assert episodes.returns[0, 0] == pytest.approx(0.95**5)


def test_ppo_chooses_the_lexicographically_best_arm():
    learner = LexPPO(
        slack=0.1,
        num_envs=8,
        num_rollout=32,
        hidden=(),
        value_scale=(1.0, 1.0, 5.0),
        learning_rate=5e-2,
        batch_size=128,
    )
    told = []
    agent = learner.fit(
        lambda: ModelEnv(bandit()), 8000, generator=seeded(), report=lambda n, f: told.append(n)
    )
    assert agent.act(0) == 3
    assert agent.history[0]["phase"] == 1.0
    assert agent.history[-1]["phase"] == 3.0
    assert told == [int(row["step"]) for row in agent.history]


def test_ppo_of_one_objective_is_ordinary():
    mdp = bandit()
    alone = MDP(mdp.successor, mdp.probability, mdp.reward[..., 2:], 1.0, terminal=mdp.terminal)
    learner = LexPPO(num_envs=8, num_rollout=32, hidden=(), value_scale=5.0, learning_rate=5e-2)
    agent = learner.fit(lambda: ModelEnv(alone), 4000, generator=seeded())
    assert agent.act(0) == 0


def test_targets_bootstrap_at_one_action_of_the_online_network():
    online, target = (LexicographicQNetwork(2, 2, 2, hidden=(), discrete=True) for _ in range(2))
    with torch.no_grad():
        for network, table in (
            (online, [[1.0, 0.0, 0.5, 9.0], [0.0, 0.0, 0.0, 0.0]]),
            (target, [[2.0, 3.0, 70.0, 80.0], [0.0, 0.0, 0.0, 0.0]]),
        ):
            network.layers[0].weight.copy_(torch.tensor(table).T)
    gamma = torch.tensor([[[0.5, 0.0], [2.0, 0.25]], [[0.0, 0.0], [0.0, 0.0]]])
    reward = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    found = td_target(online, target, reward, gamma, torch.tensor([0, 0]))
    # Online, action 0 is best at the first level; the target's values of it are (2, 3).
    assert found.tolist() == [[1 + 0.5 * 2, 2 + 2 * 2 + 0.25 * 3], [1.0, 2.0]]


def test_networks_choose_as_lexicographic_argmax_does(generator):
    network = LexicographicQNetwork(3, 4, 3, hidden=(8,), slack=(0.2, 0.1))
    x = torch.randn(50, 3, generator=generator) * 100
    with torch.no_grad():
        expected = lexicographic_argmax(network(x), (0.2, 0.1))
    assert torch.equal(network.act(x), expected)
    assert len(expected.unique()) > 1


@pytest.mark.parametrize("kind", [LexicographicQNetwork, LexicographicActorCritic])
def test_model_files(kind, tmp_path, monkeypatch):
    name = f"coset.decisions.learn.networks:{kind.__name__}"
    monkeypatch.setitem(registry.MODEL_CLASSES, kind.file_class, name)
    more = {"slack": (0.3,)} if kind is LexicographicQNetwork else {}
    network = kind(3, 2, 2, hidden=(5, 4), value_scale=(1.0, 30.0), **more)
    agent = DeepAgent(network, 10, ())
    agent.save(tmp_path / "agent.safetensors")
    loaded = load_model(tmp_path / "agent.safetensors")
    x = torch.randn(7, 3)
    for a, b in zip(
        torch.utils._pytree.tree_leaves(network(x)),
        torch.utils._pytree.tree_leaves(loaded(x)),
        strict=True,
    ):
        assert torch.equal(a, b)
    assert loaded.arguments == network.arguments
    content = (tmp_path / "agent.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-8])
    with pytest.raises(FileFormatError):
        load_model(tmp_path / "cut.safetensors")


def test_agents_act_on_single_observations():
    network = LexicographicActorCritic(4, 2, 1)
    agent = DeepAgent(network, 0, ())
    x = np.array([0.1, 0.2, -0.3, 0.4])
    assert agent.act(x) == int(network.act(torch.tensor(x, dtype=torch.float32)))
    assert agent.act(torch.zeros(5, 4)).shape == (5,)
    draws = network.sample(torch.zeros(2000, 4), seeded())
    chance = network(torch.zeros(1, 4))[0].softmax(-1)[0, 1].item()
    assert abs(draws.double().mean().item() - chance) < 0.07


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"num_inputs": 0}, DomainError),
        ({"num_actions": 2.0}, DtypeError),
        ({"num_objectives": True}, DtypeError),
        ({"hidden": (8, 0)}, DomainError),
        ({"value_scale": (1.0, 2.0, 3.0)}, ShapeError),
        ({"value_scale": 0.0}, DomainError),
        ({"value_scale": float("nan")}, DomainError),
        ({"slack": (0.1, 0.1)}, ShapeError),
        ({"slack": -1.0}, DomainError),
    ],
)
def test_networks_that_are_refused(arguments, error):
    sizes = {"num_inputs": 3, "num_actions": 2, "num_objectives": 2}
    with pytest.raises(error):
        LexicographicQNetwork(**{**sizes, **arguments})


def test_observations_that_are_refused():
    with pytest.raises(ShapeError, match="observations"):
        LexicographicQNetwork(3, 2, 2)(torch.zeros(5, 4))
    with pytest.raises(DomainError, match="observations"):
        LexicographicQNetwork(3, 2, 2, discrete=True)(torch.tensor([3]))


def test_the_memory_keeps_the_last_steps():
    memory = ReplayBuffer(3, (2,), 1)
    for i in range(5):
        state = torch.full((1, 2), float(i))
        memory.append(state, torch.tensor([i]), state[:, :1], state[:, :1, None], state + 1)
    assert len(memory) == 3
    drawn = memory.sample(200, seeded())
    assert set(drawn[1].tolist()) == {2, 3, 4}
    for observation, action, reward, gamma, after in zip(*drawn, strict=True):
        assert observation.tolist() == [float(action)] * 2
        assert (reward.item(), gamma.item(), after[0].item()) == (action, action, action + 1)
    twin = ReplayBuffer(3, (2,), 1)
    twin.load_state_dict(memory.state_dict())
    for a, b in zip(twin.sample(9, seeded(1)), memory.sample(9, seeded(1)), strict=True):
        assert torch.equal(a, b)


def test_the_memory_takes_more_than_it_holds():
    memory = ReplayBuffer(3, (), 1, dtype=torch.int64)
    states = torch.arange(10)
    memory.append(states, states, torch.zeros(10, 1), torch.zeros(10, 1, 1), states)
    assert set(memory.sample(100, seeded())[0].tolist()) == {7, 8, 9}


def test_what_the_memory_refuses():
    for capacity, size in ((0, 1), (3, 0)):
        with pytest.raises(DomainError):
            ReplayBuffer(capacity, (), size)
    memory = ReplayBuffer(3, (2,), 1)
    with pytest.raises(DomainError, match="empty"):
        memory.sample(1)
    with pytest.raises(ShapeError):
        memory.append(*(torch.zeros(1) for _ in range(5)))
    other = ReplayBuffer(3, (1,), 1)
    other.append(*(torch.zeros(1, *s) for s in ((1,), (), (1,), (1, 1), (1,))))
    with pytest.raises(ShapeError, match="stored"):
        memory.load_state_dict(other.state_dict())


class Ramp(gymnasium.Env):
    """Observation t; the reward (t, 1) with Γ of its own; ends after three steps."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Discrete(2, start=5)
    reward_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    truncate = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.array([0.0], np.float32), {}

    def step(self, action):
        assert action in self.action_space
        self.t += 1
        last = self.t == 3
        gamma = np.array([[0.5, 0.0], [1.0, 0.25 * self.t]])
        info = {"multiplier": gamma, "unsafe": self.t == 2}
        reward = np.array([float(self.t), 1.0])
        observation = np.array([float(self.t)], np.float32)
        return observation, reward, last and not self.truncate, last and self.truncate, info


class CutRamp(Ramp):
    truncate = True


def test_a_pool_counts_episodes_and_shows_final_observations():
    for env, gamma in ((Ramp, 0.0), (CutRamp, 0.5)):
        pool = EnvPool(env, 2)
        assert (pool.num_inputs, pool.num_actions, pool.num_objectives) == (1, 2, 2)
        steps = [pool.step(torch.tensor([0, 1])) for _ in range(4)]
        assert [s.observation[0].item() for s in steps] == [0.0, 1.0, 2.0, 0.0]
        assert [s.after[0].item() for s in steps] == [1.0, 2.0, 3.0, 1.0]
        assert [s.ended.tolist() for s in steps][2:] == [[True, True], [False, False]]
        assert steps[2].multiplier[0, 0, 0].item() == gamma
        episodes = pool.take_finished()
        assert episodes.lengths.tolist() == [3, 3]
        assert episodes.unsafe.tolist() == [True, True]
        reward, multiplier = (
            torch.stack([getattr(s, name)[0] for s in steps[:3]])
            for name in ("reward", "multiplier")
        )
        expected = multiplier_returns(reward.double(), multiplier.double())[0]
        torch.testing.assert_close(episodes.returns[0], expected)
        assert len(pool.take_finished().lengths) == 0


def test_whole_episodes_are_run_fairly():
    found = run_episodes(lambda x: torch.zeros(len(x), dtype=torch.int64), Ramp, 5, num_envs=2)
    assert found.lengths.tolist() == [3] * 6
    with pytest.raises(DomainError, match="num_episodes"):
        run_episodes(lambda x: x, Ramp, 0)


def test_what_a_pool_refuses():
    with pytest.raises(DomainError, match="num_envs"):
        EnvPool(Ramp, 0)
    with pytest.raises(DomainError, match="function"):
        EnvPool(Ramp(), 2)
    with pytest.raises(DtypeError, match="env"):
        EnvPool("CartPole-v1")
    with pytest.raises(DtypeError, match="Discrete"):
        EnvPool(gymnasium.make("Pendulum-v1"))
    with pytest.raises(UnsupportedError, match="observations"):
        EnvPool(gymnasium.make("Blackjack-v1"))
    mask = torch.tensor([[True, False, True, True], [False] * 4])
    mdp = bandit()
    with pytest.raises(UnsupportedError, match="actions"):
        EnvPool(
            ModelEnv(
                MDP(
                    mdp.successor,
                    mdp.probability,
                    mdp.reward,
                    1.0,
                    mask=mask,
                    terminal=mdp.terminal,
                )
            )
        )


def test_the_best_weights_are_kept():
    network = LexicographicQNetwork(2, 4, 3, hidden=(), discrete=True)

    def prefer(arm):
        with torch.no_grad():
            weight = torch.zeros(12, 2)
            weight[3 * arm] = 1.0
            network.layers[0].weight.copy_(weight)

    best = KeepBest(network, lambda: ModelEnv(bandit()), 0.1, num_episodes=2, every=1, seed=0)
    for arm in (1, 3, 0, 2):
        prefer(arm)
        best.look()
    prefer(0)
    best.restore()
    assert network.act(torch.tensor(0)) == 3
    assert best.best.tolist() == [1.0, 1.0, 1.0]
    tolerance = torch.tensor([0.1, 0.1, 0.0])
    assert not is_better(best.best, best.best, tolerance)


def test_phases():
    assert phase_ends(None, 2, 10) == (5, 10)
    assert phase_ends((1.0, 4.0), 2, 10) == (2, 10)
    assert phase_ends((1.0, 1e6), 2, 3) == (1, 3)
    assert phase_ends((1e6, 1.0, 1.0), 3, 3) == (1, 2, 3)
    with pytest.raises(ShapeError, match="shares"):
        phase_ends((1.0,), 2, 10)


@pytest.mark.parametrize(
    ("learner", "settings"),
    [
        (LexDQN, {"batch_size": 0}),
        (LexDQN, {"capacity": 0}),
        (LexDQN, {"learning_rate": 0.0}),
        (LexDQN, {"target_rate": 2.0}),
        (LexDQN, {"exploration": (1.5, 0.1)}),
        (LexDQN, {"exploration_share": 0.0}),
        (LexPPO, {"num_rollout": 1}),
        (LexDQN, {"num_envs": 8, "steps_per_update": 4}),
        (LexPPO, {"num_rollout": 0}),
        (LexPPO, {"trace": 1.5}),
        (LexPPO, {"clip": 0.0}),
        (LexPPO, {"entropy": float("nan")}),
        (LexPPO, {"shares": (1.0, 0.0)}),
        (LexPPO, {"multiplier_limit": -1.0}),
    ],
)
def test_settings_that_are_refused(learner, settings):
    with pytest.raises(DomainError):
        learner(**settings)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"exploration": 0.5}, ShapeError),
        ({"exploration": (0.5,)}, ShapeError),
        ({"exploration": (0.5, "low")}, DtypeError),
        ({"batch_size": "many"}, DtypeError),
        ({"num_envs": 1.5}, DtypeError),
        ({"capacity": 10.0}, DtypeError),
        ({"target_rate": None}, DtypeError),
    ],
)
def test_settings_of_the_wrong_kind_are_refused(settings, error):
    with pytest.raises(error, match=next(iter(settings))):
        LexDQN(**settings)


def test_runs_that_are_refused():
    def make():
        return ModelEnv(bandit())

    for learner in (LexDQN(), LexPPO()):
        with pytest.raises(DomainError, match="num_steps"):
            learner.fit(make, 0)
        with pytest.raises(DtypeError, match="num_steps"):
            learner.fit(make, 1.5)
    one = make()
    for maker in (lambda: None, lambda: one):
        with pytest.raises(DtypeError, match="a new Gymnasium environment"):
            LexDQN(num_envs=2).fit(maker, 100)
    with pytest.raises(DtypeError, match="hidden"):
        LexDQN(hidden=5).fit(make, 100)
    with pytest.raises(DtypeError, match="value_scale"):
        LexPPO(value_scale="large").fit(make, 100)
    with pytest.raises(DtypeError, match="shares"):
        LexPPO(shares=3.0)
    with pytest.raises(DomainError, match="function"):
        LexDQN(num_evaluation=2).fit(make(), 100)
    with pytest.raises(ShapeError, match="slack"):
        LexDQN(slack=(0.1,)).fit(make, 100)
    with pytest.raises(ShapeError, match="shares"):
        LexPPO(shares=(1.0,)).fit(make, 100)
    plain = gymnasium.make("CartPole-v1")
    with pytest.raises(UnsupportedError, match="reward_space"):
        LexDQN().fit(plain, 100)


def test_a_safety_discount_makes_later_accidents_count_less():
    cliff = gymnasium.make("CliffWalking-v1")
    env = SafetyFirst(cliff, lambda s, a, t, r, end, info: r == -100, safety_discount=0.9)
    env.reset(seed=0)
    assert env.step(0)[4]["multiplier"][0, 0] == 0.9
    with pytest.raises(DomainError, match="safety_discount"):
        SafetyFirst(cliff, lambda *event: False, safety_discount=0.0)
