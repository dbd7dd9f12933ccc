"""What is no group is refused, with a witness that can be checked."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.groups import Group, NotAGroupError, cyclic, find_fault_reference, symmetric
from coset.groups.tables import check_order, check_table

# A Latin square with an identity in which every element is its own inverse: no group has order 5
# and exponent 2.
LOOP = [
    [0, 1, 2, 3, 4],
    [1, 0, 3, 4, 2],
    [2, 4, 0, 1, 3],
    [3, 2, 4, 0, 1],
    [4, 3, 1, 2, 0],
]


def test_a_loop_is_refused_with_a_triple_that_does_not_associate():
    with pytest.raises(NotAGroupError, match="associative") as caught:
        Group.from_table(LOOP)
    a, b, c = map(int, re.search(r"\((\d), (\d), (\d)\)", str(caught.value)).groups())
    assert LOOP[LOOP[a][b]][c] != LOOP[a][LOOP[b][c]]
    assert find_fault_reference(np.array(LOOP)) is not None


def test_a_monoid_is_refused_with_the_repeated_entry():
    with pytest.raises(NotAGroupError, match="row 1 has 1 at 0 and at 1"):
        Group.from_table([[0, 1], [1, 1]])


def test_two_left_identities_are_named():
    with pytest.raises(NotAGroupError, match="0 and 1 both are left identities"):
        Group.from_table([[0, 1], [0, 1]])
    with pytest.raises(NotAGroupError, match="0 and 1 both are right identities"):
        Group.from_table([[0, 0], [1, 1]])


def test_a_table_without_identity_is_refused():
    with pytest.raises(NotAGroupError, match="no element is a left identity"):
        Group.from_table([[1, 0], [1, 0]])
    # x·y = y − x mod 3 has the left identity 0 and no right one.
    with pytest.raises(NotAGroupError, match="no element is a right identity"):
        Group.from_table([[0, 1, 2], [2, 0, 1], [1, 2, 0]])


def test_a_column_that_repeats_is_refused():
    with pytest.raises(NotAGroupError, match="column 1 has 0 at 1 and at 2"):
        Group.from_table([[0, 1, 2], [1, 0, 2], [2, 0, 1]])


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([[0, 1]], ShapeError, "square"),
        ([0, 1], ShapeError, "square"),
        (5, ShapeError, "square"),
        (np.zeros((0, 0), dtype=int), NotAGroupError, "at least one element"),
        ([[0.0]], DtypeError, "integers"),
        ([[float("nan")]], DtypeError, "integers"),
        ([[True]], DtypeError, "integers"),
        ([[0, 1], [1, 2]], NotAGroupError, r"mul\[1, 1\] = 2"),
        ([[0, 1], [1, -1]], NotAGroupError, r"mul\[1, 1\] = -1"),
    ],
)
def test_bad_tables_are_refused_by_name(table, error, message):
    with pytest.raises(error, match=message):
        Group.from_table(table)


def test_an_absurd_size_is_refused_before_anything_is_built():
    with pytest.raises(DomainError, match="more than 10\\^15"):
        check_order(10**40, "it")
    row = np.broadcast_to(np.int8(0), (10**6, 10**6))
    with pytest.raises(DomainError, match="at most 8192"):
        Group.from_table(row)


def test_the_trivial_group_is_a_group():
    table, identity = check_table([[0]])
    assert (table.tolist(), identity) == ([[0]], 0)


def test_the_user_s_table_stays_their_own():
    mine = np.array([[0, 1], [1, 0]], dtype=np.int32)
    group = Group.from_table(mine)
    mine[0, 0] = 1
    assert group.mul[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        group.mul[0, 0] = 1


@pytest.mark.oracle
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_changed_entry_is_always_found(data):
    """Light's test on generators agrees with all triples."""
    group = data.draw(st.sampled_from([symmetric(3), cyclic(6), cyclic(5), cyclic(4)]))
    n = group.order
    table = group.mul.copy()
    a, b, value = (data.draw(st.integers(0, n - 1)) for _ in range(3))
    table[a, b] = value
    fault = find_fault_reference(table)
    if fault is None:
        Group.from_table(table)
    else:
        with pytest.raises(NotAGroupError):
            Group.from_table(table)


@pytest.mark.oracle
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_light_s_test_agrees_with_all_triples_on_loops(data):
    """Swap two rows' entries inside an intercalate: still a Latin square, rarely a group."""
    group = data.draw(st.sampled_from([symmetric(3), cyclic(6), cyclic(8), cyclic(4)]))
    n = group.order
    table = group.mul.copy()
    a, c = data.draw(st.integers(1, n - 1)), data.draw(st.integers(1, n - 1))
    involutions = np.flatnonzero(group.element_orders == 2)
    z = int(data.draw(st.sampled_from(involutions.tolist())))
    # Rows a, z·a and columns c, a⁻¹·z·a·c hold two values crosswise.
    b = int(group.mul[z, a])
    d = int(np.flatnonzero(group.mul[a] == group.mul[b, c])[0])
    if 0 not in (b, d) and group.mul[b, d] == group.mul[a, c]:
        table[[a, a, b, b], [c, d, c, d]] = table[[a, a, b, b], [d, c, d, c]]
    fault = find_fault_reference(table)
    try:
        Group.from_table(table)
    except NotAGroupError:
        assert fault is not None
    else:
        assert fault is None
