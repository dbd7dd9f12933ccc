"""Is an outcome infinitely bad, and what comes after safety?"""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from tests.decisions.elicit_cases import ABC, PERSON, through_json

from coset.core.errors import DomainError
from coset.decisions import elicit
from coset.decisions.errors import ResolutionError
from coset.decisions.preferences.lottery import Lottery
from coset.decisions.preferences.models import (
    LexicographicModel,
    LexicographicUtility,
    LinearUtility,
    safety_model,
)


def test_a_threshold_that_flips_is_measured_and_one_that_never_does_is_reported():
    taste = {"rich": 2, "fine": 1, "hurt": -998}
    found = elicit.safety_threshold(LinearUtility(taste), "rich", "fine", "hurt", tol=1e-6)
    assert found.flips
    assert found.ratio[0] <= 999 <= found.ratio[1]
    assert found.probability[0] <= Fraction(1, 1000) <= found.probability[1]
    strict = LexicographicUtility({"rich": (0, 1), "fine": (0, 0), "dead": (-1, 0)})
    for K in (0, 1, 60, 400):
        never = elicit.safety_threshold(strict, "rich", "fine", "dead", K)
        assert not never.flips
        assert never.ratio == (2**K - 1, math.inf)
        assert never.num_queries == K + 2
    assert "infinitely bad at resolution 2^−400" in never.explain()
    assert through_json(never).ratio[0] == 2**400 - 1


def test_a_good_outcome_is_no_threat():
    taste = LinearUtility({"rich": 2, "fine": 1, "great": 9})
    found = elicit.safety_threshold(taste, "rich", "fine", "great")
    assert found.ratio == (-math.inf, 0)
    assert "not bad" in found.explain()


def test_thresholds_refuse_floats_and_wrong_pairs():
    taste = LinearUtility({"rich": 2, "fine": 1, "hurt": -998})
    half = Lottery.of({"rich": 0.5, "fine": 0.5})
    with pytest.raises(ResolutionError, match="fractions"):
        elicit.safety_threshold(taste, half, "fine", "hurt")
    with pytest.raises(DomainError, match="better than the second"):
        elicit.safety_threshold(taste, "fine", "rich", "hurt")
    for K in (-1, 1001, 2.0, True):
        with pytest.raises(DomainError, match="K must be"):
            elicit.safety_threshold(taste, "rich", "fine", "hurt", K)


def test_safety_first_is_recovered_as_the_same_model():
    person = safety_model(
        {"step": -1, "coin": "5/2", "goal": 10},
        {"step": "99/100", "coin": 1},
        ["cliff", "bear"],
        ["goal"],
    )
    events = ["step", "coin", "goal", "cliff", "bear"]
    found = elicit.safety_first(person, events, ((), "step"), max_denominator=1000)
    assert found.unsafe == ("cliff", "bear")
    assert found.model() == person
    assert found.threshold["goal"].flips
    assert through_json(found).model() == person


def test_people_without_fears_and_people_with_only_fears():
    scalar = elicit.safety_first(PERSON, ABC, (("a",), ()), max_denominator=100)
    assert scalar.unsafe == ()
    with pytest.raises(DomainError, match="scalar"):
        scalar.model()
    timid = LexicographicModel({"a": (0, 1), "b": (-1, 0)}, {"a": 1, "b": 0})
    with pytest.raises(DomainError, match="at least one event must be safe"):
        elicit.safety_first(timid, ["b"], (("a",), ()))


def test_no_question_is_asked_twice_and_each_is_counted():
    person = safety_model({"step": -1, "goal": 3}, {"step": "9/10"}, ["cliff"], ["goal"])
    shown = []

    def ask(p, q):
        shown.append(frozenset([p, q]))
        return person(p, q)

    found = elicit.safety_first(ask, ["step", "goal", "cliff"], ((), "step"), max_denominator=99)
    assert found.num_queries == len(shown) == len(set(shown))
    assert repr(found).startswith("SafetyFirstReward(1 of 3 events unsafe at 2^−64, ")
    assert repr(found.threshold["cliff"]).startswith("SafetyThreshold(infinitely bad at resolution")
