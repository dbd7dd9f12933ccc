"""Gymnasium's toy-text environments as arrays: FrozenLake, CliffWalking, Taxi and their kin.

Such an environment carries its transitions in ``env.unwrapped.P``. They are read into index arrays
with three marks each: did the episode end, was the goal reached, was it unsafe. `objectives` turns
them into a lexicographic MDP.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch

from coset.core.errors import DomainError, DtypeError, UnsupportedError
from coset.decisions.envs.toy_tables import (
    Transition,
    merged_outcomes,
    successor_table,
    tensors_of,
    with_ends,
)

if TYPE_CHECKING:
    import gymnasium

    from coset.decisions.processes.mdp import MDP

__all__ = ["ToyText", "from_toy_text"]

Mark = Callable[[Transition], bool]

_ARROWS = {
    "left": "←",
    "down": "↓",
    "right": "→",
    "up": "↑",
    "west": "←",
    "south": "↓",
    "east": "→",
    "north": "↑",
}
_ACTIONS = {
    "FrozenLakeEnv": ("left", "down", "right", "up"),
    "CliffWalkingEnv": ("up", "right", "down", "left"),
    "TaxiEnv": ("south", "north", "east", "west", "pickup", "dropoff"),
}
# Probabilities are read as the simplest fraction within rounding: 1/3 is written in two ways.
_LARGEST_DENOMINATOR = 10_000
_ROUNDING = 1e-15


@dataclass(frozen=True, eq=False)
class ToyText:
    """A finite environment as arrays, with marks on its transitions.

    An ended transition leads to a terminal state. Padding has probability 0.

    Attributes:
        name: of the environment.
        successor: int32 (S, A, K).
        probability: float64 (S, A, K).
        reward: float64 (S, A, K), as the environment pays it.
        ended: bool (S, A, K), the episode terminates (not: is truncated) here.
        goal: bool (S, A, K), the goal is reached.
        unsafe: bool (S, A, K), the hole or the cliff is entered.
        mask: bool (S, A), the actions that exist; none in terminal states.
        terminal: bool (S,).
        start: float64 (S,), the distribution of the first state.
        actions: names of the actions.
        layout: rows of letters, if states are the cells of a grid in row-major order: S start,
            F free, H hole, C cliff, G goal; else ``None``.

    Claims: decisions.C16.
    """

    name: str
    successor: torch.Tensor
    probability: torch.Tensor
    reward: torch.Tensor
    ended: torch.Tensor
    goal: torch.Tensor
    unsafe: torch.Tensor
    mask: torch.Tensor
    terminal: torch.Tensor
    start: torch.Tensor
    actions: tuple[str, ...]
    layout: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"ToyText({self.name}, {self.num_states} states, {self.num_actions} actions)"

    @property
    def num_states(self) -> int:
        """How many states there are, S; an end that is no cell of the grid counts."""
        return int(self.successor.shape[0])

    @property
    def num_actions(self) -> int:
        """How many actions there are, A."""
        return int(self.successor.shape[1])

    @property
    def start_state(self) -> int:
        """The most likely first state."""
        return int(self.start.argmax())

    @property
    def arrows(self) -> tuple[str, ...]:
        """One character an action: an arrow for a move, else its first letter."""
        return tuple(_ARROWS.get(name, name[:1].upper()) for name in self.actions)

    def cell(self, state: int) -> tuple[int, int] | None:
        """Return the place of a state on the grid.

        Args:
            state: its index.

        Returns:
            (row, column); ``None`` without a grid, and for an end that is no cell.
        """
        if self.layout is None:
            return None
        row, column = divmod(state, len(self.layout[0]))
        return (row, column) if 0 <= row < len(self.layout) else None

    def label(self, state: int) -> str:
        """Return how a state is called: "row 3, column 0", or "state 17".

        Args:
            state: its index.

        Returns:
            The text.
        """
        place = self.cell(state)
        return f"state {state}" if place is None else f"row {place[0]}, column {place[1]}"

    def mdp(self, multiplier: Any = None) -> MDP:
        """Return the environment with its own reward, as an ordinary MDP.

        Args:
            multiplier: the discount, or one for each transition; as `MDP` takes it.

        Returns:
            The MDP, d = 1.

        Raises:
            CosetError: as `MDP`.
        """
        from coset.decisions.processes.mdp import MDP

        return MDP(
            self.successor,
            self.probability,
            self.reward,
            multiplier,
            mask=self.mask,
            terminal=self.terminal,
        )


def from_toy_text(
    env: gymnasium.Env[Any, Any],
    *,
    unsafe_ends: bool = False,
    goal: Mark | None = None,
    unsafe: Mark | None = None,
) -> ToyText:
    """Read the transitions of a toy-text environment into arrays.

    Equal outcomes of one (s, a) are merged; a probability within 1e-15 of a fraction with a
    denominator up to 10,000 is read as that fraction. A state into which every transition ends the
    episode is terminal, unless episodes begin there; where ended transitions lead to another state,
    one terminal state is added behind the last. Holes of FrozenLake are unsafe and end the episode;
    the cliff of CliffWalking is unsafe and, as in Gymnasium, leads back to the start.

    Args:
        env: an environment whose ``unwrapped.P[state][action]`` lists (probability, next state,
            reward, terminated); wrappers are looked through, a time limit is not part of it.
        unsafe_ends: unsafe transitions end the episode too, as the theorems on safety demand; on
            the cliff they then lead to the cell of the cliff.
        goal: tells whether a transition (state, action, successor, reward, terminated) reaches the
            goal; by default the G of FrozenLake, the end of CliffWalking and Taxi, and elsewhere an
            end with a positive reward.
        unsafe: the same for danger; by default the H of FrozenLake and the cliff, elsewhere none.

    Returns:
        The arrays.

    Raises:
        DtypeError: if `env` is not a Gymnasium environment.
        UnsupportedError: if it carries no transitions.
        DomainError: if they are empty, miss an action, do not sum to 1 ± 1e-6, hold NaN or
            infinity, or lead out of range; names state and action.

    Example:
        >>> import gymnasium
        >>> lake = from_toy_text(gymnasium.make("FrozenLake-v1"))
        >>> lake.num_states, lake.num_actions, lake.layout
        (16, 4, ('SFFF', 'FHFH', 'FFFH', 'HFFG'))
        >>> lake.successor[14, 2].tolist(), lake.goal[14, 2].tolist()
        ([14, 15, 10], [False, True, False])

    Claims: decisions.C16, decisions.C16b.
    """
    table = _table_of(env)
    raw = env.unwrapped
    kind = type(raw).__name__
    layout = _layout(raw, kind)
    marks = _default_marks(kind, layout)
    is_goal, is_unsafe = goal or marks[0], unsafe or marks[1]
    start = _start(raw, len(table))
    rows = [
        [
            merged_outcomes(_marked(s, a, outcomes, len(table), is_goal, is_unsafe))
            for a, outcomes in enumerate(actions)
        ]
        for s, actions in enumerate(table)
    ]
    if unsafe_ends:
        rows = with_ends(rows, layout)
    num_actions = len(table[0])
    names = _ACTIONS.get(kind, ())
    told = getattr(raw, "initial_state_distrib", None) is not None
    arrays = tensors_of(successor_table(rows, (start > 0).tolist() if told else None))
    extra = arrays["successor"].shape[0] - len(table)
    return ToyText(
        name=raw.spec.id if raw.spec is not None else kind,
        start=torch.cat([start, start.new_zeros(extra)]),
        actions=names if len(names) == num_actions else tuple(map(str, range(num_actions))),
        layout=layout,
        **arrays,
    )


def _table_of(env: Any) -> list[list[Sequence[Any]]]:
    """Return P as lists, checked for states and actions."""
    if not hasattr(env, "unwrapped"):
        raise DtypeError(
            f"env must be a Gymnasium environment; given {type(env).__name__}; make one by "
            f"gymnasium.make('FrozenLake-v1')"
        )
    table = getattr(env.unwrapped, "P", None)
    if not isinstance(table, Mapping | list | tuple):
        raise UnsupportedError(
            f"the environment must carry its transitions in P; {type(env.unwrapped).__name__} has "
            f"none; use FrozenLake, CliffWalking or Taxi, or build an MDP from arrays"
        )
    if not len(table):
        raise DomainError("P must have at least one state; it is empty")
    states = [_entry(table, s, "state") for s in range(len(table))]
    odd = next((s for s, a in enumerate(states) if not isinstance(a, Mapping | list | tuple)), None)
    if odd is not None:
        raise DomainError(
            f"P[{odd}] must map actions to lists of outcomes; given {type(states[odd]).__name__}"
        )
    num_actions = len(states[0])
    for s, actions in enumerate(states):
        if len(actions) != num_actions or not num_actions:
            raise DomainError(
                f"each state of P must have the same actions, at least one; state 0 has "
                f"{num_actions} and state {s} has {len(actions)}"
            )
    return [
        [_entry(actions, a, f"state {s}, action") for a in range(num_actions)]
        for s, actions in enumerate(states)
    ]


def _entry(table: Any, index: int, what: str) -> Any:
    try:
        return table[index]
    except (KeyError, IndexError):
        message = f"P must number states and actions from 0; {what} {index} is missing"
        raise DomainError(message) from None


def _marked(
    state: int,
    action: int,
    outcomes: Sequence[Any],
    num_states: int,
    is_goal: Mark,
    is_unsafe: Mark,
) -> Iterator[Transition]:
    """Check the outcomes of one (state, action) and yield those of positive probability."""
    where = f"state {state}, action {action}"
    total = 0.0
    for outcome in _listed(outcomes, where):
        probability, after, reward, ended = outcome
        if not (math.isfinite(probability) and probability >= 0 and math.isfinite(reward)):
            raise DomainError(
                f"{where}: probabilities must be ≥ 0 and rewards finite; given {outcome}"
            )
        if not 0 <= after < num_states or after != int(after):
            raise DomainError(
                f"{where}: the next state must be in 0 … {num_states - 1}; given {after}"
            )
        total += probability
        if probability > 0:
            plain = Transition(
                state, action, int(after), float(reward), bool(ended), _fraction(probability)
            )
            yield plain._replace(goal=bool(is_goal(plain)), unsafe=bool(is_unsafe(plain)))
    if abs(total - 1) > 1e-6:
        raise DomainError(f"{where}: probabilities must sum to 1 ± 1e-6; they sum to {total}")


def _listed(outcomes: Any, where: str) -> list[tuple[Any, ...]]:
    """Return the outcomes as tuples of four numbers."""
    try:
        listed = [tuple(outcome) for outcome in outcomes]
        fits = all(len(one) == 4 and isinstance(sum(one), Real) for one in listed)
    except TypeError:
        fits = False
    if not fits:
        raise DomainError(
            f"{where}: an outcome is four numbers (probability, next state, reward, terminated); "
            f"given {str(outcomes)[:80]}"
        )
    return listed


@functools.lru_cache(maxsize=1024)
def _fraction(probability: float) -> Fraction:
    exact = Fraction(float(probability))
    simple = exact.limit_denominator(_LARGEST_DENOMINATOR)
    return simple if abs(simple - exact) <= _ROUNDING else exact


def _layout(raw: Any, kind: str) -> tuple[str, ...] | None:
    if kind == "FrozenLakeEnv":
        return tuple("".join(letter.decode() for letter in row) for row in raw.desc)
    if kind == "CliffWalkingEnv":
        height, width = (int(size) for size in raw.shape)
        free = ("F" * width,) * (height - 1)
        return (*free, "S" + "C" * (width - 2) + "G")
    return None


def _default_marks(kind: str, layout: tuple[str, ...] | None) -> tuple[Mark, Mark]:
    if kind == "FrozenLakeEnv" and layout is not None:
        letters = "".join(layout)
        return (
            lambda t: t.ended and letters[t.successor] == "G",
            lambda t: t.ended and letters[t.successor] == "H",
        )
    if kind == "CliffWalkingEnv":
        # The only reward below −1 is that of the cliff, whose cell P does not name.
        return (lambda t: t.ended, lambda t: t.reward < -1)
    if kind == "TaxiEnv":
        return (lambda t: t.ended, lambda t: False)
    return (lambda t: t.ended and t.reward > 0, lambda t: False)


def _start(raw: Any, num_states: int) -> torch.Tensor:
    given = getattr(raw, "initial_state_distrib", None)
    if given is None:
        return torch.full((num_states,), 1.0 / num_states, dtype=torch.float64)
    try:
        start = torch.as_tensor(given, dtype=torch.float64).clone()
    except (TypeError, ValueError, RuntimeError):
        start = torch.empty(0, dtype=torch.float64)
    fits = start.shape == (num_states,) and bool((start >= 0).all())
    if not fits or not 0 < float(start.sum()) < math.inf:
        raise DomainError(
            f"initial_state_distrib must hold {num_states} numbers ≥ 0, not all 0; given "
            f"{str(given)[:80]}"
        )
    return start / start.sum()
