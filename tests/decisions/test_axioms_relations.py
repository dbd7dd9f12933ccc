"""Constrained orders, searches for broken axioms, and one number instead of priorities."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from tests.decisions.elicit_cases import through_json

from coset.core.errors import DomainError, ShapeError
from coset.decisions.axioms.explaining import explains
from coset.decisions.axioms.preferences import Preferences
from coset.decisions.axioms.relations import compare_constrained, constrained_relation
from coset.decisions.axioms.scalarization import (
    explains_lexicographically,
    scalar_weight,
    scalarize,
)
from coset.decisions.axioms.violations import (
    _simplest_between,
    find_continuity_violation,
    find_independence_violation,
)
from coset.decisions.preferences.lottery import Lottery
from coset.decisions.preferences.outcome_utilities import LexicographicUtility, LinearUtility

F = Fraction
OUTCOMES = {"o1": (4, -2), "o2": (2, 2), "o3": (0, 4)}


def even(*names):
    return Lottery(names, [F(1, len(names))] * len(names))


def test_the_published_examples_of_constraints():
    order = constrained_relation(OUTCOMES, [0])
    assert order(even("o1", "o3"), even("o2", "o3")) == 1
    assert order(even("o1"), even("o2")) == -1
    assert order.is_feasible(even("o1", "o3"))
    assert not order.is_feasible(even("o1"))
    histories = {"LL": (1, -1), "LR": (0, -1), "RL": (1, -1), "RR": (0, 1)}
    second = constrained_relation(histories, [0])
    a, b, c = even("RL", "RR"), even("LL"), even("RR")
    assert second(a, b) == 1
    assert second(even("RL", "RR", "RR", "RR"), even("LL", "RR")) == -1
    assert second(c, a) == -1


def test_lotteries_that_meet_no_constraint_are_indifferent():
    order = constrained_relation({"x": (5, -1), "y": (3, -2), "z": (0, 0)}, [0])
    assert order(even("x"), even("y")) == 0
    assert order(even("z"), even("x")) == 1
    free = constrained_relation({"x": (5, -1), "y": (3, -2)}, [None])
    assert free(even("x"), even("y")) == 1
    assert constrained_relation({"x": (1,), "y": (0,)}, [])(even("x"), even("y")) == 1


def test_bad_constraints_are_named():
    with pytest.raises(DomainError, match="none"):
        constrained_relation({}, [])
    with pytest.raises(ShapeError, match="d − 1 bounds"):
        constrained_relation(OUTCOMES, [0, 0])
    with pytest.raises(ShapeError, match=r"\[1, 2\]"):
        constrained_relation({"x": (1,), "y": (1, 2)}, [0])
    with pytest.raises(DomainError, match="'x' has nan"):
        constrained_relation({"x": (float("nan"), 0)}, [0])
    with pytest.raises(DomainError, match="'z' has none"):
        compare_constrained(even("z"), even("o1"), OUTCOMES, [0])


def test_search_finds_that_constraints_break_independence(generator):
    order = constrained_relation(OUTCOMES, [0])
    found = find_independence_violation(order, order.outcomes, 10_000, generator=generator)
    assert found is not None
    assert found.replay(order)
    assert found.before != found.after
    assert "but mixed with" in found.explain()
    assert through_json(found) == found
    assert not replace(found, second=found.first).replay(order)


@pytest.mark.parametrize(
    "oracle",
    [
        LinearUtility({"o1": 4, "o2": 2, "o3": 0}),
        LexicographicUtility(OUTCOMES),
        LexicographicUtility({"o1": (1, 3), "o2": (1, 2), "o3": (0, 4)}),
    ],
)
def test_search_accuses_no_utility_of_breaking_independence(oracle, generator):
    assert find_independence_violation(oracle, list(OUTCOMES), 600, generator=generator) is None


def test_jumps_are_found_where_there_are_any(generator):
    names = list(OUTCOMES)
    for oracle in (constrained_relation(OUTCOMES, [0]), LexicographicUtility(OUTCOMES)):
        jump = find_continuity_violation(oracle, names, 200, generator=generator)
        assert jump is not None
        assert jump.replay(oracle)
        assert jump.high - jump.low < F(1, 2**60)
        assert "jumps over" in jump.explain()
    smooth = LinearUtility({"o1": 4, "o2": F(22, 7), "o3": 0})
    assert find_continuity_violation(smooth, names, 200, generator=generator) is None
    assert not jump.replay(smooth)


def test_the_simplest_fraction_between_has_the_least_denominator():
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        a, b, c, d = (int(x) for x in torch.randint(1, 30, (4,), generator=generator))
        low, high = sorted((F(a - 1, b), F(c, d)))
        if low == high:
            continue
        found = _simplest_between(low, high)
        assert low < found < high
        for denominator in range(1, found.denominator):
            first = low.numerator * denominator // low.denominator + 1
            assert F(first, denominator) >= high


def test_searches_need_outcomes_and_samples():
    oracle = LinearUtility({"a": 1})
    for search in (find_independence_violation, find_continuity_violation):
        with pytest.raises(DomainError, match="two different"):
            search(oracle, ["a", "a"])
        with pytest.raises(DomainError, match="num_samples"):
            search(oracle, ["a", "b"], 0)


def test_one_number_explains_what_priorities_explain():
    data = Preferences.from_pairs(
        strict=[("safe", "fast"), ("fast", "slow"), ({"safe": F(1, 10), "slow": F(9, 10)}, "fast")],
        weak=[("slow", "idle")],
        indifferent=[("idle", "slow")],
    )
    levels = {"safe": (1, 0), "fast": (0, 3), "slow": (0, 0), "idle": (0, 0)}
    assert explains_lexicographically(data, levels)
    assert explains(data, scalarize(data, levels))
    # The third preference gains 1/10 at level 1 and loses 3 at level 2.
    assert scalar_weight(data, levels) == F(1, 2) * F(1, 10) / (F(1, 10) + 3)
    too_large = {o: u[0] + F(1, 20) * u[1] for o, u in levels.items()}
    assert not explains(data, too_large)


@pytest.mark.parametrize(
    "kinds", [([("b", "a")], [], []), ([], [("b", "a")], []), ([], [], [("a", "b")])]
)
def test_priorities_that_explain_nothing_are_refused(kinds):
    data = Preferences.from_pairs(*kinds)
    levels = {"a": (0, 1), "b": (0, 0)}
    assert explains_lexicographically(data, levels).evidence == {"first": 0}
    with pytest.raises(DomainError, match="number 1"):
        scalarize(data, levels)


def test_bad_levels_are_named():
    data = Preferences.from_pairs([("a", "b")])
    with pytest.raises(DomainError, match="lacks 'b'"):
        scalar_weight(data, {"a": (1,)})
    with pytest.raises(ShapeError, match="same number of levels"):
        scalar_weight(data, {"a": (1,), "b": (0, 0)})
    with pytest.raises(ShapeError, match="at least one"):
        scalar_weight(data, {"a": (), "b": ()})
    with pytest.raises(DomainError, match="finite"):
        scalar_weight(data, {"a": (float("inf"),), "b": (0,)})


def test_a_single_number_is_no_vector_of_utilities():
    with pytest.raises(ShapeError, match="write a tuple"):
        constrained_relation({"a": 1}, [])
