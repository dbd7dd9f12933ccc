"""What a policy is worth: its value at each state, objective by objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.core.numerics import EPSILON
from coset.core.results import Record
from coset.decisions.errors import NotTransientError
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.policy_iteration import policy_reward
from coset.decisions.solvers.policy_kernel import PolicyKernel, perron_vector
from coset.decisions.solvers.state_list import list_states

__all__ = [
    "PolicyValue",
    "checked_policy",
    "evaluate",
    "evaluate_level",
    "not_transient",
    "reaching",
    "signed_level",
]


@dataclass(frozen=True, eq=False, repr=False)
class PolicyValue(Record):
    """The value of a policy on one level.

    Attributes:
        value: (S,) float64.
        error: (S,) float64: a proved bound on its error.
        lifetime: (S,) float64: w = 1 + |W_π| w among the states that may still collect something,
            0 at the others.
    """

    value: Tensor
    error: Tensor
    lifetime: Tensor

    def __repr__(self) -> str:
        within = float(self.error.max()) if len(self.error) else 0.0
        return f"PolicyValue({len(self.value):,} states, within {within:.2g})"


def evaluate(mdp: MDP, policy: Any) -> Tensor:
    """Return E[u] of a stationary policy from each state: V_i = Σ_t of what objective i collects.

    V_i = r_i + Σ_{j<i} P Γ_ij V_j + P Γ_ii V_i under the policy, solved level by level. Nothing
    has to die out where nothing is collected: a policy that stays for ever among states without
    reward is worth 0 there. Multipliers may be negative (one objective).

    Args:
        mdp: the process.
        policy: (S,) whole numbers, an action that exists at each state; or (S, A) float64 shares
            that sum to 1. What stands at terminal states is not read.

    Returns:
        (S, d) float64, 0 at terminal states.

    Raises:
        NotTransientError: if some sum does not converge absolutely.
        ShapeError, DtypeError, DomainError: if the policy is none of this process.

    Complexity: d sparse systems of S equations (dense ones up to 1,200 states).

    Claims: decisions.C8, decisions.C11.

    Examples:
        >>> mdp = MDP([[[1]], [[0]]], [[[1.0]], [[1.0]]], [[1.0], [0.5]], [[[2.0]], [[0.25]]])
        >>> evaluate(mdp, [0, 0]).flatten().tolist()
        [4.0, 1.5]
    """
    chosen = checked_policy(mdp, policy)
    value = torch.zeros(
        mdp.num_states, mdp.num_objectives, dtype=torch.float64, device=mdp.successor.device
    )
    for i in range(mdp.num_objectives):
        level = signed_level(mdp) if mdp.has_negative_multiplier else mdp.level(i, value[:, :i])
        value[:, i] = evaluate_level(level, chosen).value
    return value


def signed_level(mdp: MDP) -> ScalarLevel:
    """Return the only level of a process whose multipliers may be negative, signs kept.

    It is right for one policy at a time; its Bellman operator is not monotone: see `signed`.

    Args:
        mdp: a process of one objective.

    Returns:
        The level.
    """
    weight = mdp.probability.double() * mdp.entry(0, 0)
    return ScalarLevel(mdp.successor, weight, mdp.expected_reward(0), mdp.allowed)


def checked_policy(mdp: MDP, policy: Any) -> Tensor:
    """Return a policy in the form that levels take, or say what is wrong with it.

    Args:
        mdp: the process.
        policy: as in `evaluate`.

    Returns:
        (S,) int64, −1 at terminal states; or (S, A) float64, 0 at terminal states.

    Raises:
        ShapeError, DtypeError, DomainError: if it is none of this process.
    """
    try:
        given = torch.as_tensor(policy).to(mdp.successor.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DtypeError(
            f"a policy must be a tensor, an array or nested lists of numbers; given "
            f"{type(policy).__name__}: {error}"
        ) from error
    live = mdp.allowed.any(1)
    if given.shape == (mdp.num_states,):
        if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
            raise DtypeError(f"a policy of one action a state holds integers; given {given.dtype}")
        inside = (given >= 0) & (given < mdp.num_actions)
        chosen = given.long().clamp(0, mdp.num_actions - 1)
        exists = inside & mdp.allowed.gather(1, chosen[:, None]).squeeze(1)
        wrong = torch.nonzero(live & ~exists).flatten().tolist()
        if wrong:
            raise DomainError(
                f"a policy must take an action that exists at each state; at state {wrong[0]} it "
                f"takes {int(given[wrong[0]])}"
            )
        return torch.where(live, chosen, -1)
    if given.shape != mdp.allowed.shape:
        raise ShapeError(
            f"a policy must be actions ({mdp.num_states},) or shares {tuple(mdp.allowed.shape)}; "
            f"given {tuple(given.shape)}"
        )
    shares = torch.where(live[:, None], given.double(), 0.0)
    fine = torch.isfinite(shares) & (shares >= 0) & (mdp.allowed | (shares == 0))
    right = fine.all(1) & ((shares.sum(1) - 1).abs() <= 1e-9)
    wrong = torch.nonzero(live & ~right).flatten().tolist()
    if wrong:
        raise DomainError(
            f"the shares of a policy must be ≥ 0, sum to 1 and be 0 for actions that do not exist; "
            f"at state {wrong[0]} they are {given[wrong[0]].tolist()}"
        )
    return shares


def evaluate_level(level: ScalarLevel, policy: Tensor) -> PolicyValue:
    """Return the value of a policy on one level, with a proved error.

    Args:
        level: the problem.
        policy: (S,) int64, −1 at states without an action; or (S, A) float64 shares.

    Returns:
        Σ_t W_π^t r_π, and the bound w · max(residual / w) / (1 − λ) with the policy's lifetimes w.

    Raises:
        NotTransientError: if the sum does not converge absolutely.
    """
    kernel = PolicyKernel.of(level, policy)
    reward = policy_reward(level, policy)
    value, error, lifetime = (torch.zeros_like(reward) for _ in range(3))
    collecting = reaching(kernel.matrix, (reward != 0).cpu().numpy())
    if not collecting.any():
        return PolicyValue(value, error, lifetime)
    part = kernel.restrict(collecting)
    weights = part.lifetimes()
    if weights is None:
        raise not_transient(part, collecting, policy)
    states = torch.from_numpy(np.nonzero(collecting)[0]).to(reward.device)
    right = reward[states]
    found = part.solve(right)
    value[states], lifetime[states] = found, weights
    error[states] = _error(part, found, right, weights)
    return PolicyValue(value, error, lifetime)


def reaching(matrix: Any, targets: np.ndarray) -> np.ndarray:
    """Return the states from which a target is reached, targets included.

    Args:
        matrix: (S, S) scipy sparse; entries that are not 0 are edges from row to column.
        targets: (S,) bool.

    Returns:
        (S,) bool.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order

    size = len(targets)
    if not targets.any() or not (np.diff(matrix.indptr) > 0)[~targets].any():
        return targets
    # One more state leads to all targets; edges are followed backwards.
    first = np.nonzero(targets)[0]
    edges = matrix.tocoo()
    rows = np.concatenate((edges.col, np.full(len(first), size)))
    columns = np.concatenate((edges.row, first))
    shape = (size + 1, size + 1)
    backwards = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
    order = breadth_first_order(backwards, size, return_predecessors=False)
    found = np.zeros(len(targets) + 1, bool)
    found[order] = True
    return found[:-1]


