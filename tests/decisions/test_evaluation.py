"""The value of a policy: every kind of policy, objectives in order, sums that do not converge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.decisions.level_cases import discounted, growing, tensor

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.decisions.errors import NotTransientError
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.evaluation import evaluate, evaluate_level, reaching
from coset.decisions.solvers.occupancy import occupancy
from coset.decisions.solvers.policy_kernel import PolicyKernel, perron_vector


def triangular(seed, size=6):
    generator = torch.Generator().manual_seed(seed)
    plain = discounted(size, seed, 1.0, 1)
    shape = plain.successor.shape
    gamma = torch.zeros(*shape, 3, 3, dtype=torch.float64)
    for i in range(3):
        gamma[..., i, i] = 0.9 * torch.rand(shape, generator=generator, dtype=torch.float64)
        for j in range(i):
            gamma[..., i, j] = torch.randn(shape, generator=generator, dtype=torch.float64)
    reward = torch.randn(*shape, 3, generator=generator, dtype=torch.float64)
    return replace(plain, reward=reward, multiplier=gamma)


def joint_solution(mdp, shares):
    """Solve all objectives at once: V = r + Σ π P Γ V as one system of S d equations."""
    size, d = mdp.num_states, mdp.num_objectives
    system = torch.eye(size * d, dtype=torch.float64)
    right = torch.zeros(size * d, dtype=torch.float64)
    for s, a in torch.nonzero(mdp.allowed).tolist():
        for k in range(mdp.num_successors):
            p = float(shares[s, a] * mdp.probability[s, a, k])
            t = int(mdp.successor[s, a, k])
            right[s * d : s * d + d] += p * mdp.reward[s, a, k]
            if bool(mdp.allowed[t].any()):
                system[s * d : s * d + d, t * d : t * d + d] -= p * mdp.multiplier[s, a, k]
    return torch.linalg.solve(system, right).reshape(size, d)


@pytest.mark.parametrize("seed", range(5))
def test_objectives_are_solved_in_order_as_one_system(seed):
    mdp = triangular(seed)
    policy = torch.randint(0, 3, (6,), generator=torch.Generator().manual_seed(seed))
    shares = torch.nn.functional.one_hot(policy, 3).double()
    torch.testing.assert_close(evaluate(mdp, policy), joint_solution(mdp, shares))
    mixed = torch.rand(6, 3, generator=torch.Generator().manual_seed(seed)).double()
    mixed = mixed / mixed.sum(1, keepdim=True)
    torch.testing.assert_close(evaluate(mdp, mixed), joint_solution(mdp, mixed))
    torch.testing.assert_close(evaluate(mdp, policy.numpy()), evaluate(mdp, policy.tolist()))


def test_many_states_are_solved_iteratively():
    mdp = discounted(3000, 0, 0.95, 100)
    policy = torch.zeros(3000, dtype=torch.long)
    level = mdp.level(0)
    found = evaluate_level(level, torch.where(level.active, policy, -1))
    value = torch.zeros(3000, dtype=torch.float64)
    only_first = level.restrict(torch.tensor([True, False, False]))
    for _ in range(800):
        value = only_first.backup(value)
    assert bool(((found.value - value).abs() <= found.error + 1e-12).all())
    assert float(found.error.max()) < 1e-8
    torch.testing.assert_close(evaluate(mdp, policy)[:, 0], found.value)


def test_nothing_needs_to_die_out_where_nothing_is_collected():
    # 0 goes on or stays; staying for ever is free, going on costs 1 and ends.
    mdp = MDP(
        [[[0], [1]], [[1], [1]]],
        torch.ones(2, 2, 1),
        [[0.0, -1.0], [0.0, 0.0]],
        terminal=[False, True],
    )
    assert evaluate(mdp, [0, -1]).flatten().tolist() == [0.0, 0.0]
    assert evaluate(mdp, [1, -1]).flatten().tolist() == [-1.0, 0.0]
    costly = replace(mdp, reward=mdp.reward - 0.5)
    with pytest.raises(NotTransientError, match="among states 0 the spectral radius is 1") as seen:
        evaluate(costly, [0, -1])
    assert seen.value.policy == (0, -1)


def test_rows_of_thirds_count_as_closed():
    third = torch.full((3, 1, 3), 1 / 3, dtype=torch.float64)
    mdp = MDP(torch.arange(3).expand(3, 1, 3), third, torch.ones(3, 1))
    with pytest.raises(NotTransientError):
        evaluate(mdp, [0, 0, 0])
    assert evaluate(replace(mdp, multiplier=0.5), [0, 0, 0]).flatten().tolist() == pytest.approx(
        [2.0] * 3
    )


def test_growth_that_dies_out_is_summed_and_other_growth_refused():
    pair = MDP([[[1]], [[0]]], torch.ones(2, 1, 1), [[1.0], [0.5]], [[[2.0]], [[0.25]]])
    assert evaluate(pair, [0, 0]).flatten().tolist() == pytest.approx([4.0, 1.5])
    with pytest.raises(NotTransientError):
        evaluate(replace(pair, multiplier=torch.tensor([[[2.0]], [[0.5]]])), [0, 0])


def test_negative_multipliers_are_summed():
    swing = MDP([[[0]]], [[[1.0]]], [[1.0]], -0.5)
    assert evaluate(swing, [0]).item() == pytest.approx(1 / 1.5)
    # Signs that would cancel are no convergence: the sum must converge absolutely.
    with pytest.raises(NotTransientError):
        evaluate(replace(swing, multiplier=-1.0), [0])


@pytest.mark.parametrize("seed", range(6))
def test_the_bound_holds(seed):
    level = growing(8, seed, top=0.7)
    policy = torch.zeros(8, dtype=torch.long)
    try:
        found = evaluate_level(level, policy)
    except NotTransientError:
        matrix = PolicyKernel.of(level, policy).matrix.toarray()
        assert np.abs(np.linalg.eigvals(matrix)).max() >= 1
        return
    exact = np.linalg.solve(
        np.eye(8) - PolicyKernel.of(level, policy).matrix.toarray(), level.reward[:, 0].numpy()
    )
    assert bool((np.abs(found.value.numpy() - exact) <= found.error.numpy() + 1e-13).all())
    assert float(found.error.max()) < 1e-10


def test_perron_vectors_of_blocks():
    from scipy.sparse import csr_matrix

    matrix = np.zeros((5, 5))
    matrix[0, 1], matrix[1, 0], matrix[2, 2], matrix[3, 4] = 2.0, 0.72, 0.5, 9.0
    kernel = PolicyKernel(csr_matrix(matrix), np.ones(5, bool), torch.device("cpu"))
    vector, radius = perron_vector(kernel)
    assert radius == pytest.approx(1.2)
    assert vector[2:].tolist() == [0.0] * 3
    assert float(vector[0] / vector[1]) == pytest.approx(2 / 1.2)


def test_reaching_follows_edges_backwards():
    from scipy.sparse import csr_matrix

    chain = csr_matrix(np.diag(np.ones(4), 1))
    assert reaching(chain, np.array([False, False, True, False, False])).tolist() == [
        True, True, True, False, False,
    ]  # fmt: skip
    assert not reaching(chain, np.zeros(5, bool)).any()


@pytest.mark.parametrize(
    ("policy", "error", "message"),
    [
        ([0], ShapeError, "actions \\(2,\\) or shares \\(2, 2\\)"),
        ([0.0, 1.0], DtypeError, "integers"),
        ([True, False], DtypeError, "integers"),
        ([2, 0], DomainError, "at state 0 it takes 2"),
        ([-1, 0], DomainError, "at state 0 it takes -1"),
        ([0, 1], DomainError, "at state 1 it takes 1"),
        ([[0.5, 0.6], [1.0, 0.0]], DomainError, "at state 0"),
        ([[0.5, 0.5], [0.5, 0.5]], DomainError, "at state 1"),
        ([[1.5, -0.5], [1.0, 0.0]], DomainError, "at state 0"),
        ([[float("nan"), 1.0], [1.0, 0.0]], DomainError, "at state 0"),
    ],
)
def test_what_is_refused(policy, error, message):
    mdp = MDP(
        [[[1], [0]], [[0], [0]]],
        torch.ones(2, 2, 1),
        torch.zeros(2, 2),
        0.5,
        mask=[[True, True], [True, False]],
    )
    with pytest.raises(error, match=message):
        evaluate(mdp, policy)


def test_one_state_and_terminal_states():
    one = MDP([[[0]]], [[[1.0]]], [[3.0]], 0.5)
    assert evaluate(one, [0]).tolist() == [[6.0]]
    ended = MDP([[[0]]], [[[1.0]]], [[3.0]], terminal=[True])
    for anything in ([0], [-1], [7]):
        assert evaluate(ended, anything).tolist() == [[0.0]]
    assert tensor([1.0]).dtype == evaluate(one, [0]).dtype


@pytest.mark.parametrize("seed", range(4))
def test_visits_weighted_by_rewards_are_the_value(seed):
    mdp = discounted(9, seed, 0.9, 2)
    start = torch.rand(9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    shares = torch.rand(9, 3, generator=torch.Generator().manual_seed(seed)).double()
    shares = shares / shares.sum(1, keepdim=True)
    for policy in ([1] * 9, shares):
        mass = occupancy(mdp, policy, start)
        assert bool((mass[7:] == 0).all())
        earned = float((mass * mdp.expected_reward(0)).sum())
        assert earned == pytest.approx(float(start @ evaluate(mdp, policy)[:, 0]))
    endless = discounted(9, seed, 0.9)
    whole = occupancy(endless, [0] * 9, torch.full((9,), 1 / 9))
    assert float(whole.sum()) == pytest.approx(10.0)


def test_visits_of_growing_processes_and_of_endless_ones():
    pair = MDP([[[1]], [[0]]], torch.ones(2, 1, 1), [[1.0], [0.5]], [[[2.0]], [[0.25]]])
    mass = occupancy(pair, [0, 0], [1.0, 0.0])
    assert mass.flatten().tolist() == pytest.approx([2.0, 4.0])
    stay = MDP(
        [[[0], [1]], [[1], [1]]], torch.ones(2, 2, 1), torch.zeros(2, 2), terminal=[False, True]
    )
    assert occupancy(stay, [1, -1], [2.0, 5.0]).tolist() == [[0.0, 2.0], [0.0, 0.0]]
    assert occupancy(stay, [0, -1], [0.0, 1.0]).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(NotTransientError, match="states 0"):
        occupancy(stay, [0, -1], [1.0, 0.0])
    with pytest.raises(ShapeError, match="start"):
        occupancy(pair, [0, 0], [1.0])
    with pytest.raises(DomainError, match="≥ 0"):
        occupancy(pair, [0, 0], [1.0, -1.0])


@pytest.mark.parametrize("policy", [None, ["a", "b"], object()])
def test_a_policy_holds_numbers(policy):
    with pytest.raises(DtypeError, match="a policy must be a tensor"):
        evaluate(discounted(2, 0), policy)
