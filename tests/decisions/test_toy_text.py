"""Toy-text environments as arrays: what is kept, merged, ended, and refused."""

from __future__ import annotations

import math
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, UnsupportedError
from coset.decisions.envs.cliff import cliff_walk
from coset.decisions.envs.toy_text import from_toy_text
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.solving import solve


def made(name, **options):
    return gymnasium.make(name, **options)


def table_of(table, **attributes):
    """Return an environment-like object with the given P."""
    env = SimpleNamespace(P=table, spec=None, **attributes)
    env.unwrapped = env
    return env


def walks(toy, env, *, unsafe_ends):
    """Compare the arrays with P, outcome by outcome."""
    for state in range(len(env.unwrapped.P)):
        if toy.terminal[state]:
            continue
        for action in range(toy.num_actions):
            want: dict[tuple[int, float, bool], float] = {}
            for chance, after, reward, ended in env.unwrapped.P[state][action]:
                fell = unsafe_ends and reward < -1
                key = (-1 if ended or fell else int(after), float(reward), bool(ended or fell))
                want[key] = want.get(key, 0.0) + chance
            got: dict[tuple[int, float, bool], float] = {}
            for k in range(toy.successor.shape[2]):
                chance = float(toy.probability[state, action, k])
                ended = bool(toy.ended[state, action, k])
                after = int(toy.successor[state, action, k])
                if chance:
                    assert bool(toy.terminal[after]) == ended
                    key = (-1 if ended else after, float(toy.reward[state, action, k]), ended)
                    got[key] = got.get(key, 0.0) + chance
            assert set(got) == set(want)
            assert all(math.isclose(got[key], want[key], rel_tol=1e-14) for key in got)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("FrozenLake-v1", {}),
        ("FrozenLake-v1", {"map_name": "8x8", "is_slippery": False}),
        ("FrozenLake-v1", {"success_rate": 0.7}),
        ("CliffWalking-v1", {"is_slippery": True}),
        ("CliffWalking-v1", {}),
        ("Taxi-v4", {"is_rainy": True}),
    ],
)
def test_every_outcome_of_the_table_is_kept(name, options):
    env = made(name, **options)
    walks(from_toy_text(env), env, unsafe_ends=False)
    if name.startswith("Cliff"):
        walks(from_toy_text(env, unsafe_ends=True), env, unsafe_ends=True)


def test_frozen_lake_has_its_cells_as_states():
    lake = from_toy_text(made("FrozenLake-v1"))
    assert lake.terminal.nonzero().flatten().tolist() == [5, 7, 11, 12, 15]
    assert lake.start_state == 0
    assert lake.label(6) == "row 1, column 2"
    assert lake.arrows == ("←", "↓", "→", "↑")
    # Up in the corner slips right, goes up (stays) or slips left (stays): stays with 2/3, merged.
    assert lake.probability[0, 3].tolist() == [1 / 3, 2 / 3, 0.0]
    assert lake.successor[0, 3].tolist() == [1, 0, 0]
    assert int(lake.unsafe.sum()) == int((lake.ended & ~lake.goal).sum()) > 0
    assert lake.successor.dtype == torch.int32
    assert lake.probability.dtype == torch.float64


def test_probabilities_are_read_as_the_fractions_they_mean():
    lake = from_toy_text(made("FrozenLake-v1"))
    seen = set(lake.probability.flatten().tolist())
    assert seen == {0.0, 1 / 3, 2 / 3}  # not also 0.33333333333333337


def test_the_cliff_sends_back_unless_it_shall_end():
    env = made("CliffWalking-v1", is_slippery=True)
    back = from_toy_text(env)
    assert back.num_states == 48
    assert back.terminal.nonzero().flatten().tolist() == [47]
    assert not bool((back.unsafe & back.ended).any())
    ends = from_toy_text(env, unsafe_ends=True)
    assert ends.terminal.nonzero().flatten().tolist() == [*range(37, 48)]
    assert bool((ends.ended[ends.unsafe]).all())
    # Down from above the fourth cell of the cliff leads into that cell.
    fallen = ends.successor[28, 2][ends.unsafe[28, 2]].tolist()
    assert fallen == [40]
    assert ends.successor[36, 1][ends.unsafe[36, 1]].tolist() == [37]


def test_our_cliff_is_gymnasiums_at_length_ten():
    for slippery in (True, False):
        ours = cliff_walk(10, slippery=slippery)
        env = made("CliffWalking-v1", is_slippery=slippery)
        theirs = from_toy_text(env, unsafe_ends=True)
        assert ours.layout == theirs.layout
        assert torch.equal(ours.terminal, theirs.terminal)
        for state in range(48):
            for action in range(4):
                assert outcomes(ours, state, action) == outcomes(theirs, state, action)


def outcomes(toy, state, action):
    names = ("successor", "probability", "reward", "ended", "goal", "unsafe")
    columns = [getattr(toy, name)[state, action].tolist() for name in names]
    return {row for row in zip(*columns, strict=True) if row[1]}


