"""Path independence: whether the ends of a trajectory say all about its utility."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from fractions import Fraction

from coset.core.errors import UnsupportedError
from coset.decisions.axioms.sequential_graph import Edge, EventGraph
from coset.decisions.axioms.sequential_witness import AxiomVerdict, AxiomWitness, refuted
from coset.decisions.preferences.exact_numbers import Vector
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery

__all__ = ["path_verdict"]

# One pass over the transitions for each state, in exact arithmetic.
_MAX_WORK = 3_000_000


def path_verdict(graph: EventGraph, tolerance: Fraction = Fraction(0)) -> AxiomVerdict:
    """Decide path independence: trajectories with the same ends have the same utility.

    For each last state t, utilities Ψ(s, t) are read off one path from each s; they are those of
    all paths iff r(e) + Γ(e) Ψ(s', t) = Ψ(s, t) on each transition. The empty trajectory counts as
    one that ends where it starts, so that cycles are worth 0.

    Args:
        graph: the events and the states that they connect.
        tolerance: utilities that differ by no more are taken as equal.

    Returns:
        The verdict, proved (up to the tolerance); the witness holds two paths with the same ends.

    Raises:
        UnsupportedError: if states times transitions exceed three million.

    Claims: decisions.C6d.
    """
    into: dict[Hashable, list[Edge]] = {}
    for edge in graph.edges:
        into.setdefault(edge.target, []).append(edge)
    if len(into) * len(graph.edges) > _MAX_WORK:
        raise UnsupportedError(
            f"path independence is decided for at most {_MAX_WORK:,} pairs of a last state and a "
            f"transition; given {len(into)} × {len(graph.edges)}; if nothing is discounted, "
            f"coset.decisions.potential decides large processes"
        )
    for last in into:
        found = _conflict(graph, into, last, tolerance)
        if found is not None:
            asked = [(Lottery.sure(found[0]), Lottery.sure(found[1]))]
            witness = AxiomWitness.asked(graph.model.prefer, "path independence", asked)
            reason = (
                f"{found[0]} and {found[1]} have the same first and last state and are not "
                f"indifferent"
            )
            return refuted(witness, reason)
    reason = "all trajectories with the same first and last state have the same utility"
    return AxiomVerdict(True, reason, axiom="path independence", is_proved=True)


def _conflict(
    graph: EventGraph, into: dict[Hashable, list[Edge]], last: Hashable, tolerance: Fraction
) -> tuple[EventSequence, EventSequence] | None:
    """Find two paths to `last` from one state, of different utility."""
    zero: Vector = (Fraction(0),) * graph.model.num_levels
    utility: dict[Hashable, Vector] = {last: zero}
    step: dict[Hashable, Edge] = {}
    waiting = deque([last])
    used: list[tuple[Edge, Vector]] = []
    while waiting:
        state = waiting.popleft()
        for edge in into.get(state, ()):
            value = graph.model.after(edge.event, utility[state])
            used.append((edge, value))
            if edge.source not in utility:
                utility[edge.source], step[edge.source] = value, edge
                waiting.append(edge.source)
    for edge, value in used:
        known = utility[edge.source]
        if any(abs(x - y) > tolerance for x, y in zip(value, known, strict=True)):
            through = _path(step, edge.target).prepend(edge.event)
            return _path(step, edge.source), through
    return None


def _path(step: dict[Hashable, Edge], state: Hashable) -> EventSequence:
    events = []
    while state in step:
        events.append(step[state].event)
        state = step[state].target
    return EventSequence(tuple(events)) if events else EMPTY
