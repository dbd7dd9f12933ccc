"""Preferences from pairs and arrays, and what a utility explains of them."""

from __future__ import annotations

from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pytest
from tests.decisions.axiom_cases import A, B, money

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.decisions.axioms.checking import check
from coset.decisions.axioms.explaining import explains
from coset.decisions.axioms.fourier_motzkin import utility_reference
from coset.decisions.axioms.preferences import Preferences
from coset.decisions.preferences.lottery import Lottery

F = Fraction


def test_decimals_and_fractions_that_are_equal_are_one_lottery():
    tenth = {"a": 0.1, "b": 0.9}
    exact = {"a": F(1, 10), "b": F(9, 10)}
    assert check([(tenth, exact)], exact=True).named == "self-preference"
    report = check([(tenth, "c")], weak=[("c", exact)], exact=True)
    assert report.named == "weak-order violation"
    assert report.exact
    half = Preferences.from_pairs([({"a": 0.5, "b": 0.5}, {"a": F(1, 2), "b": F(1, 2)})])
    assert half.num_lotteries == 1


@pytest.mark.parametrize(
    ("pairs", "error", "text"),
    [
        ([("a",)], DtypeError, r"strict\[0\]"),
        ([1], DtypeError, r"strict\[0\]"),
        ([("a", "b"), ({"a": 0.5}, "b")], DomainError, r"strict\[1\]: .*0\.5"),
        ([({"a": float("nan"), "b": 1.0}, "b")], DomainError, "finite"),
        ([({"a": 2, "b": -1}, "b")], DomainError, "negative"),
        ([({}, "b")], DomainError, "no outcome"),
        ([(["a"], "b")], DtypeError, "hashable"),
    ],
)
def test_bad_pairs_are_named(pairs, error, text):
    with pytest.raises(error, match=text):
        check(strict=pairs)


def test_bad_outcomes_and_switches_are_named():
    with pytest.raises(DomainError, match="'b' is not among"):
        check([("a", "b")], outcomes=["a"])
    with pytest.raises(DomainError, match="twice"):
        check([("a", "b")], outcomes=["a", "b", "a"])
    with pytest.raises(DtypeError, match="exact"):
        check([("a", "b")], exact="maybe")


def test_arrays_and_pairs_are_the_same_data():
    p = np.array([[0, 100, 0], [90, 0, 10]])
    q = np.array([[1, 89, 10], [89, 11, 0]])
    data = Preferences.from_arrays(p, q, outcomes=["0", "1M", "5M"], denominator=100)
    assert data.pair(0) == (A, B, "strict")
    assert money("9/20", "1/2", "1/20") == check(data).certificate.P
    lax = Preferences.from_arrays(p, q, relation=[0, 2], outcomes="xyz", denominator=100)
    assert lax.pair(1)[2] == "indifferent"
    rough = Preferences.from_arrays(p / 100, q / 100)
    assert not rough.is_exact
    assert check(rough).status == "refuted"
    none = Preferences.from_arrays(np.zeros((0, 3)), np.zeros((0, 3)))
    assert check(none).status == "representable"


@pytest.mark.parametrize(
    ("p", "q", "options", "error", "text"),
    [
        ([[0.5, 0.5]], [[1.0, 0.0, 0.0]], {}, ShapeError, "one shape"),
        ([0.5, 0.5], [0.5, 0.5], {}, ShapeError, r"\(N, n\)"),
        ([[0.5, 0.6]], [[0.5, 0.5]], {}, DomainError, r"preferred\[0\] must sum to 1"),
        ([[0.5, 0.5]], [[np.nan, 0.5]], {}, DomainError, r"other\[0\]"),
        ([[1, 0]], [[0, 1]], {}, DtypeError, "denominator"),
        ([[0.5, 0.5]], [[0.5, 0.5]], {"denominator": 2}, DtypeError, "integers"),
        ([[1, 2]], [[1, 1]], {"denominator": 2}, DomainError, r"preferred\[0\] must sum to 2"),
        ([[1, 0]], [[0, 1]], {"denominator": 0}, DomainError, "denominator"),
        ([[1, 0]], [[0, 1]], {"denominator": 1, "relation": "better"}, DomainError, "relation"),
        ([[1, 0]], [[0, 1]], {"denominator": 1, "relation": [3]}, DomainError, r"relation\[0\]"),
        ([[1, 0]], [[0, 1]], {"denominator": 1, "relation": [0, 0]}, ShapeError, "relation"),
        ([[1, 0]], [[0, 1]], {"denominator": 1, "outcomes": ["a"]}, ShapeError, "columns"),
    ],
)
def test_bad_arrays_are_named(p, q, options, error, text):
    with pytest.raises(error, match=text):
        Preferences.from_arrays(np.array(p), np.array(q), **options)


