"""Random lotteries and models: exact, within their bounds, and decided by the generator."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from coset.core.errors import DomainError
from coset.decisions.preferences.exact_numbers import is_order_preserving
from coset.decisions.preferences.lottery import EMPTY, EventSequence
from coset.decisions.preferences.random_models import (
    all_sequences,
    random_affine_model,
    random_fraction,
    random_lexicographic_model,
    random_lottery,
    random_order_preserving,
    random_utility,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_lotteries_are_exact_and_within_their_bounds():
    generator = seeded()
    sizes = set()
    for _ in range(300):
        p = random_lottery("abcde", max_support=3, denominator=7, generator=generator)
        assert sum(p.weights) == 1
        assert all((w * 7).denominator == 1 for w in p.weights)
        sizes.add(len(p.outcomes))
    assert sizes == {1, 2, 3}


def test_every_small_lottery_is_drawn():
    generator = seeded()
    drawn = {random_lottery("ab", denominator=3, generator=generator) for _ in range(200)}
    assert len(drawn) == 4


def test_one_outcome_and_denominator_one():
    assert random_lottery(["a"]).outcomes == ("a",)
    assert random_lottery("abc", denominator=1).weights == (1,)


@pytest.mark.parametrize("wrong", [{"max_support": 0}, {"denominator": 0}, {"denominator": 10**12}])
def test_bounds_of_lotteries_are_checked(wrong):
    with pytest.raises(DomainError, match="bounds ≥ 1"):
        random_lottery("ab", **wrong)
    with pytest.raises(DomainError, match="given 0 outcomes"):
        random_lottery([])


def test_sequences_are_listed_once():
    words = all_sequences("ab", 3)
    assert len(words) == len(set(words)) == 15
    assert words[0] == EMPTY
    assert words[-1] == EventSequence.of("b", "b", "b")
    assert all_sequences("ab", 0) == [EMPTY]
    with pytest.raises(DomainError, match="ask for fewer"):
        all_sequences("abcdefghij", 6)
    with pytest.raises(DomainError, match="at least 0 events; given -1"):
        all_sequences("ab", -1)


@pytest.mark.parametrize("d", [0, -1])
def test_there_is_at_least_one_level(d):
    for make in (
        lambda: random_utility(2, d),
        lambda: random_order_preserving(d),
        lambda: random_lexicographic_model(2, d),
    ):
        with pytest.raises(DomainError, match=f"at least one level; given {d}"):
            make()


def test_fractions_have_small_denominators():
    generator = seeded()
    found = [random_fraction(-1, 2, generator=generator) for _ in range(200)]
    assert min(found) >= -1
    assert max(found) <= 2
    assert {x.denominator for x in found} == {1, 2, 3, 4, 5, 6}
    assert random_fraction(1, 1) == 1
    with pytest.raises(DomainError, match="given 2, 1"):
        random_fraction(2, 1)


def test_models_have_the_form_of_memoryless_ones():
    generator = seeded()
    for at in range(30):
        model = random_lexicographic_model(4, 1 + at % 3, num_terminal=1, generator=generator)
        assert model.terminal_events == ("d",)
        assert all(is_order_preserving(model.matrix(e)) for e in "abc")
        scalar = random_affine_model(3, num_terminal=2, generator=generator)
        assert scalar.terminal_events == ("b", "c")
        assert 0 < scalar.multiplier["a"] <= 2
        assert is_order_preserving(random_order_preserving(3, generator=generator))


def test_utilities_tie_at_their_first_levels():
    u = random_utility(30, 2, generator=seeded())
    assert {x[0] for x in u.utility_of.values()} == {-1, 0, 1}
    assert any(x[1].denominator > 1 for x in u.utility_of.values())


def test_many_events_get_names_of_their_own():
    model = random_affine_model(30)
    assert len(set(model.events)) == 30


def test_the_generator_decides():
    one = random_lexicographic_model(3, 2, generator=seeded(5))
    assert one == random_lexicographic_model(3, 2, generator=seeded(5))
    assert one != random_lexicographic_model(3, 2, generator=seeded(6))


@pytest.mark.parametrize("given", [(0, 0), (2, 3), (2, -1)])
def test_numbers_of_events_are_checked(given):
    number, terminal = given
    with pytest.raises(DomainError, match="at least one event"):
        random_affine_model(number, num_terminal=terminal)
    with pytest.raises(DomainError, match="at least one event"):
        random_lexicographic_model(number, 2, num_terminal=terminal)


def test_weights_are_plain_fractions():
    p = random_lottery("ab", generator=seeded())
    assert all(isinstance(w, Fraction) and type(w.numerator) is int for w in p.weights)
