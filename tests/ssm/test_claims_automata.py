"""The claims about automata are as expected, and their mutants are caught near misses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coset.core.claims import find_claim
from coset.core.judging import judge
from coset.ssm.automata import Automaton
from coset.ssm.claims import automata
from coset.ssm.claims.automata import EXAMPLES, some_merge
from coset.ssm.errors import NotSolvableError

pytestmark = pytest.mark.claim


@pytest.mark.parametrize("id", ["ssm.C9", "ssm.C9b", "ssm.C9c"])
def test_a_claim_about_automata_is_as_expected(id):
    assert automata.__name__  # the import registers the claims
    judged = judge(find_claim(id))
    assert judged.seen == judged.expected, (judged.problem, judged.result)
    for outcome in judged.mutants:
        assert outcome.passed, outcome


def test_short_words_are_told_from_all_words():
    five = torch.tensor(EXAMPLES["S5"][0]).T.contiguous()
    moduli, seeds = torch.tensor([5, 6, 7]), torch.arange(20)
    assert all(some_merge(five, moduli, seed) for seed in seeds)
    assert not all(some_merge(five, moduli, seed, 2) for seed in seeds)


def test_a_cascade_that_tracks_merges_nothing():
    # The layer of parity itself is among the random ones: turns by 0 and 1 modulo 2.
    parity = torch.tensor(EXAMPLES["parity"][0]).T.contiguous()
    assert not all(some_merge(parity, torch.tensor([2]), torch.tensor(s)) for s in range(40))


@pytest.mark.slow
def test_every_automaton_of_three_states_and_two_tokens():
    tables = list(automata._all_small())
    assert len(tables) == 729
    for delta in tables:
        found = Automaton.from_dfa(delta)
        assert found.compile().certificate().verify()
    with pytest.raises(NotSolvableError):
        Automaton.from_dfa(np.array(EXAMPLES["S5"][0]).T).compile()
