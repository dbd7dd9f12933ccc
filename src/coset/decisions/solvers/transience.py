"""Whether multipliers die out under every policy, and weights that prove it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import NotConvergedError
from coset.core.results import Verdict, Witness
from coset.decisions.errors import NotTransientError
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.policy_kernel import (
    DENSE_STATES,
    PolicyKernel,
    perron_vector,
    row_tolerance,
)
from coset.decisions.solvers.row_sums import contraction_factors, spread
from coset.decisions.solvers.state_list import list_states

__all__ = [
    "Transience",
    "TransienceWitness",
    "closed_actions",
    "level_of",
    "transience",
]

# Sweeps of the lifetime equation before systems are solved instead.
_SWEEPS = 300
# Lifetimes are good enough when one more sweep adds at most this to any: λ ≤ 1 − (1 − this)/max w.
_ADDED = 0.5
# A spectral radius that close to 1 cannot be told from 1 in float64.
_NEAR_ONE = 1e-11


@dataclass(frozen=True, eq=False, repr=False)
class TransienceWitness(Witness):
    """A policy under which multipliers do not die out: W_π x ≥ ρ x with x ≥ 0, x ≠ 0 and ρ ≥ 1.

    Attributes:
        policy: (S,) int64, −1 where the process has ended.
        radius: ρ, a lower bound on the spectral radius of W_π; 1 stands for 1 up to rounding.
        vector: (S,) float64, x.

    Claims: decisions.C8b, decisions.C17.
    """

    policy: Tensor
    radius: float
    vector: Tensor

    def __repr__(self) -> str:
        kept = int((self.vector > 0).sum())
        return f"TransienceWitness(radius ≥ {self.radius:.6g}, among {kept:,} states)"

    def replay(self, model: Any) -> bool:
        """Check W_π x ≥ ρ x again on a level, up to rounding.

        Args:
            model: a `ScalarLevel`, or an `MDP` of one objective.

        Returns:
            Whether the policy is allowed and the inequality holds with ρ ≥ 1.
        """
        level = level_of(model, 0)
        size = (level.num_states,)
        if self.policy.shape != size or self.vector.shape != size:
            return False
        live = self.policy >= 0
        if not bool(torch.isfinite(self.vector).all() & (self.policy < level.num_actions).all()):
            return False
        rows = torch.arange(level.num_states, device=live.device)[live]
        if not bool(level.allowed[rows, self.policy[live]].all()):
            return False
        moved = torch.zeros_like(self.vector)
        moved[live] = spread(level, self.vector)[rows, self.policy[live]]
        slack = row_tolerance(level) + _NEAR_ONE
        enough = moved >= self.radius * self.vector * (1 - slack)
        some = bool((self.vector > 0).any()) and bool((self.vector >= 0).all())
        return some and self.radius >= 1 and bool(enough.all())

    def explain(self) -> str:
        """Name the states among which mass is kept.

        Returns:
            One sentence.
        """
        states = torch.nonzero(self.vector > 0).flatten().tolist()
        shown = list_states(states)
        return (
            f"from states {shown} the product of multipliers does not die out under this policy: "
            f"spectral radius ≥ {self.radius:.12g}"
        )


@dataclass(frozen=True, repr=False)
class Transience(Verdict):
    """Whether ρ(W_π) < 1 for every stationary policy π, with the proof of either answer.

    Attributes:
        weights: (S,) float64, w > 0 at states that have an action and 0 at the others, with
            Σ W w ≤ λ w for every action: T contracts in ‖x‖_w = max |x_s| / w_s; or ``None``.
        factor: λ < 1; infinite if it does not hold.
        low_factor: the smallest Σ W w / w, for the sharper side of the bounds.
        witness: the policy that fails, or ``None``.

    Claims: decisions.C17.
    """

    weights: Tensor | None = None
    factor: float = math.inf
    low_factor: float = 0.0
    witness: TransienceWitness | None = None

    def __repr__(self) -> str:
        return f"Transience({self.holds}: {self.reason}; factor {self.factor:.6g})"

    def throw(self) -> Transience:
        """Return itself if it holds, else raise.

        Returns:
            Itself.

        Raises:
            NotTransientError: with the policy and the radius.
        """
        if self.witness is not None:
            policy = tuple(self.witness.policy.tolist())
            raise NotTransientError(
                f"multipliers must die out under every policy (spectral radius < 1); "
                f"{self.witness.explain()}; lower the multipliers, forbid the actions that stay, "
                f"or solve the level as an undiscounted one",
                policy,
                self.witness.radius,
            )
        return self


def level_of(model: MDP | ScalarLevel, level: int = 0) -> ScalarLevel:
    """Return the weights of an objective as a level; its reward lacks what objectives above add.

    Args:
        model: a process, or a level, which is returned as it is.
        level: which objective of a process.

    Returns:
        The level.
    """
    if isinstance(model, ScalarLevel):
        return model
    # The values of the levels above change rewards only, never the weights.
    above = torch.zeros(model.num_states, level, dtype=torch.float64)
    return model.level(level, above.to(model.successor.device))


def closed_actions(level: ScalarLevel) -> Tensor:
    """Return the largest set of actions that keep the whole mass among the states that have them.

    An action belongs to it if its row sums to 1 (or more) up to rounding, and each of its
    successors has such an action. The set is empty iff, with all row sums ≤ 1, mass leaks under
    every policy.

    Args:
        level: the problem.

    Returns:
        (S, A) bool.

    Complexity: O(S A K) and one step for each layer of states that is peeled off.
    """
    num_states, num_actions, num_successors = level.successor.shape
    device = level.allowed.device
    full = level.row_sums() >= 1 - row_tolerance(level)
    kept = (level.allowed & full).cpu().numpy().copy()
    used = (level.weight != 0).cpu().numpy()
    pairs, places = np.nonzero(used.reshape(-1, num_successors))
    into = level.successor.cpu().numpy().reshape(-1, num_successors)[pairs, places]
    order = np.argsort(into, kind="stable")
    pairs = pairs[order]
    first = np.searchsorted(into[order], np.arange(num_states + 1))
    flat, count = kept.reshape(-1), kept.sum(1)
    gone = np.nonzero(count == 0)[0]
    while gone.size:
        reach = np.concatenate([pairs[first[s] : first[s + 1]] for s in gone.tolist()])
        lost = np.unique(reach[flat[reach]])
        flat[lost] = False
        touched = np.unique(lost // num_actions)
        count[touched] = kept[touched].sum(1)
        gone = touched[count[touched] == 0]
    return torch.from_numpy(kept).to(device)


def transience(model: MDP | ScalarLevel, level: int = 0) -> Transience:
    """Tell whether multipliers die out under every policy: ρ* = max_π ρ(W_π) < 1.

    ρ* < 1 iff the lifetime equation w(s) = max_a [1 + Σ W w] has a finite solution; then T is a
    contraction in ‖x‖_w = max |x_s| / w_s with factor λ = 1 − 1/max w, although rows of W may sum
    to more than 1. Rows that all sum to less than 1 need no weights; with sums ≤ 1 it is a question
    of the graph; else policies are improved until their lifetimes are largest or do not exist.
    [derived]

    Args:
        model: a process, or one of its levels.
        level: which objective of a process.

    Returns:
        The verdict, with weights or with a policy that fails. Sums within K roundings of 1, and
        spectral radii within 1e-11 of 1, count as 1.

    Raises:
        NotConvergedError: if a system of more than 20,000 equations could not be solved.

    Claims: decisions.C17.

    Examples:
        >>> mdp = MDP([[[1]], [[0]]], [[[1.0]], [[1.0]]], [[1.0], [0.5]], [[[2.0]], [[0.25]]])
        >>> found = transience(mdp)
        >>> found.holds, found.weights.tolist(), round(found.factor, 12)
        (True, [6.0, 2.5], 0.833333333333)
    """
    scalar = level_of(model, level)
    active = scalar.active
    ones = active.double()
    if bool(active.all()):
        ones = torch.ones((), dtype=torch.float64, device=ones.device).expand(ones.shape)
    low, high = contraction_factors(scalar, ones)
    if high < 1 - row_tolerance(scalar):
        return _holds("every row of multipliers sums to less than 1", ones, low, high, {})
    row_high = float(torch.where(scalar.allowed, scalar.row_sums(), 0.0).max())
    if row_high <= 1 + row_tolerance(scalar):
        closed = closed_actions(scalar)
        if bool(closed.any()):
            return _kept_for_ever(scalar, closed)
    return _by_lifetimes(scalar)


def _holds(
    reason: str, weights: Tensor, low: float, high: float, evidence: Mapping[str, Any]
) -> Transience:
    largest = {"largest_weight": float(weights.max()), **evidence}
    return Transience(True, reason, largest, weights, high, low)


def _fails(witness: TransienceWitness) -> Transience:
    return Transience(False, witness.explain(), {"radius": witness.radius}, witness=witness)


def _kept_for_ever(level: ScalarLevel, closed: Tensor) -> Transience:
    """Return the verdict for states in which one can stay for ever without loss."""
    inside = closed.any(1)
    policy = level.allowed.long().argmax(1)
    policy[~level.active] = -1
    policy[inside] = closed.long().argmax(1)[inside]
    return _fails(TransienceWitness(policy, 1.0, inside.double()))


def _by_lifetimes(level: ScalarLevel) -> Transience:
    """Solve the lifetime equation: many states by sweeps, few by policy improvement at once."""
    weights = level.active.double()
    for sweep in range(_SWEEPS if level.num_states > DENSE_STATES else 0):
        raised = _longest(level, weights)
        if not bool(torch.isfinite(raised).all()):
            break
        # Sweeps increase from below, so the last increase bounds what is missing of w ≥ 1 + W w.
        if float((raised - weights).max()) <= _ADDED:
            low, high = contraction_factors(level, weights)
            if high < 1:
                return _holds(_PROOF, weights, low, high, {"sweeps": sweep + 1})
        weights = raised
    return _improve_lifetimes(level, weights)


_PROOF = "weights w > 0 with Σ W w ≤ λ w, λ < 1, were found"


def _longest(level: ScalarLevel, weights: Tensor) -> Tensor:
    """Return max_a [1 + Σ W w] at states with an action, else 0."""
    best = spread(level, weights).masked_fill(~level.allowed, -1.0).amax(1)
    return torch.where(level.active, 1 + best, torch.zeros_like(best))


def _improve_lifetimes(level: ScalarLevel, weights: Tensor) -> Transience:
    """Improve a policy until its lifetimes are the largest, or until they do not exist."""
    if not bool(torch.isfinite(weights).all()):
        weights = level.active.double()
    policy = _best_policy(level, weights)
    for step in range(10 * level.num_states + 100):
        kernel = PolicyKernel.of(level, policy)
        solved = kernel.lifetimes()
        if solved is None:
            vector, radius = perron_vector(kernel)
            if radius < 1 - _NEAR_ONE:
                raise NotConvergedError(
                    f"whether multipliers die out must be decided by solving {level.num_states} "
                    f"equations; the solution was not accurate enough, and the radius is "
                    f"{radius:.6g} at least; lower the largest multipliers"
                )
            return _fails(TransienceWitness(policy, max(1.0, radius), vector))
        better = spread(level, solved).masked_fill(~level.allowed, -1.0)
        here = better.gather(1, policy.clamp(min=0)[:, None]).squeeze(1)
        best, action = better.max(1)
        switch = level.active & (best > here * (1 + 1e-10) + 1e-12)
        low, high = contraction_factors(level, solved)
        if high < 1 and not bool(switch.any()):
            return _holds(_PROOF, solved, low, high, {"policies": step + 1})
        if not bool(switch.any()):
            break
        policy = torch.where(switch, action, policy)
    raise NotConvergedError(
        "policy improvement must reach the largest lifetimes; it did not, since the radius is too "
        "close to 1 for float64; lower the largest multipliers"
    )


def _best_policy(level: ScalarLevel, weights: Tensor) -> Tensor:
    policy = spread(level, weights).masked_fill(~level.allowed, -1.0).argmax(1)
    policy[~level.active] = -1
    return policy
