"""Telling groups apart, and the list of all groups that have names."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.groups.strategies import permutation_groups

from coset.core.errors import DomainError, DtypeError
from coset.groups import (
    cyclic,
    find_isomorphism,
    is_isomorphic,
    named_groups,
    parse_group,
    symmetric,
)
from coset.groups.isomorphism import fingerprint

# How many groups there are of each order from 1 (a published table, OEIS A000001).
NUM_GROUPS = [
    *(1, 1, 1, 2, 1, 2, 1, 5, 2, 2, 1, 5, 1, 2, 1, 14, 1, 5, 1, 5, 2, 2, 1, 15, 2, 2, 5, 4, 1, 4),
    *(1, 51, 1, 2, 1, 14, 1, 2, 2, 14, 1, 6, 1, 4, 2, 2, 1, 52, 2, 5, 1, 5, 1, 15, 2, 13, 2, 2),
    *(1, 13, 1, 2, 4),
]
# Orders at which some groups have no name here, and how many have one.
PARTLY_NAMED = {16: 12, 18: 4, 24: 14, 32: 26, 36: 10, 40: 13, 48: 33, 50: 4, 54: 10, 56: 11}


def check_isomorphism(first, second, image):
    assert sorted(image.tolist()) == list(range(first.order))
    assert (image[first.mul] == second.mul[image[:, None], image]).all()


@settings(max_examples=40, deadline=None)
@given(permutation_groups(max_degree=4), st.randoms(use_true_random=False))
@pytest.mark.property
def test_a_relabelled_group_is_found_again(group, random):
    new = list(range(group.order))
    random.shuffle(new)
    other = group.relabel(new)
    image = find_isomorphism(group, other)
    assert image is not None
    check_isomorphism(group, other, image)


@pytest.mark.parametrize("name", ["S5", "SL(2,5)", "D4xZ2^3", "Z2^6", "Heis(5)", "GL(2,3)xZ3"])
def test_larger_groups_are_found_again(name):
    group = parse_group(name)
    other = group.relabel(np.random.default_rng(2).permutation(group.order))
    image = find_isomorphism(group, other)
    assert image is not None
    check_isomorphism(group, other, image)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("D4", "Q8"),
        ("Z4", "Z2xZ2"),
        ("S4", "SL(2,3)"),
        ("S5", "SL(2,5)"),
        ("A5xZ2", "S5"),
        ("Heis(3)", "M(9,3,4)"),
        ("M(8,2,5)", "Z2xZ8"),
        ("D4xZ2^2", "Q8xZ2^2"),
        ("Z3", "Z4"),
    ],
)
def test_groups_that_differ(first, second):
    assert not is_isomorphic(parse_group(first), parse_group(second))


def test_groups_that_figures_of_elements_cannot_tell_apart():
    """Z3 × Z3 × Z3 and the Heisenberg group have the same orders of elements."""
    one, two = parse_group("Z3^3"), parse_group("Heis(3)")
    assert sorted(one.element_orders) == sorted(two.element_orders)
    assert not is_isomorphic(one, two)


def test_the_search_itself_refuses():
    """Z4 × Z4 and Z2 × Q8's relatives share much; force the search by skipping the figures."""
    from coset.groups.isomorphism import _search

    one, two = parse_group("M(4,4,3)"), parse_group("M(8,2,5)")
    generators = list(one.generators)
    everything = [np.arange(16)] * len(generators)
    assert _search(one, two, generators, everything) is None
    found = _search(one, one, generators, everything)
    assert found is not None
    check_isomorphism(one, one, found)


def test_misuse():
    with pytest.raises(DtypeError, match="groups"):
        is_isomorphic(cyclic(2), "Z2")
    with pytest.raises(DomainError, match="512"):
        is_isomorphic(symmetric(6), symmetric(6))
    assert not is_isomorphic(symmetric(6), cyclic(2))
    assert is_isomorphic(cyclic(1), symmetric(1))


def test_named_groups_up_to_63():
    groups = named_groups(63)
    counts = Counter(group.order for group in groups)
    for order, expected in enumerate(NUM_GROUPS, 1):
        assert counts[order] == PARTLY_NAMED.get(order, expected), order
    assert len(groups) == 258
    names = [group.name for group in groups]
    assert len(set(names)) == len(names)
    assert [group.order for group in groups] == sorted(group.order for group in groups)
    for group in groups:
        assert parse_group(group.name).order == group.order
    for name in ("S4", "A5", "Q8", "SL(2,3)", "GL(2,3)", "Heis(3)", "D30", "Z2xZ4", "Z4wrZ2"):
        assert name in names


def test_named_groups_are_the_same_each_time_and_differ_pairwise():
    groups = named_groups(31)
    assert [g.name for g in groups] == [g.name for g in named_groups(31)]
    assert [g.name for g in named_groups(16)] == [g.name for g in groups if g.order <= 16]
    for i, one in enumerate(groups):
        for two in groups[:i]:
            if one.order == two.order and fingerprint(one) == fingerprint(two):
                assert not is_isomorphic(one, two)


def test_bad_limits_are_refused():
    for wrong, error in ((0, DomainError), (201, DomainError), (1.5, DtypeError)):
        with pytest.raises(error):
            named_groups(wrong)


def test_the_least_limit():
    assert [group.name for group in named_groups(1)] == ["Z1"]
