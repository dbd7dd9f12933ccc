"""What preferences say before any utility is sought."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from coset.core.errors import RangeError
from coset.decisions.axioms.order import completeness, independence, transitivity
from coset.decisions.axioms.preferences import Preferences
from coset.decisions.preferences.lottery import Lottery

F = Fraction


def test_coverage_counts_pairs_of_different_lotteries():
    data = Preferences.from_pairs(
        strict=[("a", "b"), ("b", "a"), ("a", "b"), ("c", "c")], indifferent=[("d", "e")]
    )
    found = completeness(data)
    assert (found.num_lotteries, found.num_compared, found.num_possible) == (5, 2, 10)
    assert found.num_islands == 3
    assert not found
    assert completeness(Preferences.from_pairs([("a", "b"), ("b", "c"), ("a", "c")]))
    assert completeness(Preferences.from_pairs())


@pytest.mark.parametrize("size", [2, 3, 7, 40])
def test_a_circle_is_found_among_many_preferences(size):
    chain = [(f"x{i}", f"x{i + 1}") for i in range(200)]
    back = [(f"x{100 + size - 1}", "x100")]
    assert transitivity(Preferences.from_pairs(chain))
    found = transitivity(Preferences.from_pairs(chain, back))
    assert not found
    assert found.certificate.verify()
    assert len(found.certificate.support) == size
    assert 200 in found.certificate.support


def test_the_shortest_circle_is_preferred():
    long = [(f"x{i}", f"x{(i + 1) % 9}") for i in range(9)]
    found = transitivity(Preferences.from_pairs([*long, ("p", "q"), ("q", "p")]))
    assert found.certificate.name == "weak-order violation"
    assert found.certificate.support == (9, 10)


def test_a_circle_without_a_strict_preference_is_fine():
    data = Preferences.from_pairs(
        strict=[("d", "a")], weak=[("a", "b"), ("b", "c"), ("c", "a")], indifferent=[("a", "c")]
    )
    assert transitivity(data)
    assert transitivity(data).certificate is None


def test_many_copies_of_one_comparison_stay_visible():
    # 256 equal edges must not overflow to none.
    data = Preferences.from_pairs(strict=[("b", "a")], weak=[("a", "b")] * 256)
    found = transitivity(data)
    assert not found
    assert found.certificate.verify()


def test_indifference_joins_circles_either_way_round():
    data = Preferences.from_pairs(strict=[("a", "b")], indifferent=[("c", "b"), ("a", "c")])
    book = transitivity(data).certificate
    assert book.verify()
    assert book.weights == (F(1, 3),) * 3


def rows(seed, num, size=6, denominator=12):
    rng = np.random.default_rng(seed)
    return rng.multinomial(denominator, [1 / size] * size, size=num)


def test_two_opposed_exchanges_are_found_among_thousands():
    rng = np.random.default_rng(5)
    utility = rng.normal(size=6)
    p, q = rows(1, 3000), rows(2, 3000)
    turned = (p - q) @ utility < 0
    p[turned], q[turned] = q[turned], p[turned].copy()
    keep = ((p - q) @ utility) > 0
    p, q = 10 * p[keep], 10 * q[keep]
    assert independence(Preferences.from_arrays(p, q, denominator=120))
    # The exchange of preference 17, at a tenth of its size on another background, judged otherwise.
    flat = np.full((1, 6), 20)
    opposed = flat + (p[17] - q[17]) // 10
    data = Preferences.from_arrays(np.vstack([p, flat]), np.vstack([q, opposed]), denominator=120)
    found = independence(data)
    assert not found
    assert found.certificate.verify()
    assert found.certificate.name == "independence violation"
    assert set(found.certificate.support) == {17, len(p)}


@pytest.mark.parametrize(
    ("weak", "indifferent", "opposed"),
    [
        ([("b", "a")], [], True),
        ([("a", "b")], [], False),
        ([], [("a", "b")], True),
        ([], [("b", "a")], True),
    ],
)
def test_the_second_exchange_may_be_weak_or_indifferent(weak, indifferent, opposed):
    # a ≻ b on the background c; the others without it.
    half = F(1, 2)
    strict = [({"a": half, "c": half}, {"b": half, "c": half})]
    found = independence(Preferences.from_pairs(strict, weak, indifferent))
    assert bool(found) is not opposed
    if opposed:
        assert found.certificate.verify()


def test_equal_lotteries_have_no_direction():
    p = Lottery.of({"a": F(1, 2), "b": F(1, 2)})
    assert independence(Preferences.from_pairs(weak=[(p, p)], indifferent=[(p, p)]))


def test_preferences_are_taken_in_any_order():
    data = Preferences.from_pairs([("a", "b"), ("b", "c")], weak=[("c", "d")])
    turned = data.take([2, 0])
    assert [turned.pair(i) for i in range(2)] == [data.pair(2), data.pair(0)]
    assert data.take([]).num_pairs == 0
    with pytest.raises(RangeError, match="0 … 2"):
        data.take([3])
    with pytest.raises(RangeError, match="0 … 2"):
        data.pair(-1)
    with pytest.raises(RangeError, match="0 … 3"):
        data.lottery(4)
