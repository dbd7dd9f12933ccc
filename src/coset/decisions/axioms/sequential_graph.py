"""Events on a graph of states, and the directions in which futures can differ."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import torch

from coset.core.errors import DomainError, UnsupportedError
from coset.decisions.preferences.exact_numbers import (
    Matrix,
    Vector,
    apply,
    exact_number,
    identity,
    row_reduce,
)
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery
from coset.decisions.preferences.models import EventModel, LexicographicModel
from coset.decisions.processes.mdp import MDP

__all__ = ["Edge", "EventGraph", "Futures", "check_transitions", "graph_of", "mdp_events"]

# Each transition costs exact arithmetic in Python: this is some minutes.
_MAX_TRANSITIONS = 100_000
Transitions = Mapping[str, tuple[Hashable, Hashable]]


@dataclass(frozen=True)
class Edge:
    """An event between two states."""

    event: str
    source: Hashable
    target: Hashable


@dataclass
class Futures:
    """A largest set of paths from a state whose utilities are linearly independent.

    Their span is the set W of all directions u(p) − u(q) for lotteries over paths from the state.
    `basis` is its reduced form: coordinates in it order W lexicographically as Rᵈ does.
    """

    paths: list[EventSequence] = field(default_factory=list)
    vectors: list[Vector] = field(default_factory=list)
    basis: list[list[Fraction]] = field(default_factory=list)

    def add(self, path: EventSequence, vector: Vector) -> bool:
        """Keep a path if its utility is a new direction; tell whether it is."""
        if len(self.basis) == len(vector):
            return False
        basis, _ = row_reduce([*self.basis, vector])
        if len(basis) == len(self.basis):
            return False
        self.paths.append(path)
        self.vectors.append(vector)
        self.basis = basis
        return True

    def lotteries(self, coordinates: Sequence[Fraction]) -> tuple[Lottery, Lottery]:
        """Return lotteries p, q over the paths and ε with u(p) − u(q) ∝ Σ yᵢ bᵢ, positively."""
        direction = [
            sum((y * b[level] for y, b in zip(coordinates, self.basis, strict=True)), Fraction(0))
            for level in range(len(self.vectors[0]))
        ]
        columns = [list(column) for column in zip(*self.vectors, strict=True)]
        reduced, pivots = row_reduce([[*row, x] for row, x in zip(columns, direction, strict=True)])
        weights = [Fraction(0)] * len(self.paths)
        for row, pivot in zip(reduced, pivots, strict=True):
            weights[pivot] = row[-1]
        size = max(
            sum((w for w in weights if w > 0), Fraction(0)),
            sum((-w for w in weights if w < 0), Fraction(0)),
        )
        return self._mixture(weights, size), self._mixture([-w for w in weights], size)

    def _mixture(self, weights: Sequence[Fraction], size: Fraction) -> Lottery:
        shares = {t: w / size for t, w in zip(self.paths, weights, strict=True) if w > 0}
        shares[EMPTY] = 1 - sum(shares.values(), Fraction(0))
        return Lottery.of(shares)


@dataclass(frozen=True)
class EventGraph:
    """An event model with the states that its events connect."""

    model: EventModel
    edges: tuple[Edge, ...]

    def futures(self) -> dict[Hashable, Futures]:
        """Return the futures of each state: the least spaces with r(e) ∈ W, Γ(e) W' ⊆ W."""
        found: dict[Hashable, Futures] = {}
        into: dict[Hashable, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.source, Futures())
            found.setdefault(edge.target, Futures())
            into.setdefault(edge.target, []).append(edge)
        waiting = [(edge, EventSequence((edge.event,))) for edge in self.edges]
        for edge, path in waiting:  # grows as new directions are found, at most d a state
            if found[edge.source].add(path, self.model.utility(path)):
                before = into.get(edge.source, ())
                waiting += [(earlier, path.prepend(earlier.event)) for earlier in before]
        return found

    def image(self, edge: Edge, futures: Futures) -> list[Vector]:
        """Return Γ(e) b for each b of the basis of the futures after the event."""
        matrix = self.model.matrix(edge.event)
        return [apply(matrix, b) for b in futures.basis]