def test_taxi_gets_an_end_of_its_own():
    taxi = from_toy_text(made("Taxi-v4"))
    assert taxi.num_states == 501
    assert taxi.terminal.nonzero().flatten().tolist() == [500]
    assert taxi.cell(3) is None
    assert taxi.label(500) == "state 500"
    assert taxi.arrows == ("↓", "↑", "→", "←", "P", "D")
    assert bool((taxi.successor[taxi.goal] == 500).all())
    assert bool((taxi.reward[taxi.goal] == 20).all())
    assert float(taxi.start.sum()) == pytest.approx(1)
    assert len(taxi.start) == 501


def test_marks_can_be_given():
    taxi = from_toy_text(
        made("Taxi-v4"), unsafe=lambda t: t.reward == -10, goal=lambda t: False, unsafe_ends=True
    )
    assert not bool(taxi.goal.any())
    assert bool(taxi.ended[taxi.unsafe].all())
    assert bool(taxi.unsafe.any())


def test_an_environment_as_an_ordinary_process():
    mdp = from_toy_text(made("FrozenLake-v1")).mdp(0.9)
    assert (mdp.num_states, mdp.num_actions, mdp.num_objectives) == (16, 4, 1)
    # One sweep from 0: only next to the goal is there a reward at once.
    assert mdp.level(0).backup(torch.zeros(16, dtype=torch.float64)).tolist() == [
        *([0.0] * 14),
        pytest.approx(1 / 3),
        0.0,
    ]
    assert MDP.from_gymnasium(made("CliffWalking-v1")).num_states == 48


GOOD = {0: {0: [(1.0, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}


def test_an_unknown_environment_has_plain_names_and_marks():
    toy = from_toy_text(table_of(GOOD))
    assert toy.actions == ("0",)
    assert toy.layout is None
    assert toy.goal[0, 0].tolist() == [True]
    assert toy.terminal.tolist() == [False, True]
    assert toy.start.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "at least one state"),
        ({0: {}}, "at least one; state 0"),
        ({0: {0: [(1.0, 0, 0.0, False)]}, 1: {}}, "state 1 has 0"),
        ({0: {1: [(1.0, 0, 0.0, False)]}}, "state 0, action 0 is missing"),
        ({1: {0: [(1.0, 0, 0.0, False)]}}, "state 0 is missing"),
        ({0: {0: [(0.5, 0, 0.0, False)]}}, "sum to 1 ± 1e-6; they sum to 0.5"),
        ({0: {0: []}}, "sum to 0"),
        ({0: {0: [(math.nan, 0, 0.0, False)]}}, "probabilities must be ≥ 0"),
        ({0: {0: [(-0.5, 0, 0.0, False), (1.5, 0, 0.0, False)]}}, "probabilities must be ≥ 0"),
        ({0: {0: [(1.0, 0, math.inf, False)]}}, "rewards finite"),
        ({0: {0: [(1.0, 7, 0.0, False)]}}, "the next state must be in 0 … 0; given 7"),
        ({0: {0: [(1.0, 0, 0.0)]}}, "an outcome is"),
        ({0: {0: [1.0]}}, "an outcome is"),
        ({0: {0: [(None, 0, 0.0, False)]}}, "an outcome is four numbers"),
        ({0: {0: [("1", 0, 0.0, False)]}}, "an outcome is four numbers"),
        ({0: {0: [(1.0, 0.7, 0.0, False)]}}, "the next state must be in 0 … 0; given 0.7"),
        ({0: {0: [(1.0, math.nan, 0.0, False)]}}, "the next state must be in 0 … 0; given nan"),
        ({0: 3}, r"P\[0\] must map actions"),
    ],
)
def test_a_malformed_table_is_refused_with_its_place(table, words):
    with pytest.raises(DomainError, match=words):
        from_toy_text(table_of(table))


def test_what_is_no_such_environment_is_refused():
    with pytest.raises(DtypeError, match="Gymnasium environment"):
        from_toy_text("FrozenLake-v1")
    with pytest.raises(UnsupportedError, match="carry its transitions"):
        from_toy_text(made("CartPole-v1"))
    for start in (np.array([1.0]), [0.0, 0.0], [math.inf, 0.0], "ab"):
        with pytest.raises(DomainError, match="initial_state_distrib"):
            from_toy_text(table_of(GOOD, initial_state_distrib=start))


def test_a_state_where_episodes_begin_is_not_terminal():
    # One decision, after which the episode ends "in" the state where it began.
    once = {0: {0: [(1.0, 0, 1.0, True)], 1: [(1.0, 0, 3.0, True)]}}
    toy = from_toy_text(table_of(once, initial_state_distrib=[1.0]))
    assert toy.terminal.tolist() == [False, True]
    assert repr(toy) == f"ToyText({toy.name}, 2 states, 2 actions)"
    solution = solve(toy.mdp())
    assert solution.policy.tolist() == [1, -1]
    assert solution.value[0].item() == 3.0


@pytest.mark.parametrize(("length", "rows"), [(0, 4), (1, 1), (10**6, 4)])
def test_impossible_cliffs_are_refused(length, rows):
    with pytest.raises(DomainError, match="length must be"):
        cliff_walk(length, num_rows=rows)


def test_the_smallest_cliff():
    toy = cliff_walk(1, num_rows=2, slippery=False)
    assert toy.layout == ("FFF", "SCG")
    assert toy.terminal.tolist() == [False, False, False, False, True, True]
