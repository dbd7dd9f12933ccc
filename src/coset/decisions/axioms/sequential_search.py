"""Search for violations of sequential axioms by asking an oracle that answers exactly."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import torch

from coset.core.errors import DomainError, DtypeError
from coset.decisions.axioms.sequential_forms import Comparison, delayed_swap, later
from coset.decisions.axioms.sequential_witness import (
    AxiomVerdict,
    AxiomWitness,
    general_axiom,
    refuted,
)
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery, Oracle, mix
from coset.decisions.preferences.random_models import all_sequences, random_lottery

__all__ = ["Search", "search_additive", "search_gamma", "search_memoryless", "search_paths"]

_HALF = Fraction(1, 2)
# A threshold is bracketed to 2⁻¹²: the answers on both sides must stay what they are.
_BISECTIONS = 12


class _SpentError(Exception):
    """The questions are used up."""


@dataclass
class Search:
    """Random and directed questions to an oracle, up to a number of them.

    Attributes:
        oracle: answers +1, 0 or −1, without noise.
        events: the events, at least one.
        num_queries: how many questions may be asked.
        max_length: of the sequences in the lotteries, ≥ 1.
        generator: source of randomness.
    """

    oracle: Oracle
    events: Sequence[str]
    num_queries: int
    max_length: int
    generator: torch.Generator | None = None
    asked: int = 0
    sequences: list[EventSequence] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not isinstance(self.num_queries, int) or not isinstance(self.max_length, int):
            raise DtypeError(
                f"num_queries and max_length must be integers; given {self.num_queries!r}, "
                f"{self.max_length!r}"
            )
        if not self.events or self.num_queries < 1 or self.max_length < 1:
            raise DomainError(
                f"an oracle is asked about at least one event, in at least one question, with "
                f"sequences of at least one; given {len(self.events)} events, num_queries "
                f"{self.num_queries}, max_length {self.max_length}"
            )
        self.sequences = all_sequences(list(self.events), self.max_length)

    def ask(self, first: Lottery, second: Lottery) -> int:
        """Ask one question.

        Args:
            first: a lottery.
            second: another.

        Returns:
            The answer.

        Raises:
            DomainError: if it is not +1, 0 or −1.
        """
        if self.asked >= self.num_queries:
            raise _SpentError
        self.asked += 1
        answer = self.oracle(first, second)
        if answer not in (-1, 0, 1):
            raise DomainError(f"an oracle must answer +1, 0 or −1; it answered {answer!r}")
        return int(answer)

    def pair(self, comparison: Comparison) -> int:
        """Ask about the two lotteries of a comparison."""
        return self.ask(*comparison)

    def lottery(self) -> Lottery:
        """Draw a lottery over sequences."""
        return random_lottery(self.sequences, max_support=3, generator=self.generator)

    def sequence(self) -> EventSequence:
        """Draw a sequence."""
        return self.sequences[self._below(len(self.sequences))]

    def event(self) -> str:
        """Draw an event."""
        return self.events[self._below(len(self.events))]

    def _below(self, number: int) -> int:
        return int(torch.randint(number, (), generator=self.generator))

    def bracket(self, make: Callable[[Fraction], Comparison]) -> list[Comparison]:
        """Return the comparisons on both sides of where the answer changes over [0, 1]."""
        low, high = Fraction(0), Fraction(1)
        at_low, at_high = self.pair(make(low)), self.pair(make(high))
        if at_low == at_high:
            return [make(low)]
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            if self.pair(make(middle)) == at_low:
                low = middle
            else:
                high = middle
        return [make(low), make(high)]

    def run(self, axiom: str, turn: Callable[[], AxiomWitness | None]) -> AxiomVerdict:
        """Take turns until one finds a witness or the questions are used up."""
        witness = None
        try:
            while witness is None:
                before = self.asked
                witness = turn()
                if self.asked == before:
                    break
        except _SpentError:
            pass
        name = general_axiom(axiom)
        evidence = {"num_queries": self.asked}
        if witness is not None:
            reason = f"{name} fails: found after {self.asked} questions"
            return refuted(witness, reason, evidence)
        reason = (
            f"no violation of {name} was found in {self.asked} questions; that is no proof that it "
            f"holds"
        )
        return AxiomVerdict(True, reason, evidence, name)

    def witness(
        self, axiom: str, comparisons: Sequence[Comparison], answers: Sequence[int], event: str
    ) -> AxiomWitness:
        """Build a witness from answers that were given."""
        return AxiomWitness(axiom, tuple(comparisons), tuple(answers), event)


def search_memoryless(search: Search) -> AxiomVerdict:
    """Search for an event that changes the order of what follows.

    Random pairs of lotteries are asked before and after an event; so are pairs next to the point
    where mixing makes one of them preferred, at which lower levels decide.

    Args:
        search: whom to ask, and how often.

    Returns:
        The verdict.

    Claims: decisions.C5.
    """
    collapsed: dict[str, tuple[list[Comparison], list[int]]] = {}
    alive: dict[str, tuple[list[Comparison], list[int]]] = {}

    def compare(event: str, comparison: Comparison) -> AxiomWitness | None:
        both = [comparison, later(event, comparison)]
        answers = [search.pair(one) for one in both]
        if answers[1] and answers[0] != answers[1]:
            return search.witness("memorylessness", both, answers, event)
        if answers[1]:
            alive.setdefault(event, (both, answers))
        elif answers[0]:
            collapsed.setdefault(event, (both, answers))
        if event in alive and event in collapsed:
            more, others = alive[event]
            few, none = collapsed[event]
            return search.witness("memorylessness", [*few, *more], [*none, *others], event)
        return None

    def turn() -> AxiomWitness | None:
        p, q, r = search.lottery(), search.lottery(), search.lottery()
        near = search.bracket(lambda share: (mix(share, p, r), q))
        for comparison in near:
            for event in search.events:
                found = compare(event, comparison)
                if found is not None:
                    return found
        return None

    return search.run("memorylessness", turn)


def search_additive(search: Search) -> AxiomVerdict:
    """Search for an event that changes how the future trades off against something else.

    Args:
        search: whom to ask, and how often.

    Returns:
        The verdict.

    Claims: decisions.C6c.
    """
    alive: dict[str, Comparison] = {}
    signs: dict[str, int] = {}

    def compare(event: str, share: Fraction, four: Sequence[Lottery]) -> AxiomWitness | None:
        a, b, c, d = four
        if event not in alive:
            after = later(event, (a, b))
            sign = search.pair(after)
            if not sign:
                return None
            alive[event], signs[event] = after, sign
        both = [
            (mix(share, a.prepend(event), c), mix(share, b.prepend(event), d)),
            (mix(share, a, c), mix(share, b, d)),
        ]
        answers = [search.pair(one) for one in both]
        if answers[0] == answers[1]:
            return None
        return search.witness("additivity", [*both, alive[event]], [*answers, signs[event]], event)

    def turn() -> AxiomWitness | None:
        a, b, c, d = (search.lottery() for _ in range(4))
        for event in search.events:
            # At ½ the trade-off of A, B against B, A is even, unless the event weighs on it.
            found = compare(event, _HALF, (a, b, b, a)) or compare(event, _HALF, (a, b, c, d))
            if found is not None:
                return found
        return None

    return search.run("additivity", turn)


def search_gamma(search: Search, gamma: Mapping[str, Fraction] | None) -> AxiomVerdict:
    """Search for a delayed swap that is not indifferent at γ, or two that need different γ.

    Args:
        search: whom to ask, and how often.
        gamma: event → γ, or ``None`` for one γ that is to be found.

    Returns:
        The verdict.

    Claims: decisions.C6.
    """
    if gamma is not None:
        chosen = gamma

        def turn() -> AxiomWitness | None:
            event, first, second = search.event(), search.sequence(), search.sequence()
            swap = delayed_swap(event, first, second, chosen[event])
            answer = search.pair(swap)
            if not answer:
                return None
            return search.witness("gamma-indifference", [swap], [answer], event)

        return search.run("gamma-indifference", turn)
    return search.run("one gamma", _OneGamma(search))


class _OneGamma:
    """Finds where one swap becomes indifferent; all others must lean alike on both sides."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.sides: list[tuple[Fraction, list[Comparison], list[int]]] = []

    def __call__(self) -> AxiomWitness | None:
        """Ask about one more event and pair of futures."""
        search = self.search
        event, first, second = search.event(), search.sequence(), search.sequence()
        order = (Lottery.sure(first), Lottery.sure(second))
        answer = search.pair(order)
        if not answer:
            return None
        if not self.sides:
            return self._start(event, first, second, answer)
        for gamma, known, answers in self.sides:
            swap = delayed_swap(event, first, second, gamma)
            leaning = search.pair(swap)
            if answer * leaning != answers[0] * answers[1]:
                return search.witness(
                    "one gamma", [*known, order, swap], [*answers, answer, leaning], event
                )
        return None

    def _start(
        self, event: str, first: EventSequence, second: EventSequence, answer: int
    ) -> AxiomWitness | None:
        """Bracket γ by halving [0, 1]; outside of it, a single swap is the witness."""
        search = self.search
        order = (Lottery.sure(first), Lottery.sure(second))
        low, high = Fraction(0), Fraction(1)
        leanings = {}
        for gamma in (low, high):
            swap = delayed_swap(event, first, second, gamma)
            leanings[gamma] = search.pair(swap)
            # At γ = 0 it must lean to the first future or be even, at γ = 1 the other way.
            if leanings[gamma] * answer * (1 if gamma == 0 else -1) < 0:
                return search.witness("gamma-indifference", [swap], [leanings[gamma]], event)
        for _ in range(2 * _BISECTIONS):
            if leanings[low] == 0 or leanings[high] == 0:
                break
            middle = (low + high) / 2
            leanings[middle] = search.pair(delayed_swap(event, first, second, middle))
            if leanings[middle] * answer >= 0:
                low = middle
            else:
                high = middle
        ends = [g for g in (low, high) if leanings[g] == 0] or [low, high]
        for gamma in ends:
            swap = delayed_swap(event, first, second, gamma)
            self.sides.append((gamma, [order, swap], [answer, leanings[gamma]]))
        return None


