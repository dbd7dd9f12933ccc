"""Inconsistency of many variables as a differentiable function of the beliefs."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.tree.plan import MAX_BYTES
from coset.beliefs.tree.solver import solve_tree
from coset.core.errors import UnsupportedError
from coset.core.results import Status

__all__ = ["tree_inconsistency"]


def tree_inconsistency(
    pdg: PDG,
    gamma: float = 0.0,
    tol: float = 1e-9,
    max_iter: int = 20_000,
    *,
    max_bytes: int = MAX_BYTES,
) -> Tensor:
    """Return inf_μ [[M]]_γ(μ) with its first gradient, −Σ β E_μ* ∇ log p(T|S), by a junction tree.

    Args:
        pdg: the graph as it is attended.
        gamma: γ ≥ 0.
        tol: the gap at which to stop.
        max_iter: the most iterations.
        max_bytes: how much the tables may take.

    Returns:
        (*batch,) float64; +∞, without gradient, where beliefs contradict each other.

    Raises:
        UnsupportedError: if a constraint has parameters.
        CosetError: whatever `solve_tree` raises.

    Warns:
        RuntimeWarning: if the gap stayed above the tolerance.

    Example:
        >>> double = torch.float64
        >>> pdg = PDG({"X": 2})
        >>> a = pdg.add("p", "X", cpd=torch.tensor([0.8, 0.2], dtype=double), learnable=True)
        >>> b = pdg.add("q", "X", cpd=torch.tensor([0.5, 0.5], dtype=double))
        >>> tree_inconsistency(pdg).backward()
        >>> [round(g, 4) for g in a.parameters[0].grad.tolist()]
        [0.1333, -0.1333]

    Claims: beliefs.C22.
    """
    solution = solve_tree(pdg, gamma, tol, max_iter, max_bytes=max_bytes)
    if solution.status is Status.MAX_ITERATIONS:
        warnings.warn(
            f"the inconsistency is at most {solution.gap:.2g} nats above its infimum, not within "
            f"the tolerance, and its gradient is biased; raise max_iter or tol",
            RuntimeWarning,
            stacklevel=2,
        )
    value = torch.as_tensor(solution.value, dtype=torch.float64)
    if solution.joint is None:
        return value
    for arc in pdg.arcs.values():
        scope = (*arc.sources, *arc.targets)
        log_p = arc.log_probabilities(pdg.cards(scope))
        if not log_p.requires_grad:
            continue
        if arc.is_hard:
            raise UnsupportedError(
                f"a junction tree gives gradients of beliefs with finite β; {arc.name!r} is a "
                f"constraint: hold its table, or make β finite"
            )
        mass = solution.joint.marginal(*scope)
        certain = log_p.detach() == -math.inf
        moved = log_p.masked_fill(certain, 0.0).double().cpu()
        expected = (mass * (moved - moved.detach())).sum(tuple(range(-len(scope), 0)))
        value = value - arc.beta * expected
    return value
