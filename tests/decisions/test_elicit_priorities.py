"""Elicitation of lexicographic utilities, level by level."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from coset.core.errors import DomainError
from coset.decisions import elicit
from coset.decisions.errors import PreferenceContradictionError, ResolutionError
from coset.decisions.preferences.hausner import canonical, relate, same_order
from coset.decisions.preferences.models import (
    LexicographicUtility,
)
from coset.decisions.preferences.random_models import random_utility


def test_lexicographic_utilities_are_recovered_up_to_what_the_order_fixes(generator):
    levels = set()
    for _ in range(40):
        n, d = (int(torch.randint(1, top, (), generator=generator)) for top in (7, 4))
        person = random_utility(n, d, generator=generator)
        found = elicit.lexicographic(person, person.outcomes, 10**9)
        levels.add(found.level)
        least = canonical(person)
        assert same_order(person, found.model())
        if found.level:
            assert found.level == least.num_levels
            assert relate(least, found.model()) is not None
            assert all(0 <= u[0] <= 1 for u in found.utility.values())
        assert found.num_queries <= (found.level + 1) * n * (4 * 30 + 8)
    assert levels == {0, 1, 2, 3}


def test_a_coarse_resolution_is_refused_not_guessed():
    person = LexicographicUtility({"w": (0, 0), "x": ("355/1130", 1), "y": ("1/2", 2), "b": (1, 0)})
    with pytest.raises(ResolutionError, match="resolution=D"):
        elicit.lexicographic(person, person.outcomes)
    with pytest.raises(ResolutionError, match="strictly between"):
        elicit.lexicographic(person, person.outcomes, 100)
    found = elicit.lexicographic(person, person.outcomes, 10_000)
    assert same_order(person, found.model())
    assert found.level == 2


def test_questions_may_be_limited():
    person = LexicographicUtility({"w": (0, 0), "x": ("1/3", 1), "b": (1, 0)})
    with pytest.raises(ResolutionError, match="used up"):
        elicit.lexicographic(person, person.outcomes, 10**6, max_queries=5)
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(DomainError, match="resolution"):
            elicit.lexicographic(person, person.outcomes, wrong)


def test_contradictory_answers_do_not_pass_for_priorities():
    # b ≻ x ≻ w, and yet whatever holds x is preferred to whatever is mixed otherwise.
    def moody(p, q):
        if len(p.outcomes) == len(q.outcomes) == 1:
            value = {"w": 0, "x": 1, "b": 2}
            return (p.expect(value) > q.expect(value)) - (p.expect(value) < q.expect(value))
        return 1 if "x" in p.support else -1

    with pytest.raises(PreferenceContradictionError, match="inside and outside"):
        elicit.lexicographic(moody, ["w", "x", "b"], 1000)


def test_a_ratio_next_to_a_fraction_is_not_that_fraction():
    # 1/2 + 1/(4 D⁴) for D = 10: where it ties exactly, the level above 1/2 is not silent.
    near = Fraction(1, 2) + Fraction(1, 40_000)
    person = LexicographicUtility({"w": (0, 0), "x": (near, 0), "b": (1, 0)})
    with pytest.raises(ResolutionError, match="strictly between"):
        elicit.lexicographic(person, person.outcomes, 10)
