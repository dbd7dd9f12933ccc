"""Decision processes in exact rational arithmetic."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import Any, Self

import torch
from torch import Tensor

from coset.core.errors import DomainError, FileFormatError, RangeError, ShapeError
from coset.core.results import Record
from coset.decisions.preferences.exact_numbers import (
    Matrix,
    Vector,
    exact_matrix,
    exact_number,
    exact_vector,
)
from coset.decisions.processes.mdp import MDP

__all__ = ["RationalEvent", "RationalMDP"]


@dataclass(frozen=True)
class RationalEvent:
    """One transition: where it leads, how likely, what it earns, and what it multiplies.

    Attributes:
        successor: a state.
        probability: > 0.
        reward: d numbers.
        multiplier: d × d, lower triangular.
    """

    successor: int
    probability: Fraction
    reward: Vector
    multiplier: Matrix


@dataclass(frozen=True)
class RationalMDP(Record):
    """A finite Markov decision process of fractions, for exact solutions.

    The meaning is that of `MDP`: u(e∘τ) = r(e) + Γ(e) u(τ), compared lexicographically.

    Attributes:
        events: for each state, for each action, its events; an action without events does not
            exist. An event is given as (successor, probability, reward, multiplier): numbers as
            `exact_number` reads them ("1/3" is a third, 0.5 a half, 0.1 the dyadic number that a
            float is), the reward d of them or one, the multiplier one, or d × d.
        terminal: for each state, whether the process has ended there; by default where no action
            exists.
        num_objectives: d; 0, the default, for as many as the longest reward has.

    Raises:
        ShapeError: if states have different numbers of actions, or sizes do not fit.
        DomainError: if probabilities are negative or do not sum to exactly 1, a multiplier is
            negative on its diagonal or not 0 above it, or a state that goes on has no action.
        RangeError: if a successor is not a state.

    Claims: decisions.C8, decisions.C10.

    Examples:
        >>> risk = [(1, Fraction(1, 2**60), -1, 0), (1, 1 - Fraction(1, 2**60), 0, 0)]
        >>> RationalMDP([[risk, [(1, 1, 0, 0)]], [[], []]])
        RationalMDP(2 states, 2 actions, 1 objective)
    """

    events: tuple[tuple[tuple[RationalEvent, ...], ...], ...]
    terminal: tuple[bool, ...] | None = None
    num_objectives: int = 0

    def __post_init__(self) -> None:
        try:
            table = [[[_parts(e) for e in action] for action in state] for state in self.events]
        except TypeError as error:
            raise ShapeError(
                "a process must be a list of states, each a list of actions, each a list of events "
                "(successor, probability, reward, multiplier); given something that is none"
            ) from error
        widths = {len(state) for state in table}
        if len(widths) != 1 or 0 in widths:
            raise ShapeError(
                f"each state has a list for each action, empty where it does not exist, and there "
                f"is a state; given {len(table)} states with {sorted(widths)} actions"
            )
        depth = self.num_objectives or _depth(table)
        events = tuple(
            tuple(
                _action(action, depth, len(table), f"state {s}, action {a}")
                for a, action in enumerate(state)
            )
            for s, state in enumerate(table)
        )
        ended = tuple(not any(state) for state in events)
        terminal = ended if self.terminal is None else tuple(bool(t) for t in self.terminal)
        if len(terminal) != len(events):
            raise ShapeError(f"terminal needs one value a state; given {len(terminal)}")
        for s, (is_terminal, is_empty) in enumerate(zip(terminal, ended, strict=True)):
            if is_empty and not is_terminal:
                raise DomainError(f"state {s} goes on and has no action; give one, or end there")
        # What is listed at a terminal state never happens.
        nothing = tuple(() for _ in range(next(iter(widths))))
        events = tuple(nothing if t else e for t, e in zip(terminal, events, strict=True))
        object.__setattr__(self, "events", events)
        object.__setattr__(self, "terminal", terminal)
        object.__setattr__(self, "num_objectives", depth)

    @property
    def num_states(self) -> int:
        """S, terminal ones included."""
        return len(self.events)

    @property
    def num_actions(self) -> int:
        """A, those that do not exist everywhere included."""
        return len(self.events[0])

    def all_events(self) -> itertools.chain[RationalEvent]:
        """Iterate over all events.

        Returns:
            The events, by state and action.
        """
        actions = itertools.chain.from_iterable(self.events)
        return itertools.chain.from_iterable(actions)

    def __repr__(self) -> str:
        d = self.num_objectives
        return (
            f"RationalMDP({self.num_states} states, {self.num_actions} actions, "
            f"{d} objective{'' if d == 1 else 's'})"
        )

    @classmethod
    def from_mdp(cls, mdp: MDP, max_denominator: int | None = None) -> Self:
        """Read the floats of a process as fractions.

        Probabilities are divided by their exact sum, so that three times the float nearest 1/3 is
        read as three thirds.

        Args:
            mdp: the process.
            max_denominator: read each number as the nearest fraction with at most this
                denominator, if given; else as the dyadic fraction that the float is.

        Returns:
            The exact process.

        Raises:
            DomainError: if `max_denominator` is less than 1.
        """
        if max_denominator is not None and max_denominator < 1:
            raise DomainError(f"max_denominator must be at least 1; given {max_denominator}")

        def read(value: float) -> Fraction:
            exact = Fraction(value)
            return exact if max_denominator is None else exact.limit_denominator(max_denominator)

        parts = _arrays(mdp)
        table: list[list[list[tuple[Any, ...]]]] = []
        for s in range(mdp.num_states):
            state: list[list[tuple[Any, ...]]] = []
            for a in range(mdp.num_actions):
                state.append(_read_action(parts, s, a, read) if bool(mdp.allowed[s, a]) else [])
            table.append(state)
        terminal = tuple(parts["terminal"].tolist())
        return cls(table, terminal, mdp.num_objectives)  # type: ignore[arg-type]

    def to_mdp(self) -> MDP:
        """Return the nearest process in float64.

        Returns:
            The process.
        """
        size, width, d = self.num_states, self.num_actions, self.num_objectives
        most = max((len(a) for state in self.events for a in state), default=1) or 1
        successor = torch.zeros(size, width, most, dtype=torch.int32)
        probability = torch.zeros(size, width, most, dtype=torch.float64)
        reward = torch.zeros(size, width, most, d, dtype=torch.float64)
        multiplier = torch.zeros(size, width, most, d, d, dtype=torch.float64)
        mask = torch.zeros(size, width, dtype=torch.bool)
        for s, state in enumerate(self.events):
            for a, action in enumerate(state):
                mask[s, a] = bool(action)
                for k, event in enumerate(action):
                    successor[s, a, k] = event.successor
                    probability[s, a, k] = float(event.probability)
                    reward[s, a, k] = _floats(event.reward)
                    multiplier[s, a, k] = torch.stack([_floats(r) for r in event.multiplier])
        terminal = torch.tensor(self.terminal)
        return MDP(successor, probability, reward, multiplier, mask=mask, terminal=terminal)

    def to_json(self) -> dict[str, Any]:
        """Return the process as JSON values, fractions as text.

        Returns:
            ``{"class": …, "fields": {"events": …, "terminal": …}}``.
        """
        events = [
            [
                [
                    [
                        e.successor,
                        str(e.probability),
                        [str(x) for x in e.reward],
                        [[str(x) for x in row] for row in e.multiplier],
                    ]
                    for e in action
                ]
                for action in state
            ]
            for state in self.events
        ]
        name = f"{type(self).__module__}:{type(self).__qualname__}"
        fields = {
            "events": events,
            "terminal": list(self.terminal or ()),
            "num_objectives": self.num_objectives,
        }
        return {"class": name, "fields": fields}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuild a process from `to_json`.

        Args:
            value: what `to_json` returned.

        Returns:
            The process.

        Raises:
            FileFormatError: if fields are missing.
        """
        fields = value.get("fields")
        if not isinstance(fields, Mapping) or "events" not in fields:
            raise FileFormatError("a stored RationalMDP must have fields.events; it has none")
        return cls(fields["events"], fields.get("terminal"), int(fields.get("num_objectives", 0)))


