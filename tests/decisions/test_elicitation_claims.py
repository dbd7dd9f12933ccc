"""What the claims of elicitation ask about, piece by piece."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from coset.decisions.claims import elicitation, flawed_elicitation, noisy_elicitation


def test_recovered_utilities_are_on_the_scale_of_the_worst_and_the_best():
    values = (Fraction(3), Fraction(-1), Fraction(2, 3))
    assert elicitation.recovered_utility(values, 100) == (1, 0, Fraction(5, 12))
    assert elicitation.recovered_utility((Fraction(1),), 9) == (0,)


def test_a_fear_is_infinite_or_measured():
    assert elicitation.lowest_accepted(Fraction(1), Fraction(0), None, 70) == (
        False,
        2.0**70 - 1,
        math.inf,
    )
    flips, low, high = elicitation.lowest_accepted(Fraction(1), Fraction(0), Fraction(-7), 70)
    assert flips
    assert low <= 7 <= high
    # The float mutant loses the chance of harm just where it says so.
    assert not flawed_elicitation.float_mixture(Fraction(1), Fraction(0), None, 53)[0]
    assert flawed_elicitation.float_mixture(Fraction(1), Fraction(0), None, 54)[0]


@pytest.mark.parametrize("curve", ["logistic", "step", "lopsided"])
def test_curves_turn_at_the_root(curve):
    question = noisy_elicitation.NoisyQuestion(0.4, 0.1, curve, random.Random(0).random)
    below = [question.probability(s) for s in (0.0, 0.2, 0.399)]
    above = [question.probability(s) for s in (0.401, 0.7, 1.0)]
    assert min(below) > 0.5 > max(above)
    assert question.probability(0.4) == 0.5
