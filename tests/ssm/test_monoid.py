"""The transition monoid against brute force, and permutation groups against sympy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings

from coset.core.errors import DomainError, DtypeError, RangeError, UnsupportedError
from coset.ssm.automata import Automaton, TransitionMonoid
from coset.ssm.automata.permutations import StabilizerChain, derived_orders
from coset.ssm.claims.automata import EXAMPLES
from ssm.automata_cases import automata


def table(name):
    return np.array(EXAMPLES[name][0]).T


@pytest.mark.parametrize("name", EXAMPLES)
def test_sizes_and_groups_of_the_known_examples(name):
    _, size, orders = EXAMPLES[name]
    monoid = TransitionMonoid.from_delta(table(name))
    groups = monoid.maximal_subgroups()
    assert monoid.size == size
    assert [derived_orders(len(g.points), g.permutations) for g in groups] == orders
    assert monoid.is_aperiodic == (not orders)


def brute(delta):
    """Return all maps by closing the set of letters under composition."""
    letters = [tuple(c) for c in delta.T.tolist()]
    found = {tuple(range(len(delta)))}
    while True:
        grown = found | {tuple(b[q] for q in a) for a in found for b in letters}
        if len(grown) == len(found):
            return found
        found = grown


@pytest.mark.oracle
@given(automata(max_states=4))
@settings(deadline=None, max_examples=40)
def test_elements_idempotents_and_groups_equal_brute_force(automaton):
    delta = automaton.delta
    monoid = TransitionMonoid.from_delta(delta)
    maps = [tuple(m) for m in monoid.maps.tolist()]
    assert set(maps) == brute(delta)
    assert len(maps) == len(set(maps))
    compose = {(a, b): tuple(b[q] for q in a) for a in maps for b in maps}
    idempotents = [a for a in maps if compose[a, a] == a]
    assert [maps[e] for e in monoid.idempotents] == idempotents
    for m, word in ((m, monoid.word(m)) for m in range(monoid.size)):
        state = np.arange(len(delta))
        for x in word:
            state = delta[state, x]
        assert tuple(state) == maps[m]
    groups = {
        e: {a for a in maps if compose[e, compose[a, e]] == a and is_unit(a, e, maps, compose)}
        for e in idempotents
    }
    largest = sorted(len(group) for group in groups.values() if len(group) > 1)
    assert monoid.is_aperiodic == (not largest)
    for group in monoid.maximal_subgroups(trivial=True):
        found = {maps[a] for a in group.elements}
        assert found == groups[maps[group.idempotent]]


def is_unit(a, e, maps, compose):
    return any(compose[a, b] == e and compose[b, a] == e for b in maps)


@given(automata(max_states=5))
@settings(deadline=None, max_examples=40)
def test_left_and_right_products(automaton):
    monoid = TransitionMonoid.from_delta(automaton.delta)
    letters = automaton.delta.T
    for m, x in itertools.product(range(min(monoid.size, 20)), range(automaton.num_tokens)):
        assert (monoid.maps[monoid.right[m, x]] == letters[x][monoid.maps[m]]).all()
        assert (monoid.maps[monoid.left[m, x]] == monoid.maps[m][letters[x]]).all()


def test_relabeling_states_changes_neither_size_nor_groups():
    delta = table("full T4")
    sigma = np.array([2, 0, 3, 1])
    relabeled = np.empty_like(delta)
    relabeled[sigma] = sigma[delta]
    monoid = TransitionMonoid.from_delta(relabeled)
    assert monoid.size == 256
    assert [g.order for g in monoid.maximal_subgroups()] == [24, 6, 2]


def test_a_monoid_that_is_too_large_says_so():
    with pytest.raises(UnsupportedError, match="may have 200 elements"):
        TransitionMonoid.from_delta(table("full T4"), max_size=200)
    assert TransitionMonoid.from_delta(table("full T4"), max_size=256).size == 256
    with pytest.raises(DomainError, match="at least 1"):
        TransitionMonoid.from_delta(table("parity"), max_size=0)


def test_more_states_than_a_byte_can_number():
    delta = np.roll(np.arange(300), -1)[:, None]
    assert TransitionMonoid.from_delta(delta).size == 300


def test_a_monoid_needs_a_table_of_states():
    assert TransitionMonoid.from_delta([[0, 1], [1, 0]]).size == 2
    with pytest.raises(RangeError, match="given 5 at state 0, token 0"):
        TransitionMonoid.from_delta(np.array([[5]]))
    with pytest.raises(DtypeError, match="float64"):
        TransitionMonoid.from_delta(np.array([[0.0]]))


def test_a_word_of_no_element():
    with pytest.raises(RangeError, match="0 … 1; given 2"):
        TransitionMonoid.from_delta(table("parity")).word(2)


def test_the_monoid_of_an_automaton_is_that_of_what_is_reached():
    unreached = Automaton.from_dfa([[0, 0], [2, 1], [1, 2]])
    assert unreached.transition_monoid().size == 1


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(12))
def test_orders_along_the_derived_series_equal_sympys(seed):
    combinatorics = pytest.importorskip("sympy.combinatorics")
    random = np.random.default_rng(seed)
    degree = int(random.integers(2, 9))
    generators = [random.permutation(degree) for _ in range(int(random.integers(1, 4)))]
    if seed % 2:  # leave a point alone or act in two orbits, so that smaller groups occur
        half = degree // 2
        generators = [np.r_[random.permutation(half), half + random.permutation(degree - half)]]
        generators += [np.r_[random.permutation(half), np.arange(half, degree)]]
    group = combinatorics.PermutationGroup(
        [combinatorics.Permutation(g.tolist()) for g in generators]
    )
    orders = [int(g.order()) for g in group.derived_series()]
    assert list(derived_orders(degree, generators)) == orders


def test_membership_in_a_stabilizer_chain():
    alternating = StabilizerChain(5, [(1, 2, 0, 3, 4), (1, 2, 3, 4, 0)])
    assert alternating.order == 60
    even = [
        p
        for p in itertools.permutations(range(5))
        if sum(p[i] > p[j] for i in range(5) for j in range(i + 1, 5)) % 2 == 0
    ]
    assert all(p in alternating for p in even)
    assert sum(p in alternating for p in itertools.permutations(range(5))) == 60
    assert not alternating.add(even[17])
    assert alternating.add((1, 0, 2, 3, 4))
    assert alternating.order == 120


def test_no_generators_and_no_permutation():
    assert derived_orders(3, []) == (1,)
    assert derived_orders(1, [(0,)]) == (1,)
    with pytest.raises(DomainError, match="permutation of 0 … 2"):
        StabilizerChain(3, [(0, 0, 1)])
    with pytest.raises(DomainError):
        StabilizerChain(3, [(0, 1)])


def test_a_group_far_too_large_to_list():
    cycle, swap = np.roll(np.arange(20), 1), np.array([1, 0, *range(2, 20)])
    orders = derived_orders(20, [cycle, swap])
    assert orders == (2432902008176640000, 1216451004088320000)


@pytest.mark.parametrize("n", [8, 9, 12, 200])
def test_symmetric_and_alternating_groups_need_no_chain(n, monkeypatch):
    monkeypatch.setattr(StabilizerChain, "add", None)
    cycle, swap = np.roll(np.arange(n), -1), np.arange(n)
    swap[:2] = 1, 0
    whole = math.factorial(n)
    assert derived_orders(n, [cycle, swap]) == (whole, whole // 2)
    three = np.arange(n)
    three[:3] = 1, 2, 0
    even = np.r_[0, np.roll(np.arange(1, n), -1)] if n % 2 == 0 else cycle
    assert derived_orders(n, [even, three]) == (whole // 2,)


def test_groups_that_are_not_alternating_are_not_taken_for_one():
    # PSL(2, 7) on 8 points, two copies of S7 side by side, and S7 wr Z2, all without A14 inside.
    shift, invert = (1, 2, 3, 4, 5, 6, 0, 7), (7, 6, 3, 2, 5, 4, 1, 0)
    assert derived_orders(8, [shift, invert]) == (168,)
    cycle, swap = [*range(1, 7), 0], [1, 0, *range(2, 7)]
    stay, half = list(range(14)), math.factorial(7)
    left = [[*p, *stay[7:]] for p in (cycle, swap)]
    assert derived_orders(14, left) == (half, half // 2)
    orders = derived_orders(14, [*left, [*stay[7:], *stay[:7]]])
    assert orders[0] == 2 * half**2
    assert orders[-1] == (half // 2) ** 2
