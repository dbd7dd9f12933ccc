"""Eliciting the reward and the multiplier of each event from comparisons of futures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from coset.core.errors import DomainError, DtypeError
from coset.core.results import Status
from coset.decisions.elicit.affine_reward import AffineReward
from coset.decisions.elicit.interview import Future, Interview, as_future
from coset.decisions.elicit.limits import check_distinct
from coset.decisions.elicit.memorylessness import (
    MAX_STEPS,
    MemorylessnessWitness,
    find_reversal,
)
from coset.decisions.elicit.methods import Link, Search, choose_search
from coset.decisions.elicit.question import ratio
from coset.decisions.elicit.search import Found
from coset.decisions.elicit.trisection import sure_sign
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery, Oracle

if TYPE_CHECKING:
    import torch

__all__ = ["Reference", "affine", "check_events", "reference_pair"]

# A pair (A, B) with A ≻ B, or one event that is not indifferent to ε.
Reference = str | tuple[Future, Future]
_END = Lottery.sure(EMPTY)
_ZERO = Found(Fraction(0), Fraction(0), 0, exact=True, converged=True)


def affine(
    oracle: Oracle,
    events: Sequence[str],
    reference: Reference,
    tol: float = 1e-6,
    delta: float | None = None,
    max_denominator: int | None = None,
    *,
    terminal: Sequence[str] = (),
    link: Link | None = None,
    check: Reference | None = None,
    max_queries: int | None = None,
    generator: torch.Generator | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AffineReward:
    """Find r(e) and m(e) of each event, u(e∘τ) = r(e) + m(e) u(τ), from answers.

    m(e) is where (1 − q)(e∘A) + qB ≻ (1 − q)(e∘B) + qA turns: q/(1 − q). r(e) is where
    (1 − q)(e) + qB ≻ (1 − q)ε + qA turns, in units of u(A) − u(B). Both may have any sign; m < 0
    says that the event reverses preferences, m = 0 that it is terminal.

    Args:
        oracle: +1 if the first lottery is preferred, −1 if the second, 0 if neither.
        events: names, distinct, at least one.
        reference: (A, B) with A ≻ B, futures; or the name of an event that is better or worse than
            nothing, whose reward then is the unit ±1.
        tol: width of the intervals: at most tol · max(1, |x|); in (0, 1).
        delta: for noisy answers ±1 that are right with probability above ½: the probability with
            which any of all intervals may miss. ``None``: answers are exact.
        max_denominator: for exact answers: find fractions of at most this denominator exactly, by
            Stern–Brocot search, from answers that say when two lotteries are indifferent.
        terminal: events after which nothing counts, as is known beforehand: m = 0 is not asked.
        link: "logistic": for noisy answers, believe in a logistic curve and ask far fewer
            questions; the intervals are then credible ones.
        check: another pair (C, D), C ≻ D, or the name of another event, to search for a failure of
            memorylessness with, by at most 2 (6 + log₂(1/tol)) more questions an event; exact
            answers only.
        max_queries: the most noisy answers a number may take.
        generator: if given, the two lotteries are shown in random order.
        progress: called with (numbers done, numbers in all).

    Returns:
        Estimates, intervals, the number of questions, and the witness if one was found.

    Raises:
        DomainError: if events repeat or are missing, the reference pair is not strictly ordered,
            arguments contradict each other, or the oracle answers something else than −1, 0, +1.
        ResolutionError: if a number exceeds 2^64 units: the pair does not count beside the event.
        NotConvergedError: if noisy answers about the reference pair ran out.

    Complexity: about 1 + log₂(1/tol) exact answers a number; O((σ/tol)² log(1/δ)) noisy ones.

    Claims: decisions.C1, decisions.C14.

    Examples:
        >>> from coset.decisions.preferences.models import AffineModel
        >>> person = AffineModel(
        ...     {"step": -1, "coin": 3, "home": 10}, {"step": "9/10", "coin": 1, "home": 0}
        ... )
        >>> found = affine(person, ["step", "coin", "home"], "coin", max_denominator=100)
        >>> {e: str(r) for e, r in found.reward.items()}
        {'step': '-1/3', 'coin': '1', 'home': '10/3'}
        >>> {e: str(m) for e, m in found.multiplier.items()}, found.num_queries
        ({'step': '9/10', 'coin': '1', 'home': '0'}, 23)
    """
    names = check_events(events)
    ends = _check_terminal(terminal, names)
    num_numbers = 2 * len(names) - len(ends) + 1
    search = choose_search(tol, delta, max_denominator, link, max_queries, num_numbers)
    interview = Interview(oracle, noisy=delta is not None, generator=generator)
    if check is not None and delta is not None:
        raise DomainError(
            "check needs exact answers; leave delta out, or compare the multipliers found with "
            "two reference pairs"
        )
    unit = reference_pair(interview, reference, (delta or 0) / num_numbers, max_queries)
    other = None if check is None else _other_pair(interview, check, unit)
    found: dict[tuple[str, str], Found] = {}
    for event in names:
        for kind in ("reward", "multiplier"):
            known = kind == "multiplier" and event in ends
            found[event, kind] = _ZERO if known else _find(interview, event, kind, unit, search)
            if progress is not None:
                progress(len(found), 2 * len(names))
    finest = Fraction(tol) if max_denominator is None else Fraction(1, int(max_denominator) ** 2)
    witness = None
    if other is not None:
        witness = _cross_examine(interview, names, found, (unit, other), finest)
    return _collected(interview, names, found, unit, delta or 0.0, witness)


def check_events(events: Sequence[str]) -> list[str]:
    """Return the names of events as a list.

    Args:
        events: distinct strings, at least one.

    Returns:
        The list.

    Raises:
        DomainError: if there is none, or one is named twice.
        DtypeError: if they are not strings in a sequence.
    """
    names = check_distinct("event", events)
    for name in names:
        if not isinstance(name, str):
            raise DtypeError(f"an event is a string; given {name!r:.60}")
    return names


def _check_terminal(terminal: Sequence[str], names: Sequence[str]) -> set[str]:
    ends = set(check_events(terminal)) if terminal else set()
    if not ends <= set(names):
        raise DomainError(
            f"a terminal event is one of the events; {min(ends - set(names))!r} is not among "
            f"{', '.join(names)}"
        )
    return ends


def reference_pair(
    interview: Interview,
    reference: Reference,
    share: float = 0.0,
    max_queries: int | None = None,
    what: str = "the reference pair",
) -> tuple[Lottery, Lottery]:
    """Return (A, B) with A ≻ B, as the answers say.

    Args:
        interview: whom to ask.
        reference: a pair, the better future first, or an event to compare with nothing.
        share: for noisy answers, the permitted probability of a wrong decision.
        max_queries: the most noisy answers.
        what: its name in messages.

    Returns:
        The pair.

    Raises:
        DomainError: if the answers do not order it strictly, or order it the other way.
        DtypeError: if it is neither a pair nor a name.
        NotConvergedError: if noisy answers ran out.
    """
    if isinstance(reference, str):
        one, other = as_future(reference), _END
    elif isinstance(reference, tuple) and len(reference) == 2:
        one, other = as_future(reference[0]), as_future(reference[1])
    else:
        raise DtypeError(
            f"{what} must be a pair of futures in a tuple, or the name of an event; given "
            f"{reference!r:.60}"
        )
    answer = sure_sign(interview, one, other, share, max_queries)
    if answer == 0 or (answer < 0 and not isinstance(reference, str)):
        verdict = "as good as" if answer == 0 else "worse than"
        raise DomainError(
            f"{what} must be strictly ordered, the better one first; the answers say that {one} is "
            f"{verdict} {other}; choose another pair"
        )
    return (one, other) if answer > 0 else (other, one)


def _other_pair(
    interview: Interview, check: Reference, unit: tuple[Lottery, Lottery]
) -> tuple[Lottery, Lottery]:
    """Return the pair to check with, before questions are asked for nothing."""
    other = reference_pair(interview, check, what="the pair to check with")
    if other == unit:
        raise DomainError(
            f"the pair to check with must differ from the reference pair; both are {unit[0]} and "
            f"{unit[1]}: name another event, or other futures"
        )
    return other


def _find(
    interview: Interview, event: str, kind: str, unit: tuple[Lottery, Lottery], search: Search
) -> Found:
    if kind == "multiplier":
        after = unit[0].prepend(event), unit[1].prepend(event)
    else:
        after = Lottery.sure(EventSequence((event,))), _END
        if after in (unit, unit[::-1]):
            x = Fraction(1 if after == unit else -1)
            return Found(x, x, 0, exact=True, converged=True)
    return search(ratio(interview, *after, unit))


def _cross_examine(
    interview: Interview,
    names: Sequence[str],
    found: dict[tuple[str, str], Found],
    pairs: tuple[tuple[Lottery, Lottery], tuple[Lottery, Lottery]],
    finest: Fraction,
) -> MemorylessnessWitness | None:
    """Search for a witness against memorylessness with a second pair, as finely as was asked."""
    unit, other = pairs
    # Differences of multipliers below `finest` do not show in the numbers found either.
    max_steps = min(MAX_STEPS, 4 + math.ceil(-math.log2(finest)))
    for event in names:
        known = found[event, "multiplier"]
        if known.exact and known.low == 0:
            after = other[0].prepend(event), other[1].prepend(event)
            if interview.ask(*after) == 0:
                continue  # terminal, as far as both pairs tell
        witness = find_reversal(interview, event, unit, other, max_steps)
        if witness is not None:
            return witness
    return None


def _collected(
    interview: Interview,
    names: Sequence[str],
    found: dict[tuple[str, str], Found],
    unit: tuple[Lottery, Lottery],
    delta: float,
    witness: MemorylessnessWitness | None,
) -> AffineReward:
    rewards = {e: found[e, "reward"] for e in names}
    multipliers = {e: found[e, "multiplier"] for e in names}
    converged = all(f.converged for f in found.values())
    return AffineReward(
        reward={e: f.estimate for e, f in rewards.items()},
        multiplier={e: f.estimate for e, f in multipliers.items()},
        reward_interval={e: (f.low, f.high) for e, f in rewards.items()},
        multiplier_interval={e: (f.low, f.high) for e, f in multipliers.items()},
        num_queries=interview.num_queries,
        exact=all(f.exact for f in found.values()),
        unit=f"u({unit[0]}) − u({unit[1]})",
        delta=delta,
        status=Status.SOLVED if converged else Status.MAX_ITERATIONS,
        witness=witness,
        trace=tuple((e, kind, *step) for (e, kind), f in found.items() for step in f.trace),
    )
