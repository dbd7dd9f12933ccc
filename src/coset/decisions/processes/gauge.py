"""Which multipliers are a discount in disguise: scales that may be chosen freely for each state."""

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

__all__ = ["Gauge", "gauge", "regauge"]


@dataclass(frozen=True, repr=False)
class Gauge(Verdict):
    """Whether scales c make all multipliers one discount: m(e) c(s')/c(s) = γ.

    Attributes:
        scale: (S,) float64 > 0, c, 1 at the first state of each connected component; ``None`` if
            it fails.
        discount: γ, the geometric mean of the multipliers along every cycle; 1 if there is no
            cycle that tells; ``None`` if it fails.
        residual: the largest |log m(e) + log c(s') − log c(s) − log γ|.
        witness: cycles whose products do not fit, or ``None``.

    Claims: decisions.C5b.
    """

    scale: Tensor | None = None
    discount: float | None = None
    residual: float = math.inf
    witness: CycleWitness | None = None

    def __repr__(self) -> str:
        return f"Gauge({self.holds}: {self.reason})"


def gauge(mdp: MDP, discount: float | None = None, *, tol: float = 1e-9) -> Gauge:
    """Tell whether the process is an ordinary discounted one, up to a scale for each state.

    Utilities of what follows a state may be scaled by c(s) > 0 without a change of preference:
    r → r/c(s), m → m c(s')/c(s). So only products of m along cycles mean anything, and m is a
    discount γ in disguise iff the product along every cycle is γ^length (a transition that is run
    through backwards divides, and counts −1). Transitions into terminal states and multipliers 0
    end the process and do not matter. [derived]

    Args:
        mdp: a process of one objective with multipliers ≥ 0.
        discount: γ > 0 if it is to be that one (1: no discount); by default any.
        tol: residuals of logarithms up to tol count as 0.

    Returns:
        The verdict, with scales and discount, or with a witness.

    Raises:
        DomainError: if there are several objectives, negative multipliers, or γ or tol are not
            positive numbers.

    Complexity: O(transitions).

    Claims: decisions.C5b.

    Examples:
        >>> pair = MDP([[[1]], [[0]]], torch.ones(2, 1, 1), [[1.0], [1.0]], [[[2.0]], [[0.45]]])
        >>> found = gauge(pair)
        >>> round(found.discount, 12), [round(c, 12) for c in found.scale.tolist()]
        (0.948683298051, [1.0, 0.474341649025])
        >>> gauge(pair, 1.0).holds
        False
    """
    if mdp.num_objectives != 1:
        raise DomainError(
            f"scales for each state are for one objective; given {mdp.num_objectives}; for a "
            f"matrix that mixes objectives see regauge"
        )
    if mdp.has_negative_multiplier:
        raise DomainError("multipliers must be ≥ 0; some are negative: see signed")
    if not (
        0 < tol < math.inf and (discount is None or (discount > 0 and math.isfinite(discount)))
    ):
        raise DomainError(f"discount and tol must be positive numbers; given {discount}, {tol}")
    graph = TransitionGraph(mdp, to_terminal=False, positive=True)
    state, action, place = graph.edges.T
    multiplier = mdp.entry(0, 0).expand(mdp.successor.shape).cpu()
    amount = multiplier[state, action, place].double().log().numpy()
    lengths = np.ones(graph.num_edges)
    defect, turns = graph.defects(amount), graph.defects(lengths)
    rate = math.log(discount) if discount is not None else _rate(defect, turns)
    left = np.abs(defect - rate * turns)
    # Sums along a cycle round; a cycle has 2 S transitions at most.
    residual = float(left.max(initial=0.0))
    if residual > tol * (1 + float(np.abs(amount).max(initial=0.0))):
        return _failed(graph, amount, defect, turns, discount)
    scale = np.exp(graph.integrate(rate * lengths - amount))
    found = discount if discount is not None else math.exp(rate)
    reason = f"multipliers are the discount {found:.12g} up to a scale for each state"
    return Gauge(True, reason, {"residual": residual}, torch.from_numpy(scale), found, residual)


def _rate(defect: np.ndarray, turns: np.ndarray) -> float:
    """Return the logarithm of γ that fits best, 0 if no cycle has a length."""
    size = float(turns @ turns)
    return float(defect @ turns) / size if size > 0 else 0.0


