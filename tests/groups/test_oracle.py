"""The same answers as sympy's permutation groups."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coset.groups import (
    Group,
    abelian_invariants,
    center,
    conjugacy_classes,
    generated_subgroup,
    is_normal,
    natural_action,
    normal_closure,
    orbits,
    parse_group,
    regular_action,
)

combinatorics = pytest.importorskip("sympy.combinatorics")
pytestmark = pytest.mark.oracle


def peer_of(generators):
    return combinatorics.PermutationGroup([combinatorics.Permutation(list(g)) for g in generators])


def prime_powers(moduli):
    """Return the primary parts of invariant factors, sorted."""
    found = []
    for m in moduli:
        p = 2
        while m > 1:
            part = 1
            while m % p == 0:
                part, m = part * p, m // p
            if part > 1:
                found.append(part)
            p += 1
    return sorted(found)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_permutation_groups(data):
    degree = data.draw(st.integers(2, 6))
    gens = data.draw(st.lists(st.permutations(range(degree)), min_size=1, max_size=3))
    group, peer = Group.from_permutations(gens), peer_of(gens)
    assert group.order == peer.order()
    series = [part.order() for part in peer.derived_series()]
    assert [part.size for part in group.derived_series()] == series
    assert group.is_solvable == peer.is_solvable
    assert group.is_abelian == peer.is_abelian
    assert prime_powers(abelian_invariants(group)) == sorted(peer.abelian_invariants())
    assert center(group).size == peer.center().order()
    moved = sorted(len(part) for part in peer.orbits())
    mine = [part.size for part in orbits(natural_action(group))]
    assert sorted(size for size in mine if size > 1) == [size for size in moved if size > 1]
    for g in gens:
        element = group.element(g)
        assert group.element_orders[element] == combinatorics.Permutation(list(g)).order()
    some = peer_of(gens[:1])
    assert generated_subgroup(group, [group.element(gens[0])]).size == some.order()
    closure = peer.normal_closure(some)
    assert normal_closure(group, [group.element(gens[0])]).size == closure.order()


@pytest.mark.parametrize("name", ["S4", "A5", "S5", "SL(2,3)", "GL(2,3)", "D6", "Q8", "Heis(3)"])
def test_the_zoo_through_its_regular_action(name):
    group = parse_group(name)
    table = regular_action(group).table
    peer = peer_of([table[g].tolist() for g in group.generators])
    assert peer.order() == group.order
    sizes = [part.order() for part in peer.derived_series()]
    assert [part.size for part in group.derived_series()] == sizes
    assert prime_powers(abelian_invariants(group)) == sorted(peer.abelian_invariants())
    assert center(group).size == peer.center().order()


@pytest.mark.parametrize("name", ["S4", "A5", "S5", "A4"])
def test_conjugacy_classes_and_products(name):
    group = parse_group(name)
    peer = peer_of([group.forms[g].tolist() for g in group.generators])
    theirs = Counter(len(part) for part in peer.conjugacy_classes())
    assert Counter(part.size for part in conjugacy_classes(group)) == theirs
    rng = np.random.default_rng(7)
    for a, b in rng.integers(0, group.order, (50, 2)).tolist():
        product = combinatorics.Permutation(group.forms[a].tolist()) * combinatorics.Permutation(
            group.forms[b].tolist()
        )
        assert group.element(product.array_form) == group.mul[a, b]


def test_normality():
    group = parse_group("S4")
    peer = peer_of([group.forms[g].tolist() for g in group.generators])
    rng = np.random.default_rng(11)
    seen = Counter()
    for _ in range(30):
        chosen = rng.integers(0, 24, 2).tolist()
        part = generated_subgroup(group, chosen)
        theirs = peer_of([group.forms[a].tolist() for a in chosen])
        assert part.size == theirs.order()
        normal = theirs.is_normal(peer)
        assert is_normal(group, part) == normal
        seen[normal] += 1
    assert min(seen.values()) >= 3
