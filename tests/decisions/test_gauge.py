"""Multipliers up to a scale, rewards up to a potential: what is found, and what stands against."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.decisions.level_cases import tensor

from coset.core.errors import DomainError, ShapeError
from coset.core.results import Record
from coset.decisions.claims.gauge import MATRIX, random_graph, triangle, two_cycle
from coset.decisions.processes.gauge import gauge, regauge
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.potential import potential, shape_reward
from coset.decisions.solvers.evaluation import evaluate
from coset.decisions.solvers.solving import solve


def gauged(seed, discount):
    """Return a random process whose multipliers are a discount in disguise, and its scales."""
    generator = torch.Generator().manual_seed(seed)
    plain = random_graph(generator)
    scale = 0.5 + torch.rand(plain.num_states, generator=generator, dtype=torch.float64)
    after = plain.successor.long()
    reward = torch.randn(after.shape, generator=generator, dtype=torch.float64)
    return replace(plain, reward=reward, multiplier=discount * scale[after] / scale[:, None, None])


def live_multipliers(mdp):
    used = mdp.probability > 0
    return mdp.entry(0, 0).expand(mdp.successor.shape)[used]


def lexicographic(seed, cross):
    """Return a process of two objectives in which ties are common."""
    generator = torch.Generator().manual_seed(seed)
    plain = random_graph(generator)
    size = plain.num_states
    reward = torch.randint(0, 2, (*plain.successor.shape, 2), generator=generator).double()
    gamma = torch.tensor([[0.5, 0.0], [cross, 0.5]], dtype=torch.float64)
    return replace(plain, reward=reward, multiplier=gamma), torch.randint(
        -3, 4, (size, 2), generator=generator
    ).double()


def test_the_stored_cycle():
    found = gauge(two_cycle())
    assert found.holds
    assert found.discount == pytest.approx(0.9486832980505138, abs=1e-15)
    assert found.scale.tolist() == pytest.approx([1.0, 0.4743416490252569], abs=1e-15)
    assert live_multipliers(regauge(two_cycle(), scale=found.scale)).tolist() == pytest.approx(
        [0.9486832980505138] * 2, abs=1e-15
    )
    undiscounted = gauge(two_cycle(), 1.0)
    assert not undiscounted.holds
    assert "product of multipliers is 0.9 times" in undiscounted.reason
    assert undiscounted.witness.replay(two_cycle())
    assert not undiscounted.witness.replay(two_cycle(2.0, 0.5))
    assert gauge(two_cycle(2.0, 0.5), 1.0).holds


@pytest.mark.parametrize("seed", range(20))
def test_disguised_discounts_are_found_and_defects_named(seed):
    mdp = gauged(seed, 0.8)
    found = gauge(mdp)
    assert found.holds
    turned = live_multipliers(regauge(mdp, scale=found.scale))
    assert turned.tolist() == pytest.approx([found.discount] * len(turned), rel=1e-9)
    multiplier = mdp.multiplier.clone()
    multiplier[0, 0, 0] *= 1.5
    broken = replace(mdp, multiplier=multiplier)
    again = gauge(broken)
    if again.holds:  # no cycle runs through the transition, or all of them do
        turned = live_multipliers(regauge(broken, scale=again.scale))
        assert turned.tolist() == pytest.approx([again.discount] * len(turned), rel=1e-9)
    else:
        assert again.scale is None
        assert again.witness.replay(broken)
        assert not again.witness.replay(mdp)
        assert Record.from_json(again.to_json()).witness.replay(broken)


def test_two_ways_of_equal_length_must_multiply_alike():
    # 0→1→3 and 0→2→3: as many transitions forwards as backwards, products 0.25 and 0.5.
    mdp = MDP(
        [[[1], [2]], [[3], [3]], [[3], [3]], [[3], [3]]],
        torch.ones(4, 2, 1),
        torch.zeros(4, 2),
        torch.tensor([[0.5, 0.5], [0.5, 0.5], [1.0, 1.0], [1.0, 1.0]])[..., None],
        mask=[[True, True], [True, False], [True, False], [True, False]],
    )
    found = gauge(mdp)
    assert not found.holds
    assert len(found.witness.cycles) == 1
    assert "as many transitions forwards as backwards" in found.reason
    assert math.exp(abs(found.witness.total)) == pytest.approx(2.0)


def test_ends_of_the_process_do_not_matter():
    # Transitions into terminal states, and those with multiplier 0, carry nothing on.
    mdp = MDP(
        [[[1], [2]], [[0], [2]], [[2], [2]]],
        torch.ones(3, 2, 1),
        torch.ones(3, 2),
        torch.tensor([[2.0, 7.0], [0.5, 9.0], [1.0, 1.0]])[..., None],
        terminal=[False, False, True],
    )
    assert gauge(mdp, 1.0).holds
    ended = replace(two_cycle(5.0, 0.0))
    found = gauge(ended)
    assert found.holds
    assert found.discount == 1.0
    assert regauge(ended, scale=found.scale).multiplier.flatten().tolist() == pytest.approx([1, 0])


@pytest.mark.parametrize("seed", range(6))
def test_representations_have_the_same_policies(seed):
    mdp, _ = lexicographic(seed, 2.0)
    mixed = regauge(mdp, matrix=MATRIX)
    one, other = solve(mdp), solve(mixed)
    assert torch.equal(one.tie_set, other.tie_set)
    torch.testing.assert_close(other.value, one.value @ MATRIX.T, atol=1e-7, rtol=0)
    scalar = gauged(seed, 0.5)
    scale = torch.linspace(0.5, 2.0, scalar.num_states, dtype=torch.float64)
    turned = regauge(scalar, scale=scale)
    policy = solve(scalar).policy
    torch.testing.assert_close(
        evaluate(turned, policy)[:, 0] * scale, evaluate(scalar, policy)[:, 0]
    )


def test_potentials_of_the_triangle():
    found = potential(triangle(-3.0))
    assert found.holds
    assert found.potential.tolist() == [0.0, 1.0, 3.0]
    assert found.residual == 0
    found = potential(triangle(-2.0))
    assert not found.holds
    assert found.potential.tolist() == pytest.approx([0.0, 2 / 3, 7 / 3])
    assert found.residual == pytest.approx(1 / 3)
    assert found.witness.total == pytest.approx(1.0)
    assert found.witness.replay(triangle(-2.0))
    assert not found.witness.replay(triangle(-3.0))


@pytest.mark.parametrize("discount", [1.0, 0.9, 1.25])
@pytest.mark.parametrize("seed", range(8))
def test_potentials_are_found_and_defects_named(seed, discount):
    generator = torch.Generator().manual_seed(seed)
    plain = random_graph(generator)
    phi = torch.randn(plain.num_states, generator=generator, dtype=torch.float64)
    reward = discount * phi[plain.successor.long()] - phi[:, None, None]
    mdp = replace(plain, reward=reward)
    found = potential(mdp, discount)
    assert found.holds
    assert found.residual < 1e-10
    reward = reward.clone()
    reward[0, 0, 0] += 1
    broken = replace(plain, reward=reward)
    again = potential(broken, discount)
    if not again.holds:
        assert again.witness.replay(broken)
        assert not again.witness.replay(mdp)
        assert again.residual > 1e-6


def test_a_potential_makes_every_way_worth_its_ends():
    phi = tensor([0.0, 4.0, -1.0, 2.5])
    after = torch.tensor([[[1, 2]], [[2, 3]], [[3, 3]], [[3, 3]]])
    mdp = MDP(
        after,
        torch.full((4, 1, 2), 0.5),
        phi[after] - phi[:, None, None],
        terminal=[False, False, False, True],
    )
    assert potential(mdp).holds
    value = evaluate(mdp, [0, 0, 0, -1])[:, 0]
    torch.testing.assert_close(value[:3], phi[3] - phi[:3])


@pytest.mark.parametrize("seed", range(8))
def test_shaping_changes_no_decision(seed):
    for cross in (0.0, 3.0):
        mdp, phi = lexicographic(seed, cross)
        shaped = shape_reward(mdp, phi)
        one, other = solve(mdp), solve(shaped)
        assert torch.equal(one.tie_set, other.tie_set)
        torch.testing.assert_close(other.value, one.value - phi, atol=1e-7, rtol=0)
        if cross == 0:
            own = shape_reward(mdp, phi, cross_terms=False)
            assert torch.equal(solve(own).tie_set, one.tie_set)


def test_shaping_one_objective_leaks_into_the_ones_below():
    # 0 ties at level 1 between ways to 1 and to 2; level 2 takes over 3 V_1 of what follows.
    gamma = [[0.5, 0.0], [3.0, 0.5]]
    mdp = MDP(
        [[[1], [2]], [[1], [1]], [[2], [2]]],
        torch.ones(3, 2, 1),
        torch.zeros(3, 2, 1, 2),
        gamma,
        mask=[[True, True], [True, False], [True, False]],
    )
    phi = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    lopsided = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert solve(mdp).tie_set[0].tolist() == [True, True]
    for shift in (phi, lopsided):
        assert solve(shape_reward(mdp, shift)).tie_set[0].tolist() == [True, True]
    leaked = solve(shape_reward(mdp, lopsided, cross_terms=False))
    assert leaked.tie_set[0].tolist() == [False, True]


def test_shaping_counts_no_potential_at_the_end():
    mdp = MDP([[[1]], [[1]]], torch.ones(2, 1, 1), [[1.0], [0.0]], 0.5, terminal=[False, True])
    shaped = shape_reward(mdp, [3.0, 100.0])
    assert evaluate(shaped, [0, -1]).flatten().tolist() == [-2.0, 0.0]


def test_empty_graphs_and_single_states():
    ended = MDP([[[0]]], [[[1.0]]], [[0.0]], terminal=[True])
    assert potential(ended).holds
    assert gauge(ended).holds
    loop = MDP([[[0]]], [[[1.0]]], [[1.0]], 0.5)
    assert gauge(loop).discount == pytest.approx(0.5)
    assert not gauge(loop, 1.0).holds
    found = potential(loop)
    assert not found.holds
    assert found.witness.cycles == ((0,),)
    assert potential(loop, 0.5).potential.tolist() == pytest.approx([-2.0])


def test_unconnected_parts_have_their_own_constants():
    parts = MDP(
        [[[1]], [[0]], [[3]], [[2]]],
        torch.ones(4, 1, 1),
        [[2.0], [-2.0], [5.0], [-5.0]],
        torch.tensor([[[2.0]], [[0.5]], [[4.0]], [[0.25]]]),
    )
    assert potential(parts).potential.tolist() == [0.0, 2.0, 0.0, 5.0]
    found = gauge(parts)
    assert found.discount == pytest.approx(1.0)
    assert found.scale.tolist() == pytest.approx([1.0, 0.5, 1.0, 0.25])
    mixed = gauge(replace(parts, multiplier=torch.tensor([[[2.0]], [[0.5]], [[4.0]], [[0.5]]])))
    assert not mixed.holds
    assert len(mixed.witness.cycles) == 2


def test_long_circles_are_read_in_one_pass():
    size = 3000
    after = ((torch.arange(size) + 1) % size)[:, None, None]
    phi = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mdp = MDP(
        after,
        torch.ones(size, 1, 1),
        (phi[after[:, 0, 0]] - phi)[:, None],
        torch.exp(0.001 * (phi[after] - phi[:, None, None])),
    )
    assert potential(mdp).holds
    assert gauge(mdp).discount == pytest.approx(1.0)


def test_what_is_refused():
    two = MDP([[[0]]], [[[1.0]]], [[[[1.0, 2.0]]]], 0.5)
    for call in (gauge, potential):
        with pytest.raises(DomainError, match="given 2"):
            call(two)
        with pytest.raises(DomainError, match="positive"):
            call(two_cycle(), -1.0)
    with pytest.raises(DomainError, match="see signed"):
        gauge(two_cycle(-1.0, 1.0))
    with pytest.raises(DomainError, match="one objective; given 2"):
        regauge(two, scale=[1.0])
    with pytest.raises(ShapeError, match="one number a state"):
        regauge(two_cycle(), scale=[1.0])
    with pytest.raises(DomainError, match="> 0"):
        regauge(two_cycle(), scale=[1.0, 0.0])
    with pytest.raises(ShapeError, match="\\(2, 2\\)"):
        regauge(two, matrix=[[1.0]])
    for wrong in ([[1.0, 1.0], [0.0, 1.0]], [[float("nan"), 0.0], [0.0, 1.0]]):
        with pytest.raises(DomainError, match="lower triangular"):
            regauge(two, matrix=wrong)
    with pytest.raises(DomainError, match="> 0"):
        regauge(two, matrix=[[1.0, 0.0], [0.0, -1.0]])
    with pytest.raises(ShapeError, match="\\(S, d\\)"):
        shape_reward(two, [1.0])
    with pytest.raises(DomainError, match="finite"):
        shape_reward(two, [[1.0, float("inf")]])


@pytest.mark.parametrize("size", [1.0, 1e-5, 1e-8])
def test_witnesses_of_small_defects_replay(size):
    mdp = MDP(
        [[[0, 1]], [[0, 1]]],
        torch.full((2, 1, 2), 0.5),
        [[[size, 0.0]], [[0.0, 0.0]]],
    )
    for discount in (1.0, 0.9):
        witness = potential(mdp, discount, tol=1e-10).witness
        assert witness is not None
        assert witness.replay(mdp)


def test_a_tampered_cycle_does_not_replay():
    mdp = triangle(-2.0)
    witness = potential(mdp).witness
    assert witness is not None
    assert witness.replay(mdp)
    for change in (
        {"edges": witness.edges + 5},
        {"edges": witness.edges - 1},
        {"weights": witness.weights[:1]},
        {"weights": witness.weights * math.inf},
        {"total": math.nan},
        {"discount": 0.3},
    ):
        assert not replace(witness, **change).replay(mdp)


def test_everything_would_count_as_0_for_an_infinite_tolerance():
    for tell in (gauge, potential):
        with pytest.raises(DomainError, match="must be positive numbers"):
            tell(two_cycle(), tol=math.inf)
