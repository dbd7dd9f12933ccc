"""Elicitation of rewards and multipliers of events from simulated people."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from tests.decisions.elicit_cases import ABC, MULTIPLIER, PERSON, REWARD, through_json

from coset.core.errors import DomainError, DtypeError, NotConvergedError
from coset.core.results import Status
from coset.decisions import elicit
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery
from coset.decisions.preferences.models import (
    AffineModel,
    CountingOracle,
    LinearUtility,
    noisy_oracle,
)
from coset.decisions.preferences.random_models import random_affine_model


def test_rewards_and_multipliers_to_nine_digits():
    oracle = CountingOracle(PERSON)
    found = elicit.affine(oracle, ABC, "a", tol=1e-9)
    for event in ABC:
        assert abs(found.multiplier[event] - Fraction(MULTIPLIER[event])) <= 1e-9
        unit = Fraction(REWARD[event]) / Fraction(REWARD["a"])
        assert abs(found.reward[event] - unit) <= 1e-9
        for interval, truth in (
            (found.multiplier_interval[event], Fraction(MULTIPLIER[event])),
            (found.reward_interval[event], unit),
        ):
            assert interval[0] <= truth <= interval[1]
            assert interval[1] - interval[0] <= 1e-9 * max(1, truth)
    assert found.num_queries == oracle.num_queries <= 3 * 2 * 34
    assert round(float(found.reward["b"]), 7) == -0.5384615
    assert round(float(found.reward["c"]), 7) == 0.1538462
    assert (found.exact, found.status, found.unit) == (False, Status.SOLVED, "u(a) − u(ε)")


def test_fractions_are_found_exactly_in_few_questions():
    found = elicit.affine(PERSON, ABC, "a", max_denominator=100)
    assert found.exact
    assert found.multiplier == {e: Fraction(m) for e, m in MULTIPLIER.items()}
    assert found.reward == {"a": 1, "b": Fraction(-7, 13), "c": Fraction(2, 13)}
    assert found.num_queries < 60


def test_random_people_are_recovered_exactly(generator):
    for number in range(25):
        person = random_affine_model(3, num_terminal=number % 3, generator=generator)
        weighty = next((e for e in person.events if person.reward[e]), None)
        if weighty is None:
            continue
        found = elicit.affine(person, person.events, weighty, max_denominator=10**4)
        assert found.exact
        assert found.multiplier == person.multiplier
        assert set(found.terminal_events) == set(person.terminal_events)
        unit = abs(person.reward[weighty])
        assert found.reward == {e: r / unit for e, r in person.reward.items()}
        # What was found prefers as the person does.
        again = found.model()
        long, short = EventSequence.of("a", "b", "c"), EventSequence.of("c", "a")
        assert again.prefer(long, short) == person.prefer(long, short)


def test_the_unit_is_the_reference_pair():
    pair = (EventSequence.of("a", "b"), Lottery.of({EMPTY: 1}))  # u = 1.3 − 0.63 = 0.67
    found = elicit.affine(PERSON, ABC, pair, max_denominator=1000)
    assert found.reward["a"] == Fraction(130, 67)
    assert found.unit == "u(a·b) − u(ε)"
    worse = elicit.affine(PERSON, ABC, "b", max_denominator=1000)
    assert worse.reward["b"] == -1
    assert worse.unit == "u(ε) − u(b)"


def test_terminal_reversing_and_growing_multipliers():
    person = AffineModel(
        {"go": 1, "end": 5, "spoil": 0, "grow": 1}, dict(go=1, end=0, spoil=-2, grow=40)
    )
    found = elicit.affine(person, person.events, "go", max_denominator=50)
    assert found.multiplier == {"go": 1, "end": 0, "spoil": -2, "grow": 40}
    assert found.terminal_events == ("end",)
    assert found.reversing_events == ("spoil",)
    assert "spoil reverses" in found.structure()


@pytest.mark.parametrize(
    ("multiplier", "words"),
    [
        ({"a": 1, "b": 1, "c": 0}, "additive"),
        ({"a": "0.9", "b": "0.9", "c": 0}, "discounted by 9/10"),
        ({"a": "0.9", "b": "1.5", "c": 0}, "affine: the multipliers differ"),
    ],
)
def test_the_structure_is_named(multiplier, words):
    found = elicit.affine(AffineModel(REWARD, multiplier), ABC, "a", max_denominator=20)
    assert found.structure().startswith(words)
    rough = elicit.affine(AffineModel(REWARD, multiplier), ABC, "a", tol=1e-3)
    assert rough.structure().startswith(words.split(":")[0].split(" ")[0])
    shared = rough.common_multiplier()
    assert (shared is None) == words.startswith("affine")


def test_a_known_end_is_not_asked_about():
    person = AffineModel({"a": 1, "b": -2}, {"a": "1/3", "b": 0})
    asked = elicit.affine(person, ["a", "b"], "a", max_denominator=9)
    told = elicit.affine(person, ["a", "b"], "a", max_denominator=9, terminal=["b"])
    assert told.multiplier == asked.multiplier
    assert told.num_queries == asked.num_queries - 1
    with pytest.raises(DomainError, match="one of the events"):
        elicit.affine(person, ["a", "b"], "a", terminal=["z"])


def test_noisy_answers_give_intervals_that_hold(generator):
    person = AffineModel({"a": 1, "b": "-0.6"}, {"a": "0.9", "b": 0})
    oracle = noisy_oracle(person, 0.05, generator)
    found = elicit.affine(oracle, ["a", "b"], "a", 0.2, 0.05, terminal=["b"], generator=generator)
    assert found.delta == 0.05
    assert found.status is Status.SOLVED
    assert found.multiplier_interval["a"][0] <= 0.9 <= found.multiplier_interval["a"][1]
    assert found.reward_interval["b"][0] <= -0.6 <= found.reward_interval["b"][1]
    assert found.num_queries > 100
    quick = elicit.affine(
        oracle, ["a", "b"], "a", 0.2, 0.05, terminal=["b"], link="logistic", generator=generator
    )
    assert abs(quick.multiplier["a"] - 0.9) < 0.3
    assert quick.num_queries < found.num_queries / 4


def test_noisy_answers_may_run_out():
    oracle = noisy_oracle(PERSON, 2.0, torch.Generator().manual_seed(3))
    found = elicit.affine(oracle, ["a"], (("a", "a"), ("b", "b")), 1e-3, 0.05, max_queries=400)
    assert found.status is Status.MAX_ITERATIONS
    low, high = found.multiplier_interval["a"]
    assert low <= 0.9 <= high


def test_wrong_use_is_refused_with_words():
    with pytest.raises(DomainError, match="at least one event"):
        elicit.affine(PERSON, [], "a")
    with pytest.raises(DtypeError, match="must be a list"):
        elicit.affine(PERSON, "abc", "a")
    with pytest.raises(DomainError, match="given twice"):
        elicit.affine(PERSON, ["a", "a"], "a")
    with pytest.raises(DtypeError, match="an event is a string"):
        elicit.affine(PERSON, [1], "a")
    with pytest.raises(DomainError, match="strictly ordered"):
        elicit.affine(PERSON, ABC, ((), ("a",)))
    with pytest.raises(DomainError, match="strictly ordered"):
        elicit.affine(PERSON, ABC, (("a",), ("a",)))
    with pytest.raises(DtypeError, match="pair of futures"):
        elicit.affine(PERSON, ABC, 3)
    with pytest.raises(DtypeError, match="event sequences"):
        elicit.affine(PERSON, ABC, (Lottery.sure("a"), ()))
    with pytest.raises(DomainError, match="not both"):
        elicit.affine(PERSON, ABC, "a", delta=0.1, max_denominator=10)
    with pytest.raises(DomainError, match="for noisy answers"):
        elicit.affine(PERSON, ABC, "a", link="logistic")
    with pytest.raises(DomainError, match="link must be"):
        elicit.affine(PERSON, ABC, "a", delta=0.1, link="probit")
    with pytest.raises(DomainError, match="check needs exact"):
        elicit.affine(PERSON, ABC, "a", delta=0.1, check=(("a",), ()))
    asked = CountingOracle(PERSON)
    with pytest.raises(DomainError, match="the pair to check with must be strictly ordered"):
        elicit.affine(asked, ABC, "a", check=((), ("a",)))
    with pytest.raises(DomainError, match="must differ from the reference pair"):
        elicit.affine(asked, ABC, "a", check=(("a",), ()))
    with pytest.raises(DtypeError, match="the pair to check with must be a pair"):
        elicit.affine(asked, ABC, "a", check=3)
    assert asked.num_queries <= 4  # refused before the long interview


def test_results_come_back_from_json_without_rounding():
    found = elicit.affine(PERSON, ABC, "a", max_denominator=100)
    again = through_json(found)
    assert again.reward == found.reward
    assert all(isinstance(x, Fraction) for x in again.reward.values())
    assert again.multiplier_interval == found.multiplier_interval
    assert again.trace == found.trace
    taste = elicit.utility(
        LinearUtility({"1/3": "1/7", "x": 1, "y": 0}), ["1/3", "x", "y"], max_denominator=9
    )
    back = through_json(taste)
    assert back.utility == {
        "1/3": Fraction(1, 7),
        "x": 1,
        "y": 0,
    }  # an outcome may look like a number
    assert (back.best, back.worst) == ("x", "y")


def test_a_common_multiplier_above_1_is_no_discount():
    found = elicit.affine(AffineModel(REWARD, dict.fromkeys("abc", 2)), ABC, "a", max_denominator=9)
    assert found.structure() == "growing by 2"
    ends = AffineModel(REWARD, dict.fromkeys("abc", 0))
    assert "every event is terminal" in elicit.affine(ends, ABC, "a").structure()


def test_what_is_found_prints_on_one_line(generator):
    many = random_affine_model(20, generator=generator)
    weighty = next(e for e in many.events if many.reward[e])
    found = elicit.affine(many, many.events, weighty, tol=1e-9)
    assert repr(found) == (
        f"AffineReward(20 events, intervals, {found.num_queries:,} questions, "
        f"affine: the multipliers differ between events, solved)"
    )
    taste = LinearUtility({o: Fraction(o, 997) for o in range(50)})
    assert repr(elicit.utility(taste, range(50))).startswith("ElicitedUtility(50 outcomes from 0 =")
    levels = elicit.lexicographic(taste, range(50), 1000)
    assert repr(levels).startswith("LexicographicElicitation(50 outcomes, 1 levels, denominators")


def test_noisy_answers_that_run_out_do_not_pass_for_indifference():
    with pytest.raises(NotConvergedError, match="not within 2 questions"):
        elicit.affine(lambda p, q: 1, ["a"], "a", 0.1, 0.05, max_queries=2)
    asked = CountingOracle(PERSON)
    with pytest.raises(DomainError, match="strictly ordered"):
        elicit.affine(asked, ABC, (("a",), ("a",)), 0.1, 0.05)
    assert asked.num_queries == 0


def test_nothing_is_drawn_from_an_infinite_interval():
    found = elicit.affine(lambda p, q: 1, ["a", "b"], "a", 0.1, 0.05, max_queries=40)
    assert found.status is Status.MAX_ITERATIONS
    with pytest.raises(DomainError, match="ask more questions"):
        found.sample()
