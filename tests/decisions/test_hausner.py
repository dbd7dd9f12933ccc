"""Lexicographic utilities up to what the order fixes, and lotteries by their chance of safety."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import torch

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.decisions.preferences.exact_numbers import is_order_preserving
from coset.decisions.preferences.hausner import (
    SafetyOrder,
    canonical,
    compose_safety,
    relate,
    safety_utility,
    same_order,
    split_safety,
    transform,
)
from coset.decisions.preferences.lottery import Lottery, mix
from coset.decisions.preferences.outcome_utilities import LexicographicUtility, LinearUtility
from coset.decisions.preferences.random_models import (
    random_fraction,
    random_lottery,
    random_order_preserving,
    random_utility,
)

HALF = Fraction(1, 2)


def lexicographic(*columns):
    return LexicographicUtility({"xyzvw"[i]: column for i, column in enumerate(columns)})


def test_transforming_keeps_every_comparison():
    generator = torch.Generator().manual_seed(0)
    for at in range(40):
        u = random_utility(4, 1 + at % 3, generator=generator)
        v = transform(u, random_order_preserving(u.num_levels, generator=generator))
        for _ in range(20):
            p, q = (random_lottery(u.outcomes, generator=generator) for _ in range(2))
            assert u.prefer(p, q) == v.prefer(p, q)


@pytest.mark.parametrize("matrix", [[[1, 1], [0, 1]], [[1, 0], [0, 0]], [[1, 0], [0, -1]]])
def test_other_matrices_are_refused(matrix):
    with pytest.raises(DomainError, match="lower triangular with a positive diagonal"):
        transform(lexicographic((0, 1), (1, 0)), matrix)


def test_wrong_sizes_are_refused():
    with pytest.raises(ShapeError, match="must be 2 × 2"):
        transform(lexicographic((0, 1)), [[1]])
    with pytest.raises(DomainError, match="must have 2 numbers; given 1"):
        transform(lexicographic((0, 1)), [[1, 0], [0, 1]], (1,))


def test_the_map_that_was_applied_is_found():
    generator = torch.Generator().manual_seed(1)
    unique = 0
    for at in range(60):
        d = 1 + at % 3
        u = random_utility(6, d, generator=generator)
        matrix = random_order_preserving(d, generator=generator)
        offset = [random_fraction(-2, 2, generator=generator) for _ in range(d)]
        v = transform(u, matrix, offset)
        found = relate(u, v)
        assert found is not None
        assert is_order_preserving(found[0])
        assert transform(u, *found) == v
        if canonical(u).num_levels == d:
            unique += 1
            assert found == (matrix, tuple(offset))
    assert unique > 20


def test_nothing_relates_utilities_of_different_orders():
    u = lexicographic((0, 0), (0, 1), (1, 0))
    for other in (
        lexicographic((0, 0), (1, 0), (0, 1)),
        lexicographic((0, 0), (0, -1), (1, 0)),
        lexicographic((0, 0), (0, 1), (-1, 0)),
        lexicographic((0, 0), (0, 0), (1, 0)),
    ):
        assert relate(u, other) is None
        assert not same_order(u, other)


def test_levels_to_spare_break_uniqueness():
    first, last = lexicographic((1, 0), (3, 0), (2, 0)), lexicographic((0, 1), (0, 3), (0, 2))
    assert same_order(first, last)
    assert relate(first, last) is None
    assert relate(last, first) is None
    # A level that no outcome uses may be scaled at will.
    assert relate(first, transform(first, [[2, 0], [0, 1]])) is not None


def test_the_same_order_is_told_exactly():
    generator = torch.Generator().manual_seed(2)
    verdicts = {True: 0, False: 0}
    for _ in range(150):
        u, v = (random_utility(3, 2, generator=generator) for _ in range(2))
        verdict = same_order(u, v)
        verdicts[verdict] += 1
        lotteries = [
            random_lottery(u.outcomes, denominator=6, generator=generator) for _ in range(60)
        ]
        agree = all(u.prefer(p, q) == v.prefer(p, q) for p, q in itertools.pairwise(lotteries))
        assert agree or not verdict
    assert min(verdicts.values()) > 1


def test_canonical_forms():
    u = lexicographic((5, 0, 1), (5, 2, 7), (5, 1, 9), (7, 0, 0))
    found = canonical(u)
    assert found.utility_of["x"] == (0, 0, 0)
    assert found.utility_of["v"] == (1, 0, 0)
    assert found.utility_of["y"] == (0, 1, 0)
    assert found.utility_of["z"] == (0, HALF, 1)
    assert same_order(u, found)
    assert canonical(found) == found


def test_an_indifferent_relation_and_a_single_outcome():
    assert canonical(lexicographic((3, 4), (3, 4))).utility_of["y"] == (0,)
    assert canonical(LinearUtility({"a": 2})).num_levels == 1
    assert relate(LinearUtility({"a": 2}), LinearUtility({"a": 5})) == (((1,),), (3,))


def test_scalar_utilities_are_lexicographic_of_one_level():
    assert same_order(
        LinearUtility({"a": 1, "b": 2}), LexicographicUtility({"a": (0, 5), "b": (0, 7)})
    )


def test_other_outcomes_and_levels_are_refused():
    with pytest.raises(DomainError, match="only one of them names 'y'"):
        same_order(lexicographic((1,)), lexicographic((1,), (2,)))
    with pytest.raises(DomainError, match="given 1 and 2; make both canonical"):
        relate(LinearUtility({"x": 1}), lexicographic((1, 2)))


def test_the_second_example_of_the_paper():
    lottery = Lottery(["o", "x", "y"], [Fraction(1, 3), HALF, Fraction(1, 6)])
    alpha, safe = split_safety(lottery, ["o"])
    assert alpha == Fraction(2, 3)
    assert safe == Lottery(["x", "y"], [Fraction(3, 4), Fraction(1, 4)])
    assert compose_safety(alpha, safe, "o") == lottery


def test_splitting_at_the_ends():
    assert split_safety(Lottery.sure("x"), ["o"]) == (1, Lottery.sure("x"))
    assert split_safety(Lottery.sure("o"), ["o"]) == (0, None)
    both = Lottery(["o", "p", "x"], [HALF, Fraction(1, 4), Fraction(1, 4)])
    assert split_safety(both, ["o", "p"]) == (Fraction(1, 4), Lottery.sure("x"))
    assert compose_safety(0, Lottery.sure("x"), "o") == Lottery.sure("o")
    alpha, safe = split_safety(Lottery(["o", "x", "y"], [0.5, 0.25, 0.25]), ["o"])
    assert (alpha, safe) == (0.5, Lottery(["x", "y"], [0.5, 0.5]))


def test_safety_is_checked():
    with pytest.raises(DomainError, match="at least one outcome"):
        split_safety(Lottery.sure("x"), [])
    with pytest.raises(DomainError, match="at least one outcome; given 'ox'"):
        SafetyOrder(LinearUtility({"x": 1}), "ox")
    with pytest.raises(DomainError, match="at least one outcome; given None"):
        split_safety(Lottery.sure("x"), None)
    with pytest.raises(DtypeError, match="an outcome must be hashable"):
        safety_utility({"x": 1}, [["o"]])
    for wrong in (lambda: split_safety("x", ["o"]), lambda: compose_safety(HALF, "x", "o")):
        with pytest.raises(DtypeError, match="a Lottery is needed; given 'x'"):
            wrong()
    with pytest.raises(DomainError, match="must not hold the unsafe outcome"):
        compose_safety(HALF, Lottery.sure("o"), "o")
    with pytest.raises(DomainError, match=r"\[0, 1\]"):
        compose_safety(2, Lottery.sure("x"), "o")
    with pytest.raises(DomainError, match="no utility of its own; given one for 'x'"):
        safety_utility({"x": 1}, ["x"])


def test_the_utility_of_safety_represents_its_order():
    generator = torch.Generator().manual_seed(3)
    taste = LinearUtility({"x": 2, "y": 0, "z": "1/3"})
    u = safety_utility(taste, ["o", "p"])
    order = SafetyOrder(taste, frozenset(["o", "p"]))
    outcomes = [*taste.outcomes, "o", "p"]
    for _ in range(300):
        p, q = (random_lottery(outcomes, generator=generator) for _ in range(2))
        assert u.prefer(p, q) == order(p, q)
        risk = Fraction(1, 2**80)
        assert order(mix(risk, Lottery.sure("o"), Lottery.sure("x")), Lottery.sure("y")) == -1
    assert order(Lottery.sure("o"), Lottery.sure("p")) == 0
