"""Actions: the law on S4, orbits, orbits on pairs, stabilizers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.groups.strategies import groups_with_elements, permutation_groups

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.groups import (
    Action,
    NotAGroupError,
    conjugacy_classes,
    conjugation_action,
    coset_action,
    cyclic,
    dihedral,
    generated_subgroup,
    is_subgroup,
    is_transitive,
    natural_action,
    orbits,
    orbits_on_pairs,
    orbits_on_pairs_reference,
    regular_action,
    right_cosets,
    stabilizer,
    symmetric,
)

S4 = symmetric(4)


def all_actions(group):
    part = generated_subgroup(group, group.generators[:1])
    return [
        natural_action(group),
        regular_action(group),
        conjugation_action(group),
        coset_action(group, part),
    ]


def test_the_law_on_s4_for_all_elements_and_points():
    for action in all_actions(S4):
        for a in range(24):
            for b in range(24):
                for x in range(0, action.num_points, 3):
                    after = action.act(b, action.act(a, x))
                    assert after == action.act(int(S4.mul[a, b]), x)


def test_mirrored_actions_of_s4_are_refused():
    """Left multiplication, and permutations read from right to left, have the wrong order."""
    for wrong in (S4.mul, S4.forms[S4.inverse], S4.mul.T[S4.inverse]):
        with pytest.raises(NotAGroupError, match=r"act\(b, act\(a, x\)\) must be"):
            Action(S4, wrong)
    # An Abelian group cannot see it.
    assert Action(cyclic(6), cyclic(6).mul).num_points == 6


def test_a_witness_of_a_broken_law_can_be_checked():
    table = regular_action(S4).table.copy()
    table[5, [0, 1]] = table[5, [1, 0]]
    with pytest.raises(NotAGroupError, match="they are"):
        Action(S4, table)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (np.zeros((3, 2), int), ShapeError, "2 elements"),
        (np.zeros(2, int), ShapeError, "2 elements"),
        (np.zeros((2, 1)), DtypeError, "points"),
        (np.array([[0, 1], [2, 0]]), NotAGroupError, r"table\[1, 0\] = 2"),
        (np.array([[0, 1], [-1, 0]]), NotAGroupError, r"table\[1, 0\] = -1"),
        (np.array([[1, 0], [0, 1]]), NotAGroupError, "identity 0 must move no point"),
        (np.array([[0, 1], [0, 0]]), NotAGroupError, "act"),
    ],
)
def test_bad_tables_are_refused(table, error, message):
    with pytest.raises(error, match=message):
        Action(cyclic(2), table)
    with pytest.raises(DtypeError, match="Group"):
        Action("S4", table)


def test_an_action_on_no_points():
    action = Action(cyclic(2), np.zeros((2, 0), int))
    assert orbits(action) == ()
    assert is_transitive(action)
    assert orbits_on_pairs(action).shape == (0, 0)
    assert not action.is_faithful


def test_orbits_by_hand():
    group = generated_subgroup(S4, [S4.element("(0 2)")])
    sub, _ = S4.subgroup_group(group)
    action = natural_action(sub)
    assert [part.tolist() for part in orbits(action)] == [[0, 2], [1], [3]]
    assert not is_transitive(action)
    assert is_transitive(natural_action(S4))
    assert action.restrict([2, 0]).table.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(DomainError, match="takes 0 outside"):
        action.restrict([0, 1])
    with pytest.raises(DomainError, match=r"given once; given \[2, 0, 2\]"):
        action.restrict([2, 0, 2])


def test_orbits_of_conjugation_are_the_classes():
    mine = [part.tolist() for part in orbits(conjugation_action(S4))]
    assert mine == [part.tolist() for part in conjugacy_classes(S4)]


def test_pairs_of_a_ring_under_shifts_and_reflections():
    shifts = orbits_on_pairs(regular_action(cyclic(6)))
    x = np.arange(6)
    assert (shifts == (x - x[:, None]) % 6).all()
    d6 = dihedral(6)
    mirror = generated_subgroup(d6, [d6.element("s")])
    pairs = orbits_on_pairs(coset_action(d6, mirror))
    assert pairs.max() + 1 == 4
    assert (pairs == pairs.T).all()


@pytest.mark.oracle
@settings(max_examples=60, deadline=None)
@given(permutation_groups(max_degree=4))
def test_orbits_equal_the_literal_ones(group):
    for action in all_actions(group):
        table = action.table
        literal = {frozenset(table[:, x].tolist()) for x in range(action.num_points)}
        assert {frozenset(part.tolist()) for part in orbits(action)} == literal
        labels = orbits_on_pairs(action)
        pairs = {
            frozenset((int(x), int(y)) for x, y in np.argwhere(labels == k))
            for k in range(labels.max() + 1)
        }
        assert pairs == orbits_on_pairs_reference(table)
        first = [int(np.flatnonzero(labels.ravel() == k)[0]) for k in range(labels.max() + 1)]
        assert first == sorted(first)
        for part in orbits(action):
            kept = stabilizer(action, int(part[0]))
            assert is_subgroup(group, kept)
            assert kept.size * part.size == group.order


@settings(max_examples=60, deadline=None)
@given(groups_with_elements(max_degree=4))
@pytest.mark.property
def test_coset_actions_have_the_subgroup_as_stabilizer(drawn):
    group, elements = drawn
    part = generated_subgroup(group, elements)
    action = coset_action(group, part)
    assert is_transitive(action)
    assert stabilizer(action, 0).tolist() == part.tolist()
    index = right_cosets(group, part).index
    assert (action.table[:, 0] == index).all()


def test_kernels():
    v4 = S4.derived_series()[2]
    action = coset_action(S4, v4)
    assert action.kernel.tolist() == v4.tolist()
    assert not action.is_faithful
    assert natural_action(S4).is_faithful


@pytest.mark.parametrize("point", [-1, 4, 10**20])
def test_points_out_of_range_are_named(point):
    action = natural_action(S4)
    for call in (
        lambda: stabilizer(action, point),
        lambda: action.act(0, point),
        lambda: action.restrict([point]),
    ):
        with pytest.raises(RangeError, match=f"given {point}"):
            call()


def test_other_misuse():
    action = natural_action(S4)
    with pytest.raises(DtypeError, match="point"):
        stabilizer(action, 1.0)
    with pytest.raises(DtypeError, match="point"):
        stabilizer(action, True)
    with pytest.raises(RangeError, match="an element"):
        action.act(24, 0)
    with pytest.raises(DomainError, match="permutations"):
        natural_action(cyclic(3))
    with pytest.raises(ValueError, match="read-only"):
        action.table[0, 0] = 1


def test_ragged_tables_are_refused_and_large_ones_are_not_printed():
    with pytest.raises(ShapeError, match="one size"):
        Action(S4, [[0], [1, 2]])
    assert repr(regular_action(S4)) == "action of S4 (order 24) on 24 points"
    assert repr(right_cosets(S4, [0])) == "24 right cosets"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12))
@pytest.mark.property
def test_a_matrix_commutes_iff_it_is_constant_on_orbits_of_pairs(n, seed):
    rng = np.random.default_rng(seed)
    group = dihedral(n)
    action = regular_action(group)
    labels = orbits_on_pairs(action)
    weights = rng.integers(0, 10**6, labels.max() + 1)[labels]
    for g in range(group.order):
        move = np.eye(group.order, dtype=int)[action.table[g]]
        assert (move @ weights == weights @ move).all()
    if group.order > 1:
        weights[0, 1] += 1
        moves = [np.eye(group.order, dtype=int)[row] for row in action.table]
        assert any((m @ weights != weights @ m).any() for m in moves)
