"""Decision processes whose states, actions and objectives have names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from coset.core.errors import DomainError, UnknownNameError
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.mdp_outcomes import Outcome
from coset.decisions.processes.rational import RationalMDP

__all__ = ["NamedMDP", "pick_objectives"]


@dataclass(frozen=True, eq=False)
class NamedMDP:
    """A decision process whose states, actions and objectives have names.

    Attributes:
        mdp: the process in floats.
        states: S names.
        actions: A names.
        objectives: d names, the first priority first.
        start: the first state.
        name: of the whole.
        outcomes: every outcome in exact numbers, if they are known; else ``None``.
    """

    mdp: MDP
    states: tuple[str, ...]
    actions: tuple[str, ...]
    objectives: tuple[str, ...]
    start: int = 0
    name: str = ""
    outcomes: tuple[Outcome, ...] | None = None

    def __post_init__(self) -> None:
        sizes = (self.mdp.num_states, self.mdp.num_actions, self.mdp.num_objectives)
        for what, names, size in zip(
            ("states", "actions", "objectives"),
            (self.states, self.actions, self.objectives),
            sizes,
            strict=True,
        ):
            if len(names) != size or len(set(names)) != size:
                raise DomainError(
                    f"{what} must be {size} distinct names; given {len(names)}, "
                    f"{len(set(names))} of them distinct"
                )
        if not 0 <= self.start < sizes[0]:
            raise DomainError(f"start must be a state 0…{sizes[0] - 1}; given {self.start}")

    def __repr__(self) -> str:
        title = f"{self.name}, " if self.name else ""
        return f"NamedMDP({title}{' > '.join(self.objectives)}, {self.mdp!r})"

    @classmethod
    def of(cls, mdp: MDP, name: str = "", start: int = 0) -> NamedMDP:
        """Name states, actions and objectives by their numbers.

        Args:
            mdp: the process.
            name: of the whole.
            start: the first state.

        Returns:
            The process with names "0", "1", … and "objective 1", ….

        Raises:
            DomainError: if there is no such state.
        """
        return cls(
            mdp,
            tuple(map(str, range(mdp.num_states))),
            tuple(map(str, range(mdp.num_actions))),
            tuple(f"objective {k + 1}" for k in range(mdp.num_objectives)),
            start,
            name,
        )

    def exact(self) -> RationalMDP:
        """Return the process in exact numbers.

        Returns:
            Its outcomes as they were written, if they are known; else the fractions that its
            floats are.
        """
        if self.outcomes is None:
            return RationalMDP.from_mdp(self.mdp)
        events: list[list[list[Any]]] = [
            [[] for _ in range(self.mdp.num_actions)] for _ in range(self.mdp.num_states)
        ]
        for one in self.outcomes:
            events[one.state][one.action].append(
                (one.successor, one.probability, one.reward, one.multiplier)
            )
        return RationalMDP(tuple(tuple(tuple(action) for action in state) for state in events))

    def with_objectives(self, objectives: Sequence[str]) -> NamedMDP:
        """Return the process with its objectives in another order, or fewer of them.

        An order is possible if no objective comes before one that its multiplier takes values from.

        Args:
            objectives: names of objectives, the first priority first.

        Returns:
            The process.

        Raises:
            UnknownNameError: if there is no objective of a name.
            DomainError: if there is none, one is there twice, or the multipliers do not allow it.

        Example:
            >>> mdp = MDP([[[0]]], [[[1.0]]], torch.tensor([[[[1.0, 2.0]]]]), 0.5)
            >>> NamedMDP.of(mdp).with_objectives(["objective 2"]).mdp.reward.item()
            2.0
        """
        for name in objectives:
            if name not in self.objectives:
                raise UnknownNameError.of("objective", name, self.objectives)
        if not objectives or len(set(objectives)) != len(objectives):
            raise DomainError(
                f"objectives must be distinct, at least one; given {list(objectives)}"
            )
        places = [self.objectives.index(name) for name in objectives]
        _check_order(self, places)
        outcomes = self.outcomes and tuple(
            replace(
                one,
                reward=tuple(one.reward[i] for i in places),
                multiplier=tuple(tuple(one.multiplier[i][j] for j in places) for i in places),
            )
            for one in self.outcomes
        )
        return replace(
            self,
            mdp=pick_objectives(self.mdp, places),
            objectives=tuple(objectives),
            outcomes=outcomes,
        )


def pick_objectives(mdp: MDP, places: Sequence[int]) -> MDP:
    """Return a process with some of its objectives, in an order that its multipliers allow.

    Args:
        mdp: the process.
        places: which, from 0, the first priority first.

    Returns:
        The process; transitions are shared.
    """
    chosen = list(places)
    multiplier = mdp.multiplier
    assert isinstance(multiplier, torch.Tensor)
    if multiplier.ndim == 5:
        multiplier = multiplier[..., chosen, :][..., chosen]
    elif multiplier.ndim == 4:
        multiplier = multiplier[..., chosen]
    return replace(mdp, reward=mdp.reward[..., chosen], multiplier=multiplier)


def _check_order(named: NamedMDP, places: Sequence[int]) -> None:
    """Refuse an order in which an objective comes before one that it takes values from."""
    for rank, i in enumerate(places):
        for j in range(named.mdp.num_objectives):
            if j not in places[: rank + 1] and bool((named.mdp.entry(i, j) != 0).any()):
                raise DomainError(
                    f"{named.objectives[i]} takes values from {named.objectives[j]} (its "
                    f"multiplier is not diagonal), which must then come before it; given "
                    f"{', '.join(named.objectives[k] for k in places)}"
                )