def _floats(values: Sequence[Fraction]) -> Tensor:
    return torch.tensor([float(x) for x in values], dtype=torch.float64)


def _parts(event: Any) -> tuple[Any, ...]:
    if isinstance(event, RationalEvent):
        return event.successor, event.probability, event.reward, event.multiplier
    return tuple(event)


def _depth(table: Sequence[Sequence[Sequence[Any]]]) -> int:
    """Return d: the length of the longest reward."""
    depth = 1
    for state in table:
        for action in state:
            for event in action:
                for reward in event[2:3]:
                    if isinstance(reward, Sequence) and not isinstance(reward, str):
                        depth = max(depth, len(reward))
    return depth


def _action(
    action: Sequence[Any], depth: int, num_states: int, place: str
) -> tuple[RationalEvent, ...]:
    found = []
    for k, event in enumerate(action):
        where = f"event {k} of {place}"
        if len(event) != 4:
            raise ShapeError(
                f"an event is (successor, probability, reward, multiplier); {where} has "
                f"{len(event)} parts"
            )
        found.append(_event(event, depth, num_states, where))
    total = sum((e.probability for e in found), Fraction(0))
    if found and total != 1:
        raise DomainError(
            f"probabilities must sum to exactly 1; those of {place} sum to {total}; write "
            f"fractions such as '1/3'"
        )
    return tuple(e for e in found if e.probability)