def graph_of(source: EventModel | MDP, transitions: Transitions | None = None) -> EventGraph:
    """Return a model's events on their states.

    Args:
        source: a model, or a decision process whose transitions become events.
        transitions: for a model, event → (state before, state after); one state by default.

    Returns:
        The graph.

    Raises:
        DomainError: if an event of the model has no transition, or one is given for a process.
        UnsupportedError: if a process has more than 100,000 transitions.
    """
    if isinstance(source, MDP):
        if transitions is not None:
            raise DomainError("a process has its own transitions; leave `transitions` out")
        model, found = mdp_events(source)
        return EventGraph(model, tuple(Edge(e, s, t) for e, (s, t) in found.items()))
    if transitions is None:
        return EventGraph(source, tuple(Edge(e, 0, 0) for e in source.events))
    check_transitions(transitions, source.events)
    return EventGraph(source, tuple(Edge(e, *transitions[e]) for e in source.events))


def check_transitions(transitions: Any, events: Iterable[str] = ()) -> None:
    """Refuse transitions that do not name two states for each event.

    Args:
        transitions: what should be event → (state before, state after).
        events: those that it must name.

    Raises:
        DomainError: if it is no such mapping, or lacks an event.
    """
    if not isinstance(transitions, Mapping):
        raise DomainError(
            f"transitions must map each event to its states (before, after); given "
            f"{transitions!r:.80}"
        )
    for event, both in transitions.items():
        paired = isinstance(both, Sequence) and not isinstance(both, str) and len(both) == 2
        if not paired or not all(isinstance(state, Hashable) for state in both):
            raise DomainError(
                f"an event leads from one hashable state to another, (before, after); "
                f"{event!r} has {both!r:.80}"
            )
    missing = [e for e in events if e not in transitions]
    if missing:
        raise DomainError(
            f"each event needs its states (before, after) in `transitions`; {missing[0]!r} has none"
        )


def mdp_events(mdp: MDP) -> tuple[EventModel, dict[str, tuple[int, int]]]:
    """Return the transitions of a decision process as events of a model.

    Args:
        mdp: the process; its floats are read as the dyadic rationals that they are.

    Returns:
        The model, whose event "s:a>t" is the transition from s by action a to t ("s:a>t#2" if it is
        the second such), and event → (s, t).

    Raises:
        UnsupportedError: if there are more than 100,000 transitions.
        DomainError: if there is none.
    """
    possible = (mdp.probability > 0) & mdp.allowed[:, :, None]
    places = possible.nonzero().tolist()
    if len(places) > _MAX_TRANSITIONS:
        raise UnsupportedError(
            f"axioms are decided exactly for at most {_MAX_TRANSITIONS:,} transitions; given "
            f"{len(places):,}; test a part of the process"
        )
    if not places:
        raise DomainError("the process must have at least one transition; all states are terminal")
    reward, multiplier = _entries(mdp)
    rewards: dict[str, Vector] = {}
    multipliers: dict[str, Matrix] = {}
    states: dict[str, tuple[int, int]] = {}
    counts: dict[str, int] = {}
    for s, a, k in places:
        target = int(mdp.successor[s, a, k])
        name = f"{s}:{a}>{target}"
        counts[name] = counts.get(name, 0) + 1
        event = name if counts[name] == 1 else f"{name}#{counts[name]}"
        rewards[event], multipliers[event] = reward(s, a, k), multiplier(s, a, k)
        states[event] = (s, target)
    return LexicographicModel(rewards, multipliers), states


def _entries(
    mdp: MDP,
) -> tuple[Callable[[int, int, int], Vector], Callable[[int, int, int], Matrix]]:
    d = mdp.num_objectives
    given, factor = mdp.reward, mdp.multiplier
    assert isinstance(factor, torch.Tensor)

    def reward(s: int, a: int, k: int) -> Vector:
        row = given[s, a, min(k, given.shape[2] - 1)].tolist()
        return tuple(exact_number(x) for x in row)

    def multiplier(s: int, a: int, k: int) -> Matrix:
        at = tuple(min(i, n - 1) for i, n in zip((s, a, k), factor.shape[:3], strict=True))
        entry = factor[at]
        if entry.ndim == 2:
            return tuple(tuple(exact_number(x) for x in row) for row in entry.tolist())
        diagonal = [exact_number(x) for x in (entry.tolist() if entry.ndim else [entry] * d)]
        return tuple(
            tuple(g * x for x in row) for g, row in zip(diagonal, identity(d), strict=True)
        )

    return reward, multiplier
