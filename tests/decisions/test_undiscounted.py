"""Objectives without a discount: end components, what must be left, what is infinite."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import gymnasium
import numpy as np
import pytest
import torch
from scipy import sparse

from coset.core.errors import DomainError, NotConvergedError, UnsupportedError
from coset.core.results import Status
from coset.decisions.claims.undiscounted import later_and_later, waiting_room
from coset.decisions.envs.toy_text import from_toy_text
from coset.decisions.errors import NoOptimalPolicyError, NotTransientError, UnprovedTieError
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.objectives import objectives
from coset.decisions.processes.random_mdps import random_undiscounted_mdp
from coset.decisions.processes.rational import RationalMDP
from coset.decisions.reference_lexicographic import brute_force
from coset.decisions.solvers.end_components import maximal_end_components, reach_almost_surely
from coset.decisions.solvers.solution import TieStatus
from coset.decisions.solvers.solving import solve

HALF = Fraction(1, 2)
HOWS = [lambda mdp: solve(mdp), lambda mdp: solve(mdp.to_mdp())]


def _both(events, terminal=None):
    mdp = RationalMDP(events, terminal)
    return [how(mdp) for how in HOWS]


def _links(rows) -> sparse.csr_array:
    return sparse.csr_array(np.array(rows))


# --- graphs --------------------------------------------------------------------------------------


def test_end_components_of_a_chain_of_rooms():
    # 0 ⇄ 1, 1 → 2 or 3, 2 stays, 3 → 0 or 3: everything but 2 is one component.
    state = np.array([0, 1, 1, 2, 3])
    links = _links([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 0], [1, 0, 0, 1]])
    found = maximal_end_components(state, links, np.ones(5, dtype=bool))
    assert found.count == 2
    assert found.label[0] == found.label[1]
    assert found.label[3] == -1  # nothing stays around 3
    assert found.inside.tolist() == [True, True, False, True, False]


def test_pairs_that_may_not_be_used_make_no_component():
    links = _links([[0, 1], [1, 0]])
    found = maximal_end_components(np.array([0, 1]), links, np.array([True, False]))
    assert found.count == 0
    assert found.label.tolist() == [-1, -1]


def test_reaching_for_certain_is_more_than_with_some_probability():
    # State 0: a coin between the target and state 1, from which nothing leads on.
    links = _links([[0, 1, 1], [0, 1, 0], [0, 0, 1]])
    state, usable = np.arange(3), np.ones(3, dtype=bool)
    escapes = np.zeros(3, dtype=bool)
    target = np.array([False, False, True])
    assert reach_almost_surely(state, links, usable, escapes, target).tolist() == [-2, -2, -1]


@pytest.mark.parametrize("seed", range(20))
def test_components_and_reachability_agree_with_their_definitions(seed):
    generator = np.random.default_rng(seed)
    size = 5
    state = np.sort(np.concatenate([np.arange(size), generator.integers(size, size=4)]))
    rows = (generator.random((len(state), size)) < 0.3).astype(float)
    rows[np.arange(len(state)), generator.integers(size, size=len(state))] = 1
    links, usable = _links(rows), np.ones(len(state), dtype=bool)
    found = maximal_end_components(state, links, usable)
    for label in range(found.count):
        members = np.flatnonzero(found.label == label)
        pairs = np.flatnonzero(found.inside & (found.label[state] == label))
        assert set(state[pairs]) == set(members)
        assert not rows[pairs][:, found.label != label].any()
        reach = np.eye(size, dtype=bool)
        for _ in range(size):
            for p in pairs:
                reach[state[p]] |= reach[rows[p] > 0].any(0)
        assert reach[np.ix_(members, members)].all()
    # From outside of all components the process enters one, whatever is done: no state escapes.
    nowhere = np.zeros(size, dtype=bool)
    escapes = np.zeros(len(state), dtype=bool)
    inside = found.label >= 0
    way = reach_almost_surely(state, links, usable, escapes, inside)
    assert (way != -2).all()
    assert (reach_almost_surely(state, links, usable, escapes, nowhere) == -2).all()


# --- values --------------------------------------------------------------------------------------


def test_safety_is_solved_from_0_and_not_from_below():
    stay = [(0, 1, (0, 0), ((1, 0), (0, HALF)))]
    jump = [(1, 1, (-1, 5), 0)]
    for found in _both([[stay, jump], [[], []]]):
        assert found.value[0].tolist() == [0.0, 0.0]
        assert found.policy.tolist() == [0, -1]
        assert found.certificate.verify()


def test_a_goal_must_be_reached_and_not_merely_promised():
    for found in _both(waiting_room(0).events):
        assert found.value[:2].tolist() == [[1.0, 0.0], [1.0, 0.0]]
        assert found.tie_set.tolist() == [[True, True], [True, False], [False, False]]
        assert found.policy.tolist() == [1, 0, -1]
        assert found.certificate.verify()
        # The first of each tie set stays in the room for ever.
        staying = torch.tensor([0, 0, -1])
        assert not replace(found.certificate, policy=staying).verify()


@pytest.mark.parametrize("how", HOWS)
def test_what_is_approached_and_not_attained_is_refused(how):
    with pytest.raises(NoOptimalPolicyError, match="longer it stays") as caught:
        how(later_and_later())
    assert caught.value.states == (0,)
    assert caught.value.actions == ((0,),)
    with pytest.raises(NoOptimalPolicyError) as caught:
        how(waiting_room(1))
    assert caught.value.states == (0, 1)
    assert caught.value.actions == ((0,), (0,))


def test_a_cost_of_each_step_forces_progress():
    wait = [(0, 1, (0, -1), 1)]
    leave = [(1, 1, (1, -3), 1)]
    for found in _both([[wait, leave], [[], []]]):
        assert found.value[0].tolist() == [1.0, -3.0]
        assert found.policy.tolist() == [1, -1]
        assert found.certificate.verify()


def test_where_staying_would_break_a_promise_it_is_not_counted():
    # The second objective is not discounted either: waiting is free, leaving costs 1.
    wait = [(0, 1, (0, 0), 1)]
    leave = [(1, 1, (1, -1), 1)]
    for found in _both([[wait, leave], [[], []]]):
        assert found.value[0].tolist() == [1.0, -1.0]
        assert found.tie_set[0].tolist() == [True, True]
        assert found.policy.tolist() == [1, -1]
        assert found.certificate.verify()


def test_a_component_is_left_by_its_best_exit_from_every_state():
    # A ring 0 → 1 → 2 → 0; state 1 has an exit worth 1, state 2 one worth 2.
    ring = [[(1, 1, 0, 1)], [(2, 1, 0, 1)], [(0, 1, 0, 1)]]
    exits = [[], [(3, 1, 1, 0)], [(3, 1, 2, 0)]]
    for found in _both([[a, b] for a, b in zip(ring, exits, strict=True)] + [[[], []]]):
        assert found.value[:, 0].tolist() == [2.0, 2.0, 2.0, 0.0]
        assert found.policy.tolist() == [0, 0, 1, -1]
        assert found.certificate.verify()
        assert found.tie_status[0, 0] == TieStatus.UNIQUE


@pytest.mark.parametrize("how", HOWS)
def test_gains_for_ever_are_refused(how):
    with pytest.raises(NotTransientError, match="earn again and again") as caught:
        how(RationalMDP([[[(0, 1, 1, 1)], [(1, 1, 0, 1)]], [[], []]]))
    assert caught.value.policy == (0, -1)


@pytest.mark.parametrize("how", HOWS)
def test_costs_without_an_end_are_refused(how):
    with pytest.raises(NotTransientError, match="no policy ends"):
        how(RationalMDP([[[(0, 1, -1, 1)]]]))


@pytest.mark.parametrize("how", HOWS)
def test_one_action_cannot_collect_two_promises(how):
    # Action 0 collects the first objective, action 1 the second; only a random policy both.
    first = [(0, 1, (1, 0), ((0, 0), (0, 1)))]
    second = [(0, 1, (0, 1), ((1, 0), (0, 0)))]
    with pytest.raises(UnsupportedError, match="randomized"):
        how(RationalMDP([[first, second]]))


@pytest.mark.parametrize("signs", [(-1,), (1,), (0, 0, -1), (-1, 0, 0, 1)])
@pytest.mark.parametrize("second", [HALF, 1])
def test_random_processes_are_solved_as_by_all_policies(signs, second):
    generator = torch.Generator().manual_seed(len(signs) + 10 * int(second == 1))
    solved = 0
    for _ in range(25):
        states = int(torch.randint(2, 5, (), generator=generator))
        mdp = random_undiscounted_mdp(states, signs=signs, second=second, generator=generator)
        outcome = [_outcome(how, mdp) for how in HOWS]
        if not all(hasattr(found, "value") for found in outcome):
            assert type(outcome[0]) is type(outcome[1])
            continue
        exact, floats = outcome
        try:
            best = brute_force(mdp)
        except DomainError:  # a policy under which gains and losses go on for ever
            continue
        solved += 1
        assert tuple(tuple(Fraction(x) for x in row) for row in exact.exact) == best.value
        assert tuple(exact.policy.tolist()) in best.policies
        assert tuple(floats.policy.tolist()) in best.policies
        assert float((floats.value - exact.value).abs().max()) <= floats.error_bound + 1e-15
        assert exact.certificate.verify()
        assert floats.certificate.verify()
    assert solved >= 3


def _outcome(how, mdp):
    try:
        return how(mdp)
    except (NotTransientError, NoOptimalPolicyError, UnsupportedError) as error:
        return error


# --- lakes and cliffs ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lake():
    return from_toy_text(gymnasium.make("FrozenLake-v1", is_slippery=True))


@pytest.fixture(scope="module")
def big_lake():
    return from_toy_text(gymnasium.make("FrozenLake-v1", map_name="8x8", is_slippery=True))


def test_the_lake_exactly(lake):
    mdp = RationalMDP.from_mdp(objectives(lake, "goal,steps"), max_denominator=10**6)
    found = solve(mdp)
    assert found.exact[0] == ("14/17", "-828/17")
    assert found.policy.tolist() == [0, 3, 3, 3, 0, -1, 0, -1, 3, 1, 0, -1, -1, 2, 1, -1]
    assert found.certificate.verify()


def test_safety_first_hides_on_the_lake(lake):
    found = solve(objectives(lake, "safety,goal@0.99"))
    assert found.value[0].tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    live = found.policy >= 0
    assert int((found.value[live, 0] == 0).sum()) == 4
    assert found.certificate.verify()


def test_the_big_lake(big_lake):
    goal = solve(objectives(big_lake, "goal,steps"))
    assert goal.value[0].tolist() == pytest.approx([1.0, -116.965074], abs=5e-7)
    safe = solve(objectives(big_lake, "safety,goal@0.99"))
    assert safe.value[0].tolist() == pytest.approx([0.0, 0.374656], abs=5e-7)
    assert goal.certificate.verify()
    assert safe.certificate.verify()


def test_float32_lakes_have_the_same_policies(lake):
    double = objectives(lake, "goal,steps")
    single = MDP(
        double.successor,
        double.probability.float(),
        double.reward,
        double.multiplier,
        mask=double.mask,
        terminal=double.terminal,
    )
    one, two = solve(double), solve(single)
    assert torch.equal(one.tie_set, two.tie_set)
    assert torch.allclose(one.value, two.value, rtol=1e-5, atol=1e-6)
    assert two.certificate.verify()


def test_a_changed_bound_of_a_lake_is_noticed(lake):
    found = solve(objectives(lake, "goal,steps")).certificate
    value = found.value.clone()
    value[0, 0] += 1e-6
    assert not replace(found, value=value).verify()
    value = found.value.clone()
    value[0, 0] -= 1e-6
    assert not replace(found, value=value).verify()
    flipped = tuple(replace(p, stays=~p.stays) for p in found.proofs)
    assert not replace(found, proofs=flipped).verify()


# --- hazards, costs and sums near the rounding of float64 -----------------------------------------


@pytest.mark.parametrize("bits", [40, 49, 50, 60])
@pytest.mark.parametrize("multiplier", [0, 1])
def test_a_hazard_below_rounding_is_never_called_safe(bits, multiplier):
    hazard = Fraction(1, 2**bits)
    risk = [(0, 1 - hazard, 0, 1), (1, hazard, -1, multiplier)]
    mdp = RationalMDP([[risk, [(1, 1, Fraction(-1, 2), 0)]], [[], []]])
    assert solve(mdp).exact[0] == ("-1/2",)
    with pytest.raises(NotConvergedError, match="exact"):
        solve(mdp.to_mdp())


@pytest.mark.parametrize("cost", [1e-17, 1e-15, 1e-12, 1e-10])
def test_a_cost_that_is_paid_for_ever_is_never_small(cost):
    mdp = RationalMDP([[[(0, 1, -cost, 1)], [(0, 1, -1, 0)]]])
    assert solve(mdp).exact == (("-1",),)
    if cost < 1e-14:  # it is lost in the rounding of the other rewards
        with pytest.raises(NotConvergedError, match="exact"):
            solve(mdp.to_mdp())
    else:
        found = solve(mdp.to_mdp())
        assert found.policy.tolist() == [1]
        assert found.error_bound < 1e-8


def test_errors_that_exceed_what_was_asked_for_are_told():
    mdp = RationalMDP([[[(0, 1 - Fraction(1, 2**30), 0, 1), (1, Fraction(1, 2**30), -1, 1)]], [[]]])
    found = solve(mdp.to_mdp(), throw=False)
    assert found.status is not Status.SOLVED
    assert "exact" in found.advice
    assert found.error_bound > 1e-8
    assert abs(float(found.value[0, 0]) + 1) <= found.error_bound


def test_rewards_that_cancel_are_zero_only_as_an_assumption():
    third = Fraction(1, 3)
    loop = [(0, third, 0.1, 1), (0, third, 0.2, 1), (0, third, -0.3, 1)]
    mdp = RationalMDP([[loop, [(0, 1, -1, 0)]]]).to_mdp()
    assert float(mdp.expected_reward()[0, 0, 0]) != 0
    found = solve(mdp)
    assert found.tie_status.tolist() == [[TieStatus.ASSUMED]]
    assert "within their error" in found.advice
    with pytest.raises(UnprovedTieError):
        solve(mdp, ties="strict")


@pytest.mark.parametrize("seed", range(6))
def test_bounds_hold_where_large_rewards_cancel(seed):
    generator = torch.Generator().manual_seed(seed)
    chance = torch.rand(1, 1, 3, dtype=torch.float64, generator=generator)
    chance /= chance.sum(-1, keepdim=True)
    reward = torch.randn(1, 1, 3, dtype=torch.float64, generator=generator)
    reward = (reward - (chance * reward).sum()) * 1e8
    mdp = MDP(torch.zeros(1, 1, 3, dtype=torch.int32), chance, reward, 0.5)
    exact, found = solve(RationalMDP.from_mdp(mdp)), solve(mdp, throw=False)
    apart = abs(Fraction(exact.exact[0][0]) - Fraction(float(found.value)))
    assert 0 < apart <= Fraction(found.level_bounds[0])


def test_a_certificate_holds_with_errors_carried_through_components():
    unit = ((1, 0), (1, 1))
    chain = [[(2, 1, (0, 0), unit)]], [[(2, 1, (0, 0), 1)]], [[(2, 1, (0, 0), 1)]]
    assert solve(RationalMDP(chain).to_mdp()).certificate.verify()


def test_an_event_that_ends_one_objective_only_is_told():
    # After the first event nothing counts for objective 1, and yet it decides.
    some = ((0, 0), (0, 1))
    mdp = RationalMDP([[[(1, 1, (1, 0), some)]], [[(2, 1, (1, 0), 0)]], [[]]])
    for process in (mdp, mdp.to_mdp()):
        assert "ends an objective" in solve(process).advice
    plain = RationalMDP([[[(1, 1, (1, 0), ((1, 0), (3, 1)))]], [[]]])
    assert not solve(plain).advice
    assert not solve(plain.to_mdp()).advice


@pytest.mark.parametrize("hazard", [Fraction(1, 3), Fraction(1, 2**50)])
def test_a_multiplier_above_one_into_an_end_counts_for_nothing(hazard):
    # Staying keeps the mass 1 though the process may end: its value must be collected by leaving.
    back = 1 / (1 - hazard)
    stay = [(1, hazard, 0, 3), (0, 1 - hazard, 0, back)]
    for found in _both([[stay, [(1, 1, 1, 2)]], [[], []]]):
        assert found.value[0].tolist() == [1.0]
        assert found.policy.tolist() == [1, -1]
        assert found.tie_set.tolist() == [[True, True], [False, False]]
        assert found.certificate.verify()
        assert not replace(found.certificate, policy=torch.tensor([0, -1])).verify()


def test_a_leak_into_an_end_is_seen_beside_multipliers_above_one():
    # The end comes with probability 2⁻⁵⁰ and multiplier 3: float64 would sum the rest to 1.
    hazard = Fraction(1, 2**50)
    risk = [(1, hazard, -1, 3), (0, 1 - hazard, 0, 1)]
    mdp = RationalMDP([[risk, [(1, 1, -HALF, 0)]], [[], []]])
    assert solve(mdp).policy.tolist() == [1, -1]
    with pytest.raises(NotConvergedError):
        solve(mdp.to_mdp())
