"""The zoo: orders, relations, numbering, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.groups import (
    Group,
    NotAGroupError,
    abelian,
    alternating,
    cyclic,
    dicyclic,
    dihedral,
    direct_product,
    elementary_abelian,
    find_fault_reference,
    general_linear,
    heisenberg,
    is_isomorphic,
    metacyclic,
    parse_group,
    quaternion,
    semidirect_product,
    special_linear,
    symmetric,
    wreath_product,
)

ZOO = [
    (cyclic(1), 1, 0),
    (cyclic(60), 60, 1),
    (abelian(), 1, 0),
    (abelian(2, 4), 8, 1),
    (elementary_abelian(2, 3), 8, 1),
    (elementary_abelian(5, 1), 5, 1),
    (symmetric(1), 1, 0),
    (symmetric(2), 2, 1),
    (symmetric(3), 6, 2),
    (symmetric(4), 24, 3),
    (alternating(1), 1, 0),
    (alternating(2), 1, 0),
    (alternating(3), 3, 1),
    (alternating(4), 12, 2),
    (alternating(5), 60, math.inf),
    (dihedral(1), 2, 1),
    (dihedral(2), 4, 1),
    (dihedral(3), 6, 2),
    (dihedral(30), 60, 2),
    (dicyclic(1), 4, 1),
    (dicyclic(3), 12, 2),
    (quaternion(), 8, 2),
    (quaternion(16), 16, 2),
    (metacyclic(7, 3, 2), 21, 2),
    (metacyclic(5, 4, 2), 20, 2),
    (metacyclic(4, 3, 1), 12, 1),
    (metacyclic(1, 3, 1), 3, 1),
    (special_linear(2, 3), 24, 3),
    (special_linear(1, 7), 1, 0),
    (general_linear(2, 3), 48, 4),
    (general_linear(1, 7), 6, 1),
    (general_linear(2, 2), 6, 2),
    (heisenberg(2), 8, 2),
    (heisenberg(3), 27, 2),
    (heisenberg(4), 64, 2),
    (wreath_product(cyclic(2), cyclic(2)), 8, 2),
    (wreath_product(cyclic(3), symmetric(1)), 3, 1),
    (wreath_product(symmetric(1), cyclic(4)), 4, 1),
    (direct_product(), 1, 0),
    (direct_product(symmetric(3), cyclic(2)), 12, 2),
]


@pytest.mark.parametrize(("group", "order", "length"), ZOO, ids=lambda v: getattr(v, "name", None))
def test_order_depth_and_identity(group, order, length):
    assert (group.order, group.identity, group.derived_length) == (order, 0, length)
    assert find_fault_reference(group.mul) is None
    assert len(group.labels) == len(set(group.labels)) == order
    assert group.mul.dtype == np.int32
    assert Group.from_table(group.mul).identity == 0


def test_relations_of_presentations():
    d5 = dihedral(5)
    r, s = d5.element("r"), d5.element("s")
    assert d5.power(r, 5) == d5.power(s, 2) == 0
    assert d5.product(s, r, s) == d5.inverse[r]
    dic = dicyclic(5)
    a, x = dic.element("a"), dic.element("x")
    assert dic.power(a, 10) == 0
    assert dic.power(a, 5) == dic.power(x, 2) != 0
    assert dic.product(x, a, int(dic.inverse[x])) == dic.inverse[a]
    m = metacyclic(9, 6, 2)
    a, b = m.element("a"), m.element("b")
    assert m.power(a, 9) == m.power(b, 6) == 0
    assert m.product(b, a, int(m.inverse[b])) == m.power(a, 2)
    assert m.labels[5 * 6 + 4] == "a^5 b^4"


def test_hamilton_s_relations():
    q = quaternion()
    i, j, k, minus = (q.element(label) for label in ("i", "j", "k", "-1"))
    assert q.product(i, j, k) == q.product(i, i) == q.product(j, j) == q.product(k, k) == minus
    assert q.product(j, i) == q.element("-k")
    assert q.product(j, k) == i
    assert q.product(k, i) == j


def test_numbers_are_what_the_docstrings_say():
    assert (cyclic(7).mul == np.add.outer(np.arange(7), np.arange(7)) % 7).all()
    group = abelian(2, 3, 4)
    digits = np.stack(np.unravel_index(np.arange(24), (2, 3, 4)), -1)
    sums = (digits[:, None] + digits[None]) % [2, 3, 4]
    assert (digits[group.mul] == sums).all()
    assert group.labels[5] == "(0, 1, 1)"
    forms = heisenberg(4).forms
    assert (forms[heisenberg(4).mul] == forms[:, None] @ forms[None] % 4).all()
    assert all(np.linalg.det(m).round() % 3 == 1 for m in special_linear(2, 3).forms)


def test_generators_of_the_zoo_generate():
    for group, _, _ in ZOO:
        found = Group.from_table(group.mul)
        assert len(group.generators) <= max(1, math.log2(group.order))
        span = {0}
        while True:
            more = span | {int(found.mul[a, g]) for a in span for g in group.generators}
            if more == span:
                break
            span = more
        assert len(span) == group.order, group


def test_known_isomorphisms():
    assert is_isomorphic(dihedral(3), symmetric(3))
    assert is_isomorphic(dicyclic(2), quaternion())
    assert is_isomorphic(special_linear(2, 2), symmetric(3))
    assert is_isomorphic(general_linear(2, 2), symmetric(3))
    assert is_isomorphic(heisenberg(2), dihedral(4))
    assert is_isomorphic(wreath_product(cyclic(2), cyclic(2)), dihedral(4))
    assert is_isomorphic(metacyclic(3, 2, 2), symmetric(3))
    assert is_isomorphic(dihedral(6), direct_product(symmetric(3), cyclic(2)))
    assert is_isomorphic(wreath_product(symmetric(1), cyclic(4)), cyclic(4))
    assert not is_isomorphic(dihedral(12), symmetric(4))
    assert not is_isomorphic(special_linear(2, 3), symmetric(4))


def test_direct_products_multiply_factor_by_factor():
    one, two = symmetric(3), quaternion()
    group = direct_product(one, two)
    a, b = np.divmod(np.arange(48), 8)
    assert (group.mul // 8 == one.mul[a[:, None], a]).all()
    assert (group.mul % 8 == two.mul[b[:, None], b]).all()
    assert group.derived_length == 2
    shifted = direct_product(one.relabel([2, 0, 1, 3, 4, 5]), two)
    assert shifted.identity == 16
    assert is_isomorphic(shifted, group)
    assert direct_product(one) is one


def test_semidirect_products_use_the_action():
    """S4 = V4 ⋊ S3: S3 permutes the three elements of order 2."""
    four, s3 = abelian(2, 2), symmetric(3)
    # Right-to-left composition: φ of "a, then b" is φ_a after φ_b, so use the inverse permutation.
    action = [[0, *(1 + s3.forms[s3.inverse[h]])] for h in range(6)]
    group = semidirect_product(four, s3, action)
    assert is_isomorphic(group, symmetric(4))
    for n in range(4):
        for h in range(6):
            inner = group.product(h, 6 * n, int(group.inverse[h]))
            assert inner == 6 * action[h][n]
            assert group.product(6 * n, h) == 6 * n + h


def test_wreath_products_shift_places():
    group = wreath_product(cyclic(3), cyclic(2))
    assert (group.order, group.name) == (18, "Z3wrZ2")
    # Element ((f0, f1), b) is number (3·f0 + f1)·2 + b.
    swap = 1
    for f in range(9):
        moved = group.product(swap, 2 * f, swap)
        assert moved == 2 * (f % 3 * 3 + f // 3)


def test_iterated_wreath_products_reach_any_depth():
    """Claims ssm.C4: groups of derived length exactly k."""
    group, depth = cyclic(2), 1
    while group.order < 128:
        group, depth = wreath_product(group, cyclic(2)), depth + 1
        assert group.derived_length == depth
    assert depth == 3 + (group.order > 128)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cyclic(0), DomainError, "at least 1"),
        (lambda: cyclic(-3), DomainError, "at least 1"),
        (lambda: cyclic(2.0), DtypeError, "integer"),
        (lambda: cyclic(True), DtypeError, "integer"),
        (lambda: cyclic("4"), DtypeError, "integer"),
        (lambda: cyclic(float("nan")), DtypeError, "integer"),
        (lambda: cyclic(8193), DomainError, "8192"),
        (lambda: cyclic(10**100), DomainError, "8192"),
        (lambda: symmetric(8), DomainError, "40320"),
        (lambda: symmetric(10**9), DomainError, "8192"),
        (lambda: alternating(8), DomainError, "20160"),
        (lambda: dihedral(5000), DomainError, "10000"),
        (lambda: dicyclic(0), DomainError, "at least 1"),
        (lambda: quaternion(12), DomainError, "8, 16, 32"),
        (lambda: quaternion(4), DomainError, "8, 16, 32"),
        (lambda: elementary_abelian(4, 2), DomainError, "prime"),
        (lambda: elementary_abelian(2, 10**9), DomainError, "8192"),
        (lambda: special_linear(2, 6), DomainError, "prime"),
        (lambda: special_linear(0, 3), DomainError, "at least 1"),
        (lambda: general_linear(10**6, 3), DomainError, "8192"),
        (lambda: heisenberg(1), DomainError, "at least 2"),
        (lambda: heisenberg(21), DomainError, "9261"),
        (lambda: metacyclic(7, 3, 3), DomainError, "3\\^3 ≡ 6 mod 7"),
        (lambda: abelian(100, 100), DomainError, "10000"),
        (lambda: abelian(2, 0), DomainError, "at least 1"),
        (lambda: direct_product(cyclic(2), 3), DtypeError, "Group"),
        (lambda: wreath_product(symmetric(3), symmetric(3)), DomainError, "279936"),
        (lambda: wreath_product(cyclic(2), cyclic(60)), DomainError, "10\\^15"),
        (lambda: semidirect_product(cyclic(3), cyclic(2), [[0, 1, 2]]), ShapeError, "row for each"),
        (
            lambda: semidirect_product(cyclic(3), cyclic(2), [[0, 1, 2], [0, 1, 1]]),
            NotAGroupError,
            "permutation",
        ),
        (
            lambda: semidirect_product(cyclic(4), cyclic(2), [[0, 1, 2, 3], [0, 2, 1, 3]]),
            NotAGroupError,
            "automorphism",
        ),
        (
            lambda: semidirect_product(cyclic(3), cyclic(3), [[0, 1, 2], [0, 2, 1], [0, 1, 2]]),
            NotAGroupError,
            "respect products",
        ),
        (
            lambda: semidirect_product(cyclic(3), cyclic(2), [[0, 1, 3], [0, 1, 2]]),
            NotAGroupError,
            "permutation",
        ),
        (
            lambda: semidirect_product(cyclic(3), cyclic(2), np.zeros((2, 3))),
            DtypeError,
            "element ids",
        ),
    ],
)
def test_bad_parameters_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", ["Heis(13)", "S6", "D700", "Dic400", "Z2wr(Z2xZ2xZ2)"])
def test_larger_groups(name):
    group = parse_group(name)
    order = group.order
    rng = np.random.default_rng(0)
    a, b, c = rng.integers(0, order, (3, 5000))
    mul = group.mul
    assert (mul[mul[a, b], c] == mul[a, mul[b, c]]).all()
    assert (np.sort(mul[::97], 1) == np.arange(order)).all()
