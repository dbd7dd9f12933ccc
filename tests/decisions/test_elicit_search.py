"""Searches for one number: bisection, Stern–Brocot, trisection, the adaptive design."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coset.core.errors import DomainError, DtypeError
from coset.decisions.elicit import (
    Interview,
    adapt,
    bisect,
    gamble,
    noisy_sign,
    ratio,
    simplest_between,
    stern_brocot,
    trisect,
)
from coset.decisions.elicit.question import LINE, UNIT
from coset.decisions.elicit.trisection import log_e_value
from coset.decisions.errors import ResolutionError
from coset.decisions.preferences.lottery import Lottery
from coset.decisions.preferences.models import LexicographicUtility, LinearUtility

BEST, MIDDLE, WORST = (Lottery.sure(name) for name in ("best", "middle", "worst"))


def person(x):
    return LinearUtility({"best": 1, "middle": x, "worst": 0})


def about(x, oracle=None):
    """Ask for x as a ratio, any sign."""
    return ratio(Interview(oracle or person(x)), MIDDLE, WORST, (BEST, WORST))


class Noisy:
    """A question with logistic noise in the coordinate."""

    def __init__(self, scale, root, slope, seed=0):
        self.scale, self.root, self.slope = scale, root, slope
        self.random = random.Random(seed).random

    def repeatedly(self, s):
        gap = max(-500.0, min(500.0, (self.root - s) / self.slope))
        chance = 1 / (1 + math.exp(-gap))
        return lambda: 1 if self.random() < chance else -1


fractions = st.fractions(-50, 50, max_denominator=60)


@settings(max_examples=60, deadline=None)
@given(fractions)
def test_a_ratio_of_any_sign_is_bracketed_and_found_exactly(x):
    found = bisect(about(x), 1e-4)
    assert found.low <= x <= found.high
    assert found.high - found.low <= 1e-4 * max(1, abs(x))
    exact = stern_brocot(about(x), 60)
    assert (exact.exact, exact.low, exact.estimate) == (True, x, x)


@settings(max_examples=40, deadline=None)
@given(st.fractions(0, 1, max_denominator=500))
def test_a_gamble_is_found_exactly(x):
    question = gamble(Interview(person(x)), MIDDLE, BEST, WORST)
    found = stern_brocot(question, 500)
    assert found.exact
    assert found.low == x
    assert found.num_queries <= 2 + 4 * math.log2(500) + 4


def test_the_trial_value_decides_and_nothing_else():
    # (1 − q)X + qB against (1 − q)Y + qA: the difference (1 − q)x − q, checked at every point.
    x = Fraction(-7, 3)
    question = about(x)
    for trial in (Fraction(-5), x, Fraction(-1), Fraction(0), Fraction(2)):
        left, right = question.lotteries(LINE.coordinate(trial))
        utility = person(x)
        sign = (x > trial) - (x < trial)
        assert utility.prefer(left, right) == sign
        assert question.ask(LINE.coordinate(trial)) == sign


def test_queries_grow_with_the_logarithm_of_the_tolerance():
    x = Fraction(2, 7)
    counts = [bisect(about(x), 10.0**-k).num_queries for k in (3, 6, 9, 12)]
    steps = [b - a for a, b in itertools.pairwise(counts)]
    assert all(9 <= step <= 11 for step in steps)  # log2(1000) = 9.97


def test_stern_brocot_gallops():
    # The mediants alone would take a million steps to 1/1000000.
    found = stern_brocot(about(Fraction(1, 1_000_000)), 10**6)
    assert found.exact
    assert found.num_queries < 60
    assert stern_brocot(about(Fraction(10**9)), 1).low == 10**9


def test_a_fraction_beyond_the_denominator_is_bracketed_by_neighbors():
    x = Fraction(355, 113)
    found = stern_brocot(about(x), 100)
    assert not found.exact
    assert not found.converged
    assert found.low < x < found.high
    # Neighbors: no fraction between them has so small a denominator.
    assert (
        found.high.numerator * found.low.denominator
        - (found.low.numerator * found.high.denominator)
        == 1
    )
    assert found.low.denominator + found.high.denominator > 100
    mirrored = stern_brocot(about(-x), 100)
    assert (mirrored.low, mirrored.high) == (-found.high, -found.low)


@pytest.mark.parametrize("search", [lambda q: bisect(q, 1e-3), lambda q: stern_brocot(q, 100)])
def test_an_infinitely_large_number_is_reported(search):
    # "middle" is better at a higher level than best − worst.
    endless = LexicographicUtility({"best": (0, 1), "worst": (0, 0), "middle": (1, 0)})
    with pytest.raises(ResolutionError, match=r"2\^64"):
        search(about(0, endless))


def test_the_trace_shrinks_and_ends_with_the_result():
    found = bisect(about(Fraction(9, 7)), 1e-5)
    widths = [high - low for _, low, high in found.trace]
    assert widths == sorted(widths, reverse=True)
    assert found.trace[-1] == (found.num_queries, found.low, found.high)
    assert all(low <= Fraction(9, 7) <= high for _, low, high in found.trace)


@pytest.mark.parametrize("tol", [0, 1, -1, math.nan, math.inf])
def test_a_tolerance_lies_between_0_and_1(tol):
    for search in (bisect, lambda q, t: trisect(q, t, 0.05), lambda q, t: adapt(q, t, 0.05)):
        with pytest.raises(DomainError, match="tol must lie"):
            search(about(1), tol)


@pytest.mark.parametrize("bound", [0, -1, 2.5, True])
def test_a_denominator_is_a_positive_integer(bound):
    with pytest.raises(DomainError, match="max_denominator"):
        stern_brocot(about(1), bound)


def test_an_oracle_answers_minus_one_zero_or_one():
    # A truth value of NumPy or torch is no number: "False" would pass for "indifferent".
    truths = (True, np.bool_(False), torch.tensor(False))
    for answer in (2, None, "1", math.nan, 0.5, np.array([1, 1]), *truths):
        with pytest.raises(DomainError, match="an oracle must answer"):
            Interview(lambda p, q, a=answer: a).ask(BEST, WORST)
    for answer in (1, 1.0, Fraction(1), np.int8(1), np.float32(1), torch.tensor(1)):
        assert Interview(lambda p, q, a=answer: a).ask(BEST, WORST) == 1
    with pytest.raises(DomainError, match="noisy oracle"):
        Interview(lambda p, q: 0, noisy=True).ask(BEST, WORST)
    with pytest.raises(DtypeError, match="function of two lotteries"):
        Interview(3)


def test_exact_answers_are_remembered_and_noisy_ones_asked_anew():
    asked = []
    exact = Interview(lambda p, q: asked.append((p, q)) or 1)
    assert [exact.ask(BEST, WORST), exact.ask(BEST, WORST), exact.ask(WORST, BEST)] == [1, 1, -1]
    assert exact.num_queries == len(asked) == 1
    noisy = Interview(lambda p, q: asked.append((p, q)) or 1, noisy=True)
    for _ in range(3):
        noisy.ask(BEST, WORST)
    assert noisy.num_queries == 3


def test_a_liking_for_the_first_cancels_in_random_order(generator):
    biased = Interview(lambda p, q: 1, noisy=True, generator=generator)
    answers = [biased.ask(BEST, WORST) for _ in range(2000)]
    assert abs(sum(answers)) < 250  # 5.6 standard deviations
    assert sum(Interview(lambda p, q: 1, noisy=True).ask(BEST, WORST) for _ in range(9)) == 9


def test_the_e_value_is_the_mixture_over_all_coins():
    for successes, trials in ((0, 0), (3, 5), (7, 7), (50, 90)):
        grid = [(i + 0.5) / 20_000 for i in range(20_000)]
        mean = sum(
            (2 * p) ** successes * (2 * (1 - p)) ** (trials - successes) for p in grid
        ) / len(grid)
        assert math.isclose(math.exp(log_e_value(successes, trials)), mean, rel_tol=1e-5)


def test_the_running_test_computes_the_e_value():
    answers = iter([1, 1, -1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] + [1] * 50)
    used = []

    def ask():
        used.append(next(answers))
        return used[-1]

    assert noisy_sign(ask, 0.01) == 1
    t, s = len(used), used.count(1)
    assert log_e_value(s, t) > math.log(100) >= log_e_value(s - 1, t - 1)


def test_noise_is_bracketed_with_the_promised_probability():
    misses, queries = 0, []
    for seed in range(60):
        root = random.Random(1000 + seed).uniform(-0.9, 0.9)
        question = Noisy(LINE, root, 0.05, seed)
        found = trisect(question, 0.3, 0.05)
        misses += not found.low <= LINE.number(root) <= found.high
        assert found.converged
        queries.append(found.num_queries)
    assert misses <= 12  # P(Binomial(60, 0.05) > 12) < 1e-6
    assert 100 < sorted(queries)[30] < 20_000


def test_a_root_on_a_trial_point_does_not_stop_the_search():
    # The first inner point of [0, 1] is 1/3: its coin is fair, the other point must decide.
    found = trisect(Noisy(UNIT, 1 / 3, 0.05), 0.05, 0.05, 200_000)
    assert found.converged
    assert found.low <= 1 / 3 <= found.high


def test_when_answers_run_out_the_interval_still_holds():
    found = trisect(Noisy(UNIT, 0.4, 0.5), 1e-4, 0.05, 500)
    assert (found.num_queries, found.converged) == (500, False)
    assert found.low <= 0.4 <= found.high
    short = adapt(Noisy(UNIT, 0.4, 0.5), 1e-4, 0.05, 20)
    assert (short.num_queries, short.converged) == (20, False)
    assert short.low <= 0.4 <= short.high


def test_the_adaptive_design_asks_far_fewer_questions():
    misses, saved = 0, []
    for seed in range(12):
        root = random.Random(50 + seed).uniform(0.1, 0.9)
        found = adapt(Noisy(UNIT, root, 0.05, seed), 0.06, 0.05)
        misses += not found.low <= root <= found.high
        plain = trisect(Noisy(UNIT, root, 0.05, seed), 0.06, 0.05)
        saved.append(plain.num_queries / found.num_queries)
    assert misses <= 6
    assert sorted(saved)[6] > 5


@pytest.mark.parametrize("delta", [0, 1, -0.1, math.nan])
def test_delta_is_a_probability(delta):
    with pytest.raises(DomainError, match="delta"):
        trisect(Noisy(UNIT, 0.4, 0.05), 0.1, delta)
    with pytest.raises(DomainError, match="delta"):
        noisy_sign(lambda: 1, delta)


def test_a_limit_is_a_positive_integer():
    for limit in (0, -5, 2.0, True):
        with pytest.raises(DomainError, match="max_queries"):
            trisect(Noisy(UNIT, 0.4, 0.05), 0.1, 0.05, limit)


def test_a_fair_coin_is_left_undecided():
    flips = iter([1, -1] * 500)
    assert noisy_sign(lambda: next(flips), 0.05, 1000) == 0


@settings(max_examples=50, deadline=None)
@given(fractions, st.fractions(0, 1, max_denominator=97))
def test_the_simplest_fraction_has_the_least_denominator(low, width):
    found = simplest_between(low, low + width)
    assert low <= found <= low + width
    for d in range(1, found.denominator):
        assert math.floor((low + width) * d) < math.ceil(low * d)


def test_an_empty_interval_has_no_fraction():
    for low, high in ((1, 0), (math.nan, 1), (0, math.inf), ("x", 1)):
        with pytest.raises(DomainError, match="must be"):
            simplest_between(low, high)


def test_a_search_prints_its_result_not_its_steps():
    assert repr(stern_brocot(about(Fraction(2, 7)), 10)) == "Found(2/7, 8 answers)"
    assert len(repr(bisect(about(Fraction(9, 7)), 1e-12))) < 80
