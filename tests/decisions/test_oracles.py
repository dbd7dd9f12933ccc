"""Oracles with noise, with a counter, and the relation without a finite utility."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery
from coset.decisions.preferences.models import (
    AffineModel,
    CountingOracle,
    LargestDifference,
    LexicographicUtility,
    LinearUtility,
    NoisyOracle,
    noisy_oracle,
)


def power(n):
    return EventSequence(("e",) * n)


def test_the_noise_is_logistic_in_the_difference():
    oracle = noisy_oracle({"a": 1, "b": 0}, 0.5)
    half = Lottery(["a", "b"], [Fraction(1, 2), Fraction(1, 2)])
    assert oracle.probability(Lottery.sure("a"), Lottery.sure("b")) == pytest.approx(
        1 / (1 + math.exp(-2))
    )
    assert oracle.probability(half, Lottery.sure("b")) == pytest.approx(1 / (1 + math.exp(-1)))
    assert oracle.probability(half, half) == 0.5
    # No overflow where the difference is huge against the slope.
    assert noisy_oracle({"a": 1e9, "b": 0}, 1e-9).probability("b", "a") < 1e-300
    assert noisy_oracle({"a": 1e9, "b": 0}, 1e-9).probability("a", "b") == 1.0


def test_answers_have_the_stated_frequency():
    oracle = noisy_oracle({"a": 1, "b": 0}, 1, torch.Generator().manual_seed(0))
    number = 4000
    share = sum(oracle(Lottery.sure("a"), Lottery.sure("b")) == 1 for _ in range(number)) / number
    # Six standard errors: a right oracle fails once in 5e8 seeds.
    assert abs(share - 1 / (1 + math.exp(-1))) < 6 * 0.45 / math.sqrt(number)


def test_equal_generators_give_equal_answers():
    runs = []
    for _ in range(2):
        oracle = noisy_oracle({"a": 1, "b": 0}, 2, torch.Generator().manual_seed(3))
        runs.append([oracle(Lottery.sure("a"), Lottery.sure("b")) for _ in range(50)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {1, -1}


def test_without_noise_the_answers_are_right_and_ties_are_tossed():
    model = AffineModel({"a": 1}, {"a": "1/2"})
    oracle = NoisyOracle(model, 0, generator=torch.Generator().manual_seed(0))
    a, none = Lottery.sure(EventSequence.of("a")), Lottery.sure(EMPTY)
    assert [oracle(a, none) for _ in range(20)] == [1] * 20
    assert [oracle(none, a) for _ in range(20)] == [-1] * 20
    assert {oracle(a, a) for _ in range(20)} == {1, -1}


@pytest.mark.parametrize("slope", [-1, float("nan"), float("inf"), Fraction(10) ** 400])
def test_a_slope_is_finite_and_not_negative(slope):
    with pytest.raises(DomainError, match="the slope must be finite and ≥ 0"):
        noisy_oracle({"a": 1}, slope)


def test_wrong_noise_is_refused():
    with pytest.raises(DtypeError, match="must be a number"):
        noisy_oracle({"a": 1}, "big")
    with pytest.raises(DomainError, match="has 2 levels"):
        noisy_oracle(LexicographicUtility({"a": (1, 2)}), 1)


def test_questions_are_counted_and_passed_on():
    asked = CountingOracle(LinearUtility({"a": 1, "b": 0}))
    assert asked(Lottery.sure("b"), Lottery.sure("a")) == -1
    assert asked(Lottery.sure("a"), Lottery.sure("a")) == 0
    assert asked.num_queries == 2


def test_the_largest_difference_decides():
    relation = LargestDifference()
    p = Lottery([power(3), power(0)], [Fraction(1, 10), Fraction(9, 10)])
    q = Lottery([power(3), power(2)], [Fraction(1, 10), Fraction(9, 10)])
    assert relation(p, q) == 1
    assert relation(q, p) == -1
    assert relation(p, p) == 0
    assert relation.prefer(power(2), p) == 1
    assert relation.prefer(EMPTY, power(1)) == 1


def test_each_event_more_is_infinitely_worse():
    relation = LargestDifference()
    for k in (1, 50, 200):
        chance = Fraction(1, 2**k)
        risky = Lottery([power(4), EMPTY], [chance, 1 - chance])
        assert relation(Lottery.sure(power(3)), risky) == 1


def test_other_outcomes_are_refused():
    with pytest.raises(DomainError, match="powers of the event 'e'; given f"):
        LargestDifference().prefer(EventSequence.of("f"), EMPTY)
    with pytest.raises(DtypeError, match="event sequences; given 'e'"):
        LargestDifference().prefer("e", EMPTY)
    assert LargestDifference("f").prefer(EMPTY, EventSequence.of("f")) == 1


def test_without_noise_close_and_huge_utilities_are_told_apart():
    for a, b in (
        (Fraction(1, 10**400), 0),
        (10**17 + 1, 10**17),
        (Fraction(10) ** 400, Fraction(10) ** 400 - 1),
    ):
        oracle = noisy_oracle({"a": a, "b": b}, 0)
        assert (oracle.probability("a", "b"), oracle.probability("b", "a")) == (1.0, 0.0)


def test_utilities_beyond_the_floats_have_probabilities():
    near = noisy_oracle({"a": Fraction(10) ** 400 + 1, "b": Fraction(10) ** 400}, 1)
    assert near.probability("a", "b") == pytest.approx(1 / (1 + math.exp(-1)))
    far = noisy_oracle({"a": Fraction(10) ** 400, "b": 0}, 1)
    assert far.probability("a", "b") == 1.0
    assert far.probability("b", "a") < 1e-300
    assert noisy_oracle({"a": 1e300, "b": 0}, 1e-300).probability("a", "b") == 1.0


def test_what_cannot_answer_is_refused():
    with pytest.raises(DtypeError, match="a model of utility; given 5"):
        noisy_oracle(5, 1)
    with pytest.raises(DtypeError, match="an oracle is a function of two lotteries"):
        CountingOracle(5)
    assert noisy_oracle({"a": 1}, np.float32(0.5)).slope == 0.5
