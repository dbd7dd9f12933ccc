"""What a test of a sequential axiom returns: a verdict, and comparisons that anyone can repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.errors import DomainError, DtypeError
from coset.core.results import Record, Verdict, Witness
from coset.decisions.axioms.sequential_forms import FORMS, Comparison
from coset.decisions.preferences.lottery import EventSequence, Lottery, Oracle

__all__ = ["AxiomVerdict", "AxiomWitness", "general_axiom", "refuted"]


def _keeps_order(answers: Sequence[int]) -> bool:
    """Comparisons alternate: p with q, then e∘p with e∘q. All alike, or all the second ones 0."""
    before, after = answers[0::2], answers[1::2]
    return list(before) == list(after) or not any(after)


def _same_after_both(answers: Sequence[int]) -> bool:
    """The first two are the same trade-off after two pasts; the third shows that one goes on."""
    return answers[0] == answers[1] or answers[2] == 0


def _indifferent(answers: Sequence[int]) -> bool:
    return answers[-1] == 0


def _one_gamma(answers: Sequence[int]) -> bool:
    """Two futures, their swap at γ, two others, their swap at γ: both swaps lean alike."""
    first, swapped, other, other_swapped = answers
    return not first or not other or first * swapped == other * other_swapped


# Axiom → whether the answers agree with it.
_RULES: Mapping[str, Callable[[Sequence[int]], bool]] = {
    "memorylessness": _keeps_order,
    "additivity": _same_after_both,
    "gamma-indifference": _indifferent,
    "one gamma": _one_gamma,
    "path independence": _indifferent,
}
_IN_WORDS = {
    "memorylessness": "an event keeps the order of what follows it, or makes all of it indifferent",
    "additivity": "what has happened before does not change how the future trades off",
    "gamma-indifference": "delaying one future by an event, against γ of another, is indifferent",
    "one gamma": "one γ makes all delayed swaps indifferent; two swaps lean differently at it",
    "path independence": "paths with the same first and last state are indifferent",
}
_SAYS = {1: "≻", 0: "≈", -1: "≺"}


@dataclass(frozen=True, eq=False)
class AxiomWitness(Witness):
    """Comparisons whose answers, taken together, break an axiom.

    Attributes:
        axiom: "memorylessness", "additivity", "gamma-indifference", "one gamma" (no common γ) or
            "path independence".
        comparisons: pairs of lotteries over event sequences, of the form that the axiom speaks of.
        answers: as they were given, +1, 0 or −1 each.
        event: the event at which the axiom fails; "" for path independence. That two paths have
            the same ends is known to the process only, and not checked here.

    Raises:
        DomainError: if the axiom is unknown, the comparisons are not of its form, or the answers
            agree with it.

    Claims: decisions.C5, decisions.C6, decisions.C6c.
    """

    axiom: str
    comparisons: tuple[Comparison, ...]
    answers: tuple[int, ...]
    event: str = ""

    def __post_init__(self) -> None:
        if self.axiom not in _RULES:
            raise DomainError(f"an axiom is one of {', '.join(_RULES)}; given {self.axiom!r}")
        pairs = tuple(_comparison(given) for given in self.comparisons)
        object.__setattr__(self, "comparisons", pairs)
        if not FORMS[self.axiom](pairs, self.event):
            raise DomainError(
                f"the comparisons of a witness against {self.axiom} must be those of the axiom, at "
                f"its event, in exact fractions; given {len(pairs)} others at {self.event!r}"
            )
        told = all(answer in (-1, 0, 1) for answer in self.answers)
        if not told or len(self.answers) != len(pairs) or self._agree(self.answers):
            raise DomainError(
                f"a witness against {self.axiom} needs one answer, +1, 0 or −1, for each "
                f"comparison, and answers that break it; given {self.answers} for {len(pairs)} "
                f"comparisons"
            )
        object.__setattr__(self, "answers", tuple(map(int, self.answers)))

    def _agree(self, answers: Sequence[int]) -> bool:
        return _RULES[self.axiom](answers)

    @classmethod
    def asked(
        cls, oracle: Oracle, axiom: str, comparisons: Sequence[Comparison], event: str = ""
    ) -> AxiomWitness:
        """Ask an oracle, and build the witness from its answers.

        Args:
            oracle: who answers.
            axiom: which axiom they break.
            comparisons: what is asked.
            event: at which event.

        Returns:
            The witness.

        Raises:
            DomainError: if the answers do not break the axiom.
        """
        return cls(axiom, tuple(comparisons), tuple(oracle(p, q) for p, q in comparisons), event)

    def replay(self, model: Oracle) -> bool:
        """Ask the comparisons again.

        Args:
            model: a model or any oracle.

        Returns:
            Whether its answers break the axiom.
        """
        return not self._agree([model(p, q) for p, q in self.comparisons])

    def __repr__(self) -> str:
        place = f" at {self.event}" if self.event else ""
        return f"AxiomWitness({self.axiom}{place}: {len(self.comparisons)} comparisons)"

    def explain(self) -> str:
        """Say which axiom fails, and list the comparisons with their answers.

        Returns:
            A text of a line a comparison.
        """
        title = f"{self.axiom} asks that {_IN_WORDS[self.axiom]}."
        lines = [
            f"  {p}  {_SAYS[answer]}  {q}"
            for (p, q), answer in zip(self.comparisons, self.answers, strict=True)
        ]
        place = f" It fails at the event {self.event}:" if self.event else " It fails:"
        return "\n".join([title + place, *lines])

    def to_json(self) -> dict[str, Any]:
        """Return the witness as JSON values; weights are text such as "1/3".

        Returns:
            What `from_json` takes.
        """
        fields = {
            "axiom": self.axiom,
            "comparisons": [[_plain(p), _plain(q)] for p, q in self.comparisons],
            "answers": list(self.answers),
            "event": self.event,
        }
        return {"class": f"{type(self).__module__}:{type(self).__qualname__}", "fields": fields}


def _plain(lottery: Lottery) -> list[Any]:
    return [[list(outcome.events), str(weight)] for outcome, weight in lottery.items()]


def _comparison(given: Any) -> Comparison:
    if not isinstance(given, Sequence) or len(given) != 2:
        raise DomainError(f"a comparison is a pair of lotteries; given {given!r:.80}")
    p, q = _lottery(given[0]), _lottery(given[1])
    return p, q


def _lottery(given: Any) -> Lottery:
    if isinstance(given, Lottery):
        if all(isinstance(outcome, EventSequence) for outcome in given.outcomes):
            return given
        raise DtypeError(f"the lotteries must be over event sequences; given {given!r:.80}")
    try:
        listed = [(EventSequence(tuple(events)), str(weight)) for events, weight in given]
        exact = all("." not in text and "e" not in text for _, text in listed)
        weights = [Fraction(text) if exact else float(text) for _, text in listed]
    except (TypeError, ValueError) as error:
        raise DomainError(
            f"a stored lottery must be a list of [events, weight]; given {given!r:.80}: {error}"
        ) from error
    return Lottery([sequence for sequence, _ in listed], weights)


@dataclass(frozen=True)
class AxiomVerdict(Verdict):
    """Whether an axiom holds, proved or as far as was asked.

    Attributes:
        holds: whether it does; for a black-box oracle, whether no violation was found.
        reason: one sentence, which says how far the answer can be trusted.
        evidence: figures behind it: `num_queries` for an oracle, `gamma` where there is one.
        axiom: which axiom.
        witness: comparisons that break it, or ``None``.
        is_proved: whether the answer is proved: an exact decision, or a witness.

    Claims: decisions.C5, decisions.C6, decisions.C6c.
    """

    axiom: str = ""
    witness: AxiomWitness | None = None
    is_proved: bool = False

    def __repr__(self) -> str:
        return f"AxiomVerdict({self.axiom}, holds={self.holds}: {self.reason})"

    def __post_init__(self) -> None:
        if isinstance(self.witness, Mapping):
            object.__setattr__(self, "witness", Record.from_json(self.witness))


def general_axiom(axiom: str) -> str:
    """Return the axiom that a verdict speaks of: "one gamma" is a case of gamma-indifference.

    Args:
        axiom: that of a witness.

    Returns:
        That of the verdict.
    """
    return "gamma-indifference" if axiom == "one gamma" else axiom


def refuted(
    witness: AxiomWitness, reason: str, evidence: Mapping[str, Any] | None = None
) -> AxiomVerdict:
    """Return the verdict that a witness proves.

    Args:
        witness: against the axiom.
        reason: one sentence.
        evidence: figures behind it.

    Returns:
        The verdict.
    """
    name = general_axiom(witness.axiom)
    return AxiomVerdict(False, reason, dict(evidence or {}), name, witness, True)
