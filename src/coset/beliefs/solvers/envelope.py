"""Inconsistency as a differentiable function of the beliefs, by the envelope theorem."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.attention import Attention, attend
from coset.beliefs.errors import WidthError
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.components import idle_variables, independent_parts
from coset.beliefs.solvers.dense import solve_dense
from coset.beliefs.solvers.implicit import moved
from coset.beliefs.solvers.problem import DenseProblem, check_gamma, dense_problem
from coset.beliefs.solvers.result import DenseResult
from coset.beliefs.solvers.score import score_of
from coset.beliefs.units import Units, in_units

__all__ = ["inconsistency"]


def inconsistency(
    pdg: PDG,
    gamma: float = 0.0,
    attention: Attention | None = None,
    *,
    second_order: bool = False,
    units: Units = "nats",
    **options: Any,
) -> Tensor:
    """Return ⟨⟨M⟩⟩_γ = inf_μ [[M]]_γ(μ) with its gradient in the parameters of the beliefs.

    By the envelope theorem the gradient is that of the score at the minimizer μ*, held fixed:
    −Σ β E_μ* ∇ log p(T|S); where a constraint moves, μ* moves with it. It is as exact as μ* is.

    Args:
        pdg: the beliefs.
        gamma: γ ≥ 0.
        attention: factors of the confidences; variables that nothing attended touches are dropped.
        second_order: let the gradient itself be differentiated, through a linear solve with the
            Hessian at μ*; at most 2,048 worlds a component.
        units: "nats" or "bits".
        **options: of `solve`: method, tol, max_iter.

    Returns:
        (*batch,); +∞, without gradient, if beliefs with β = ∞ or zeros contradict each other.

    Raises:
        NonConvexError: if γα > β on some arc.
        UnsupportedError: if `second_order` is asked for and a constraint learns.
        WidthError: if a component has too many worlds and no narrow junction tree, or
            `second_order` asks for its joint.

    Warns:
        RuntimeWarning: if the gap stayed above the tolerance: value and gradient are that far off.

    Claims: beliefs.C22.

    Example:
        >>> pdg = PDG({"X": 2})
        >>> a = pdg.add("p", "X", cpd=torch.tensor([0.8, 0.2], dtype=torch.float64), learnable=True)
        >>> b = pdg.add("q", "X", cpd=torch.tensor([0.5, 0.5], dtype=torch.float64))
        >>> inconsistency(pdg).backward()
        >>> [round(g, 4) for g in a.parameters[0].grad.tolist()]
        [0.1333, -0.1333]
    """
    check_gamma(gamma)
    graph = attend(pdg, attention)
    parts = [_component(part, gamma, second_order, options) for part in independent_parts(graph)]
    entropy = sum(math.log(v.card) for v in idle_variables(graph))
    parts.append(torch.tensor(-gamma * entropy, dtype=torch.float64))
    device = parts[0].device
    total = torch.stack(torch.broadcast_tensors(*(part.to(device) for part in parts))).sum(0)  # type: ignore[no-untyped-call]
    return in_units(total, units)


def _component(part: PDG, gamma: float, second_order: bool, options: dict[str, Any]) -> Tensor:
    try:
        problem = dense_problem(part, gamma)
    except WidthError:
        if second_order or options.get("method", "auto") not in ("auto", "tree"):
            raise
        # Imported here: the tree solver stands on the dense ones.
        from coset.beliefs.tree.envelope import tree_inconsistency

        limits = {name: options[name] for name in ("tol", "max_iter") if name in options}
        return tree_inconsistency(part, gamma, **limits)
    _, result = solve_dense(problem, **options)
    if not result.converged:
        warnings.warn(
            f"the inconsistency of {', '.join(part.arcs)} is at most {float(result.gap.max()):.2g} "
            f"nats above its infimum, not within the tolerance, and its gradient is biased; raise "
            f"max_iter or tol",
            RuntimeWarning,
            stacklevel=3,
        )
    log_joint = live(problem, result.log_joint)
    if second_order:
        log_joint = moved(problem, log_joint)
    value = score_of(problem, log_joint) - _tightening(problem, result)
    return torch.where(result.value == math.inf, math.inf, value)


def _tightening(problem: DenseProblem, result: DenseResult) -> Tensor:
    """Return Σ y(s,t) μ(s) (p(t|s) − its value now): 0, with the gradient that multipliers give.

    For constraints that are no chain: μ* moves with them, and by the envelope theorem for
    constrained minima the value moves by the derivative of the Lagrangian.
    """
    ndim, total = len(problem.variables), torch.zeros((), dtype=torch.float64)
    joint = result.log_joint.exp()
    for term, y in zip(problem.constraints, result.multipliers, strict=False):
        scope = {a for a in range(-ndim, 0) if term.log_p.shape[a] > 1}
        others = tuple(a for a in range(-ndim, 0) if a not in scope or a in term.targets)
        kernel = term.log_p.exp()
        change = y * joint.sum(others, keepdim=True) * (kernel - kernel.detach())
        total = total + change.sum(tuple(range(-ndim, 0)))
    return total


def live(problem: DenseProblem, log_joint: Tensor) -> Tensor:
    """Return log μ as a function of the tables of constraints, which it always meets.

    Args:
        problem: the problem, with gradients.
        log_joint: log μ, (*batch, *shape), which meets the constraints.

    Returns:
        The same numbers: μ(free) ∏ p(T|S) μ(rest | all of these), in which only p can move.
    """
    log_joint = log_joint.detach()
    for stage in problem.chain.stages:
        kernel = torch.where(log_joint > -math.inf, stage.log_kernel, 0.0)
        log_joint = log_joint + (kernel - kernel.detach())
    return log_joint
