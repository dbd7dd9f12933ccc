"""Words in power form: length, tokens, products and sharing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coset.core.errors import DomainError, DtypeError, RangeError, UnsupportedError
from coset.groups import parse_group
from coset.ssm.witness.words import Word, power

tokens_lists = st.lists(st.integers(0, 3), max_size=6)
expressions = st.recursive(
    tokens_lists.map(lambda t: (Word.of(t), tuple(t))),
    lambda inner: st.lists(st.tuples(inner, st.integers(0, 4)), max_size=3).map(
        lambda parts: (
            Word.join((word, n) for (word, _), n in parts),
            tuple(x for (_, literal), n in parts for x in literal * n),
        )
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(expressions)
def test_a_word_is_what_it_spells(case):
    word, literal = case
    assert word.length == len(literal)
    assert word.tokens().tolist() == list(literal)
    assert word.last == (literal[-1] if literal else None)
    assert word.counts(4) == tuple(literal.count(x) for x in range(4))
    assert word.fold(lambda x: (x,), lambda a, b: a + b, ()) == literal
    for size in (1, 3, 100):
        pieces = list(word.chunks(size))
        assert all(len(piece) <= size for piece in pieces)
        assert [int(x) for piece in pieces for x in piece] == list(literal)
    assert Word.from_json(json.loads(json.dumps(word.to_json()))) == word


def test_values_of_huge_powers():
    s4 = parse_group("S4")
    word = (Word.of([0, 1, 1]) ** (10**12 + 5)) + Word.of([1])
    assert word.length == 3 * (10**12 + 5) + 1
    letters = np.array(s4.generators)
    one = s4.product(letters[0], letters[1], letters[1])
    expected = s4.product(s4.power(one, (10**12 + 5) % int(s4.element_orders[one])), letters[1])
    assert word.value(s4.mul, letters, s4.identity) == expected
    with pytest.raises(UnsupportedError, match="tokens"):
        word.tokens()


def test_equal_subwords_are_stored_once():
    inner = Word.of([0, 1]) ** 3
    word = Word.join([(inner, 2), (Word.of([2]), 1), (inner, 5)])
    assert len(word.rules) == 2
    assert str(word) == "(0 1)^6 2 (0 1)^15"


def test_text_is_short_however_long_the_word():
    word = Word.of([x % 7 for x in range(5000)])
    assert len(str(word)) == 200
    assert str(Word()) == "the empty word"


@pytest.mark.parametrize("rules", [(((0, 0),),), (((-1, 2),),), (((0, 1),), ((-2, 1),))])
def test_unsound_rules_are_refused(rules):
    with pytest.raises(DomainError, match="rule"):
        Word(rules)


def test_impossible_arguments():
    with pytest.raises(RangeError, match="-1"):
        Word.of([0, -1])
    with pytest.raises(DomainError, match="exponent"):
        Word.of([0]) ** -1
    with pytest.raises(RangeError, match="given 3"):
        Word.of([0, 3]).value(np.zeros((1, 1), int), [0, 0], 0)
    for call in (lambda: Word.of([1.5]), lambda: Word.of(["a"]), lambda: Word.of([1]) ** 1.5):
        with pytest.raises(DtypeError, match="must be an integer"):
            call()
    with pytest.raises(DomainError, match="piece"):
        list(Word.of([0]).chunks(0))
    assert Word.of(torch.tensor([1, 1])) == Word.of(np.array([1, 1])) == Word.of([1]) ** 2
    assert Word().tokens().dtype == torch.int64
    assert power("ab", 3, lambda a, b: a + b, "") == "ababab"
