"""Subgroups, cosets, quotients and Abelian factors against literal versions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.groups.strategies import groups_with_elements, permutation_groups

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.groups import (
    abelian,
    abelian_basis,
    abelian_invariants,
    center,
    centralizer,
    commutator_subgroup,
    conjugacy_classes,
    conjugacy_classes_reference,
    cyclic,
    derived_series_reference,
    dihedral,
    find_fault_reference,
    general_linear,
    generated_subgroup,
    generated_subgroup_reference,
    is_normal,
    is_subgroup,
    normal_closure,
    parse_group,
    quaternion,
    quotient,
    right_cosets,
    right_cosets_reference,
    symmetric,
    verbal_subgroup,
    verbal_subgroup_reference,
)

S3, S4 = symmetric(3), symmetric(4)
GL23 = general_linear(2, 3)
# Not normal: the symmetries that keep a point.
POINT = generated_subgroup(S4, [S4.element((0, 2, 1, 3)), S4.element((0, 2, 3, 1))])


def named(group, *labels):
    return [group.element(label) for label in labels]


@pytest.mark.oracle
@settings(max_examples=80, deadline=None)
@given(groups_with_elements())
def test_generated_subgroups_equal_the_literal_ones(drawn):
    group, elements = drawn
    found = generated_subgroup(group, elements)
    assert set(found.tolist()) == generated_subgroup_reference(group, elements)
    assert (np.diff(found) > 0).all()
    assert not found.flags.writeable
    assert is_subgroup(group, found)
    if found.size > 1:
        assert not is_subgroup(group, found[1:])


@pytest.mark.oracle
@settings(max_examples=60, deadline=None)
@given(groups_with_elements(max_degree=4), st.integers(0, 6))
def test_verbal_and_commutator_subgroups_equal_the_literal_ones(drawn, exponent):
    group, elements = drawn
    part = generated_subgroup(group, elements)
    literal = verbal_subgroup_reference(group, part.tolist(), exponent)
    assert set(verbal_subgroup(group, part, exponent).tolist()) == literal
    if exponent == 0:
        assert set(commutator_subgroup(group, part).tolist()) == literal


@pytest.mark.oracle
@settings(max_examples=60, deadline=None)
@given(groups_with_elements(max_degree=4), groups_with_elements(max_degree=4))
def test_mixed_commutators_equal_the_literal_ones(drawn, other):
    group, elements = drawn
    one = generated_subgroup(group, elements)
    two = generated_subgroup(group, [a % group.order for a in other[1]])
    words = {group.commutator(a, b) for a in one.tolist() for b in two.tolist()}
    literal = generated_subgroup_reference(group, words)
    assert set(commutator_subgroup(group, one, two).tolist()) == literal


@pytest.mark.oracle
@settings(max_examples=60, deadline=None)
@given(groups_with_elements(max_degree=4))
def test_normal_closures_equal_the_literal_ones(drawn):
    group, elements = drawn
    conjugates = {group.conjugate(a, g) for a in elements for g in range(group.order)}
    found = normal_closure(group, elements)
    assert set(found.tolist()) == generated_subgroup_reference(group, conjugates)
    assert is_normal(group, found)


@pytest.mark.oracle
@settings(max_examples=60, deadline=None)
@given(permutation_groups(max_degree=4))
def test_derived_series_and_classes_equal_the_literal_ones(group):
    series = [set(part.tolist()) for part in group.derived_series()]
    assert series == derived_series_reference(group)
    classes = conjugacy_classes(group)
    assert {frozenset(part.tolist()) for part in classes} == conjugacy_classes_reference(group)
    assert [part[0] for part in classes] == sorted(part[0] for part in classes)
    singles = [int(part[0]) for part in classes if part.size == 1]
    assert center(group).tolist() == singles


def test_normality_depends_on_the_group_around():
    """V4 has normal subgroups of order 2 that are not normal in S4."""
    four = generated_subgroup(S4, named(S4, "(0 1)(2 3)", "(0 2)(1 3)"))
    two = generated_subgroup(S4, named(S4, "(0 1)(2 3)"))
    assert is_normal(S4, four)
    assert is_normal(S4, two, four)
    assert not is_normal(S4, two)
    assert not is_normal(S4, POINT)
    assert not is_normal(S4, four, two)
    assert normal_closure(S4, two).tolist() == four.tolist()
    assert normal_closure(S4, two, four).tolist() == two.tolist()


def test_centralizers():
    assert centralizer(S4, []).size == 24
    assert centralizer(S4, named(S4, "(0 1 2 3)")).size == 4
    assert center(quaternion()).tolist() == named(quaternion(), "1", "-1")
    assert center(S4).tolist() == [0]
    assert center(cyclic(5)).size == 5


@pytest.mark.oracle
@settings(max_examples=80, deadline=None)
@given(groups_with_elements())
def test_right_cosets_equal_the_literal_ones(drawn):
    group, elements = drawn
    part = generated_subgroup(group, elements)
    cosets = right_cosets(group, part)
    blocks = {frozenset(np.flatnonzero(cosets.index == q).tolist()) for q in set(cosets.index)}
    if group.order * part.size <= 2000:
        assert blocks == right_cosets_reference(group, part.tolist())
    assert cosets.num_cosets * part.size == group.order
    assert (cosets.index[cosets.representatives] == np.arange(cosets.num_cosets)).all()
    assert cosets.representatives[0] == group.identity
    assert (cosets.index[part] == 0).all()


def test_right_cosets_are_not_left_cosets():
    cosets = right_cosets(S4, POINT)
    for a in POINT.tolist():
        assert (cosets.index[S4.mul[a]] == cosets.index).all()
    left = np.concatenate([cosets.index[S4.mul[:, a]] != cosets.index for a in POINT.tolist()])
    assert left.any()


def test_both_ways_to_number_cosets_agree():
    """Above order 64 cosets are walked one by one, below all at once."""
    group = symmetric(6)
    swap, ring = group.element("(1 2)"), group.element("(1 2 3 4 5)")
    # Not normal: the permutations that keep point 0; the even ones among them.
    point = generated_subgroup(group, [swap, ring])
    even = verbal_subgroup(group, point, 0)
    for part, order in ((point, 120), (even, 60), (group.derived_series()[1], 360)):
        assert part.size == order
        cosets = right_cosets(group, part)
        least = np.array([group.mul[part, y].min() for y in range(group.order)])
        same = least[:, None] == least
        assert ((cosets.index[:, None] == cosets.index) == same).all()
        assert cosets.representatives.tolist() == np.unique(least).tolist()


def test_cosets_within_a_subgroup_leave_out_what_is_outside():
    even = S4.derived_series()[1]
    four = S4.derived_series()[2]
    cosets = right_cosets(S4, four, even)
    assert cosets.num_cosets == 3
    assert (np.flatnonzero(cosets.index >= 0) == even).all()
    assert (cosets.index[np.setdiff1d(np.arange(24), even)] == -1).all()
    with pytest.raises(DomainError, match="lie in the group within"):
        right_cosets(S4, even, four)


def test_the_identity_s_coset_is_first_under_any_numbering():
    new = np.random.default_rng(5).permutation(24)
    other = S4.relabel(new)
    cosets = right_cosets(other, new[POINT])
    assert cosets.representatives[0] == other.identity == new[0]
    assert (cosets.index[new[POINT]] == 0).all()
    mine = right_cosets(S4, POINT)
    same = mine.index[:, None] == mine.index
    assert ((cosets.index[new][:, None] == cosets.index[new]) == same).all()


def test_quotients():
    group, onto = quotient(S4, S4.derived_series()[2])
    assert (group.order, group.is_abelian, group.identity) == (6, False, 0)
    assert find_fault_reference(group.mul) is None
    assert (onto[S4.mul] == group.mul[onto[:, None], onto]).all()
    assert quotient(S4, [0])[0].order == 24
    assert quotient(S4, range(24))[0].order == 1
    with pytest.raises(DomainError, match="normal"):
        quotient(S4, POINT)


@pytest.mark.parametrize(
    ("elements", "error", "message"),
    [
        ([0, 24], RangeError, "given 24"),
        ([-1], RangeError, "given -1"),
        ([0.0], DtypeError, "integers"),
        ([True], DtypeError, "integers"),
        ([[0, 1]], ShapeError, "flat"),
        ([], DomainError, "identity 0 is missing"),
        ([1], DomainError, "identity 0 is missing"),
        ([0, 1, 2], DomainError, "the product"),
    ],
)
def test_bad_subgroups_are_refused(elements, error, message):
    for call in (right_cosets, is_normal, quotient, lambda g, e: abelian_basis(g, e, [0])):
        with pytest.raises(error, match=message):
            call(S4, elements)


def test_sets_may_be_given_in_any_order_and_with_repeats():
    even = S4.derived_series()[1]
    shuffled = [*even.tolist()[::-1], 0, 0]
    assert (right_cosets(S4, shuffled).index == right_cosets(S4, even).index).all()
    assert is_subgroup(S4, set(even.tolist()))
    assert is_subgroup(S4, iter(even.tolist()))


def check_basis(group, outer, inner, basis):
    """Check all that an Abelian basis promises, by trying everything."""
    assert math.prod(basis.moduli) * len(inner) == len(outer)
    for larger, smaller in zip(basis.moduli, basis.moduli[1:], strict=False):
        assert larger % smaller == 0
    assert all(m > 1 for m in basis.moduli)
    x = basis.coordinates
    assert x.shape == (group.order, len(basis.moduli))
    outside = np.setdiff1d(np.arange(group.order), outer)
    assert (x[outside] == -1).all()
    table = group.mul[np.ix_(outer, outer)]
    top = np.array(basis.moduli)
    assert (x[table] == (x[outer][:, None] + x[outer][None]) % np.maximum(top, 1)).all()
    zero = outer[(x[outer] == 0).all(1)]
    assert zero.tolist() == sorted(np.asarray(inner).tolist())
    assert (x[basis.generators] == np.eye(len(basis.moduli), dtype=int)).all()


@pytest.mark.parametrize(
    ("name", "moduli"),
    [
        ("Z60", [(60,)]),
        ("Z2xZ4", [(4, 2)]),
        ("S3", [(2,), (3,)]),
        ("D4", [(2, 2), (2,)]),
        ("Q8", [(2, 2), (2,)]),
        ("A4", [(3,), (2, 2)]),
        ("S4", [(2,), (3,), (2, 2)]),
        ("SL(2,3)", [(3,), (2, 2), (2,)]),
        ("GL(2,3)", [(2,), (3,), (2, 2), (2,)]),
        ("D30", [(2, 2), (15,)]),
        ("Heis(3)", [(3, 3), (3,)]),
    ],
)
def test_layer_moduli_of_the_specification(name, moduli):
    group = parse_group(name)
    series = group.derived_series()
    for outer, inner, expected in zip(series[:-1], series[1:], moduli, strict=True):
        basis = abelian_basis(group, outer, inner)
        assert basis.moduli == expected
        check_basis(group, outer, inner, basis)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([1, 2, 3, 4, 5, 6, 8, 9, 12]), min_size=1, max_size=3))
@pytest.mark.property
def test_bases_of_products_of_cyclic_groups(moduli):
    if math.prod(moduli) > 300:
        moduli = moduli[:1]
    group = abelian(*moduli)
    basis = abelian_basis(group, range(group.order), [0])
    check_basis(group, np.arange(group.order), [0], basis)
    for p in (2, 3, 5):
        for k in (1, 2, 3):
            expected = sum(m % p**k == 0 for m in moduli)
            assert sum(m % p**k == 0 for m in basis.moduli) == expected
    assert abelian_invariants(group) == basis.moduli


@settings(max_examples=40, deadline=None)
@given(permutation_groups(max_degree=4), st.randoms(use_true_random=False))
@pytest.mark.property
def test_bases_under_any_numbering(group, random):
    new = list(range(group.order))
    random.shuffle(new)
    other = group.relabel(new)
    series = other.derived_series()
    for outer, inner in itertools.pairwise(series):
        check_basis(other, outer, inner, abelian_basis(other, outer, inner))
    assert abelian_invariants(other) == abelian_invariants(group)


def test_a_factor_of_no_rank():
    basis = abelian_basis(S3, range(6), range(6))
    assert basis.moduli == ()
    assert basis.generators.shape == (0,)
    assert basis.coordinates.shape == (6, 0)
    assert abelian_invariants(parse_group("A5")) == ()
    assert abelian_invariants(cyclic(1)) == ()


def test_factors_that_are_not_abelian_are_refused_with_a_commutator():
    with pytest.raises(DomainError, match="commutator"):
        abelian_basis(S4, range(24), S4.derived_series()[2])
    with pytest.raises(DomainError, match="normal in N"):
        abelian_basis(S4, range(24), POINT)
    with pytest.raises(DomainError, match="lie in N"):
        abelian_basis(S4, POINT, S4.derived_series()[1])


def test_n_need_not_be_normal_in_the_group():
    """The cyclic subgroup of order 4 of S4 is not normal, yet a factor."""
    outer = generated_subgroup(S4, named(S4, "(0 1 2 3)"))
    inner = generated_subgroup(S4, named(S4, "(0 2)(1 3)"))
    assert not is_normal(S4, outer)
    check_basis(S4, outer, inner, abelian_basis(S4, outer, inner))
    check_basis(S4, outer, [0], abelian_basis(S4, outer, [0]))


def test_verbal_subgroups_by_hand():
    assert verbal_subgroup(cyclic(12), None, 4).tolist() == [0, 4, 8]
    assert verbal_subgroup(S4, None, 2).size == 12
    assert verbal_subgroup(S4, None, 3).size == 24
    assert verbal_subgroup(S4, None, 1).size == 24
    assert verbal_subgroup(dihedral(4), None, 2).size == 2
    for wrong, error in ((-1, DomainError), (1.5, DtypeError), (None, DtypeError)):
        with pytest.raises(error):
            verbal_subgroup(S4, None, wrong)


@pytest.mark.parametrize(
    ("name", "exponent", "sizes"),
    [
        ("S3", 0, [6, 3, 1]),
        ("S3", 2, [6, 3]),
        ("Z8", 2, [8, 4, 2, 1]),
        ("Z2xZ4", 2, [8, 2, 1]),
        ("D4", 2, [8, 2, 1]),
        ("Q8", 2, [8, 2, 1]),
        ("D8", 2, [16, 4, 2, 1]),
        ("Z60", 2, [60, 30, 15]),
        ("A5", 0, [60]),
        ("S5", 0, [120, 60]),
        ("SL(2,5)", 0, [120]),
        ("GL(2,3)", 0, [48, 24, 8, 2, 1]),
        ("S4", 1, [24]),
    ],
)
def test_series_by_hand(name, exponent, sizes):
    group = parse_group(name)
    series = group.verbal_series(exponent)
    assert [part.size for part in series] == sizes
    for outer, inner in itertools.pairwise(series):
        assert is_normal(group, inner, outer)
    if exponent == 0:
        assert group.is_solvable == (sizes[-1] == 1)
        expected = len(sizes) - 1 if sizes[-1] == 1 else math.inf
        assert group.derived_length == expected