def _error(part: PolicyKernel, value: Tensor, right: Tensor, weights: Tensor) -> Tensor:
    """Return the bound from the residual, with its own rounding."""
    x, b, w = (t.cpu().numpy() for t in (value, right, weights))
    size = abs(part.matrix)
    terms = int(np.diff(part.matrix.indptr).max(initial=0)) + 3
    rounding = terms * EPSILON["float64"] * (np.abs(b) + size @ np.abs(x) + np.abs(x))
    left = np.abs(b - (x - part.matrix @ x)) + rounding
    factor = float(((size @ w) / w).max()) * (1 + terms * EPSILON["float64"])
    if factor >= 1:
        return torch.full_like(value, float("inf"))
    return torch.from_numpy(w * (float((left / w).max()) / (1 - factor))).to(value.device)


def not_transient(part: PolicyKernel, states: np.ndarray, policy: Tensor) -> NotTransientError:
    """Return the error that names where a policy's multipliers do not die out.

    Args:
        part: its kernel among some states.
        states: (S,) bool, which.
        policy: (S,) int64 or (S, A) float64.

    Returns:
        The error, to be raised.
    """
    vector, radius = perron_vector(part)
    numbers = np.nonzero(states)[0][(vector > 0).cpu().numpy()].tolist()
    shown = list_states(numbers)
    actions = policy if policy.ndim == 1 else policy.argmax(1)
    return NotTransientError(
        f"multipliers must die out wherever the policy still collects something; among states "
        f"{shown} the spectral radius is {radius:.12g}; lower the multipliers or change the policy "
        f"there",
        tuple(actions.tolist()),
        max(1.0, radius),
    )
