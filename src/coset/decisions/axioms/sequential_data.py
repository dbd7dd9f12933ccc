"""Memorylessness tested on preferences that people stated, event by event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from coset.core.errors import DtypeError
from coset.core.results import Verdict
from coset.decisions.axioms.certificate import PreferenceCertificate
from coset.decisions.axioms.checking import check
from coset.decisions.axioms.exact_records import ExactRecord
from coset.decisions.axioms.preferences import RELATIONS, Pair, Preferences
from coset.decisions.axioms.sequential_forms import later
from coset.decisions.preferences.lottery import EventSequence, Lottery

__all__ = ["MemorylessReport", "check_memoryless"]


@dataclass(frozen=True)
class _Statement:
    """A preference, stated or inferred, and where it comes from."""

    preferred: Lottery
    other: Lottery
    relation: str
    origin: str


@dataclass(frozen=True, eq=False)
class MemorylessReport(ExactRecord, Verdict):
    """Whether stated preferences leave room for memorylessness.

    Attributes:
        holds: whether no contradiction was found: a utility explains the data, and for each event
            also what memorylessness infers from them.
        reason: one sentence.
        evidence: `events`, those that were tested.
        event: where it fails; "" if it does not, or if the data have no utility at all, or if only
            several events together contradict the data.
        certificates: the Dutch books: one if the event counts as one that keeps the order of what
            follows, one if it counts as terminal.
        origins: for each certificate, what each of its preferences is: "stated 3" (counted from 1:
            strict, then weak, then indifferent ones), "stated 3 after e", "stated 3 without e", or
            "e is terminal".

    Claims: decisions.C5.
    """

    event: str = ""
    certificates: tuple[PreferenceCertificate, ...] = ()
    origins: tuple[tuple[str, ...], ...] = ()

    def explain(self) -> str:
        """Say what contradicts what.

        Returns:
            The reason, then each Dutch book with the origins of its preferences.
        """
        parts = [self.reason]
        for certificate, origins in zip(self.certificates, self.origins, strict=True):
            listed = "; ".join(
                f"[{i + 1}] is {origin}"
                for i, origin in zip(certificate.support, origins, strict=True)
            )
            parts.append(f"{certificate.explain()}\nHere {listed}.")
        return "\n".join(parts)


def check_memoryless(
    strict: Iterable[Pair] = (), weak: Iterable[Pair] = (), indifferent: Iterable[Pair] = ()
) -> MemorylessReport:
    """Test memorylessness on stated preferences over lotteries of event sequences.

    For each event e two hypotheses are tested, each by one linear program with exact certificates:
    e keeps the order of what follows it (then p against q says the same as e∘p against e∘q, both
    ways; by independence so does every pair whose lotteries differ in sequences that begin with e
    only), or e is terminal (then all sequences that begin with e are indifferent). If both are
    refuted, so is memorylessness, at e. At last all events of which only one hypothesis is left are
    tested together.

    Args:
        strict: pairs (p, q) with p ≻ q, each a `Lottery` of event sequences or a sequence; floats
            are read as the decimals that they print as.
        weak: pairs with p ≿ q.
        indifferent: pairs with p ≈ q.

    Returns:
        The report; `holds` means that these necessary conditions are met.

    Raises:
        DtypeError: if an outcome is not an `EventSequence`.
        DomainError: if a lottery is malformed.

    Complexity: 2|E| + 2 linear programs, each with up to three times as many rows as preferences.

    Claims: decisions.C5.

    Examples:
        >>> a, b = EventSequence.of("a"), EventSequence.of("b")
        >>> report = check_memoryless(strict=[(a, b), (b.prepend("e"), a.prepend("e"))])
        >>> report.holds, report.event
        (False, 'e')
    """
    stated = _read(strict, weak, indifferent)
    words = {o for s in stated for side in (s.preferred, s.other) for o in side.outcomes}
    events = sorted({event for word in words for event in word.events})  # type: ignore[attr-defined]
    evidence = {"events": events}
    certificate, origins = _refuted(stated)
    if certificate is not None:
        reason = "no utility explains the preferences, memoryless or not"
        return MemorylessReport(False, reason, evidence, "", (certificate,), (origins,))
    forced: list[_Statement] = []
    for event in events:
        inferred, ended = _inferred(stated, event), _ended(words, event)
        going_on, its_origins = _refuted([*stated, *inferred])
        terminal, other_origins = _refuted([*stated, *ended])
        if going_on is not None and terminal is not None:
            reason = f"{event} can neither keep the order of what follows it nor be terminal"
            books, sources = (going_on, terminal), (its_origins, other_origins)
            return MemorylessReport(False, reason, evidence, event, books, sources)
        # Only what is sure of an event may count against the others.
        forced += inferred if terminal is not None else ()
        forced += ended if going_on is not None else ()
    return _together([*stated, *forced], evidence)


def _together(statements: Sequence[_Statement], evidence: dict[str, list[str]]) -> MemorylessReport:
    certificate, origins = _refuted(statements)
    if certificate is None:
        reason = "a utility explains the preferences and what memorylessness infers from them"
        return MemorylessReport(True, reason, evidence)
    reason = "each event can be memoryless by itself, but not all of them together"
    return MemorylessReport(False, reason, evidence, "", (certificate,), (origins,))


def _read(
    strict: Iterable[Pair], weak: Iterable[Pair], indifferent: Iterable[Pair]
) -> list[_Statement]:
    preferences = Preferences.from_pairs(strict, weak, indifferent, exact=True)
    stated = []
    for number in range(preferences.num_pairs):
        p, q, relation = preferences.pair(number)
        for outcome in (*p.outcomes, *q.outcomes):
            if not isinstance(outcome, EventSequence):
                raise DtypeError(
                    f"the lotteries must be over event sequences; preference {number + 1} has the "
                    f"outcome {outcome!r}; write EventSequence.of('a', 'b')"
                )
        stated.append(_Statement(p, q, relation, f"stated {number + 1}"))
    return stated


def _refuted(
    statements: Sequence[_Statement],
) -> tuple[PreferenceCertificate | None, tuple[str, ...]]:
    """Return the Dutch book against the statements with its origins, or (``None``, ())."""
    groups = {relation: [s for s in statements if s.relation == relation] for relation in RELATIONS}
    strict, weak, indifferent = (
        [(s.preferred, s.other) for s in groups[relation]] for relation in RELATIONS
    )
    certificate = check(strict, weak, indifferent, exact=True).certificate
    if not isinstance(certificate, PreferenceCertificate):
        return None, ()
    ordered = [s for relation in RELATIONS for s in groups[relation]]
    return certificate, tuple(ordered[i].origin for i in certificate.support)


def _inferred(stated: Sequence[_Statement], event: str) -> list[_Statement]:
    """Return what the statements say after the event, and without it, if it keeps the order."""
    found = []
    for s in stated:
        after = later(event, (s.preferred, s.other))
        found.append(_Statement(*after, s.relation, f"{s.origin} after {event}"))
        parts = _difference(s.preferred, s.other)
        while parts is not None and all(_begins(part, event) for part in parts):
            parts = (_without_first(parts[0]), _without_first(parts[1]))
            found.append(_Statement(*parts, s.relation, f"{s.origin} without {event}"))
    return found


def _difference(p: Lottery, q: Lottery) -> tuple[Lottery, Lottery] | None:
    """Return the lotteries ∝ (p − q)₊ and (q − p)₊, which compare as p and q do."""
    outcomes = p.support | q.support
    gaps = {o: Fraction(p.probability(o)) - Fraction(q.probability(o)) for o in outcomes}
    size = sum((x for x in gaps.values() if x > 0), Fraction(0))
    if not size:
        return None
    return (
        Lottery.of({o: x / size for o, x in gaps.items() if x > 0}),
        Lottery.of({o: -x / size for o, x in gaps.items() if x < 0}),
    )


def _begins(lottery: Lottery, event: str) -> bool:
    return all(isinstance(o, EventSequence) and o.events[:1] == (event,) for o in lottery.outcomes)


def _without_first(lottery: Lottery) -> Lottery:
    shorter = [EventSequence(o.events[1:]) for o in lottery.outcomes]  # type: ignore[attr-defined]
    return Lottery(shorter, lottery.weights)


def _ended(words: Iterable[object], event: str) -> list[_Statement]:
    """Return that all sequences that begin with the event are indifferent."""
    begun = sorted(w for w in words if isinstance(w, EventSequence) and w.events[:1] == (event,))
    first = Lottery.sure(EventSequence((event,)))
    return [
        _Statement(first, Lottery.sure(word), "indifferent", f"{event} is terminal")
        for word in begun
        if len(word) > 1
    ]
