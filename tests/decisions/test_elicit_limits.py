"""Checks of settings and lists that all ways to elicit share."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from coset.core.errors import DomainError, DtypeError
from coset.decisions import elicit
from coset.decisions.elicit.limits import check_count, check_distinct, check_share
from coset.decisions.preferences.models import LinearUtility

TASTE = LinearUtility({"x": 1, "y": 0})


@pytest.mark.parametrize(
    "value",
    [0, 1, True, -0.1, math.nan, math.inf, 10**400, -Fraction(10**400), Fraction(1, 10**400)],
)
def test_a_share_lies_strictly_between_0_and_1_also_as_a_float(value):
    with pytest.raises(DomainError, match=r"tol must lie in \(0, 1\)") as caught:
        check_share("tol", value)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("value", ["0.1", None, [0.1], 1j])
def test_a_share_is_a_number(value):
    with pytest.raises(DtypeError, match="delta must be a number"):
        check_share("delta", value)


def test_shares_keep_their_exact_value():
    assert check_share("tol", Fraction(1, 3)) == Fraction(1, 3)
    assert check_share("tol", 0.1) == Fraction(0.1)
    assert check_share("tol", np.float32(0.5)) == Fraction(1, 2)


def test_counts_are_integers_in_their_range():
    assert check_count("K", np.int64(3)) == 3
    assert check_count("K", 0, least=0, most=5) == 0
    for value in (-1, 6, 2.0, True, "3", None, math.nan):
        with pytest.raises(DomainError, match=r"K must be an integer in 0…5"):
            check_count("K", value, least=0, most=5)
    with pytest.raises(DomainError, match="K must be an integer ≥ 1"):
        check_count("K", 0)


def test_lists_are_lists_of_distinct_things():
    assert check_distinct("event", iter("ab")) == ["a", "b"]
    for value in ("ab", 5, None):
        with pytest.raises(DtypeError, match="events must be a list"):
            check_distinct("event", value)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "many"])
def test_every_count_of_a_search_is_checked(wrong):
    from coset.decisions.elicit import lexicographic, utility

    for ask in (
        lambda: utility(TASTE, ["x", "y"], max_denominator=wrong),
        lambda: utility(TASTE, ["x", "y"], delta=0.1, reference=("x", "y"), max_queries=wrong),
        lambda: lexicographic(TASTE, ["x", "y"], wrong),
        lambda: lexicographic(TASTE, ["x", "y"], 9, max_queries=wrong),
    ):
        with pytest.raises(DomainError, match="must be an integer ≥ 1"):
            ask()
    assert elicit.lexicographic(TASTE, ["x", "y"], np.int64(9), max_queries=9).resolution == 9
