"""Groups from tables, permutations and matrices, and their arithmetic."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.groups.strategies import permutation_groups

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.groups import (
    Group,
    NotAGroupError,
    alternating,
    cyclic,
    dihedral,
    find_fault_reference,
    general_linear,
    generated_subgroup,
    parse_group,
    quaternion,
    symmetric,
)


def test_permutations_are_numbered_in_lexicographic_order_and_read_left_to_right():
    s3 = Group.from_permutations([(1, 2, 0), (1, 0, 2)], name="S3")
    assert s3.forms.tolist() == [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ]
    for a in range(6):
        for b in range(6):
            first, then = s3.forms[a], s3.forms[b]
            assert s3.forms[s3.mul[a, b]].tolist() == then[first].tolist()
    assert s3.generators == (3, 2)
    assert s3.labels == ("()", "(1 2)", "(0 1)", "(0 1 2)", "(0 2 1)", "(0 2)")
    assert repr(s3) == "S3 (order 6)"
    assert repr(Group.from_permutations([(1, 0)])) == "group of order 2"


def test_the_numbering_does_not_depend_on_the_generators():
    one = Group.from_permutations([(1, 0, 2, 3), (1, 2, 3, 0)])
    two = Group.from_permutations([(0, 1, 3, 2), (0, 2, 1, 3), (1, 0, 2, 3)])
    assert (one.mul == two.mul).all()
    assert (one.mul == symmetric(4).mul).all()


def test_the_word_of_the_specification_ends_at_the_identity():
    s4 = symmetric(4)
    letters = [s4.element((1, 0, 2, 3)), s4.element((1, 2, 3, 0))]
    assert tuple(letters) == s4.generators
    value, seen = s4.identity, []
    for bit in "0110100110010110":
        value = s4.product(value, letters[int(bit)])
        seen.append(tuple(s4.forms[value].tolist()))
    assert seen[:4] == [(1, 0, 2, 3), (2, 1, 3, 0), (3, 2, 0, 1), (3, 2, 1, 0)]
    assert value == s4.identity


def test_matrices_multiply_as_matrices():
    group = Group.from_matrices([[[1, 1], [0, 1]], [[0, 1], [1, 0]]], 3, name="G")
    assert group.order == 48
    assert group.forms[0].tolist() == [[1, 0], [0, 1]]
    products = group.forms[:, None] @ group.forms[None] % 3
    assert (group.forms[group.mul] == products).all()
    assert group.labels[0] == "[1 0; 0 1]"
    assert group.element([[1, 1], [0, 1]]) == group.generators[0]


def test_entries_of_matrices_are_reduced():
    group = Group.from_matrices([[[-1]]], 5)
    assert group.forms.ravel().tolist() == [1, 4]


def test_entries_beyond_int64_are_reduced_without_overflow():
    """2⁶³ + 1 ≡ 4 mod 5, an element of order 2; as int64 it would wrap around to order 4."""
    matrices = np.array([[[2**63 + 1]]], dtype=np.uint64)
    assert Group.from_matrices(matrices, 5).order == 2


def test_no_generators_and_one_point_make_the_trivial_group():
    for group in (
        Group.from_permutations([]),
        Group.from_permutations([[]]),
        Group.from_permutations([[0]]),
        Group.from_matrices([[[1]]], 2),
        cyclic(1),
    ):
        assert (group.order, group.generators, group.exponent) == (1, (), 1)
        assert group.is_abelian
        assert group.is_solvable
        assert group.derived_length == 0
        assert group.product() == group.power(0, 7) == group.commutator(0, 0) == 0
        assert [part.tolist() for part in group.derived_series()] == [[0]]


@pytest.mark.parametrize(
    ("generators", "error", "message"),
    [
        ([(0, 0)], NotAGroupError, "0 is the image of two points"),
        ([(0, 2)], NotAGroupError, "2 is no point"),
        ([(0, -1)], NotAGroupError, "-1 is no point"),
        ([(1, 0), (1, 0, 2)], ShapeError, "one degree"),
        ([3], ShapeError, "flat"),
        ([(0.5, 1.0)], DtypeError, "integers"),
        ([(float("nan"), 0)], DtypeError, "integers"),
        ([((1, 0), (1,))], ShapeError, "one size"),
        (5, DtypeError, "a list of permutations; given 5"),
    ],
)
def test_bad_permutations_are_refused(generators, error, message):
    with pytest.raises(error, match=message):
        Group.from_permutations(generators)


@pytest.mark.parametrize(
    ("generators", "modulus", "error", "message"),
    [
        ([[[1, 1], [1, 1]]], 5, NotAGroupError, "common factor 5"),
        ([[[2, 0], [0, 1]]], 6, NotAGroupError, "common factor 2"),
        ([[[1, 2, 3]]], 5, ShapeError, "square"),
        ([], 5, ShapeError, "at least one"),
        ([[[1.0]]], 5, DtypeError, "integers"),
        ([[[1]]], 1, DomainError, "modulus"),
        ([[[1]]], 10**9, DomainError, "modulus"),
        ([[[1]]], 2.5, DtypeError, "modulus"),
        ([[[1, 1], [0]]], 5, ShapeError, "one size"),
        (5, 5, ShapeError, "square"),
    ],
)
def test_bad_matrices_are_refused(generators, modulus, error, message):
    with pytest.raises(error, match=message):
        Group.from_matrices(generators, modulus)


def test_a_group_beyond_max_order_is_refused():
    ten = [list(range(10)) for _ in range(2)]
    ten[0][:2], ten[1] = [1, 0], [*range(1, 10), 0]
    with pytest.raises(DomainError, match="at most 1000 elements"):
        Group.from_permutations(ten, max_order=1000)
    assert Group.from_permutations([(1, 2, 0)], max_order=3).order == 3
    with pytest.raises(DomainError, match="at least 1"):
        Group.from_permutations([(1, 0)], max_order=0)
    with pytest.raises(DtypeError, match="max_order"):
        Group.from_permutations([(1, 0)], max_order=1.5)


def test_elements_are_found_by_label_and_form():
    s4 = symmetric(4)
    assert s4.element("(0 1)(2 3)") == s4.element([1, 0, 3, 2])
    assert quaternion().element("-k") == 7
    for wrong in ("(0 9)", (0, 1), (0, 0, 0, 0), 3):
        with pytest.raises(DomainError, match="label"):
            s4.element(wrong)
    with pytest.raises(DomainError, match="label"):
        cyclic(3).element((1, 2, 0))


def test_the_identity_may_have_any_number():
    group = symmetric(3).relabel([3, 0, 1, 2, 5, 4])
    again = Group.from_table(group.mul, name="S3")
    assert again.identity == 3
    assert again.derived_length == 2
    assert again.product() == 3
    assert again.element_orders[3] == 1
    assert sorted(again.element_orders.tolist()) == [1, 2, 2, 2, 3, 3]


def test_arithmetic_is_what_the_table_says():
    group = general_linear(2, 3)
    for a in range(0, 48, 5):
        assert group.mul[a, group.inverse[a]] == 0
        assert group.power(a, -1) == group.inverse[a]
        assert group.power(a, 0) == 0
        power = 0
        for k in range(1, 10):
            power = group.product(power, a)
            assert group.power(a, k) == power
        assert group.power(a, 10**18) == group.power(a, 10**18 % int(group.element_orders[a]))
        for b in range(0, 48, 7):
            assert group.product(b, a, group.commutator(a, b)) == group.mul[a, b]
            assert group.product(b, group.conjugate(a, b)) == group.mul[a, b]


def test_orders_and_exponents():
    assert dihedral(6).element_orders.tolist() == [1, 2, 6, 2, 3, 2, 2, 2, 3, 2, 6, 2]
    assert symmetric(5).exponent == 60
    assert cyclic(60).element_orders.tolist() == [60 // math.gcd(a, 60) for a in range(60)]
    assert not symmetric(3).is_abelian
    assert cyclic(60).is_abelian


def test_generators_generate_and_none_can_be_left_out_of_found_ones():
    for name in ("S4", "GL(2,3)", "Z2^3", "D30", "Q8xZ2", "SL(2,5)", "Z60"):
        group = Group.from_table(parse_group(name).mul)
        mask = {group.identity}
        while True:
            more = mask | {int(group.mul[a, g]) for a in mask for g in group.generators}
            if more == mask:
                break
            mask = more
        assert len(mask) == group.order, name
        assert len(group.generators) <= math.log2(group.order), name
    given = Group.from_permutations([(0, 1, 2), (1, 0, 2), (1, 0, 2), (1, 2, 0)])
    assert given.generators == (2, 3)


@pytest.mark.parametrize("wrong", [-1, 6, 10**30])
def test_elements_out_of_range_are_refused(wrong):
    group = symmetric(3)
    for call in (
        lambda: group.product(0, wrong),
        lambda: group.power(wrong, 2),
        lambda: group.commutator(0, wrong),
        lambda: group.conjugate(wrong, 0),
    ):
        with pytest.raises((RangeError, DtypeError)):
            call()


def test_elements_that_are_no_integers_are_refused():
    for wrong in (1.0, True, "1", None):
        with pytest.raises(DtypeError):
            symmetric(3).product(wrong)


def test_exponents_are_integers():
    group = symmetric(3)
    assert group.power(3, np.int64(-1)) == group.power(3, 10**40 + 1) == 4
    for wrong in (1.5, "2", None, float("nan")):
        with pytest.raises(DtypeError, match="the exponent must be an integer"):
            group.power(3, wrong)


@pytest.mark.parametrize(
    ("labels", "error"),
    [(5, DtypeError), ([1, 2], DtypeError), ("a", ShapeError), (["a", "a"], DomainError)],
)
def test_labels_are_different_texts(labels, error):
    with pytest.raises(error, match="labels"):
        Group.from_table([[0, 1], [1, 0]], labels=labels)
    with pytest.raises(error, match="labels"):
        cyclic(2).renamed("Z2", labels)


@pytest.mark.parametrize("wrong", [[[1], [2, 3]], 3, None, {1, "a"}])
def test_what_is_no_list_of_elements_is_refused(wrong):
    group = symmetric(3)
    for call in (group.subgroup_group, group.relabel, lambda w: generated_subgroup(group, w)):
        with pytest.raises((ShapeError, DtypeError)):
            call(wrong)
    with pytest.raises(ShapeError, match="one size"):
        group.element([[1], [2, 3]])


def test_a_set_of_elements_is_read_in_increasing_order():
    product = symmetric(4).product
    tokens = {17, 3, 11, 8}
    words = symmetric(4).prefix_products(torch.arange(4), tokens)
    assert words[-1] == product(3, 8, 11, 17)


def test_a_group_is_immutable_and_equal_only_to_itself():
    group = symmetric(3)
    with pytest.raises(AttributeError, match="immutable"):
        group.order = 7
    assert group != symmetric(3)
    assert group in {group}
    twin = copy.deepcopy(group)
    assert (twin.mul == group.mul).all()
    assert twin.labels == group.labels


def test_relabel_keeps_the_group():
    group = general_linear(2, 3)
    new = np.random.default_rng(3).permutation(48)
    other = group.relabel(new)
    assert (other.mul[new[:, None], new] == new[group.mul]).all()
    assert other.identity == new[0]
    assert other.derived_length == 4
    assert [part.size for part in other.derived_series()] == [48, 24, 8, 2, 1]
    assert all(other.labels[new[a]] == group.labels[a] for a in range(48))
    assert (other.forms[new] == group.forms).all()
    assert other.generators == tuple(new[list(group.generators)])
    assert find_fault_reference(other.mul) is None
    for wrong in ([0] * 48, range(47), [*range(47), 48]):
        with pytest.raises(RangeError):
            group.relabel(wrong)


def test_renamed_shares_the_table():
    group = cyclic(3).renamed("C3", ["e", "a", "a^2"])
    assert (group.name, group.labels) == ("C3", ("e", "a", "a^2"))
    with pytest.raises(ShapeError, match="3 labels"):
        cyclic(3).renamed("C3", ["e"])
    with pytest.raises(ShapeError, match="2 labels"):
        Group.from_table([[0, 1], [1, 0]], labels=["e"])


def test_a_subgroup_is_a_group_of_its_own():
    s4 = symmetric(4)
    even = s4.derived_series()[1]
    a4, embedding = s4.subgroup_group(even)
    assert (a4.mul == alternating(4).mul).all()
    assert embedding.tolist() == even.tolist()
    assert (embedding[a4.mul] == s4.mul[embedding[:, None], embedding]).all()
    assert a4.labels == alternating(4).labels
    with pytest.raises(DomainError, match="product"):
        s4.subgroup_group([0, 1, 2])


@settings(max_examples=60, deadline=None)
@given(permutation_groups(max_degree=4), st.randoms(use_true_random=False))
@pytest.mark.property
def test_relabelling_changes_nothing_that_matters(group, random):
    new = list(range(group.order))
    random.shuffle(new)
    other = Group.from_table(group.relabel(new).mul)
    assert other.derived_length == group.derived_length
    assert other.exponent == group.exponent
    assert other.is_abelian == group.is_abelian
    for m in (0, 2, 3):
        mine = [np.sort(np.array(new)[part]).tolist() for part in group.verbal_series(m)]
        assert mine == [part.tolist() for part in other.verbal_series(m)]


@settings(max_examples=40, deadline=None)
@given(permutation_groups(max_degree=4))
@pytest.mark.property
def test_generated_tables_are_groups(group):
    assert find_fault_reference(group.mul) is None
    assert Group.from_table(group.mul).identity == group.identity
