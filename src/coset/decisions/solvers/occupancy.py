"""How often a policy takes each action, every visit weighted by the multipliers before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, ShapeError
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.evaluation import checked_policy, not_transient, reaching
from coset.decisions.solvers.policy_kernel import PolicyKernel
from coset.decisions.solvers.transience import level_of

__all__ = ["occupancy"]


def occupancy(mdp: MDP, policy: Any, start: Any, level: int = 0) -> Tensor:
    """Return x(s, a) = E Σ_t [product of the multipliers before t] · 1[(s, a) at t].

    x(s) = start(s) + Σ W_π(s', s) x(s'). With one objective, or a diagonal multiplier,
    Σ x r̄ = Σ start V for the policy's value V. With a discount γ, (1 − γ) x is a distribution;
    with multipliers other than that x is no probability.

    Args:
        mdp: the process.
        policy: as in `evaluate`.
        start: (S,) finite numbers ≥ 0: the mass at the beginning; that at terminal states is lost.
        level: which objective's multipliers.

    Returns:
        (S, A) float64.

    Raises:
        NotTransientError: if multipliers do not die out among the states that are reached.
        ShapeError, DtypeError, DomainError: if policy or start are none of this process.

    Examples:
        >>> loop = MDP([[[0], [0]]], torch.ones(1, 2, 1), [[1.0, 2.0]], 0.5)
        >>> occupancy(loop, [[0.75, 0.25]], [1.0]).tolist()
        [[1.5, 0.5]]
    """
    chosen = checked_policy(mdp, policy)
    mass = _start(mdp, start)
    kernel = PolicyKernel.of(level_of(mdp, level), chosen)
    visited = torch.zeros(mdp.num_states, dtype=torch.float64, device=mass.device)
    backwards = replace(kernel, matrix=kernel.matrix.T.tocsr())
    reached = reaching(backwards.matrix, (mass > 0).cpu().numpy())
    if reached.any():
        part = backwards.restrict(reached)
        if part.lifetimes() is None:
            raise not_transient(kernel.restrict(reached), reached, chosen)
        states = torch.from_numpy(np.nonzero(reached)[0]).to(mass.device)
        visited[states] = part.solve(mass[states]).clamp(min=0.0)
    if chosen.ndim == 2:
        return visited[:, None] * chosen
    shares = torch.nn.functional.one_hot(chosen.clamp(min=0), mdp.num_actions)
    return visited[:, None] * shares


def _start(mdp: MDP, start: Any) -> Tensor:
    given = torch.as_tensor(start, dtype=torch.float64, device=mdp.successor.device)
    if given.shape != (mdp.num_states,):
        raise ShapeError(
            f"start must be one number a state, ({mdp.num_states},); given {tuple(given.shape)}"
        )
    if not bool((torch.isfinite(given) & (given >= 0)).all()):
        raise DomainError("start must hold finite numbers ≥ 0")
    return torch.where(mdp.allowed.any(1), given, 0.0)
