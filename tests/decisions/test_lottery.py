"""Lotteries: canonical form, exactness, mixtures, event sequences, and what they refuse."""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coset.core.errors import CosetError, DomainError, DtypeError
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery, mix

WEIGHTS = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)


def lottery(counts):
    return Lottery("abc", [F(n, sum(counts)) for n in counts])


def test_equal_contents_are_equal_in_any_order_and_number_type():
    left = Lottery(["b", "a", "b", "c"], [F(1, 4), F(1, 2), F(1, 4), 0])
    right = Lottery.of({"a": 0.5, "b": 0.5})
    assert left == right
    assert hash(left) == hash(right)
    assert left.outcomes == ("a", "b")
    assert left.is_exact
    assert not right.is_exact


def test_numpy_integers_stay_exact_and_do_not_overflow():
    made = Lottery(["a", "b"], np.array([0, 1]))
    assert made.weights == (F(1),)
    tiny = mix(F(1, 2**80), made, Lottery.sure("a"))
    assert tiny.probability("b") == F(1, 2**80)


def test_outcomes_of_mixed_types_have_one_order():
    assert Lottery([1, "x", (2, 3)], [0.25, 0.25, 0.5]) == Lottery(
        ["x", (2, 3), 1], [0.25, 0.5, 0.25]
    )


@pytest.mark.property
@given(WEIGHTS, WEIGHTS, st.fractions(0, 1, max_denominator=50))
def test_a_mixture_expects_the_mean(p, q, alpha):
    utility = {"a": F(3), "b": F(-2), "c": F(1, 3)}
    mixed = mix(alpha, lottery(p), lottery(q))
    assert mixed.expect(utility) == alpha * lottery(p).expect(utility) + (1 - alpha) * lottery(
        q
    ).expect(utility)
    assert sum(mixed.weights) == 1


def test_weights_of_0_and_1_keep_the_other_lottery_exact():
    floats = Lottery.of({"a": 0.5, "b": 0.5})
    assert mix(1, Lottery.sure("c"), floats).is_exact
    assert mix(0.0, floats, Lottery.sure("c")) == Lottery.sure("c")


def test_prepending_an_event_is_linear():
    p = Lottery.of({EMPTY: F(1, 3), EventSequence.of("a"): F(2, 3)})
    after = p.prepend("e")
    assert after.probability(EventSequence.of("e")) == F(1, 3)
    assert after.probability(EventSequence.of("e", "a")) == F(2, 3)
    assert len(EventSequence.of("e", "a")) == 2
    assert str(EMPTY) == "ε"


@pytest.mark.parametrize(
    ("outcomes", "weights"),
    [
        ([], []),
        (["a"], [0.5]),
        (["a", "b"], [F(1, 2), F(1, 3)]),
        (["a", "b"], [1.5, -0.5]),
        (["a", "b"], [float("nan"), 1.0]),
        (["a", "b"], [float("inf"), 0.0]),
        (["a", "b"], [1.0]),
        ([["list"]], [1]),
        (["a"], ["1"]),
        (["a"], [True]),
        (["a"], [1j]),
        (["a", "b"], [0.5 + 1e-8, 0.5]),
    ],
)
def test_bad_lotteries_are_refused(outcomes, weights):
    with pytest.raises(CosetError):
        Lottery(outcomes, weights)


def test_bad_mixtures_utilities_and_sequences_are_refused():
    a = Lottery.sure("a")
    for alpha in (-0.1, 1.1, float("nan"), "half"):
        with pytest.raises(DomainError):
            mix(alpha, a, a)
    with pytest.raises(DomainError, match="lacks 'a'"):
        a.expect({})
    with pytest.raises(DtypeError, match="a mapping or a function of outcomes; given None"):
        a.expect(None)
    with pytest.raises(DtypeError):
        a.prepend("e")
    with pytest.raises(DtypeError):
        EventSequence("abc")
    with pytest.raises(DtypeError):
        EventSequence((1,))


def test_a_sequence_is_read_from_any_iterable():
    assert EventSequence(e for e in "ab") == EventSequence(["a", "b"]) == EventSequence.of("a", "b")
    with pytest.raises(DtypeError, match="a tuple of strings; given 5"):
        EventSequence(5)


def test_bare_outcomes_are_not_lotteries():
    for p, q in (("a", Lottery.sure("b")), (Lottery.sure("b"), "a")):
        for alpha in (0, 0.5, 1):
            with pytest.raises(DtypeError, match=r"given 'a'; write Lottery.sure"):
                mix(alpha, p, q)
    with pytest.raises(DtypeError, match="a mapping outcome → probability"):
        Lottery.of([("a", 1)])
    with pytest.raises(DtypeError, match="lists its outcomes and their weights"):
        Lottery("a", 1)
    with pytest.raises(DomainError, match="the one of 'a' is inf"):
        Lottery(["a", "b"], [10**5000, 0.5])
