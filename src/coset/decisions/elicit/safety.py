"""Is an outcome infinitely bad? And what someone wants to whom safety comes first."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from coset.core.errors import DomainError
from coset.decisions.elicit.affine_reward import AffineReward
from coset.decisions.elicit.events import Reference, affine, check_events, reference_pair
from coset.decisions.elicit.interview import Interview
from coset.decisions.elicit.limits import check_count, check_share
from coset.decisions.elicit.stored_numbers import Interval, numbers
from coset.decisions.errors import ResolutionError
from coset.decisions.preferences.lottery import EventSequence, Lottery, Oracle, mix
from coset.decisions.preferences.readable_record import ReadableRecord

if TYPE_CHECKING:
    from coset.decisions.preferences.models import LexicographicModel

__all__ = ["SafetyFirstReward", "SafetyThreshold", "safety_first", "safety_threshold"]

# A probability of 2^-1000 is still a fraction like any other.
_LARGEST_RESOLUTION = 1000


@dataclass(frozen=True, eq=False)
class SafetyThreshold(ReadableRecord):
    """Up to which chance of an outcome something better is worth it.

    Attributes:
        flips: some chance ε ≥ 2^−resolution of the outcome was accepted.
        probability: (low, high) of the largest chance that is accepted; (0, 2^−resolution) if none
            was.
        ratio: (low, high) of (u(q) − u(o†)) / (u(p) − u(q)) = (1 − ε)/ε, how many times worse the
            outcome is than what is gained; high is infinite if nothing was accepted.
        resolution: K, chances down to 2^−K were offered.
        num_queries: questions asked.

    Claims: decisions.C4.
    """

    flips: bool
    probability: Interval
    ratio: Interval
    resolution: int
    num_queries: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "probability", numbers(self.probability))
        object.__setattr__(self, "ratio", numbers(self.ratio))

    def __repr__(self) -> str:
        return f"SafetyThreshold({self.explain()}; {self.num_queries:,} questions)"

    def explain(self) -> str:
        """Return the finding in words."""
        if self.flips and self.ratio[0] == -math.inf:
            return "not bad at all: it is preferred to what would be kept"
        if self.flips:
            low, high = (float(x) for x in self.ratio)
            return f"a finite trade-off: {low:.6g} to {high:.6g} times as bad as the gain is good"
        return (
            f"infinitely bad at resolution 2^−{self.resolution}: a scalar utility would have to "
            f"make it at least {float(self.ratio[0]):.3g} times as bad as the gain is good"
        )


def safety_threshold(
    oracle: Oracle,
    p: Lottery | Hashable,
    q: Lottery | Hashable,
    unsafe: Lottery | Hashable,
    K: int = 64,
    *,
    tol: float = 1e-3,
) -> SafetyThreshold:
    """Find how small a chance ε of an outcome must be for εo† + (1 − ε)p ≻ q, if any is enough.

    ε = 1, ½, ¼, …, 2^−K is offered until one is accepted; then ε is halved in on. For a scalar
    utility some ε > 0 is accepted, by continuity; where none is, no scalar utility fits with less
    than u(q) − u(o†) ≥ (2^K − 1)(u(p) − u(q)).

    Args:
        oracle: exact answers +1, 0, −1.
        p: a lottery or an outcome.
        q: a worse one, p ≻ q.
        unsafe: o†, the outcome in question.
        K: smallest chance offered, as an exponent, 0…1000.
        tol: width of the interval of ε, relative to ε.

    Returns:
        What was found.

    Raises:
        DomainError: if p is not preferred to q, K is outside 0…1000 or tol outside (0, 1).
        ResolutionError: if a lottery has floats as weights: 1 − 2^−60 is 1 among them.

    Complexity: at most K + 2 + log₂(1/tol) questions.

    Claims: decisions.C4.

    Examples:
        >>> from coset.decisions.preferences.models import LexicographicUtility, LinearUtility
        >>> finite = LinearUtility({"rich": 1, "fine": 0, "hurt": -999})
        >>> safety_threshold(finite, "rich", "fine", "hurt").explain()
        'a finite trade-off: 998.596 to 999.55 times as bad as the gain is good'
        >>> strict = LexicographicUtility({"rich": (0, 1), "fine": (0, 0), "dead": (-1, 0)})
        >>> found = safety_threshold(strict, "rich", "fine", "dead", K=80)
        >>> found.flips, found.num_queries
        (False, 82)
    """
    K = check_count("K", K, least=0, most=_LARGEST_RESOLUTION)
    width = check_share("tol", tol)
    interview = Interview(oracle)
    gain, keep, bad = (x if isinstance(x, Lottery) else Lottery.sure(x) for x in (p, q, unsafe))
    for lottery in (gain, keep, bad):
        if not lottery.is_exact:
            raise ResolutionError(
                f"the lotteries must have fractions as weights, for 1 − 2^−60 is 1 in floats; "
                f"given {lottery}; write Fraction(1, 2) for 0.5"
            )
    if interview.ask(gain, keep) <= 0:
        raise DomainError(
            f"the first lottery must be better than the second; the answers do not say so of "
            f"{gain} and {keep}; choose another pair"
        )

    def accepted(chance: Fraction) -> bool:
        return interview.ask(mix(chance, bad, gain), keep) > 0

    first = next((k for k in range(K + 1) if accepted(Fraction(1, 2**k))), None)
    if first is None:
        smallest = Fraction(1, 2**K)
        ends: tuple[Interval, Interval] = ((Fraction(0), smallest), (2**K - Fraction(1), math.inf))
        return SafetyThreshold(False, *ends, K, interview.num_queries)
    if first == 0:  # it is better than q by itself
        one = Fraction(1)
        return SafetyThreshold(True, (one, one), (-math.inf, Fraction(0)), K, interview.num_queries)
    low, high = Fraction(1, 2**first), Fraction(1, 2 ** (first - 1))
    while high - low > width * low:
        middle = (low + high) / 2
        low, high = (middle, high) if accepted(middle) else (low, middle)
    ratio = ((1 - high) / high, (1 - low) / low)
    return SafetyThreshold(True, (low, high), ratio, K, interview.num_queries)


@dataclass(frozen=True, eq=False)
class SafetyFirstReward(ReadableRecord):
    """What someone wants to whom safety comes first: unsafe events, and the reward of the rest.

    Attributes:
        unsafe: events that no gain is worth, at the resolution.
        affine: rewards and multipliers of the other events, counted while safe.
        threshold: event → what the test of safety found, for all events.
        resolution: K, chances down to 2^−K were offered.
        num_queries: questions asked in all, each once; parts that share a question count it each.

    Claims: decisions.C7.
    """

    unsafe: tuple[str, ...]
    affine: AffineReward
    threshold: Mapping[str, SafetyThreshold]
    resolution: int
    num_queries: int

    def __repr__(self) -> str:
        return (
            f"SafetyFirstReward({len(self.unsafe):,} of {len(self.threshold):,} events unsafe at "
            f"2^−{self.resolution}, {self.num_queries:,} questions; {self.affine.structure():.100})"
        )

    def model(self) -> LexicographicModel:
        """Return the lexicographic model, level 1 safety and level 2 reward, an oracle itself.

        Returns:
            The model.

        Raises:
            DomainError: if no event is unsafe (use `affine.model()`), or a multiplier is negative.
        """
        from coset.decisions.preferences.models import safety_model

        if not self.unsafe:
            raise DomainError(
                "no event is unsafe at this resolution; the reward is scalar: use affine.model()"
            )
        ends = self.affine.terminal_events
        lasting = {e: m for e, m in self.affine.multiplier.items() if e not in ends}
        return safety_model(self.affine.reward, lasting, self.unsafe, ends)


def safety_first(
    oracle: Oracle,
    events: Sequence[str],
    reference: Reference,
    tol: float = 1e-6,
    max_denominator: int | None = None,
    *,
    resolution: int = 64,
    terminal: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> SafetyFirstReward:
    """Find which events must never happen, and r(e) and γ(e) of the others.

    An event is unsafe if no chance 2^−k of it, k ≤ K, is accepted for the better future of the
    reference pair in place of the worse one. The others are asked about as in `affine`.

    Args:
        oracle: exact answers +1, 0, −1.
        events: names, distinct, at least one.
        reference: (A, B), safe futures with A ≻ B, or the name of a safe event to compare with
            nothing.
        tol: width of the intervals of r and γ, in (0, 1).
        max_denominator: find fractions of at most this denominator exactly.
        resolution: K, 0…1000.
        terminal: events known to be terminal.
        progress: called with (events and numbers done, all of them, an upper bound).

    Returns:
        The unsafe events and the rewards of the rest.

    Raises:
        DomainError: if the reference pair is not strictly ordered, or every event is unsafe.

    Claims: decisions.C4, decisions.C7.

    Examples:
        >>> from coset.decisions.preferences.models import safety_model
        >>> person = safety_model({"step": -1, "goal": -1}, "99/100", ["cliff"], ["goal"])
        >>> found = safety_first(
        ...     person, ["step", "goal", "cliff"], ((), "step"), max_denominator=1000
        ... )
        >>> found.unsafe, str(found.affine.multiplier["step"]), found.model() == person
        (('cliff',), '99/100', True)
    """
    names = check_events(events)
    interview = Interview(oracle)  # one notebook, so that no question is asked twice
    better, worse = reference_pair(interview, reference)
    threshold: dict[str, SafetyThreshold] = {}
    for event in names:
        sure = Lottery.sure(EventSequence((event,)))
        threshold[event] = safety_threshold(interview.ask, better, worse, sure, resolution, tol=0.5)
        if progress is not None:
            progress(len(threshold), 3 * len(names))
    unsafe = tuple(e for e in names if not threshold[e].flips)
    safe = [e for e in names if e not in unsafe]
    if not safe:
        raise DomainError(
            f"at least one event must be safe; the answers put safety before each of "
            f"{', '.join(names)}; does the reference pair hold unsafe events?"
        )

    def later(done: int, total: int) -> None:
        if progress is not None:
            progress(len(names) + done, len(names) + total)

    found = affine(
        interview.ask,
        safe,
        (better, worse),
        tol,
        None,
        max_denominator,
        terminal=[e for e in terminal if e in safe],
        progress=later,
    )
    return SafetyFirstReward(unsafe, found, threshold, resolution, interview.num_queries)
