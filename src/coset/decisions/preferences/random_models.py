"""Random exact utilities, models and lotteries, for tests, claims and simulated people."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch

from coset.core.errors import DomainError
from coset.decisions.preferences.exact_numbers import Matrix, Vector
from coset.decisions.preferences.lottery import EventSequence, Lottery
from coset.decisions.preferences.models import AffineModel, LexicographicModel
from coset.decisions.preferences.outcome_utilities import LexicographicUtility

__all__ = [
    "all_sequences",
    "random_affine_model",
    "random_fraction",
    "random_lexicographic_model",
    "random_lottery",
    "random_order_preserving",
    "random_utility",
]

# Small denominators, so that ties and near ties happen.
_DENOMINATORS = (1, 2, 3, 4, 5, 6)
# A permutation of so many is drawn for each lottery.
_MAX_DENOMINATOR = 1_000_000


def _integer(low: int, high: int, generator: torch.Generator | None) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


def random_fraction(low: int, high: int, *, generator: torch.Generator | None = None) -> Fraction:
    """Return a random fraction with a denominator of at most 6.

    Args:
        low: the least value.
        high: the largest value, ≥ low.
        generator: source of randomness.

    Returns:
        A fraction in [low, high].

    Raises:
        DomainError: if high < low.
    """
    if high < low:
        raise DomainError(f"the largest value must be at least the least; given {low}, {high}")
    denominator = _DENOMINATORS[_integer(0, len(_DENOMINATORS) - 1, generator)]
    return Fraction(_integer(low * denominator, high * denominator, generator), denominator)


def random_lottery(
    outcomes: Sequence[Any],
    *,
    max_support: int = 4,
    denominator: int = 12,
    generator: torch.Generator | None = None,
) -> Lottery:
    """Return an exact lottery on some of the outcomes.

    Args:
        outcomes: what it may give, at least one.
        max_support: how many outcomes it gives at most, ≥ 1.
        denominator: its weights are multiples of 1/denominator, 1 to a million.
        generator: source of randomness.

    Returns:
        The lottery; drawn often, it takes every such lottery.

    Raises:
        DomainError: if there is no outcome, or a bound is out of range.

    Examples:
        >>> p = random_lottery(["a", "b"], generator=torch.Generator().manual_seed(1))
        >>> p.is_exact, p.support <= {"a", "b"}
        (True, True)
    """
    if not outcomes or max_support < 1 or not 1 <= denominator <= _MAX_DENOMINATOR:
        raise DomainError(
            f"there must be at least one outcome, bounds ≥ 1, and a denominator of at most "
            f"{_MAX_DENOMINATOR:,}; given {len(outcomes)} outcomes, max_support {max_support}, "
            f"denominator {denominator}"
        )
    size = _integer(1, min(max_support, len(outcomes), denominator), generator)
    chosen = torch.randperm(len(outcomes), generator=generator)[:size].tolist()
    # Stars and bars: each of the chosen outcomes gets at least one part.
    cuts = torch.randperm(denominator - 1, generator=generator)[: size - 1].tolist()
    ends = [0, *(c + 1 for c in sorted(cuts)), denominator]
    weights = [Fraction(b - a, denominator) for a, b in itertools.pairwise(ends)]
    return Lottery([outcomes[i] for i in chosen], weights)


def all_sequences(events: Sequence[str], max_length: int) -> list[EventSequence]:
    """List all event sequences up to a length, shorter ones first, ε among them.

    Args:
        events: the events.
        max_length: ≥ 0; the list has Σ |E|ⁿ entries.

    Returns:
        The sequences.

    Raises:
        DomainError: if there would be more than a million of them, or the length is negative.

    Examples:
        >>> all_sequences(["a", "b"], 1)
        [ε, a, b]
    """
    if max_length < 0:
        raise DomainError(f"the longest sequence has at least 0 events; given {max_length}")
    total = sum(len(events) ** n for n in range(max_length + 1))
    if total > 1_000_000:
        raise DomainError(
            f"{len(events)} events make {total:,} sequences of up to {max_length}; ask for fewer"
        )
    return [
        EventSequence(word)
        for n in range(max_length + 1)
        for word in itertools.product(events, repeat=n)
    ]


def random_order_preserving(d: int, *, generator: torch.Generator | None = None) -> Matrix:
    """Return a lower triangular matrix with a positive diagonal, of small fractions.

    Args:
        d: its size, ≥ 1.
        generator: source of randomness.

    Returns:
        Its rows; diagonal in (0, 2], the rest in [−2, 2].

    Raises:
        DomainError: if d < 1.
    """
    _check_levels(d)
    rows: list[Vector] = []
    for i in range(d):
        below = [random_fraction(-2, 2, generator=generator) for _ in range(i)]
        diagonal = Fraction(_integer(1, 8, generator), 4)
        rows.append((*below, diagonal, *(Fraction(0),) * (d - i - 1)))
    return tuple(rows)


def random_utility(
    num_outcomes: int, num_levels: int, *, generator: torch.Generator | None = None
) -> LexicographicUtility:
    """Return a lexicographic utility of outcomes 0, 1, …, with many ties at its first levels.

    Args:
        num_outcomes: n ≥ 1.
        num_levels: d ≥ 1.
        generator: source of randomness.

    Returns:
        The utility; its values are fractions in [−2, 2], all but the last level's in {−1, 0, 1}.

    Raises:
        DomainError: if there is no outcome or no level.
    """
    _check_levels(num_levels)
    return LexicographicUtility(
        {o: _tying_vector(num_levels, generator) for o in range(num_outcomes)}
    )


def _check_levels(num_levels: int) -> None:
    if num_levels < 1:
        raise DomainError(f"there must be at least one level; given {num_levels}")


def _tying_vector(num_levels: int, generator: torch.Generator | None) -> Vector:
    above = [Fraction(_integer(-1, 1, generator)) for _ in range(num_levels - 1)]
    return (*above, random_fraction(-2, 2, generator=generator))


def _event_names(num_events: int, num_terminal: int) -> list[str]:
    if num_events < 1 or not 0 <= num_terminal <= num_events:
        raise DomainError(
            f"a model has at least one event, and at most all of them are terminal; given "
            f"{num_events} events, {num_terminal} of them terminal"
        )
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [letters[i] if i < 26 else f"e{i}" for i in range(num_events)]


def random_affine_model(
    num_events: int,
    *,
    num_terminal: int = 0,
    generator: torch.Generator | None = None,
) -> AffineModel:
    """Return an affine-reward model with rewards in [−2, 2] and multipliers in (0, 2].

    Args:
        num_events: how many events, ≥ 1; they are named a, b, ….
        num_terminal: how many of them, the last ones, have multiplier 0.
        generator: source of randomness.

    Returns:
        The model.

    Raises:
        DomainError: if there is no event, or fewer than are to be terminal.

    Claims: decisions.C5.
    """
    names = _event_names(num_events, num_terminal)
    reward = {e: random_fraction(-2, 2, generator=generator) for e in names}
    multiplier = {e: Fraction(_integer(1, 8, generator), 4) for e in names}
    multiplier |= dict.fromkeys(names[num_events - num_terminal :], Fraction(0))
    return AffineModel(reward, multiplier)


def random_lexicographic_model(
    num_events: int,
    num_levels: int,
    *,
    num_terminal: int = 0,
    generator: torch.Generator | None = None,
) -> LexicographicModel:
    """Return a model with rewards in [−2, 2] and multipliers in L₊, or 0 for terminal events.

    Args:
        num_events: how many events, ≥ 1; they are named a, b, ….
        num_levels: d ≥ 1.
        num_terminal: how many of them, the last ones, are terminal.
        generator: source of randomness.

    Returns:
        The model.

    Raises:
        DomainError: if there is no event or no level, or fewer events than are to be terminal.

    Claims: decisions.C5.

    Examples:
        >>> model = random_lexicographic_model(3, 2, num_terminal=1)
        >>> model.events, model.terminal_events
        (('a', 'b', 'c'), ('c',))
    """
    names = _event_names(num_events, num_terminal)
    _check_levels(num_levels)
    reward = {e: _tying_vector(num_levels, generator) for e in names}
    multiplier: dict[str, Any] = {
        e: random_order_preserving(num_levels, generator=generator) for e in names
    }
    multiplier |= dict.fromkeys(names[num_events - num_terminal :], 0)
    return LexicographicModel(reward, multiplier)
