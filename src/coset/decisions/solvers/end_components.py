"""Where a decision process can stay for ever, and what it can reach for certain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

__all__ = ["EndComponents", "maximal_end_components", "reach_almost_surely"]


@dataclass(frozen=True, eq=False)
class EndComponents:
    """The maximal end components of a process: sets of states with actions that never leave them.

    Attributes:
        label: (N,) int64, the component of each state, counted from 0; −1 outside of all.
        inside: (P,) bool, the state-action pairs that stay in the component of their state.
    """

    label: np.ndarray
    inside: np.ndarray

    @property
    def count(self) -> int:
        """The number of components."""
        return int(self.label.max(initial=-1)) + 1


def maximal_end_components(
    state: np.ndarray, links: sparse.csr_array, usable: np.ndarray
) -> EndComponents:
    """Find the maximal sets of states, with actions, that are closed and strongly connected.

    Actions that may leave their strongly connected component are dropped until none is left.

    Args:
        state: (P,) the state of each state-action pair.
        links: (P, N) sparse; an entry > 0 is a possible successor.
        usable: (P,) bool: the pairs that may be used; one that can end the process is not.

    Returns:
        The components.

    Complexity: O(P K) for each round; at most N rounds, in practice a few.

    Examples:
        >>> links = sparse.csr_array(np.array([[0, 1], [1, 0], [0, 1]]))
        >>> maximal_end_components(np.array([0, 1, 1]), links, np.ones(3, bool)).label
        array([0, 0])
    """
    num_states = links.shape[1]
    successor_pair = np.repeat(np.arange(links.shape[0]), np.diff(links.indptr))
    present = links.data > 0
    rows, columns = successor_pair[present], links.indices[present]
    inside = usable.copy()
    while True:
        kept = inside[rows]
        edges = (np.ones(int(kept.sum()), dtype=np.int8), (state[rows[kept]], columns[kept]))
        graph = sparse.coo_array(edges, shape=(num_states, num_states))
        _, component = csgraph.connected_components(graph.tocsr(), connection="strong")
        stays = np.ones(len(state), dtype=bool)
        leaving = component[state[rows]] != component[columns]
        stays[rows[leaving]] = False
        fewer = inside & stays
        if np.array_equal(fewer, inside):
            break
        inside = fewer
    label = np.full(num_states, -1, dtype=np.int64)
    members = np.unique(state[inside])
    if len(members):
        _, label[members] = np.unique(component[members], return_inverse=True)
    return EndComponents(label, inside)


def reach_almost_surely(
    state: np.ndarray,
    links: sparse.csr_array,
    usable: np.ndarray,
    escapes: np.ndarray,
    target: np.ndarray,
) -> np.ndarray:
    """Find from where some policy ends with probability 1, and such a policy.

    A largest set Y is sought from each state of which a target can be approached without risking
    to leave Y; the policy takes, in each state, a pair that gets nearer.

    Args:
        state: (P,) the state of each pair, in increasing order.
        links: (P, N) sparse; an entry > 0 is a possible successor.
        usable: (P,) bool: the pairs that may be used.
        escapes: (P,) bool: pairs that end the process, or reach the goal, with positive
            probability.
        target: (N,) bool: states that count as arrived.

    Returns:
        (N,) int64: a pair for each state; −1 at targets, −2 where no policy ends for certain.

    Examples:
        >>> links = sparse.csr_array(np.array([[1, 0], [0, 1], [0, 0]]))  # stay, move on, …
        >>> pairs = np.array([0, 0, 1])
        >>> escapes = np.array([False, False, True])
        >>> reach_almost_surely(pairs, links, np.ones(3, bool), escapes, np.zeros(2, bool))
        array([1, 2])
    """
    links = sparse.csr_array((links > 0).astype(np.int32))
    num_states = links.shape[1]
    within = np.ones(num_states, dtype=bool)
    while True:
        safe = usable & (links @ (~within).astype(np.int32) == 0)
        choice = _approach(state, links, safe, escapes, target & within)
        arrived = (choice != -2) & within
        if np.array_equal(arrived, within):
            return np.where(within, choice, -2)
        within = arrived


def _approach(
    state: np.ndarray,
    links: sparse.csr_array,
    safe: np.ndarray,
    escapes: np.ndarray,
    target: np.ndarray,
) -> np.ndarray:
    """Return for each state a safe pair that may get nearer, −1 at targets, −2 where none does."""
    choice = np.where(target, -1, -2)
    near = target.astype(np.int32)
    while True:
        hits = safe & (escapes | (links @ near > 0)) & (choice[state] == -2)
        found = np.flatnonzero(hits)
        if not len(found):
            return choice
        first, at = np.unique(state[found], return_index=True)
        choice[first] = found[at]
        near[first] = 1
