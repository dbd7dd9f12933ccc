"""Proofs about preferences: minimal, safe from rounding, and false if anything is changed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from tests.decisions.axiom_cases import A, B, C, D, floats

from coset.core.errors import DomainError, DtypeError
from coset.decisions.axioms.certificate import PreferenceCertificate
from coset.decisions.axioms.checking import check
from coset.decisions.axioms.explaining import explains
from coset.decisions.axioms.preferences import Preferences
from coset.decisions.preferences.lottery import Lottery

F = Fraction


def test_a_circle_is_shortened_to_what_is_needed():
    def half(*names):
        return Lottery(names, [F(1, 2), F(1, 2)])

    # The corners of a parallelogram: each pair of opposite sides contradicts by itself.
    corners = [half("a", "b"), half("c", "b"), half("c", "d"), half("a", "d")]
    circle = list(zip(corners, corners[1:] + corners[:1], strict=True))
    report = check(circle)
    assert report.named == "independence violation"
    assert report.certificate.verify()
    assert report.certificate.belongs_to(Preferences.from_pairs(circle))
    rounded = check([(floats(p), floats(q)) for p, q in circle])
    assert rounded.status == "refuted"
    assert len(rounded.certificate.support) == 2
    line = check([("a", "b")], [("b", half("a", "b"))], [(half("a", "b"), "a")])
    assert len(line.certificate.support) == 2


@pytest.mark.parametrize("step", [1e-8, 1e-10, 1e-13])
def test_small_differences_of_floats_count_as_much_as_large_ones(step):
    tilted = ({"c": 1 - step, "b": step}, {"c": 1 - step, "a": step / 2, "f": step / 2})
    report = check([("a", "b")], weak=[tilted, ("f", "a")])  # b ≿ ½a + ½f ≿ a
    assert report.status == "refuted"
    assert report.certificate.verify()


@pytest.mark.parametrize("epsilon", [1e-12, 1e-13])
def test_a_margin_beyond_rounding_is_not_called_a_contradiction(epsilon):
    data = Preferences.from_pairs([("a", "b"), ("b", {"a": 1 - epsilon, "d": epsilon})])
    assert check(data).status == "ambiguous"
    assert explains(data, {"a": 1, "b": 1 - epsilon / 2, "d": -1})


def test_float_weights_prove_nothing_of_exact_lotteries():
    near = Lottery(["a", "b"], [1 - F(1, 10**13), F(1, 10**13)])
    sure = Lottery.sure("a")
    book = PreferenceCertificate((0,), ("strict",), (sure,), (near,), (1.0,))
    assert not book.verify()
    assert not replace(book, preferred=(floats(sure),), other=(floats(near),)).verify()
    right = check([(A, B), (C, D)]).certificate
    assert not replace(right, margin=0.22 - 5e-9).verify()
    assert not replace(right, weights=tuple(map(float, right.weights))).verify()


def test_a_strict_preference_of_no_weight_proves_nothing():
    a, b, c = (floats(Lottery.sure(o)) for o in "abc")
    for share in (1e-13, 1e-15, 1e-300):
        book = PreferenceCertificate((0, 1), ("strict", "weak"), (a, c), (b, c), (share, 1 - share))
        assert not book.verify()


def test_certificates_of_other_things_do_not_verify():
    right = check([(A, B), (D, C)]).certificate
    bound = check([(A, B), (C, D)]).certificate
    for broken in (
        {"preferred": ("a", "b")},
        {"other": ()},
        {"weights": ("1/2", "1/2")},
        {"support": (0, 0)},
    ):
        assert not replace(right, **broken).verify()
        assert not replace(right, **broken).belongs_to(Preferences.from_pairs([(A, B), (D, C)]))
        assert not replace(bound, **broken).verify()
    with pytest.raises(DomainError, match="fee"):
        right.money_pump("1")


def test_reprs_are_one_line():
    data = Preferences.from_pairs([(A, B), (D, C)])
    report = check(data)
    assert repr(report) == "Report(refuted (independence violation), 2 preferences, margin 0)"
    assert repr(report.certificate) == (
        "PreferenceCertificate('independence violation' of 2 preferences: 0, 1)"
    )
    assert repr(data) == "Preferences(2 exact ones between 4 lotteries over 3 outcomes)"
    fine = check([(A, B), (C, D)])
    assert repr(fine.certificate) == "MarginCertificate(margin ≤ 11/50 by 1 preferences)"


def test_utilities_beyond_floats_are_still_compared():
    data = Preferences.from_pairs([("a", "b")])
    assert explains(data, {"a": 10**400, "b": 10**400 - 1}).evidence["least_difference"] == 1.0
    assert explains(data, {"a": 10**400, "b": 0})
    assert not explains(data, {"a": -(10**400), "b": 0})
    with pytest.raises(DtypeError, match="maps"):
        explains(data, None)
    # 1 − 1e-20 is no float, and still not 1.
    rounded = Preferences.from_pairs(weak=[({"a": 1.0}, {"a": 1e-20, "b": 1.0})])
    assert not explains(rounded, {"a": 1, "b": 1})
