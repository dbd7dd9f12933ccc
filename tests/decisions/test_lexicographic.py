"""Solving objectives in order: worked examples, invariances, ties, refusals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from coset.core.results import Record
from coset.decisions.claims.lexicographic_mdps import coupled, hazard, settling
from coset.decisions.errors import NotTransientError
from coset.decisions.preferences.exact_numbers import apply
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.random_mdps import random_rational_mdp
from coset.decisions.processes.rational import RationalEvent, RationalMDP
from coset.decisions.reference_lexicographic import brute_force
from coset.decisions.solvers.evaluation import evaluate
from coset.decisions.solvers.solution import TieStatus
from coset.decisions.solvers.solving import solve

HALF = Fraction(1, 2)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _random(seed: int, states: int = 4, actions: int = 3, depth: int = 2, **more) -> RationalMDP:
    return random_rational_mdp(states, actions, depth, generator=_generator(seed), **more)


def _changed(mdp: RationalMDP, change) -> RationalMDP:
    events = [
        [[change(s, e) for e in action] for action in state] for s, state in enumerate(mdp.events)
    ]
    return RationalMDP(events, mdp.terminal)


# --- worked examples -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("below", "value", "ties"),
    [
        (1, [0.5, 5.0], [False, True]),
        (2, [0.5, 5.0], [True, True]),
        (3, [0.5, 6.0], [True, False]),
    ],
)
@pytest.mark.parametrize("how", ["auto", "vi", "mpi", "pi", "lp", "exact"])
def test_what_couples_objectives_counts(below, value, ties, how):
    found = solve(coupled(below).to_mdp(), how)
    assert found.value[0].tolist() == pytest.approx(value, abs=1e-7)
    assert found.value[1].tolist() == pytest.approx([1.0, 4.0], abs=1e-7)
    assert found.tie_set[0].tolist() == ties
    assert found.policy.tolist() == [ties.index(True), 1, -1]
    assert found.certificate.verify()


def test_safety_without_what_couples_it_earns_from_the_dead():
    # 50% {earn 10, die} or {0, live}, against 50% {earn 4, die} or {4, live}; Γ₂₁ = r (C7).
    end = (2, HALF)
    live, die = ((1, 0), (0, 1)), 0
    first = [(*end, (-1, 0), die), (1, HALF, (0, 0), live)]
    second = [(*end, (-1, 0), die), (1, HALF, (0, 4), live)]
    leave = [(2, 1, (0, 0), die)]
    found = solve(RationalMDP([[first, second], [leave, []], [[], []]]))
    assert found.exact[0] == ("-1/2", "2")
    assert found.policy.tolist() == [1, 0, -1]


@pytest.mark.parametrize("how", ["pi", "vi", "exact"])
def test_a_tie_that_sweeps_never_reach_is_seen(how):
    found = solve(settling().to_mdp(), how)
    assert found.value[0].tolist() == pytest.approx([0.9, 0.9], abs=1e-7)
    assert found.policy.tolist() == [0, 0, -1]
    if how != "exact":  # 0.9 as a float and 0.1/(1 − 0.9) differ, which no bound can deny
        assert found.tie_status[0, 0] == TieStatus.ASSUMED


def test_a_hazard_below_the_tolerance_is_a_tie_that_is_said_to_be_assumed():
    floats = hazard(60).to_mdp()
    found = solve(floats)
    assert found.tie_status[0, 0] == TieStatus.ASSUMED
    assert found.num_unproved_ties == 1
    assert "if the ties assumed on the way hold" in found.explain(0)


def test_a_hazard_is_seen_exactly_and_by_strict_ties():
    exact = solve(hazard(60))
    assert exact.policy.tolist() == [1, -1]
    assert exact.exact[0] == ("0", "1")
    assert exact.loss[0, 0] == 2.0**-60
    assert exact.lost_at[0].tolist() == [0, 2]
    # Listed as an event of its own, the hazard survives in float64, and so does its proof.
    strict = solve(hazard(60).to_mdp(), ties="strict")
    assert strict.policy.tolist() == [1, -1]
    assert strict.tie_status[0].tolist() == [TieStatus.UNIQUE, TieStatus.UNIQUE]
    assert strict.certificate.verify()


def test_explain_says_where_and_by_how_much():
    text = solve(coupled(3)).explain(0, ["go", "leave"], ["first", "second"])
    assert text.splitlines() == [
        "state 0: first 0.5, second 6",
        "  go: optimal",
        "  leave: lost at second (priority 2), by 1",
    ]


# --- agreement -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("how", ["vi", "mpi", "pi", "lp"])
def test_floats_are_within_their_bounds_of_the_exact_solution(seed, how):
    mdp = _random(seed, 6, 3, 3)
    exact, found = solve(mdp), solve(mdp.to_mdp(), how)
    for level, bound in enumerate(found.level_bounds):
        error = (found.value[:, level] - exact.value[:, level]).abs().max()
        assert float(error) <= bound + 1e-15
    assert torch.equal(found.tie_set, exact.tie_set)
    assert found.certificate.verify()
    assert exact.certificate.verify()


@pytest.mark.parametrize("seed", range(6))
def test_a_level_judged_unique_or_proved_is_right(seed):
    mdp = _random(seed, 5, 3, 2)
    exact, found = solve(mdp), solve(mdp.to_mdp())
    for level in range(2):
        sure = found.tie_status[:, : level + 1] != TieStatus.ASSUMED
        states = sure.all(1)
        kept = found.lost_at > level
        assert torch.equal(kept[states], (exact.lost_at > level)[states])


@pytest.mark.parametrize("seed", range(5))
def test_every_policy_of_the_tie_set_attains_the_value(seed):
    mdp = _random(seed, 4, 3, 3)
    found = solve(mdp)
    floats = mdp.to_mdp()
    generator = _generator(seed)
    for _ in range(5):
        picked = torch.multinomial(found.tie_set.double() + 1e-300, 1, generator=generator)[:, 0]
        assert torch.allclose(evaluate(floats, picked), found.value, rtol=0, atol=1e-9)


def test_multipliers_may_exceed_1_where_they_die_out():
    mdp = MDP([[[1]], [[0]]], [[[1.0]], [[1.0]]], [[1.0], [0.5]], [[[2.0]], [[0.25]]])
    found = solve(mdp)
    assert found.value[:, 0].tolist() == pytest.approx([4.0, 1.5], abs=1e-9)
    assert solve(mdp, "exact").exact == (("4",), ("3/2",))


@pytest.mark.parametrize("how", ["auto", "exact"])
def test_multipliers_that_grow_are_refused_with_a_policy(how):
    mdp = MDP([[[1]], [[0]]], [[[1.0]], [[1.0]]], [[1.0], [0.5]], [[[2.0]], [[0.5]]])
    with pytest.raises(NotTransientError) as caught:
        solve(mdp, how)
    assert caught.value.policy == (0, 0)
    assert caught.value.radius >= 1


# --- invariances ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_solution_moves_with_the_gauge(seed):
    mdp = _random(seed, 3, 2, 2)
    a = ((Fraction(2), Fraction(0)), (Fraction(-5), Fraction(3)))
    back = ((Fraction(1, 2), Fraction(0)), (Fraction(5, 6), Fraction(1, 3)))  # its inverse

    def change(_, event):
        reward = apply(a, event.reward)
        columns = zip(*back, strict=True)
        inner = tuple(zip(*(apply(event.multiplier, c) for c in columns), strict=True))
        outer = tuple(zip(*(apply(a, c) for c in zip(*inner, strict=True)), strict=True))
        return RationalEvent(event.successor, event.probability, reward, outer)

    plain, moved = solve(mdp), solve(_changed(mdp, change))
    assert torch.equal(plain.tie_set, moved.tie_set)
    for row, other in zip(plain.exact, moved.exact, strict=True):
        value = [Fraction(x) for x in row]
        assert apply(a, value) == tuple(Fraction(x) for x in other)


def _shaped(mdp: RationalMDP, level: int, *, carry: bool) -> RationalMDP:
    """Add Γ_kk Φ(s') − Φ(s) to r_k, and with `carry` Γ_jk Φ(s') to the levels below."""
    phi = [Fraction(3 * s + 1, 2) for s in range(mdp.num_states)]

    def change(s, event):
        reward = list(event.reward)
        for j in range(level, len(reward)):
            if j == level or carry:
                reward[j] += event.multiplier[j][level] * phi[event.successor]
        reward[level] -= phi[s]
        return RationalEvent(event.successor, event.probability, tuple(reward), event.multiplier)

    return _changed(mdp, change)


@pytest.mark.parametrize("seed", range(6))
def test_potentials_change_no_tie_set_if_what_they_shift_is_carried_down(seed):
    mdp = _random(seed, 3, 2, 3)
    assert torch.equal(solve(mdp).tie_set, solve(_shaped(mdp, 0, carry=True)).tie_set)
    apart = _random(seed, 3, 2, 3, diagonal=True)
    assert torch.equal(solve(apart).tie_set, solve(_shaped(apart, 0, carry=False)).tie_set)


def test_potentials_leak_through_what_couples_objectives():
    different = [
        not torch.equal(solve(mdp).tie_set, solve(_shaped(mdp, 0, carry=False)).tie_set)
        for mdp in (_random(seed, 3, 2, 3) for seed in range(12))
    ]
    assert any(different)


@pytest.mark.parametrize("seed", range(3))
def test_an_action_twice_is_a_proved_tie(seed):
    mdp = _random(seed, 4, 2, 2).to_mdp()
    twice = MDP(
        mdp.successor.repeat(1, 2, 1),
        mdp.probability.repeat(1, 2, 1),
        mdp.reward.repeat(1, 2, 1, 1),
        mdp.multiplier.repeat(1, 2, 1, 1, 1),
        mask=mdp.mask.repeat(1, 2),
    )
    one, two = solve(mdp), solve(twice)
    assert torch.equal(two.tie_set, one.tie_set.repeat(1, 2))
    lonely = one.tie_set.sum(1) == 1
    assert (two.tie_status[lonely, -1] == TieStatus.PROVED).all()


@pytest.mark.parametrize("seed", range(3))
def test_renaming_states_renames_the_solution(seed):
    mdp = _random(seed, 5, 2, 2)
    order = torch.randperm(5, generator=_generator(seed)).tolist()
    place = {s: i for i, s in enumerate(order)}
    events = [
        [[RationalEvent(place[e.successor], *_rest(e)) for e in action] for action in mdp.events[s]]
        for s in order
    ]
    plain, moved = solve(mdp), solve(RationalMDP(events))
    assert [plain.exact[s] for s in order] == list(moved.exact)
    assert torch.equal(plain.tie_set[order], moved.tie_set)


def _rest(event: RationalEvent):
    return event.probability, event.reward, event.multiplier


# --- sizes and kinds -----------------------------------------------------------------------------


def test_one_state_one_action():
    mdp = MDP([[[0]]], [[[1.0]]], [[1.0]], 0.5)
    assert solve(mdp).value.tolist() == [[pytest.approx(2.0)]]


def test_terminal_everywhere():
    mdp = MDP(
        [[[0]], [[1]]],
        [[[1.0]], [[1.0]]],
        torch.ones(2, 1, 1, 2),
        0.9,
        terminal=torch.tensor([True, True]),
    )
    found = solve(mdp)
    assert found.value.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert found.policy.tolist() == [-1, -1]
    assert found.certificate.verify()
    assert solve(mdp, "exact").exact == (("0", "0"), ("0", "0"))


def test_where_all_ends_at_once_the_value_is_the_best_reward():
    reward = torch.tensor([[[[1.0, 0.0]], [[1.0, 2.0]], [[0.5, 9.0]]]], dtype=torch.float64)
    mdp = MDP([[[0]] * 3], [[[1.0]] * 3], reward, 0.0)
    found = solve(mdp)
    assert found.value.tolist() == [[1.0, 2.0]]
    assert found.tie_status.tolist() == [[TieStatus.PROVED, TieStatus.UNIQUE]]


def test_float32_probabilities_and_masks():
    generator = _generator(0)
    successor = torch.randint(30, (30, 3, 4), generator=generator)
    probability = torch.rand(30, 3, 4, generator=generator)
    probability /= probability.sum(-1, keepdim=True)
    reward = torch.randint(0, 3, (30, 3, 1, 2), generator=generator).float()
    mask = torch.rand(30, 3, generator=generator) < 0.7
    mask[:, 0] = True
    mdp = MDP(successor, probability, reward, 0.9, mask=mask)
    found = solve(mdp)
    assert not bool((found.tie_set & ~mask).any())
    assert (found.lost_at[~mask] == -1).all()
    assert found.certificate.verify()
    value = evaluate(mdp, found.policy)
    assert torch.allclose(value, found.value, rtol=0, atol=1e-6)


def test_a_solution_becomes_json_and_comes_back():
    found = solve(coupled(2).to_mdp())
    back = Record.from_json(found.to_json())
    assert torch.equal(back.value, found.value)
    assert back.certificate.verify()
    exact = solve(coupled(2))
    again = Record.from_json(exact.to_json())
    assert again.exact == exact.exact
    assert again.certificate.verify()


# --- a thousand processes ------------------------------------------------------------------------


def _check_against_all_policies(mdp: RationalMDP) -> None:
    best, exact = brute_force(mdp), solve(mdp)
    assert tuple(tuple(Fraction(x) for x in row) for row in exact.exact) == best.value
    assert tuple(exact.policy.tolist()) in best.policies
    ties = np.zeros(tuple(exact.tie_set.shape), dtype=bool)
    for policy in best.policies:
        ties[np.arange(len(policy)), policy] = True
    assert np.array_equal(ties, exact.tie_set.numpy())
    assert exact.certificate.verify()


def _thousand(start: int, stop: int) -> None:
    for seed in range(start, stop):
        generator = _generator(seed)
        states = int(torch.randint(1, 4, (), generator=generator))
        depth = int(torch.randint(1, 4, (), generator=generator))
        _check_against_all_policies(random_rational_mdp(states, 2, depth, generator=generator))


def test_random_processes_are_solved_as_by_all_policies():
    _thousand(0, 150)


@pytest.mark.slow
def test_a_thousand_random_processes_are_solved_as_by_all_policies():
    _thousand(150, 1000)
