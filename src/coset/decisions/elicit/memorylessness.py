"""Lotteries that show that an event changes the order of what follows it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from coset.core.results import Witness
from coset.decisions.elicit.interview import Interview
from coset.decisions.preferences.lottery import EventSequence, Lottery, Oracle, mix

__all__ = ["MAX_STEPS", "MemorylessnessWitness", "find_reversal"]

# Halvings of the mixture that balances the two pairs.
MAX_STEPS = 48


@dataclass(frozen=True, eq=False)
class MemorylessnessWitness(Witness):
    """Two lotteries whose order differs from their strict order after an event: A5 fails.

    After a terminal event all lotteries are indifferent, whatever they were before; so the order
    after the event must be strict, or it would prove nothing.

    Attributes:
        event: e, which is not terminal.
        first: the weights of p, as (events, weight) pairs with weights as text.
        second: those of q.
        plain: how p and q compare: +1, 0 or −1.
        after: how e∘p and e∘q compare: +1 or −1, not as p and q do.

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
            Whether one lottery is still preferred after the event, and not so without it.
        """
        p, q = self.lotteries
        after = model(p.prepend(self.event), q.prepend(self.event))
        return after != 0 and model(p, q) != after

    def __repr__(self) -> str:
        return f"MemorylessnessWitness({self.explain():.120})"

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
    max_steps: int = MAX_STEPS,
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
        The witness; ``None`` if none was found, which proves nothing.

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
    for p, q in (unit, other):
        _, witness = _compared(interview, event, p, q)
        if witness is not None:
            return witness
    low, high = Fraction(0), Fraction(1)
    for _ in range(max_steps):
        t = (low + high) / 2
        plain, witness = _compared(interview, event, mix(t, a, d), mix(t, b, c))
        if witness is not None or plain == 0:
            return witness
        low, high = (low, t) if plain > 0 else (t, high)
    return None


def _compared(
    interview: Interview, event: str, p: Lottery, q: Lottery
) -> tuple[int, MemorylessnessWitness | None]:
    """Return how p and q compare, and the witness that they are if it is."""
    plain = interview.ask(p, q)
    after = interview.ask(p.prepend(event), q.prepend(event))
    if after in (0, plain):
        return plain, None
    return plain, MemorylessnessWitness(event, _write(p), _write(q), plain, after)
