"""Sequential axioms decided exactly, from rewards and multipliers, with witnesses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from coset.core.errors import DomainError
from coset.decisions.axioms.sequential_forms import Comparison, delayed_swap, later
from coset.decisions.axioms.sequential_graph import Edge, EventGraph, Futures
from coset.decisions.axioms.sequential_witness import AxiomVerdict, AxiomWitness, refuted
from coset.decisions.preferences.exact_numbers import Vector, apply, identity
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery, mix

__all__ = [
    "additive_verdict",
    "gamma_verdict",
    "memoryless_verdict",
    "order_violation",
    "trade_off_share",
]

_HALF = Fraction(1, 2)


def order_violation(images: Sequence[Sequence[Fraction]]) -> tuple[Vector, bool] | None:
    """Find coordinates y > 0 that a linear map does not send above 0, lexicographically.

    Args:
        images: the map's value on each of the k unit vectors, in order.

    Returns:
        ``None`` if y >lex 0 ⇔ My >lex 0 for all y; else (y, strict) with y >lex 0, and My <lex 0
        if strict, or My = 0.

    Claims: decisions.C5.
    """
    k = len(images)
    kept = 0
    for row in zip(*images, strict=True):
        tail = row[kept:]
        if not any(tail):
            continue
        # All rows above are 0 on the coordinates from `kept` on, so this one decides there.
        later = next((j for j, x in enumerate(tail) if j and x), None)
        if tail[0] > 0 and later is None:
            kept += 1
            continue
        y = [Fraction(0)] * k
        y[kept] = Fraction(1)
        if tail[0] >= 0:
            assert later is not None
            y[kept + later] = -(2 * tail[0] + 1) / tail[later]
        return tuple(y), True
    if kept == k:
        return None
    return identity(k)[kept], False


def memoryless_verdict(graph: EventGraph) -> AxiomVerdict:
    """Decide memorylessness: each event keeps the order of its futures or makes them indifferent.

    Args:
        graph: the events.

    Returns:
        The verdict, proved.

    Claims: decisions.C5.
    """
    futures = graph.futures()
    for edge in graph.edges:
        after = futures[edge.target]
        images = graph.image(edge, after)
        if not any(map(any, images)):
            continue
        violation = order_violation(images)
        if violation is None:
            continue
        y, strict = violation
        pairs = [after.lotteries(y)]
        if not strict:
            pairs.append(_still_differ(after, images))
        asked = [both for pair in pairs for both in (pair, later(edge.event, pair))]
        how = "reverses the order of" if strict else "makes indifferent some, not all, of"
        reason = f"the event {edge.event} {how} what can follow it"
        witness = AxiomWitness.asked(graph.model.prefer, "memorylessness", asked, edge.event)
        return refuted(witness, reason)
    reason = "each event keeps the order of its futures, or makes all of them indifferent"
    return AxiomVerdict(True, reason, axiom="memorylessness", is_proved=True)


def additive_verdict(graph: EventGraph) -> AxiomVerdict:
    """Decide additivity: the multiplier of each event that is not terminal is 1 on its futures.

    Args:
        graph: the events.

    Returns:
        The verdict, proved; `evidence` lists the terminal events, which nothing follows.

    Claims: decisions.C6c.
    """
    futures = graph.futures()
    ended: list[str] = []
    for edge in graph.edges:
        after = futures[edge.target]
        images = graph.image(edge, after)
        if images and not any(map(any, images)):
            ended.append(edge.event)
            continue
        for i, (image, unit) in enumerate(zip(images, after.basis, strict=True)):
            if list(image) != unit:
                asked = _trade_offs(edge, after, i, images)
                reason = f"the event {edge.event} changes how what follows it trades off"
                witness = AxiomWitness.asked(graph.model.prefer, "additivity", asked, edge.event)
                return refuted(witness, reason)
    reason = "the multiplier is 1 at each event that is not terminal: utility is a sum of rewards"
    return AxiomVerdict(True, reason, {"terminal": ended}, axiom="additivity", is_proved=True)


def _trade_offs(edge: Edge, after: Futures, at: int, images: Sequence[Vector]) -> list[Comparison]:
    """Return one trade-off after the event and after nothing, answered in opposite ways.

    With x = u(A) − u(B) and C = ½B + ½e∘B, D = ½A + ½e∘A, the differences are ±¼(Γx − x).
    """
    a, b = after.lotteries(identity(len(images))[at])
    later_a, later_b = later(edge.event, (a, b))
    c, d = mix(_HALF, b, later_b), mix(_HALF, a, later_a)
    return [
        (mix(_HALF, later_a, c), mix(_HALF, later_b, d)),
        (mix(_HALF, a, c), mix(_HALF, b, d)),
        later(edge.event, _still_differ(after, images)),
    ]


def _still_differ(after: Futures, images: Sequence[Vector]) -> Comparison:
    """Return two lotteries over futures that the event does not make indifferent."""
    seen = next(i for i, image in enumerate(images) if any(image))
    return after.lotteries(identity(len(images))[seen])


def trade_off_share(first: Fraction, second: Fraction) -> Fraction:
    """Return p at which one trade-off turns over between two pasts of different multipliers.

    With u(A) > u(B), p (h∘A) + (1 − p) B against p (h∘B) + (1 − p) A differ by
    (p m(h) − (1 − p)) (u(A) − u(B)): the first is preferred iff p/(1 − p) > 1/m(h).

    Args:
        first: m(h₁) ≥ 0.
        second: m(h₂) ≥ 0, another number.

    Returns:
        p with p/(1 − p) strictly between 1/m(h₁) and 1/m(h₂).

    Raises:
        DomainError: if the multipliers are equal or one is negative.

    Claims: decisions.C6c.

    Examples:
        >>> trade_off_share(Fraction(2), Fraction(1, 2))
        Fraction(5, 9)
    """
    if first == second or min(first, second) < 0:
        raise DomainError(f"the multipliers must be ≥ 0 and differ; given {first} and {second}")
    low, high = 1 / max(first, second), min(first, second)
    odds = (low + 1 / high) / 2 if high else low + 1
    return odds / (1 + odds)


def gamma_verdict(
    graph: EventGraph, gamma: Mapping[str, Fraction] | None, per_event: bool
) -> AxiomVerdict:
    """Decide temporal γ-indifference: the multiplier of each event is γ on its futures.

    Args:
        graph: the events.
        gamma: event → γ in [0, 1], or ``None`` for any.
        per_event: whether each event may have its own γ, where any will do.

    Returns:
        The verdict, proved; `evidence["gamma"]` is event → γ.

    Claims: decisions.C6, decisions.C6b.
    """
    found: dict[str, Fraction] = {}
    anchors: dict[str, Delay] = {}
    for delay in _delays(graph):
        event = delay.edge.event
        if gamma is not None:
            wanted = gamma[event]
        else:
            key = event if per_event else ""
            first = anchors.setdefault(key, delay)
            wanted = min(max(first.needed, Fraction(0)), Fraction(1))
        found[event] = wanted
        if all(y == wanted * x for x, y in zip(delay.vector, delay.image, strict=True)):
            continue
        anchor = None if gamma is not None or first is delay else first
        return _gamma_refuted(graph, delay, wanted, anchor)
    evidence = {"gamma": {e: str(value) for e, value in found.items()}}
    values = sorted(set(found.values()))
    shown = " = ".join(["γ", *map(str, values)]) if len(values) == 1 else f"γ in {_span(values)}"
    reason = f"the multiplier of each event is γ on all that can follow it, {shown}"
    return AxiomVerdict(True, reason, evidence, axiom="gamma-indifference", is_proved=True)


def _span(values: Sequence[Fraction]) -> str:
    return f"[{values[0]}, {values[-1]}]" if values else "[0, 1], for nothing follows any"


@dataclass(frozen=True)
class Delay:
    """A future of an event: its path, its utility x, and Γx, what is left of it after the event."""

    edge: Edge
    path: EventSequence
    vector: Vector
    image: Vector

    @property
    def needed(self) -> Fraction:
        """The only γ with which the first level that tells the future from ε is indifferent."""
        level = next(i for i, x in enumerate(self.vector) if x)
        return self.image[level] / self.vector[level]


def _delays(graph: EventGraph) -> Iterator[Delay]:
    futures = graph.futures()
    for edge in graph.edges:
        matrix = graph.model.matrix(edge.event)
        after = futures[edge.target]
        for path, vector in zip(after.paths, after.vectors, strict=True):
            yield Delay(edge, path, vector, apply(matrix, vector))


def _gamma_refuted(
    graph: EventGraph, delay: Delay, gamma: Fraction, anchor: Delay | None
) -> AxiomVerdict:
    event = delay.edge.event
    swap = delayed_swap(event, delay.path, EMPTY, gamma)
    parallel = all(y == delay.needed * x for x, y in zip(delay.vector, delay.image, strict=True))
    if not parallel:
        reason = f"after the event {event} no γ makes the future {delay.path} indifferent to delay"
    elif anchor is not None and anchor.edge.event == event:
        reason = (
            f"after the event {event} the future {delay.path} needs γ = {delay.needed}, "
            f"{anchor.path} needs γ = {gamma}"
        )
    elif anchor is not None:
        reason = (
            f"the event {event} needs γ = {delay.needed}, {anchor.edge.event} needs γ = {gamma}"
        )
    elif 0 <= delay.needed <= 1:
        reason = f"the event {event} needs γ = {delay.needed}, not {gamma}"
    else:
        reason = f"the event {event} needs γ = {delay.needed}, which is not in [0, 1]"
    axiom, asked = "gamma-indifference", [swap]
    if anchor is not None:
        axiom = "one gamma"
        asked = [
            (Lottery.sure(anchor.path), Lottery.sure(EMPTY)),
            delayed_swap(anchor.edge.event, anchor.path, EMPTY, gamma),
            (Lottery.sure(delay.path), Lottery.sure(EMPTY)),
            swap,
        ]
    witness = AxiomWitness.asked(graph.model.prefer, axiom, asked, event)
    return refuted(witness, reason, {"gamma": str(gamma)})
