"""Exact numbers: what is read without rounding, what is refused, and the linear algebra."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.decisions.preferences.exact_numbers import (
    exact_matrix,
    exact_number,
    exact_vector,
    identity,
    is_order_preserving,
    row_reduce,
)
from coset.decisions.preferences.random_models import random_fraction


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (3, Fraction(3)),
        (Fraction(1, 3), Fraction(1, 3)),
        ("1/3", Fraction(1, 3)),
        (" -0.25 ", Fraction(-1, 4)),
        ("3.", Fraction(3)),
        (".5", Fraction(1, 2)),
        (0.5, Fraction(1, 2)),
        (np.int64(2**62), Fraction(2**62)),
        (np.float32(0.25), Fraction(1, 4)),
        (torch.tensor(1.5), Fraction(3, 2)),
        (np.array(7), Fraction(7)),
    ],
)
def test_numbers_are_read_without_rounding(given, right):
    found = exact_number(given)
    assert found == right
    assert type(found.numerator) is int


def test_a_float_is_the_dyadic_rational_that_it_is():
    assert exact_number(0.1) == Fraction(3602879701896397, 36028797018963968)
    assert exact_number(5e-324) == Fraction(1, 2**1074)
    # Its text comes back too: models with such numbers survive JSON.
    assert exact_number(str(exact_number(5e-324))) == Fraction(1, 2**1074)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="long doubles are doubles here")
def test_long_doubles_keep_their_digits():
    given = np.longdouble(1) + np.longdouble(2) ** -60
    assert exact_number(given) == 1 + Fraction(1, 2**60)


def test_a_large_numpy_integer_does_not_overflow():
    assert exact_number(np.int64(2**62)) * 4 == 2**64


@pytest.mark.parametrize(
    "text", ["", "1e5", "1/0", "1/00", "nan", "inf", "1//2", "a", "1" * 5000, "1_000", "--1", "."]
)
def test_other_text_is_refused(text):
    with pytest.raises(DomainError, match="must be written like"):
        exact_number(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(DomainError, match="the weight must be finite"):
        exact_number(value, "the weight")


@pytest.mark.parametrize("value", [None, True, np.bool_(True), 1j, [1], torch.zeros(2), object()])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(DtypeError, match="must be a real number"):
        exact_number(value)


def test_vectors_and_matrices():
    assert exact_vector(torch.tensor([1, 2])) == (1, 2)
    assert exact_vector(np.array([0.5])) == (Fraction(1, 2),)
    assert exact_matrix(torch.eye(2), 2) == identity(2)
    assert exact_matrix(torch.tensor(2.0), 2) == ((2, 0), (0, 2))
    assert exact_matrix(0, 3) == ((0,) * 3,) * 3
    for wrong in ("12", 5, None):
        with pytest.raises(ShapeError, match="must be a sequence of numbers"):
            exact_vector(wrong)
    for wrong in ([[1, 2]], [[1], [2]], [[1, 2], [3]], None, []):
        with pytest.raises(ShapeError, match="must be 2 × 2"):
            exact_matrix(wrong, 2)
    with pytest.raises(DomainError, match="row 1, entry 0 must be finite"):
        exact_matrix([[1, 0], [float("nan"), 1]], 2)


def test_order_preserving_matrices():
    assert is_order_preserving(identity(3))
    assert is_order_preserving(exact_matrix([[2, 0], [-5, 3]], 2))
    assert not is_order_preserving(exact_matrix([[2, 1], [0, 3]], 2))
    assert not is_order_preserving(exact_matrix([[2, 0], [1, 0]], 2))
    assert not is_order_preserving(exact_matrix([[-2, 0], [1, 1]], 2))


def test_row_reduction_spans_the_same_rows():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        rows = [[random_fraction(-2, 2, generator=generator) for _ in range(4)] for _ in range(3)]
        rows.append([a + 2 * b for a, b in zip(rows[0], rows[1], strict=True)])
        reduced, pivots = row_reduce(rows)
        assert pivots == sorted(set(pivots))
        assert len(pivots) <= 3
        for row in rows:
            combined = [
                sum((row[p] * basis[j] for p, basis in zip(pivots, reduced, strict=True)), 0)
                for j in range(4)
            ]
            assert combined == row
        for place, pivot in enumerate(pivots):
            assert [basis[pivot] for basis in reduced] == [
                int(i == place) for i in range(len(pivots))
            ]


def test_the_empty_and_the_zero_matrix_reduce_to_nothing():
    assert row_reduce([]) == ([], [])
    assert row_reduce([[Fraction(0), Fraction(0)]]) == ([], [])
