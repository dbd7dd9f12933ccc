"""Solve the same process under every order of its objectives."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import CosetError, UnsupportedError
from coset.core.results import Record
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.named_mdp import pick_objectives
from coset.decisions.solvers.cmdp import start_distribution
from coset.decisions.solvers.solving import solve

__all__ = ["OrderComparison", "compare_orders", "reorder_objectives"]

# 5! = 120 processes are solved.
_MAX_OBJECTIVES = 5


@dataclass(frozen=True, eq=False, repr=False)
class OrderComparison(Record):
    """What each order of the objectives achieves, and where their best actions differ.

    Attributes:
        orders: the orders that were solved, the first as given: objectives by number, from 0, the
            first priority first.
        value: (orders, d) float64, from the start, each objective in its place in the process.
        tie_sets: (orders, S, A) bool, the optimal actions of each order.
        differing: (orders, orders) int64: at how many states two orders have no optimal action in
            common.
        refused: orders that have no solution, with the reason.
    """

    orders: tuple[tuple[int, ...], ...]
    value: Tensor
    tie_sets: Tensor
    differing: Tensor
    refused: Mapping[str, str]

    def table(self, names: Sequence[str] = ()) -> str:
        """Return a table for people: a line for each order.

        Args:
            names: of the objectives.

        Returns:
            The text.
        """
        depth = self.value.shape[1]
        goals = list(names) or [f"objective {k + 1}" for k in range(depth)]
        lines = []
        for row, order in enumerate(self.orders):
            title = " > ".join(goals[k] for k in order)
            values = ", ".join(
                f"{g} {float(v):.6g}" for g, v in zip(goals, self.value[row], strict=True)
            )
            count = int(self.differing[0, row])
            apart = f"; other actions at {count} state{'' if count == 1 else 's'}" if row else ""
            lines.append(f"{title}: {values}{apart}")
        lines += [f"{order}: {reason}" for order, reason in self.refused.items()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"OrderComparison({len(self.orders)} orders, {len(self.refused)} refused)"


def reorder_objectives(mdp: MDP, order: Sequence[int]) -> MDP:
    """Return the process with its objectives in another order.

    Args:
        mdp: the process.
        order: its objectives 0…d−1, each once, the first priority first.

    Returns:
        The process; transitions are shared.

    Raises:
        UnsupportedError: if an objective takes up the value of one that would come after it.
    """
    depth = mdp.num_objectives
    if sorted(order) != list(range(depth)):
        raise UnsupportedError(f"an order names each of 0…{depth - 1} once; given {tuple(order)}")
    for i, j in itertools.combinations(order, 2):
        if i > j and bool((mdp.entry(i, j) != 0).any()):
            raise UnsupportedError(
                f"objective {i + 1} takes up values of objective {j + 1} and cannot come before it"
            )
    return pick_objectives(mdp, order)


def compare_orders(mdp: MDP, start: int | Any, **options: Any) -> OrderComparison:
    """Solve under every order of the objectives, and compare values and actions.

    Args:
        mdp: a process of at most 5 objectives.
        start: a state, or the (S,) distribution of the first state, at which values are compared.
        **options: for `solve`.

    Returns:
        The comparison. Orders that cannot be (an objective takes up the value of one that would
        come after it), or have no finite or attained value, are listed with the reason.

    Raises:
        UnsupportedError: if there are more than 5 objectives.
        CosetError: if not even the order given has a solution.

    Complexity: d! solutions.

    Examples:
        >>> reward = torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]])
        >>> mdp = MDP([[[0], [0]]], [[[1.0], [1.0]]], reward, multiplier=0.0)
        >>> print(compare_orders(mdp, 0).table(["speed", "comfort"]))
        speed > comfort: speed 1, comfort 0
        comfort > speed: speed 0, comfort 2; other actions at 1 state
    """
    depth = mdp.num_objectives
    if depth > _MAX_OBJECTIVES:
        raise UnsupportedError(
            f"all orders of at most {_MAX_OBJECTIVES} objectives are compared; given {depth}; "
            f"compare chosen ones by reorder_objectives"
        )
    first = start_distribution(mdp, start)
    orders: list[tuple[int, ...]] = []
    values, ties = [], []
    refused: dict[str, str] = {}
    for order in itertools.permutations(range(depth)):
        try:
            found = solve(reorder_objectives(mdp, order), **options)
        except CosetError as error:
            if not orders:
                raise
            refused[" > ".join(str(k + 1) for k in order)] = str(error)
            continue
        here = torch.zeros(depth, dtype=torch.float64)
        here[list(order)] = (first[:, None] * found.value.cpu()).sum(0)
        orders.append(order)
        values.append(here)
        ties.append(found.tie_set)
    tie_sets = torch.stack(ties)
    live = mdp.allowed.any(1)
    common = (tie_sets[:, None] & tie_sets[None]).any(-1)
    differing = (~common & live).sum(-1)
    return OrderComparison(tuple(orders), torch.stack(values), tie_sets, differing, refused)