def _failed(
    graph: TransitionGraph,
    amount: np.ndarray,
    defect: np.ndarray,
    turns: np.ndarray,
    discount: float | None,
) -> Gauge:
    if discount is not None:
        wrong = np.abs(defect - math.log(discount) * turns)
        weights, states = graph.cycle(int(wrong.argmax()))
        witness = graph.witness(
            "multiplier", weights, amount - math.log(discount), discount, (states,)
        )
        return _verdict(witness)
    balanced = np.where(np.abs(turns) < 0.5, np.abs(defect), 0.0)
    turning = np.abs(turns) > 0.5
    means = np.where(turning, defect / np.where(turning, turns, 1.0), np.nan)
    apart = float(np.nanmax(means) - np.nanmin(means)) if turning.any() else 0.0
    if float(balanced.max()) > apart:
        weights, states = graph.cycle(int(balanced.argmax()))
        return _verdict(graph.witness("multiplier", weights, amount, None, (states,)))
    first, second = int(np.nanargmin(means)), int(np.nanargmax(means))
    one, along_one = graph.cycle(first)
    two, along_two = graph.cycle(second)
    weights = {n: float(turns[second]) * w for n, w in one.items()}
    for n, w in two.items():
        weights[n] = weights.get(n, 0.0) - float(turns[first]) * w
    return _verdict(graph.witness("multiplier", weights, amount, None, (along_one, along_two)))


def _verdict(witness: CycleWitness) -> Gauge:
    return Gauge(False, witness.explain(), {"total": witness.total}, witness=witness)


def regauge(mdp: MDP, *, scale: Any = None, matrix: Any = None) -> MDP:
    """Change the representation of the same preferences: by a scale for each state, or a matrix.

    With scales c > 0 (one objective): r → r/c(s), m → m c(s')/c(s), V → V/c. With a lower
    triangular A, positive on the diagonal: r → A r, Γ → A Γ A⁻¹, V → A V. Optimal policies stay
    the same. [derived]

    Args:
        mdp: the process.
        scale: (S,) finite numbers > 0, or ``None``.
        matrix: (d, d), or ``None``.

    Returns:
        The process in the new representation, in float64.

    Raises:
        ShapeError: if scale or matrix do not fit.
        DomainError: if a scale is not positive, the matrix not lower triangular with a positive
            diagonal, or scales are given for several objectives.

    Claims: decisions.C5b.

    Examples:
        >>> pair = MDP([[[1]], [[0]]], torch.ones(2, 1, 1), [[1.0], [1.0]], [[[2.0]], [[0.5]]])
        >>> regauge(pair, scale=[1.0, 0.5]).multiplier.flatten().tolist()
        [1.0, 1.0]
    """
    if scale is not None:
        mdp = _scaled(mdp, torch.as_tensor(scale, dtype=torch.float64))
    if matrix is not None:
        mdp = _mixed(mdp, torch.as_tensor(matrix, dtype=torch.float64))
    return mdp


def _scaled(mdp: MDP, scale: Tensor) -> MDP:
    if mdp.num_objectives != 1:
        raise DomainError(f"scales are for one objective; given {mdp.num_objectives}")
    if scale.shape != (mdp.num_states,):
        raise ShapeError(
            f"scale must be one number a state, ({mdp.num_states},); given {tuple(scale.shape)}"
        )
    if not bool((torch.isfinite(scale) & (scale > 0)).all()):
        raise DomainError("scales must be finite and > 0")
    ratio = scale[mdp.successor.long()] / scale[:, None, None]
    used = mdp.probability > 0
    multiplier = torch.where(used, mdp.entry(0, 0).double() * ratio, 0.0)
    reward = mdp.reward.double() / scale[:, None, None, None]
    return replace(mdp, reward=reward, multiplier=multiplier)


def _mixed(mdp: MDP, matrix: Tensor) -> MDP:
    d = mdp.num_objectives
    if matrix.shape != (d, d):
        raise ShapeError(f"matrix must be ({d}, {d}); given {tuple(matrix.shape)}")
    if not bool(torch.isfinite(matrix).all() & (matrix.triu(1) == 0).all()):
        raise DomainError("the matrix must be finite and lower triangular")
    if not bool((matrix.diagonal() > 0).all()):
        raise DomainError("the diagonal of the matrix must be > 0: it keeps the order of vectors")
    gamma = torch.zeros(*_multiplier(mdp).shape[:3], d, d, dtype=torch.float64)
    for i in range(d):
        for j in range(i + 1):
            gamma[..., i, j] = mdp.entry(i, j)
    inverse = torch.linalg.solve_triangular(matrix, torch.eye(d, dtype=torch.float64), upper=False)
    mixed = (matrix @ gamma @ inverse).tril()
    return replace(mdp, reward=mdp.reward.double() @ matrix.T, multiplier=mixed)


def _multiplier(mdp: MDP) -> Tensor:
    assert isinstance(mdp.multiplier, Tensor)
    return mdp.multiplier
