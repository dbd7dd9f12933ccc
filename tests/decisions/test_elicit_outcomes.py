"""Elicitation of the utility of outcomes."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from coset.core.errors import DomainError, DtypeError
from coset.decisions import elicit
from coset.decisions.preferences.hausner import same_order
from coset.decisions.preferences.models import (
    LinearUtility,
    noisy_oracle,
)


def test_a_utility_is_recovered_on_its_scale(generator):
    for n in (1, 2, 3, 6):
        values = {
            o: Fraction(int(x), 7)
            for o, x in enumerate(torch.randint(-20, 20, (n,), generator=generator))
        }
        low, high = min(values.values()), max(values.values())
        wanted = {o: (x - low) / (high - low) if high > low else 0 for o, x in values.items()}
        exact = elicit.utility(LinearUtility(values), list(values), max_denominator=40 * 7)
        assert exact.exact
        assert exact.utility == wanted
        rough = elicit.utility(LinearUtility(values), list(values), tol=1e-4)
        for o, x in wanted.items():
            assert rough.interval[o][0] <= x <= rough.interval[o][1]
            assert abs(rough.utility[o] - x) <= 1e-4
        assert same_order(exact.model(), LinearUtility(values)) or n == 1


def test_equally_good_outcomes_have_utility_zero():
    found = elicit.utility(lambda p, q: 0, ["x", "y", "z"])
    assert set(found.utility.values()) == {0}
    assert found.exact


def test_a_reference_may_lie_inside(generator):
    taste = {"top": 5, "x": 1, "y": 0, "low": -3}
    found = elicit.utility(
        LinearUtility(taste), list(taste), max_denominator=9, reference=("x", "y")
    )
    assert found.utility == taste
    noisy = noisy_oracle(taste, 0.1, generator)
    rough = elicit.utility(noisy, list(taste), 0.3, 0.05, reference=("x", "y"))
    for o, x in taste.items():
        assert rough.interval[o][0] <= x <= rough.interval[o][1]


def test_wrong_outcomes_are_refused():
    taste = LinearUtility({"x": 1, "y": 0})
    for outcomes, words in (([], "at least one"), (["x", "x"], "given twice")):
        with pytest.raises(DomainError, match=words):
            elicit.utility(taste, outcomes)
    with pytest.raises(DtypeError, match="must be a list"):
        elicit.utility(taste, "xy")
    with pytest.raises(DtypeError, match="hashable"):
        elicit.utility(taste, [["x"], ["y"]])
    with pytest.raises(DomainError, match="reference"):
        elicit.utility(taste, ["x", "y"], delta=0.1)
    with pytest.raises(DomainError, match="names two of"):
        elicit.utility(taste, ["x", "y"], reference=("x", "z"))
    for reference in (3, {"x", "y"}, ("x",)):
        with pytest.raises(DomainError, match="names two of"):
            elicit.utility(taste, ["x", "y"], reference=reference)
    with pytest.raises(DomainError, match="better than the second"):
        elicit.utility(taste, ["x", "y"], reference=("y", "x"))
