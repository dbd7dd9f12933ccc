"""Automata: what is checked, what is reached, what is merged, and what words do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError, UnsupportedError
from coset.ssm.automata import Automaton
from ssm.automata_cases import automata

PARITY = [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("delta", "error", "message"),
    [
        ([], ShapeError, r"both at least 1; given \(0,\)"),
        ([[], []], ShapeError, r"given \(2, 0\)"),
        ([[0, 1], [0]], ShapeError, "rows of different lengths"),
        ([0, 1], ShapeError, r"given \(2,\)"),
        ([[0.0, 1.0], [1.0, 0.0]], DtypeError, "float64"),
        ([[float("nan")]], DtypeError, "integers"),
        ([[True]], DtypeError, "bool"),
        ([[0, 2], [1, 0]], RangeError, "0 … 1; given 2 at state 0, token 1"),
        ([[0, 1], [-1, 0]], RangeError, "given -1 at state 1, token 0"),
    ],
)
def test_a_table_that_is_no_automaton_is_refused(delta, error, message):
    with pytest.raises(error, match=message):
        Automaton.from_dfa(delta)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"start": 2}, RangeError, "start must lie in 0 … 1; given 2"),
        ({"start": True}, DtypeError, "start must be a state's number"),
        ({"accepting": [5]}, RangeError, "accepting must lie"),
        ({"state_labels": ["a"]}, ShapeError, "2 state_labels; given 1"),
        ({"token_labels": ["a", "a"]}, DomainError, "'a' twice"),
        ({"token_labels": ["a", 1]}, DtypeError, "must be text; given 1"),
        ({"accepting": 1}, DtypeError, "accepting must be a list; given 1"),
        ({"state_labels": 5}, DtypeError, "state_labels must be a list; given 5"),
    ],
)
def test_what_else_is_given_is_checked(arguments, error, message):
    with pytest.raises(error, match=message):
        Automaton.from_dfa(PARITY, **arguments)


def test_absurd_sizes_are_refused_before_anything_is_built():
    with pytest.raises(UnsupportedError, match="10,000,000 transitions; given 20,000,000"):
        Automaton.from_dfa(np.zeros((10, 2_000_000), dtype=np.int8))


def test_too_many_states_are_refused_before_they_are_compared():
    clock = (np.arange(5000)[:, None] + 1) % 5000
    for judge in (Automaton.verdict, Automaton.compile):
        with pytest.raises(UnsupportedError, match=r"4,096 states that words reach; .* has 5,000"):
            judge(Automaton.from_dfa(clock))
    # What no word reaches does not count.
    assert Automaton.from_dfa(np.arange(5000)[:, None]).verdict().holds


def test_accepting_states_may_be_a_tensor():
    assert Automaton.from_dfa(PARITY, accepting=torch.tensor([1])).accepting == (1,)


def test_the_table_is_a_copy_that_nobody_can_change():
    delta = np.array(PARITY)
    automaton = Automaton.from_dfa(delta)
    delta[0, 0] = 1
    assert automaton.delta[0, 0] == 0
    with pytest.raises(ValueError):
        automaton.delta[0, 0] = 1


def test_words_are_read_from_left_to_right():
    # a: 0→1→2→0; b: 1→0, else stays. "ab" from 0 is 0, "ba" is 1.
    automaton = Automaton.from_dfa([[1, 0], [2, 0], [0, 2]])
    words = torch.tensor([[0, 1], [1, 0]])
    assert automaton.run(words).tolist() == [[1, 0], [0, 1]]
    assert automaton.run(words, start=1).tolist() == [[2, 2], [0, 1]]


def test_run_answers_short_and_wrong_words():
    automaton = Automaton.from_dfa(PARITY)
    assert automaton.run(torch.zeros(3, 0, dtype=torch.int64)).shape == (3, 0)
    assert automaton.run(torch.tensor([1])).tolist() == [1]
    with pytest.raises(RangeError, match=r"given 2 at \(1,\)"):
        automaton.run(torch.tensor([0, 2]))
    with pytest.raises(DtypeError):
        automaton.run(torch.tensor([0.0]))
    with pytest.raises(RangeError, match="start"):
        automaton.run(torch.tensor([0]), start=7)


def test_names_of_tokens_become_tokens():
    automaton = Automaton.from_dfa(PARITY, token_labels=["off", "on"])
    assert automaton.tokens(["on", "off"]).tolist() == [1, 0]
    with pytest.raises(RangeError, match="off, on; given 'up'"):
        automaton.tokens(["on", "up"])


def test_trim_leaves_out_what_no_word_reaches():
    automaton = Automaton.from_dfa([[2, 2], [0, 1], [0, 0]], start=0, state_labels=["a", "b", "c"])
    part = automaton.trim()
    assert part.state_labels == ("a", "c")
    assert part.delta.tolist() == [[1, 1], [0, 0]]


def test_minimal_needs_a_language():
    with pytest.raises(DomainError, match="needs accepting states"):
        Automaton.from_dfa(PARITY).minimal()


def test_minimal_merges_a_counter_modulo_6_to_its_language():
    counter = [[(q + 1) % 6, q] for q in range(6)]
    assert Automaton.from_dfa(counter, accepting=[0, 3]).minimal().num_states == 3
    assert Automaton.from_dfa(counter, accepting=[0]).minimal().num_states == 6
    assert Automaton.from_dfa(counter, accepting=[]).minimal().num_states == 1
    assert Automaton.from_dfa(counter, accepting=range(6)).minimal().num_states == 1


@pytest.mark.property
@given(automata())
@settings(deadline=None, max_examples=40)
def test_minimal_accepts_alike_and_no_two_states_are_alike(automaton):
    small = automaton.minimal()
    words = torch.randint(automaton.num_tokens, (40, 9))
    accepted = np.isin(automaton.run(words).numpy(), automaton.accepting)
    assert (accepted == np.isin(small.run(words).numpy(), small.accepting)).all()
    assert small.reachable.size == small.num_states
    # Brute force: every pair of states is told apart by some word.
    apart = {
        (p, q)
        for p in range(small.num_states)
        for q in range(small.num_states)
        if (p in small.accepting) != (q in small.accepting)
    }
    for _ in range(small.num_states):
        apart |= {
            (p, q)
            for p in range(small.num_states)
            for q in range(small.num_states)
            for x in range(small.num_tokens)
            if (int(small.delta[p, x]), int(small.delta[q, x])) in apart
        }
    assert len(apart) == small.num_states * (small.num_states - 1)
