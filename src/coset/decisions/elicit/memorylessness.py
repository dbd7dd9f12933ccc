"""Lotteries that show that an event changes the order of what follows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from coset.core.results import Witness
from coset.decisions.elicit.interview import Interview
from coset.decisions.preferences.lottery import EventSequence, Lottery, Oracle, mix

__all__ = ["MemorylessnessWitness", "find_reversal"]

# Halvings of the mixture that balances the two pairs.
_MAX_STEPS = 48


@dataclass(frozen=True, eq=False)
class MemorylessnessWitness(Witness):
    """Two lotteries whose order differs from the order after an event: A5 fails.

    Attributes:
        event: e, an event that is not terminal.
        first: the weights of p, as (events, weight) pairs with weights as text.
        second: those of q.
        plain: how p and q compare: +1, 0 or −1.
        after: how e∘p and e∘q compare, another number.

    Claims: decisions.C5.
    """

    event: str
    first: tuple[tuple[tuple[str, ...], str], ...]
    second: tuple[tuple[tuple[str, ...], str], ...]
    plain: int
    after: int

    @property
    def lotteries(self) -> tuple[Lottery, Lottery]:
        """The lotteries p and q."""
        return _read(self.first), _read(self.second)

    def replay(self, model: Oracle) -> bool:
        """Ask the two questions again.

        Args:
            model: an oracle.

        Returns:
            Whether the answers still differ.
        """
        p, q = self.lotteries
        return model(p, q) != model(p.prepend(self.event), q.prepend(self.event))

    def explain(self) -> str:
        """Return the two questions and their answers in words.

        Returns:
            The text.
        """
        p, q = self.lotteries
        words = {1: "is preferred to", 0: "is as good as", -1: "is worse than"}
        return (
            f"{p} {words[self.plain]} {q}, but after {self.event} the first {words[self.after]} "
            f"the second: what has happened changes what one wants"
        )


def _write(lottery: Lottery) -> tuple[tuple[tuple[str, ...], str], ...]:
    return tuple((outcome.events, str(Fraction(weight))) for outcome, weight in lottery.items())


def _read(pairs: tuple[tuple[tuple[str, ...], str], ...]) -> Lottery:
    outcomes = [EventSequence(tuple(events)) for events, _ in pairs]
    return Lottery(outcomes, [Fraction(weight) for _, weight in pairs])


def find_reversal(
    interview: Interview,
    event: str,
    unit: tuple[Lottery, Lottery],
    other: tuple[Lottery, Lottery],
    max_steps: int = _MAX_STEPS,
) -> MemorylessnessWitness | None:
    """Look for two lotteries between which an event changes the preference.

    With A ≻ B and C ≻ D, compare p = tA + (1 − t)D with q = tB + (1 − t)C, and e∘p with e∘q. The
    first preference turns at the t where the pairs weigh alike, the second where they do after e.
    If the two multipliers differ there is an interval of t between, and halving t finds it.

    Args:
        interview: whom to ask; exact answers.
        event: e, not terminal.
        unit: (A, B), A ≻ B.
        other: (C, D), C ≻ D.
        max_steps: halvings, two questions each.

    Returns:
        The witness; ``None`` if none was found, which proves memorylessness for no other pair.

    Complexity: log₂ of one over the interval of t.

    Claims: decisions.C5.

    Examples:
        >>> from coset.decisions.preferences.models import AffineModel
        >>> model = AffineModel({"a": 1, "b": 2}, {"a": "1/2", "b": 1})
        >>> a, b, end = (Lottery.sure(EventSequence(e)) for e in (("a",), ("b",), ()))
        >>> find_reversal(Interview(model), "a", (a, end), (b, end)) is None
        True
    """
    (a, b), (c, d) = unit, other

    def turned(low: Fraction, high: Fraction) -> MemorylessnessWitness | None:
        for _ in range(max_steps):
            t = (low + high) / 2
            p, q = mix(t, a, d), mix(t, b, c)
            plain = interview.ask(p, q)
            after = interview.ask(p.prepend(event), q.prepend(event))
            if plain != after:
                return MemorylessnessWitness(event, _write(p), _write(q), plain, after)
            if plain == 0:
                return None
            low, high = (low, t) if plain > 0 else (t, high)
        return None

    return _at_the_ends(interview, event, (unit, other)) or turned(Fraction(0), Fraction(1))


def _at_the_ends(
    interview: Interview, event: str, pairs: tuple[tuple[Lottery, Lottery], ...]
) -> MemorylessnessWitness | None:
    ask: Callable[[Lottery, Lottery], int] = interview.ask
    for p, q in pairs:
        plain, after = ask(p, q), ask(p.prepend(event), q.prepend(event))
        if plain != after:
            return MemorylessnessWitness(event, _write(p), _write(q), plain, after)
    return None
