"""Rewards that are differences of a potential, and what in them is not."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, ShapeError
from coset.core.results import Verdict
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.transition_graph import CycleWitness, TransitionGraph

__all__ = ["Potential", "potential", "shape_reward"]


@dataclass(frozen=True, repr=False)
class Potential(Verdict):
    """Whether r(s, a, s') = γ Φ(s') − Φ(s) on every transition.

    Attributes:
        potential: (S,) float64, Φ; the best in the sense of least squares if there is none. For
            γ = 1 it is 0 at the first state of each connected component.
        residual: the largest |r − (γ Φ(s') − Φ(s))| of any transition.
        witness: the transitions that contradict, or ``None``.

    Claims: decisions.C6d.
    """

    potential: Tensor | None = None
    residual: float = math.inf
    witness: CycleWitness | None = None

    def __repr__(self) -> str:
        return f"Potential({self.holds}: {self.reason})"


def potential(mdp: MDP, discount: float = 1.0, *, tol: float = 1e-9) -> Potential:
    """Tell whether the reward is a difference of potentials, and find the potential.

    With γ = 1 that is path independence: r = Φ(s') − Φ(s) on all possible transitions iff the
    rewards along every cycle sum to 0 (against the direction with a minus sign); Φ is unique up to
    a constant for each connected component. Otherwise Φ minimizes Σ (r − Φ(s') + Φ(s))²: what is
    left is the cyclic part of the reward. Each transition counts once, whatever its probability.
    Multipliers are not looked at.

    Args:
        mdp: a process of one objective.
        discount: γ > 0.
        tol: a residual up to tol · (1 + max |r|) counts as 0.

    Returns:
        The verdict with Φ, and with a witness if it fails.

    Raises:
        DomainError: if there are several objectives, or γ or tol are not positive numbers.

    Complexity: O(transitions) if it holds with γ = 1; else a sparse least-squares problem.

    Claims: decisions.C6d.

    Examples:
        >>> triangle = MDP([[[1]], [[2]], [[0]]], torch.ones(3, 1, 1), [[1.0], [2.0], [-3.0]])
        >>> found = potential(triangle)
        >>> found.holds, found.potential.tolist()
        (True, [0.0, 1.0, 3.0])
        >>> potential(
        ...     MDP([[[1]], [[2]], [[0]]], torch.ones(3, 1, 1), [[1.0], [2.0], [-2.0]])
        ... ).reason
        'along the cycle 1→2→0→1 the rewards sum to 1 instead of 0'
    """
    if mdp.num_objectives != 1:
        raise DomainError(f"a potential explains one objective; given {mdp.num_objectives}")
    if not (0 < discount < math.inf and 0 < tol < math.inf):
        raise DomainError(f"discount and tol must be positive numbers; given {discount}, {tol}")
    graph = TransitionGraph(mdp, to_terminal=True)
    reward = mdp.reward[..., 0].expand(mdp.successor.shape).cpu()
    state, action, place = graph.edges.T
    amount = reward[state, action, place].double().numpy()
    if not graph.num_edges:
        zeros = torch.zeros(mdp.num_states, dtype=torch.float64)
        return Potential(True, "there are no transitions", {}, zeros, 0.0)
    enough = tol * (1 + float(np.abs(amount).max()))
    if discount == 1:
        phi = graph.integrate(amount)
        left = amount - (phi[graph.head] - phi[graph.tail])
        if float(np.abs(left).max()) > enough:
            return _cyclic(graph, amount, left)
    else:
        phi = _least_squares(graph, amount, discount)
        left = amount - (discount * phi[graph.head] - phi[graph.tail])
        if float(np.abs(left).max()) > enough:
            return _contradicted(graph, amount, phi, left, discount)
    residual = float(np.abs(left).max())
    reason = "every reward is a difference of potentials"
    return Potential(True, reason, {"residual": residual}, torch.from_numpy(phi), residual)


def _least_squares(graph: TransitionGraph, amount: np.ndarray, discount: float) -> np.ndarray:
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import lsmr

    numbers = np.arange(graph.num_edges)
    rows = np.concatenate((numbers, numbers))
    columns = np.concatenate((graph.head, graph.tail))
    data = np.concatenate((np.full(len(numbers), discount), -np.ones(len(numbers))))
    shape = (graph.num_edges, graph.num_states)
    matrix = coo_matrix((data, (rows, columns)), shape=shape).tocsr()  # self-loops add up
    found = lsmr(matrix, amount, atol=1e-15, btol=1e-15, conlim=0, maxiter=50_000)[0]
    # One more step on the residual: LSMR's own stopping test leaves a few digits.
    left = lsmr(matrix, amount - matrix @ found, atol=1e-15, btol=1e-15, conlim=0, maxiter=50_000)
    return np.asarray(found + left[0])


def _cyclic(graph: TransitionGraph, amount: np.ndarray, defect: np.ndarray) -> Potential:
    """Return the best potential and the fundamental cycle with the largest sum."""
    weights, states = graph.cycle(int(np.abs(defect).argmax()))
    witness = graph.witness("reward", weights, amount, None, (states,))
    phi = _least_squares(graph, amount, 1.0)
    phi = phi - phi[_roots(graph)]
    left = amount - (phi[graph.head] - phi[graph.tail])
    return _failed(phi, left, witness)


def _contradicted(
    graph: TransitionGraph,
    amount: np.ndarray,
    phi: np.ndarray,
    left: np.ndarray,
    discount: float,
) -> Potential:
    # What least squares leaves is orthogonal to all differences: it is a witness itself.
    left_most = float(np.abs(left).max())
    weights = {int(n): float(left[n]) / left_most for n in np.nonzero(left)[0]}
    return _failed(phi, left, graph.witness("reward", weights, amount, discount, ()))


def _failed(phi: np.ndarray, left: np.ndarray, witness: CycleWitness) -> Potential:
    residual = float(np.abs(left).max())
    evidence: dict[str, Any] = {"residual": residual, "total": witness.total}
    return Potential(False, witness.explain(), evidence, torch.from_numpy(phi), residual, witness)


def _roots(graph: TransitionGraph) -> np.ndarray:
    """Return the root of each state's component."""
    order, parent, _ = graph.forest
    root = np.arange(graph.num_states)
    for state in order.tolist():
        if parent[state] >= 0:
            root[state] = root[parent[state]]
    return root


def shape_reward(mdp: MDP, potentials: Any, *, cross_terms: bool = True) -> MDP:
    """Add Σ_j Γ_kj(e) Φ_j(s') − Φ_k(s) to each reward: V becomes V − Φ and no decision changes.

    Potentials count as 0 where the process has ended. Without the cross terms, that is with
    Γ_kk Φ_k(s') − Φ_k(s) alone, decisions stay the same only if Γ_jk = 0 for all j > k: the shift
    of V_k leaks into the objectives below. [derived; one objective is classical]

    Args:
        mdp: the process.
        potentials: (S, d) or, for one objective, (S,) finite numbers, Φ.
        cross_terms: whether the terms j < k are added.

    Returns:
        The process with the new rewards.

    Raises:
        ShapeError: if there is not one number a state and objective.
        DomainError: if a potential is not finite.

    Claims: decisions.C6d.

    Examples:
        >>> one = MDP([[[1]], [[1]]], torch.ones(2, 1, 1), [[1.0], [0.0]], terminal=[False, True])
        >>> shape_reward(one, torch.tensor([3.0, 9.0])).reward.flatten().tolist()
        [-2.0, 0.0]
    """
    phi = torch.as_tensor(potentials, dtype=torch.float64, device=mdp.successor.device)
    phi = phi[:, None] if phi.ndim == 1 else phi
    if phi.shape != (mdp.num_states, mdp.num_objectives):
        raise ShapeError(
            f"potentials must be (S, d) = {(mdp.num_states, mdp.num_objectives)}; given "
            f"{tuple(phi.shape)}"
        )
    if not bool(torch.isfinite(phi).all()):
        raise DomainError("potentials must be finite; one is NaN or infinite")
    live = mdp.allowed.any(1)
    phi = torch.where(live[:, None], phi, 0.0)
    after = phi[mdp.successor.long()]
    reward = mdp.reward.double().expand(*mdp.successor.shape, mdp.num_objectives).clone()
    for k in range(mdp.num_objectives):
        for j in range(k + 1) if cross_terms else [k]:
            reward[..., k] += mdp.entry(k, j) * after[..., j]
        reward[..., k] -= phi[:, None, None, k]
    reward = torch.where((mdp.probability > 0)[..., None] & live[:, None, None, None], reward, 0.0)
    return replace(mdp, reward=reward)
