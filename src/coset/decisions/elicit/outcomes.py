"""Eliciting the utility of outcomes by standard gambles."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from coset.core.errors import DomainError
from coset.core.results import Status
from coset.decisions.elicit.interview import Interview
from coset.decisions.elicit.limits import check_distinct
from coset.decisions.elicit.methods import Link, Search, choose_search
from coset.decisions.elicit.question import gamble, ratio
from coset.decisions.elicit.search import Found
from coset.decisions.elicit.stored_numbers import Interval, numbers
from coset.decisions.elicit.trisection import sure_sign
from coset.decisions.preferences.lottery import Lottery, Number, Oracle
from coset.decisions.preferences.readable_record import ReadableRecord

if TYPE_CHECKING:
    import torch

    from coset.decisions.preferences.models import LinearUtility

__all__ = ["ElicitedUtility", "utility"]


@dataclass(frozen=True, eq=False)
class ElicitedUtility(ReadableRecord):
    """A linear utility of outcomes as answers revealed it.

    Attributes:
        utility: outcome → u(o), 1 for `best` and 0 for `worst`.
        interval: outcome → (low, high).
        best: the better outcome of the scale; the best of all if answers are exact.
        worst: the worse one; the worst of all if answers are exact.
        num_queries: questions asked.
        exact: every number is a fraction at which the answers said "indifferent".
        delta: the probability with which any interval may miss; 0 for exact answers.
        status: whether every interval became as short as was asked for.

    Claims: decisions.C1.
    """

    utility: Mapping[Any, Number]
    interval: Mapping[Any, Interval]
    best: Hashable
    worst: Hashable
    num_queries: int
    exact: bool
    delta: float = 0.0
    status: Status = Status.SOLVED

    def __post_init__(self) -> None:
        object.__setattr__(self, "utility", numbers(dict(self.utility)))
        object.__setattr__(self, "interval", numbers(dict(self.interval)))
        object.__setattr__(self, "status", Status(self.status))

    def __repr__(self) -> str:
        sure = f"intervals with δ = {self.delta:g}" if self.delta else "intervals"
        how = "exact" if self.exact else sure
        return (
            f"ElicitedUtility({len(self.utility):,} outcomes from {self.worst!r:.30} = 0 to "
            f"{self.best!r:.30} = 1, {how}, {self.num_queries:,} questions, {self.status})"
        )

    @property
    def outcomes(self) -> tuple[Any, ...]:
        """The outcomes, in the order in which they were given."""
        return tuple(self.utility)

    def model(self) -> LinearUtility:
        """Return the estimates as a utility, an oracle itself."""
        from coset.decisions.preferences.models import LinearUtility

        return LinearUtility(self.utility)


def utility(
    oracle: Oracle,
    outcomes: Sequence[Hashable],
    tol: float = 1e-6,
    delta: float | None = None,
    max_denominator: int | None = None,
    *,
    reference: tuple[Hashable, Hashable] | None = None,
    link: Link | None = None,
    max_queries: int | None = None,
    generator: torch.Generator | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ElicitedUtility:
    """Find the linear utility behind preferences: the α at which α·best + (1 − α)·worst ≈ o.

    With exact answers the best and the worst outcome are found first, by 2(n − 1) questions or
    fewer. Noisy answers could compare two equally good outcomes for ever; they need a reference.

    Args:
        oracle: +1 if the first lottery is preferred, −1 if the second, 0 if neither.
        outcomes: distinct hashable things, at least one.
        tol: width of the intervals, in (0, 1); relative for |u| > 1.
        delta: for noisy answers: the probability with which any of all intervals may miss.
        max_denominator: for exact answers: find fractions of at most this denominator exactly.
        reference: (better, worse): two outcomes whose utilities are 1 and 0; others may lie
            outside. Required for noisy answers.
        link: "logistic" for noisy answers on a logistic curve.
        max_queries: the most noisy answers a number may take.
        generator: if given, the two lotteries are shown in random order.
        progress: called with (numbers done, numbers in all).

    Returns:
        The utility; all 0 if the outcomes are equally good.

    Raises:
        DomainError: if outcomes repeat or are missing, the reference is not strictly ordered,
            answers are not transitive where that shows, or arguments contradict each other.
        ResolutionError: if an outcome is further away than 2^64 units of the reference.
        NotConvergedError: if noisy answers about the reference ran out.

    Complexity: about 1 + log₂(1/tol) exact answers an outcome.

    Claims: decisions.C1.

    Examples:
        >>> from coset.decisions.preferences.models import LinearUtility
        >>> person = LinearUtility({"tea": "22/71", "coffee": 1, "water": 0})
        >>> found = utility(person, ["tea", "coffee", "water"], max_denominator=100)
        >>> found.utility["tea"], found.best, found.worst, found.exact
        (Fraction(22, 71), 'coffee', 'water', True)
    """
    listed = check_distinct("outcome", outcomes)
    search = choose_search(tol, delta, max_denominator, link, max_queries, len(listed) + 1)
    interview = Interview(oracle, noisy=delta is not None, generator=generator)
    if reference is None:
        if delta is not None:
            raise DomainError(
                "noisy answers need reference=(better, worse): two outcomes that are known to "
                "differ; give the pair"
            )
        best, worst = _extremes(interview, listed)
    else:
        best, worst = _checked_reference(interview, listed, reference, delta, max_queries)
    found: dict[Any, Found] = {}
    for outcome in listed:
        found[outcome] = _find(interview, outcome, best, worst, reference is None, search)
        if progress is not None:
            progress(len(found), len(listed))
    converged = all(f.converged for f in found.values())
    return ElicitedUtility(
        utility={o: f.estimate for o, f in found.items()},
        interval={o: (f.low, f.high) for o, f in found.items()},
        best=best,
        worst=worst,
        num_queries=interview.num_queries,
        exact=all(f.exact for f in found.values()),
        delta=delta or 0.0,
        status=Status.SOLVED if converged else Status.MAX_ITERATIONS,
    )


def _extremes(interview: Interview, outcomes: list[Any]) -> tuple[Any, Any]:
    best = worst = outcomes[0]
    for outcome in outcomes[1:]:
        if interview.ask(Lottery.sure(outcome), Lottery.sure(best)) > 0:
            best = outcome
        elif interview.ask(Lottery.sure(outcome), Lottery.sure(worst)) < 0:
            worst = outcome
    return best, worst


def _checked_reference(
    interview: Interview,
    outcomes: list[Any],
    reference: tuple[Hashable, Hashable],
    delta: float | None,
    max_queries: int | None,
) -> tuple[Any, Any]:
    pair = isinstance(reference, tuple | list) and len(reference) == 2
    if not pair or any(o not in outcomes for o in reference):
        raise DomainError(
            f"the reference names two of the outcomes, (better, worse); given {reference!r:.60}"
        )
    better, worse = (Lottery.sure(o) for o in reference)
    share = (delta or 0.0) / (len(outcomes) + 1)
    if sure_sign(interview, better, worse, share, max_queries) <= 0:
        raise DomainError(
            f"the first of the reference must be better than the second; the answers do not say "
            f"so of {reference[0]!r} and {reference[1]!r}; choose another pair"
        )
    return reference[0], reference[1]


def _find(
    interview: Interview, outcome: Any, best: Any, worst: Any, extreme: bool, search: Search
) -> Found:
    for end, x in ((worst, Fraction(0)), (best, Fraction(1))):
        if outcome == end:
            return Found(x, x, 0, exact=True, converged=True)
    top, bottom, here = (Lottery.sure(o) for o in (best, worst, outcome))
    if not extreme:
        return search(ratio(interview, here, bottom, (top, bottom)))
    for end, x in ((bottom, Fraction(0)), (top, Fraction(1))):
        if interview.ask(here, end) == 0:
            return Found(x, x, 0, exact=True, converged=True)
    return search(gamble(interview, here, top, bottom))
