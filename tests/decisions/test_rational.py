"""Exact processes, exact linear systems, and the literal solvers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, FileFormatError, RangeError, ShapeError
from coset.core.results import Record
from coset.decisions.claims.lexicographic_mdps import coupled
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.random_mdps import random_rational_mdp, random_undiscounted_mdp
from coset.decisions.processes.rational import RationalMDP
from coset.decisions.reference_lexicographic import (
    all_policies_of,
    brute_force,
    joint_policy_iteration,
    policy_worth,
)
from coset.decisions.solvers.rational_linear import solve_fixed_point
from coset.decisions.solvers.solving import solve

HALF = Fraction(1, 2)


def _system(size: int, denominator: int, seed: int):
    generator = np.random.default_rng(seed)
    rows, right = [], []
    for _ in range(size):
        places = generator.choice(size, size=min(4, size), replace=False)
        weights = [int(x) for x in generator.integers(1, denominator, size=len(places))]
        total = Fraction(10 * sum(weights), 9)
        rows.append({int(j): w / total for j, w in zip(places, weights, strict=True)})
        right.append(Fraction(int(generator.integers(-9, 10)), int(generator.integers(1, 6))))
    return rows, right


@pytest.mark.parametrize(
    ("size", "denominator"), [(1, 5), (2, 9), (31, 6), (32, 6), (33, 6), (40, 2**50), (90, 7)]
)
def test_the_solution_solves_the_system(size, denominator):
    rows, right = _system(size, denominator, size)
    x = solve_fixed_point(rows, right)
    for i, row in enumerate(rows):
        assert x[i] == right[i] + sum(w * x[j] for j, w in row.items())


@pytest.mark.parametrize("size", [2, 40])
def test_singular_systems_are_refused(size):
    ring = [{(i + 1) % size: Fraction(1)} for i in range(size)]
    with pytest.raises(DomainError, match="singular"):
        solve_fixed_point(ring, [Fraction(1)] * size)


def test_no_equations_have_no_solution_to_find():
    assert solve_fixed_point([], []) == []


def test_events_are_read_as_written():
    mdp = RationalMDP([[[(1, "1/3", 0.5, "9/10"), (0, "2/3", "-1/7", 0)]], [[]]])
    first, second = mdp.events[0][0]
    assert (first.probability, first.reward) == (Fraction(1, 3), (HALF,))
    assert second.reward == (Fraction(-1, 7),)
    assert first.multiplier == ((Fraction(9, 10),),)
    assert mdp.terminal == (False, True)
    assert mdp.num_objectives == 1


@pytest.mark.parametrize("seed", range(3))
def test_processes_survive_json_and_floats(seed):
    mdp = random_rational_mdp(3, 2, 2, generator=torch.Generator().manual_seed(seed))
    assert Record.from_json(mdp.to_json()) == mdp
    # Denominators are small, so that the nearest fraction is the one that was meant.
    assert RationalMDP.from_mdp(mdp.to_mdp(), max_denominator=1000) == mdp


def test_three_floats_nearest_a_third_are_three_thirds():
    mdp = MDP([[[0, 0, 0]]], [[[1 / 3, 1 / 3, 1 / 3]]], [[1.0]], 0.5)
    assert all(e.probability == Fraction(1, 3) for e in RationalMDP.from_mdp(mdp).all_events())


def test_a_process_without_an_event_keeps_its_objectives():
    ended = MDP([[[0]]], [[[1.0]]], torch.ones(1, 1, 1, 3), 0.5, terminal=torch.tensor([True]))
    exact = RationalMDP.from_mdp(ended)
    assert exact.num_objectives == 3
    assert Record.from_json(exact.to_json()) == exact


@pytest.mark.parametrize(
    ("events", "error", "words"),
    [
        ([], ShapeError, "there is a state"),
        ([[]], ShapeError, "list for each action"),
        ([[[(0, 1, 0, 0)]], [[], []]], ShapeError, "list for each action"),
        ([[[(0, "1/2", 0, 0)]]], DomainError, "sum to exactly 1"),
        ([[[(0, "3/2", 0, 0), (0, "-1/2", 0, 0)]]], DomainError, "negative"),
        ([[[(1, 1, 0, 0)]]], RangeError, r"0…0"),
        ([[[(-1, 1, 0, 0)]]], RangeError, r"0…0"),
        ([[[(0.5, 1, 0, 0)]]], RangeError, "number of a state"),
        ([[[(0, 1, 0)]]], ShapeError, "3 parts"),
        ([[[(0, 1, math.nan, 0)]]], DomainError, "finite"),
        ([[[(0, 1, math.inf, 0)]]], DomainError, "finite"),
        ([[[(0, 1, "1e3", 0)]]], DomainError, "written like"),
        ([[[(0, 1, None, 0)]]], ShapeError, "sequence of numbers"),
        ([[[(0, 1, (1, 2), 0), (0, 0, (1,), 0)]]], ShapeError, "2 numbers"),
        ([[[(0, 1, (1, 2), ((1, 1), (0, 1)))]]], DomainError, "lower triangular"),
        ([[[(0, 1, (1, 2), ((-1, 0), (0, 1)))]]], DomainError, "lower triangular"),
        ([[[(0, True, 1, 0)]]], DtypeError, "real number"),
        ([[[("a", 1, 1, 0)]]], RangeError, "number of a state"),
        ([[[(math.nan, 1, 1, 0)]]], RangeError, "number of a state"),
        ([[[(math.inf, 1, 1, 0)]]], RangeError, "number of a state"),
        ([[[(0, 1, 1, -HALF)]]], DomainError, "signed"),
        ([[[5]]], ShapeError, "list of events"),
        ([5], ShapeError, "list of events"),
        (5, ShapeError, "list of events"),
    ],
)
def test_wrong_processes_are_refused(events, error, words):
    with pytest.raises(error, match=words):
        RationalMDP(events)


def test_states_that_go_on_need_an_action():
    with pytest.raises(DomainError, match="state 1 goes on"):
        RationalMDP([[[(0, 1, 0, 0)]], [[]]], terminal=(False, False))
    with pytest.raises(ShapeError, match="terminal"):
        RationalMDP([[[(0, 1, 0, 0)]]], terminal=(False, False))
    with pytest.raises(FileFormatError, match="events"):
        RationalMDP.from_json(
            {"class": "coset.decisions.processes.rational:RationalMDP", "fields": {}}
        )
    with pytest.raises(DomainError, match="max_denominator"):
        RationalMDP.from_mdp(MDP([[[0]]], [[[1.0]]], [[1.0]], 0.5), max_denominator=0)


@pytest.mark.parametrize("seed", range(30))
def test_all_policies_and_joint_iteration_agree(seed):
    generator = torch.Generator().manual_seed(seed)
    mdp = random_rational_mdp(3, 2, 1 + seed % 3, generator=generator)
    best = brute_force(mdp)
    start = [policy for policy in all_policies_of(mdp)][-1]
    for first in (None, start):
        value, policy, rounds = joint_policy_iteration(mdp, first)
        assert tuple(map(tuple, value)) == best.value
        assert policy in best.policies
        assert rounds <= 8


def test_worths_may_be_infinite_and_some_are_undefined():
    keep = RationalMDP([[[(0, 1, 1, 1)], [(0, 1, -1, 1)], [(0, 1, 0, 1)]]])
    assert [policy_worth(keep, [a])[0][0] for a in range(3)] == [math.inf, -math.inf, 0]
    swing = RationalMDP([[[(1, 1, 1, 1)]], [[(0, 1, -1, 1)]]])
    with pytest.raises(DomainError, match="gains and losses"):
        policy_worth(swing, [0, 0])
    with pytest.raises(DomainError, match="grow"):
        policy_worth(RationalMDP([[[(0, 1, 1, 2)]]]), [0])
    # Objective 1 is infinite at state 1, and objective 2 adds it where its multiplier is 2.
    below = ((1, 0), (1, HALF))
    loop, into = [(1, 1, (1, 0), ((1, 0), (0, HALF)))], [(1, 1, (0, 0), ((1, 0), (1, 2)))]
    endless = RationalMDP([[into], [[(1, 1, (1, 0), below)]], [loop]])
    with pytest.raises(DomainError, match="infinite"):
        policy_worth(endless, [0, 0, 0])


def test_the_example_by_all_policies():
    best = brute_force(coupled(2))
    assert best.value[:2] == ((HALF, 5), (1, 4))
    assert sorted(best.policies) == [(0, 1, -1), (1, 1, -1)]


def test_a_hundred_states_are_solved_exactly():
    generator = torch.Generator().manual_seed(1)
    mdp = random_rational_mdp(100, 2, 2, generator=generator)
    found = solve(mdp)
    assert found.certificate.verify()
    floats = solve(mdp.to_mdp())
    assert torch.allclose(found.value, floats.value, rtol=0, atol=1e-9)


def test_random_processes_need_counts():
    with pytest.raises(DomainError, match="at least 1"):
        random_rational_mdp(0)
    with pytest.raises(DomainError, match="two states"):
        random_undiscounted_mdp(1)