def search_paths(
    search: Search, transitions: Mapping[str, tuple[Hashable, Hashable]]
) -> AxiomVerdict:
    """Search for two paths with the same ends that are not indifferent.

    Args:
        search: whom to ask, and how often; paths have up to `max_length` events.
        transitions: event → (state before, state after).

    Returns:
        The verdict.

    Claims: decisions.C6d.
    """
    by_ends: dict[tuple[Hashable, Hashable], list[EventSequence]] = {}
    states = {state for both in transitions.values() for state in both}
    for state in states:
        by_ends[state, state] = [EMPTY]
    for sequence in search.sequences[1:]:
        steps = [transitions[e] for e in sequence.events]
        if all(one[1] == two[0] for one, two in itertools.pairwise(steps)):
            by_ends.setdefault((steps[0][0], steps[-1][1]), []).append(sequence)
    pairs = [(group[0], other) for group in by_ends.values() for other in group[1:]]
    order = torch.randperm(len(pairs), generator=search.generator).tolist()

    def turn() -> AxiomWitness | None:
        if not order:
            return None
        first, second = pairs[order.pop()]
        asked = (Lottery.sure(first), Lottery.sure(second))
        answer = search.pair(asked)
        return search.witness("path independence", [asked], [answer], "") if answer else None

    return search.run("path independence", turn)
