"""Random small exact processes in which ties happen, for tests, claims and experiments."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import torch

from coset.core.errors import DomainError
from coset.decisions.preferences.exact_numbers import Matrix, Vector
from coset.decisions.processes.rational import RationalEvent, RationalMDP

__all__ = ["random_rational_mdp", "random_undiscounted_mdp"]

_DIAGONAL = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(9, 10))
_BELOW = (-1, 0, 0, 1, 2)


def _pick(values: Sequence[Fraction | int], generator: torch.Generator | None) -> Fraction:
    return Fraction(values[int(torch.randint(len(values), (), generator=generator))])


def _chance(probability: float, generator: torch.Generator | None) -> bool:
    return bool(torch.rand((), generator=generator) < probability)


def random_rational_mdp(
    num_states: int,
    num_actions: int = 2,
    num_objectives: int = 2,
    *,
    diagonal: bool = False,
    shared: Fraction | None = None,
    generator: torch.Generator | None = None,
) -> RationalMDP:
    """Return a random process whose multipliers die out, with many ties at the first objective.

    Each action has one or two events with few different rewards; an event is terminal with
    probability 0.15, and else has a triangular multiplier with a diagonal < 1. Half of the time an
    action copies the first objective of the one before it, so that the second decides.

    Args:
        num_states: S ≥ 1.
        num_actions: A ≥ 1.
        num_objectives: d ≥ 1.
        diagonal: multipliers without entries below the diagonal.
        shared: one number γ in place of the random diagonals; terminal events have 0.
        generator: source of randomness.

    Returns:
        The process.

    Raises:
        DomainError: if a count is less than 1.

    Examples:
        >>> random_rational_mdp(3, generator=torch.Generator().manual_seed(0))
        RationalMDP(3 states, 2 actions, 2 objectives)
    """
    if min(num_states, num_actions, num_objectives) < 1:
        raise DomainError(
            f"counts must be at least 1; given {num_states} states, {num_actions} actions, "
            f"{num_objectives} objectives"
        )
    plain = diagonal or shared is not None
    table = []
    for _ in range(num_states):
        state: list[list[RationalEvent]] = []
        for a in range(num_actions):
            if a and _chance(0.5, generator):
                state.append(
                    [_vary(event, plain, shared is not None, generator) for event in state[-1]]
                )
            else:
                state.append(_events(num_states, num_objectives, plain, shared, generator))
        table.append(state)
    return RationalMDP(table)  # type: ignore[arg-type]


def _events(
    num_states: int,
    depth: int,
    diagonal: bool,
    shared: Fraction | None,
    generator: torch.Generator | None,
) -> list[RationalEvent]:
    share = _pick((1, Fraction(1, 2), Fraction(1, 3)), generator)
    events = []
    for probability in [p for p in (share, 1 - share) if p]:
        successor = int(torch.randint(num_states, (), generator=generator))
        reward = tuple(_pick((0, 0, 1, 2), generator) for _ in range(depth))
        multiplier = _matrix(depth, diagonal, generator)
        if shared is not None:
            multiplier = _scaled(depth, shared)
        if _chance(0.15, generator):
            multiplier = _scaled(depth, Fraction(0))
        events.append(RationalEvent(successor, probability, reward, multiplier))
    return events


def _scaled(depth: int, number: Fraction) -> Matrix:
    return tuple(
        tuple(number if i == j else Fraction(0) for j in range(depth)) for i in range(depth)
    )


def _matrix(depth: int, diagonal: bool, generator: torch.Generator | None) -> Matrix:
    rows: list[Vector] = []
    for i in range(depth):
        below = [Fraction(0) if diagonal else _pick(_BELOW, generator) for _ in range(i)]
        rows.append((*below, _pick(_DIAGONAL, generator), *[Fraction(0)] * (depth - i - 1)))
    return tuple(rows)


def _vary(
    event: RationalEvent, diagonal: bool, shared: bool, generator: torch.Generator | None
) -> RationalEvent:
    """Return an event equal in the first objective, with other rewards and rows below it."""
    depth = len(event.reward)
    rest = [_pick((0, 0, 1, 2), generator) for _ in range(depth - 1)]
    rows: list[Vector] = [event.multiplier[0]]
    drawn = _matrix(depth, diagonal, generator)
    for i in range(1, depth):
        ends = not any(event.multiplier[i])
        rows.append(event.multiplier[i] if ends or shared else drawn[i])
    return RationalEvent(event.successor, event.probability, (event.reward[0], *rest), tuple(rows))


def random_undiscounted_mdp(
    num_states: int,
    num_actions: int = 2,
    *,
    signs: Sequence[int] = (-1, 0),
    second: Fraction | int = Fraction(1, 2),
    generator: torch.Generator | None = None,
) -> RationalMDP:
    """Return a random process of two objectives, the first of which is not discounted.

    The last state is terminal. The first objective earns one sign on the way into it, as safety
    (−1) or a goal (+1) does; or, if `signs` has several values, one of them anywhere.

    Args:
        num_states: S ≥ 2, the terminal one included.
        num_actions: A ≥ 1.
        signs: what the first objective may earn, one or several of −1, 0, 1.
        second: multiplier of the second objective, with rewards in 0, ±1.
        generator: source of randomness.

    Returns:
        The process.

    Raises:
        DomainError: if a count is too small.

    Examples:
        >>> random_undiscounted_mdp(3, generator=torch.Generator().manual_seed(0)).terminal
        (False, False, True)
    """
    if num_states < 2 or num_actions < 1:
        raise DomainError(
            f"a process needs two states and an action; given {num_states} and {num_actions}"
        )
    multiplier = ((Fraction(1), Fraction(0)), (Fraction(0), Fraction(second)))
    last = num_states - 1
    table: list[list[list[RationalEvent]]] = []
    for _ in range(last):
        state = []
        for _ in range(num_actions):
            share = _pick((1, 1, Fraction(1, 2), Fraction(1, 3)), generator)
            events = []
            for probability in [p for p in (share, 1 - share) if p]:
                successor = int(torch.randint(num_states, (), generator=generator))
                earned = _pick(tuple(signs), generator)
                if len(signs) == 1 and successor != last:
                    earned = Fraction(0)
                reward = (earned, _pick((-1, 0, 0, 1), generator))
                events.append(RationalEvent(successor, probability, reward, multiplier))
            state.append(events)
        table.append(state)
    table.append([[] for _ in range(num_actions)])
    return RationalMDP(table)  # type: ignore[arg-type]
