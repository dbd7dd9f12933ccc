"""The graph of possible transitions: a spanning forest, potentials along it, and its cycles."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from coset.core.results import Witness
from coset.decisions.processes.mdp import MDP

__all__ = ["CycleWitness", "TransitionGraph", "walk_components"]


@dataclass(frozen=True, eq=False, repr=False)
class CycleWitness(Witness):
    """Weights on transitions that cancel at every state, although what they sum up does not.

    For potentials: Σ y (γ at the end − 1 at the start) = 0 at each state and Σ y r ≠ 0. For gauges:
    the same with γ = 1 for log m, where Σ y = 0 too unless the discount was given. A cycle has
    weights ±1, −1 where it runs against the transition; two cycles are weighted so that their
    lengths cancel.

    Attributes:
        kind: "reward" or "multiplier": what is summed.
        edges: (n, 3) int64: state, action and place k of each transition.
        weights: (n,) float64, y.
        total: Σ y x(edge), with x = r, or log m, or log m − log discount.
        discount: γ of the potential, or the discount that was asked of the gauge, or ``None``.
        cycles: the states along each cycle; () if it is none.

    Claims: decisions.C5b, decisions.C6d.
    """

    kind: str
    edges: torch.Tensor
    weights: torch.Tensor
    total: float
    discount: float | None
    cycles: tuple[tuple[int, ...], ...]

    def __repr__(self) -> str:
        return f"CycleWitness({self.kind}, {len(self.weights):,} transitions, sum {self.total:.6g})"

    def replay(self, model: MDP) -> bool:
        """Sum along the transitions of a process again.

        Args:
            model: the process.

        Returns:
            Whether the transitions exist, the weights cancel at every state, and the total is the
            stored one and not 0.
        """
        sizes = torch.tensor(model.probability.shape)
        if self.edges.shape != (len(self.weights), 3) or not bool(
            ((self.edges >= 0) & (self.edges < sizes)).all()
        ):
            return False
        state, action, place = self.edges.T
        if not bool((model.probability[state, action, place] > 0).all()):
            return False
        head = model.successor[state, action, place].long()
        factor = 1.0
        if self.kind == "reward":
            column = place if model.reward.shape[2] > 1 else place * 0
            amount = model.reward[state, action, column, 0].double()
            factor = 1.0 if self.discount is None else self.discount
        else:
            multiplier = model.entry(0, 0).expand(model.successor.shape)[state, action, place]
            amount = multiplier.double().log()
            if self.discount is not None:
                amount = amount - float(np.log(self.discount))
        balance = torch.zeros(model.num_states, dtype=torch.float64)
        balance.index_add_(0, head, factor * self.weights)
        balance.index_add_(0, state, -self.weights)
        scale = float(self.weights.abs().max())
        balanced = float(balance.abs().max()) <= 1e-6 * scale
        if self.kind == "multiplier" and self.discount is None:
            balanced &= abs(float(self.weights.sum())) <= 1e-9 * scale
        total = float((self.weights * amount).sum())
        noise = 1e-9 * (1 + float((self.weights * amount).abs().sum()))
        return balanced and abs(total - self.total) <= noise and abs(total) > noise

    def explain(self) -> str:
        """Name the cycles and what does not fit.

        Returns:
            One sentence.
        """
        paths = " and ".join("→".join(map(str, (*c, c[0]))) for c in self.cycles)
        if self.kind == "reward":
            where = f"the cycle {paths}" if paths else f"{len(self.weights)} weighted transitions"
            return f"along {where} the rewards sum to {self.total:.6g} instead of 0"
        if self.discount is not None:
            return (
                f"along the cycle {paths} the product of multipliers is {np.exp(self.total):.6g} "
                f"times the power of the discount {self.discount:.6g} that it should be"
            )
        if len(self.cycles) == 1:
            return (
                f"the cycle {paths} has as many transitions forwards as backwards, and the product "
                f"of multipliers is {np.exp(self.total):.6g} instead of 1"
            )
        return f"along the cycles {paths} multipliers have different geometric means"


def walk_components(
    tail: np.ndarray, head: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Walk a graph breadth first from the first state of each component, edges without direction.

    Args:
        tail: (n,) where each edge begins.
        head: (n,) where it ends.
        size: number of states, S.

    Returns:
        The states in the order of one walk through all components; the state from which each was
        met, −1 for the first of a component; and its component. (S,) integers each.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    graph = coo_matrix((np.ones(len(tail)), (tail, head)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    _, roots = np.unique(component, return_index=True)
    # One more state is tied to a root of each component: one search visits all of them.
    rows = np.concatenate((tail, np.full(len(roots), size)))
    columns = np.concatenate((head, roots))
    whole = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(size + 1, size + 1))
    order, parent = breadth_first_order(whole.tocsr(), size, directed=False)
    return order[1:], np.where(parent[:size] == size, -1, parent[:size]), component


class TransitionGraph:
    """The transitions of positive probability as a directed multigraph.

    Args:
        mdp: the process.
        to_terminal: whether transitions into terminal states belong to it.
        positive: whether only transitions with a positive multiplier do (one objective).
    """

    def __init__(self, mdp: MDP, *, to_terminal: bool, positive: bool = False) -> None:
        used = (mdp.probability > 0) & mdp.allowed[..., None]
        if not to_terminal:
            used = used & mdp.allowed.any(1)[mdp.successor.long()]
        if positive:
            used = used & (mdp.entry(0, 0) > 0)
        self.num_states = mdp.num_states
        self.edges = torch.nonzero(used).cpu()
        state, action, place = self.edges.T
        self.tail = state.numpy()
        self.head = mdp.successor.cpu()[state, action, place].long().numpy()

    @property
    def num_edges(self) -> int:
        """How many transitions there are."""
        return len(self.tail)

    @cached_property
    def forest(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(order, parent, edge): states from the roots on, −1 for a root's parent and edge."""
        order, parent, _ = walk_components(self.tail, self.head, self.num_states)
        return order, parent, self._tree_edges(parent)

    def _tree_edges(self, parent: np.ndarray) -> np.ndarray:
        """Return the number of a transition between each state and its parent, either way."""
        size = self.num_states
        keys = np.minimum(self.tail, self.head) * size + np.maximum(self.tail, self.head)
        unique, first = np.unique(keys, return_index=True)
        states = np.arange(size)
        wanted = np.minimum(states, parent) * size + np.maximum(states, parent)
        place = np.searchsorted(unique, np.where(parent < 0, 0, wanted))
        edge = first[np.minimum(place, len(first) - 1)] if len(first) else states * 0
        return np.where(parent < 0, -1, edge)

    def integrate(self, amount: np.ndarray) -> np.ndarray:
        """Return φ with φ(head) − φ(tail) = amount on the forest and 0 at its roots.

        Args:
            amount: (n,) float64, one for each transition.

        Returns:
            (S,) float64.

        Complexity: O(S).
        """
        order, parent, edge = self.forest
        step = np.zeros(self.num_states)
        inner = parent >= 0
        along = self.head[edge[inner]] == np.nonzero(inner)[0]
        step[inner] = np.where(along, 1.0, -1.0) * amount[edge[inner]]
        total, up, steps = [0.0] * self.num_states, parent.tolist(), step.tolist()
        for state in order.tolist():
            if up[state] >= 0:
                total[state] = total[up[state]] + steps[state]
        return np.array(total)

    def defects(self, amount: np.ndarray) -> np.ndarray:
        """Return Σ ± amount along the fundamental cycle of each transition; 0 on the forest.

        Args:
            amount: (n,) float64.

        Returns:
            (n,) float64.
        """
        potential = self.integrate(amount)
        return np.asarray(amount - (potential[self.head] - potential[self.tail]))

    def cycle(self, number: int) -> tuple[dict[int, float], tuple[int, ...]]:
        """Return the fundamental cycle of a transition.

        Args:
            number: the transition.

        Returns:
            (its transitions with weights ±1, its states in order from the transition's start).
        """
        _, parent, edge = self.forest
        tail, head = int(self.tail[number]), int(self.head[number])
        ahead, behind = self._to_root(head, parent), self._to_root(tail, parent)
        while len(ahead) > 1 and len(behind) > 1 and ahead[-2] == behind[-2]:
            ahead.pop()
            behind.pop()
        # tail → head by the transition, then up from head to the meeting point, down to tail.
        walk = [*ahead, *behind[-2::-1]] if len(behind) > 1 else ahead
        weights: dict[int, float] = {number: 1.0}
        for here, after in itertools.pairwise(walk):
            child = here if parent[here] == after else after
            used = int(edge[child])
            sign = 1.0 if self.tail[used] == here else -1.0
            weights[used] = weights.get(used, 0.0) + sign
        states = (tail, *walk[:-1]) if tail != head else (tail,)
        return weights, states

    @staticmethod
    def _to_root(state: int, parent: np.ndarray) -> list[int]:
        path = [state]
        while parent[path[-1]] >= 0:
            path.append(int(parent[path[-1]]))
        return path

    def witness(
        self,
        kind: str,
        weights: dict[int, float],
        amount: np.ndarray,
        discount: float | None,
        cycles: tuple[tuple[int, ...], ...],
    ) -> CycleWitness:
        """Return weights on transitions as a witness.

        Args:
            kind: "reward" or "multiplier".
            weights: transition to weight.
            amount: (n,) float64: what is summed.
            discount: as in `CycleWitness`.
            cycles: the states along each cycle.

        Returns:
            The witness.
        """
        numbers = np.array(sorted(n for n, w in weights.items() if w != 0))
        values = np.array([weights[n] for n in numbers.tolist()])
        return CycleWitness(
            kind=kind,
            edges=self.edges[torch.from_numpy(numbers)],
            weights=torch.from_numpy(values),
            total=float(values @ amount[numbers]),
            discount=discount,
            cycles=cycles,
        )
