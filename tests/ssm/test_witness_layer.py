"""Witnesses against one layer given as tables: growth, rotation, fading, and parity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, ShapeError
from coset.groups import parse_group
from coset.ssm.witness import LayerTables, Word, random_layer, search_witness, witness
from coset.ssm.witness.growth import growing_words, is_constant
from coset.ssm.witness.one_layer import common_moduli, forgetting_letters
from coset.ssm.witness.parity import nonnegative_pair, parity_tables, time_invariant_pair

KINDS = ["contracting", "unitary", "rotation", "mixed"]


def literal(tables, word):
    return literal_steps(tables, word)[1]


def literal_steps(tables, word):
    before = state = tables.start.copy()
    for token in word.tokens().tolist():
        before, state = state, tables.a[token] * state + tables.b[token]
    return before, state


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["S3", "A4", "Q8", "A5"])
def test_random_layers_are_fooled(name, kind):
    group = parse_group(name)
    for seed in range(5):
        tables = random_layer(
            group.order, 1 + seed, kind, generator=torch.Generator().manual_seed(seed)
        )
        found = witness(tables, group)
        assert found.replay(tables, group)
        ends = [literal(tables, word) for word in found.words]
        if kind == "unitary":
            assert found.kind == "unbounded"
            assert np.abs(ends[1]).max() > 1e3
        else:
            assert found.kind == "too close"
            assert np.abs(ends[0] - ends[1]).max() <= 1e-3
            assert found.values[0] != found.values[1]


def test_a_power_is_the_literal_loop():
    tables = random_layer(3, 4, "mixed", generator=torch.Generator().manual_seed(3))
    word = (Word.of([0, 1]) ** 30 + Word.of([2])) ** 5
    np.testing.assert_allclose(tables.state(word), literal(tables, word), atol=1e-12)


def test_a_state_at_a_fixed_point_stays_there():
    # 1.5²⁰⁰⁰ is beyond float64, and 1.5²⁰⁰⁰ · 0 is not a number.
    tables = LayerTables([[1.5, 3.0, 2.0]], [[0.0, -2.0, -1e9]], [0.0, 1.0, 1e9])
    for n in (1, 60, 2000):
        assert tables.state(Word.of([0]) ** n).real.tolist() == [0.0, 1.0, 1e9]


def test_long_words_are_found_and_replayed_at_once():
    # |λ| = 0.99999 needs an ending of 690,773 tokens.
    tables = LayerTables([[0.99999], [0.99999]], [[0.0], [1.0]], [0.0])
    found = witness(tables, "Z2")
    assert found.length == 690_774
    assert found.replay(tables, parse_group("Z2"))
    assert witness(tables, "Z2", max_length=690_773) is None


@pytest.mark.parametrize(
    ("a", "b", "start", "kind"),
    [
        ([1.0, 1.5], [0.0, 0.0], 1.0, "unbounded"),  # expands
        ([1.0, 1.5], [1.0, 0.0], 0.0, "unbounded"),  # expands once another token has moved it
        ([1.5, 1.0], [0.0, 1.0], 0.0, "unbounded"),  # it begins at the fixed point of 0
        ([3.0, 1.0], [-2.0, 1.0], 1.0, "unbounded"),  # which may lie anywhere
        ([1.0, -1.0], [0.01, 0.0], 1.0, "unbounded"),  # drifts
        ([-1.0, -1.0], [0.0, 2.0], 0.0, "unbounded"),  # two centers, half turns
        ([np.exp(0.005j), -1.0], [0.0, 2.0], 0.0, "unbounded"),  # a slow turn
        ([0.0, 0.0], [0.0, 1.0], 0.0, "too close"),  # remembers one token
        ([1.0, 0.5], [0.0, 1.0], 0.0, "too close"),  # monotone
    ],
)
def test_each_way_to_fail_parity(a, b, start, kind):
    tables = LayerTables(np.array(a)[:, None], np.array(b)[:, None], [start])
    found = witness(tables, "Z2")
    assert found.kind == kind
    assert found.replay(tables, parse_group("Z2"))
    if kind == "unbounded":
        before, after = literal_steps(tables, found.words[1])
        assert abs(after[0]) > 1e3 >= abs(before[0])


@pytest.mark.parametrize("m", [2, 3, 6, 60])
def test_the_faithful_character_has_no_witness(m):
    turns = np.exp(2j * np.pi * np.arange(m) / m)[:, None]
    for center in (0.0, -1.0):  # about −1, it may begin at 0
        tables = LayerTables(turns, (1 - turns) * center, [1.0 + center])
        assert witness(tables, f"Z{m}") is None


def test_a_character_that_is_not_faithful_is_fooled():
    turns = np.exp(2j * np.pi * np.arange(6) / 3)[:, None]
    tables = LayerTables(turns, 0 * turns, [1.0])
    found = witness(tables, "Z6")
    assert found.distance < 1e-12
    assert found.replay(tables, parse_group("Z6"))


def test_irrational_turns_come_back():
    # 2π·√2: no power is 1, but some odd power is near.
    turns = np.exp(2j * np.pi * np.array([[0.0], [np.sqrt(2)]]))
    tables = LayerTables(turns, 0 * turns, [1.0])
    found = witness(tables, "Z2", resolution=0.01)
    assert found.length < 1000
    assert np.abs(np.subtract(*(literal(tables, word) for word in found.words))).max() <= 0.01


def test_parity_is_tracked_by_one_signed_coordinate():
    search = search_witness(parity_tables(), "Z2")
    assert search.witness is None
    assert search.tried


def test_constant_coordinates_are_ignored():
    # The first coordinate would grow if it were not at its fixed point.
    tables = LayerTables([[2.0, 0.5], [3.0, 0.5]], [[-1.0, 0.0], [-2.0, 1.0]], [1.0, 0.0])
    assert is_constant(tables).tolist() == [True, False]
    assert not list(growing_words(tables, 1e3, 10**6))
    assert witness(tables, "Z2").kind == "too close"


def test_forgetting_letters_and_moduli():
    tables = LayerTables([[1j, 1.0], [1.0, 0.5]], [[0, 0], [0, 1]], [1.0, 1.0])
    assert forgetting_letters(tables, 10**6) == (1,)
    assert common_moduli(tables.a[:, :1]) == (4,)
    assert common_moduli(np.exp(2j * np.pi * np.array([[np.sqrt(2)]]))) is None
    assert common_moduli(np.ones((2, 0))) == ()


def test_verified_lengths_for_parity():
    first, second = time_invariant_pair([0.999], 1e-3)
    assert (str(first), str(second)) == ("1 0^6905", "0^6906")
    assert [str(word) for word in nonnegative_pair([0.3, 0.95], [1.0, 0.2])] == ["1^104", "1^105"]
    tables = LayerTables([[1.0, 1.0], [0.3, 0.95]], [[0, 0], [1.0, 0.2]], [0, 0])
    ends = [tables.state(Word.of([1]) ** n)[1].real for n in (103, 104, 105)]
    assert ends[1] - ends[0] > 1e-3 >= ends[2] - ends[1]


def test_parity_pairs_at_the_edges():
    assert [word.length for word in time_invariant_pair([0.0])] == [2, 2]
    assert [word.length for word in nonnegative_pair([0.5], [1.0], start=[2.0])] == [0, 1]
    assert [word.length for word in nonnegative_pair([0.0], [1.0])] == [1, 2]
    with pytest.raises(DomainError, match="λ"):
        time_invariant_pair([1.0])
    with pytest.raises(DomainError, match="λ"):
        time_invariant_pair([float("nan")])
    with pytest.raises(DomainError, match="resolution"):
        time_invariant_pair([0.5], 2.0)
    with pytest.raises(DomainError, match="a must"):
        nonnegative_pair([-0.1], [1.0])
    with pytest.raises(ShapeError, match="shape"):
        nonnegative_pair([0.1, 0.2], [1.0])