def test_long_fractions_lose_nothing():
    tiny = F(1, 3**80)
    data = Preferences.from_pairs(
        [("a", {"a": 1 - tiny, "b": tiny})], indifferent=[("b", {"a": tiny, "c": 1 - tiny})]
    )
    columns, numerators, scale = data.rows.integers(0)
    assert {data.outcomes[j]: F(v, scale) for j, v in zip(columns, numerators, strict=True)} == {
        "a": tiny,
        "b": -tiny,
    }
    report = check(data)
    assert report.margin == 2 * tiny * (1 - tiny)  # with u(c) = −1
    assert explains(data, report.utility)
    assert explains(data, utility_reference(data))


def test_what_a_utility_explains_is_decided_exactly():
    big = 10**20
    data = Preferences.from_pairs(
        strict=[({"a": F(1, 3), "b": F(2, 3)}, "c")], weak=[("a", "b")], indifferent=[("b", "d")]
    )
    assert explains(data, {"a": big + 1, "b": big, "c": big, "d": big})
    failed = explains(data, {"a": big, "b": big, "c": big, "d": big})
    assert not failed
    assert failed.evidence["first"] == 0
    assert not explains(data, {"a": big + 1, "b": big, "c": big, "d": big + 1})
    assert not explains(data, {"a": 0, "b": 1, "c": 0, "d": 1})
    with pytest.raises(DomainError, match="lacks 'd'"):
        explains(data, {"a": 1, "b": 0, "c": 0})
    with pytest.raises(DomainError, match="finite"):
        explains(data, {"a": float("nan"), "b": 0, "c": 0, "d": 0})


def test_nothing_is_given_beside_preferences():
    data = Preferences.from_pairs([("a", "b")])
    assert check(data).status == "representable"
    for options in ({"weak": [("b", "a")]}, {"outcomes": ["a", "b"]}, {"exact": False}):
        with pytest.raises(DtypeError, match="beside"):
            check(data, **options)


def test_margins_beyond_floats_are_exact():
    epsilon = F(1, 10**400)
    data = [("good", "mild"), ("mild", {"good": 1 - epsilon, "dead": epsilon})]
    report = check(data)
    assert report.margin == epsilon
    assert "10^-400" in report.reason
    assert report.certificate.verify()
    assert "10^-400" in report.certificate.explain()
    assert explains(Preferences.from_pairs(data), report.utility)
    refuted = check([*data, ({"good": 1 - epsilon, "dead": epsilon}, "good")])
    assert refuted.named == "transitivity cycle"


@pytest.mark.parametrize("pair", ["ab", {"a", "b"}, {"a": F(1, 2), "b": F(1, 2)}])
def test_what_merely_comes_apart_in_two_is_no_pair(pair):
    with pytest.raises(DtypeError, match=r"strict\[0\] must be a pair"):
        check([pair])


def test_any_mapping_is_a_lottery():
    half = MappingProxyType({"a": F(1, 2), "b": F(1, 2)})
    assert Preferences.from_pairs([(half, "b")]).pair(0)[0] == Lottery.of(dict(half))


def test_wrong_kinds_of_arguments_are_named():
    for wrong in (None, 3, "ab"):
        with pytest.raises(DtypeError, match="weak must list pairs"):
            check(weak=wrong)
    for wrong in (5, [["a"], "b"]):
        with pytest.raises(DtypeError, match="hashable"):
            check([("a", "b")], outcomes=wrong)
    for wrong in (np.array([1, 2]), 1, "yes", None):
        with pytest.raises(DtypeError, match="exact"):
            check([("a", "b")], exact=wrong)
    data = Preferences.from_pairs([("a", "b"), ("b", "c")])
    for wrong in ([False, True], [0.7], ["a"]):
        with pytest.raises(DtypeError, match="integers"):
            data.take(wrong)
    assert data.take([]).num_pairs == 0


def test_integers_that_overflow_in_the_sum_are_refused():
    sure = np.array([[1, 0, 0, 0, 0]])
    # Four times 2⁶² is 0 in int64, so that the row would sum to 1.
    for row in ([2**62, 2**62, 2**62, 2**62, 1], [2, 0, 0, 0, 0]):
        with pytest.raises(DomainError, match=r"preferred\[0\] .* ≤ 1"):
            Preferences.from_arrays(np.array([row]), sure, denominator=1)
    with pytest.raises(DomainError, match="finite entries"):
        Preferences.from_arrays(
            np.array([[2**63 + 1]], dtype=np.uint64), sure[:, :1], denominator=1
        )
    with pytest.raises(ShapeError, match="differ in length"):
        Preferences.from_arrays([[0.5, 0.5], [1.0]], [[1.0, 0.0], [1.0, 0.0]])