def _event(event: Sequence[Any], depth: int, num_states: int, where: str) -> RationalEvent:
    successor, probability, reward, multiplier = event
    # NumPy's integers are numbers, too; of floats only the whole ones, NaN is none.
    if isinstance(successor, bool) or not isinstance(successor, Real) or float(successor) % 1 != 0:
        raise RangeError(f"a successor is the number of a state; {where} has {successor!r}")
    place = int(float(successor))
    if not 0 <= place < num_states:
        raise RangeError(f"a successor is one of 0…{num_states - 1}; {where} has {successor}")
    chance = exact_number(probability, f"the probability of {where}")
    if chance < 0:
        raise DomainError(f"probabilities must not be negative; {where} has {chance}")
    single = isinstance(reward, str | int | float | Fraction)
    earned = exact_vector([reward] if single else reward, f"the reward of {where}")
    if len(earned) != depth:
        raise ShapeError(f"rewards must have {depth} numbers; {where} has {len(earned)}")
    matrix = exact_matrix(multiplier, depth, f"the multiplier of {where}")
    for i, row in enumerate(matrix):
        if row[i] < 0 or any(row[i + 1 :]):
            raise DomainError(
                f"a multiplier is lower triangular with a diagonal ≥ 0; row {i} of {where} is "
                f"{', '.join(str(x) for x in row)}; reorder the objectives, or, where one event "
                f"reverses preferences, solve signed(mdp) of an MDP"
            )
    return RationalEvent(place, chance, earned, matrix)


def _arrays(mdp: MDP) -> dict[str, Tensor]:
    """Return the arrays of a process on the CPU, rewards and multipliers for each event."""
    d = mdp.num_objectives
    shape = mdp.successor.shape
    rows = [
        torch.stack([mdp.entry(i, j).expand(shape) for j in range(d)], -1).cpu() for i in range(d)
    ]
    terminal = mdp.terminal
    assert isinstance(terminal, Tensor)
    return {
        "successor": mdp.successor.cpu(),
        "probability": mdp.probability.double().cpu(),
        "reward": mdp.reward.expand(*shape, d).double().cpu(),
        "multiplier": torch.stack(rows, -2).double(),
        "terminal": terminal.cpu(),
    }


def _read_action(parts: Mapping[str, Tensor], s: int, a: int, read: Any) -> list[tuple[Any, ...]]:
    chances = [read(p) for p in parts["probability"][s, a].tolist()]
    total = sum(chances, Fraction(0))
    return [
        (
            int(parts["successor"][s, a, k]),
            chance / total,
            [read(x) for x in parts["reward"][s, a, k].tolist()],
            [[read(x) for x in row] for row in parts["multiplier"][s, a, k].tolist()],
        )
        for k, chance in enumerate(chances)
        if chance
    ]
