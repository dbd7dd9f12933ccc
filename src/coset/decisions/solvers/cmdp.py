"""Constrained decision processes by linear programming, for contrast with priorities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from coset.core.errors import (
    DomainError,
    NotConvergedError,
    RangeError,
    ShapeError,
    UnsupportedError,
)
from coset.core.results import Certificate, Solution, Status
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.pair_problem import pairs_of_level
from coset.decisions.solvers.transience import transience

__all__ = ["CMDPCertificate", "CMDPSolution", "solve_cmdp", "start_distribution"]

# HiGHS meets constraints and optimality up to 1e-7; numbers are scaled by the largest beside them.
_TOLERANCE = 1e-6
# Shares of visits below this are rounding of the linear program.
_NO_SHARE = 1e-12


@dataclass(frozen=True, eq=False)
class CMDPCertificate(Certificate):
    """Why no policy does better: prices of the constraints at which none would.

    Attributes:
        mdp: the process.
        objective: which objective is maximized.
        bounds: objective → lower bound.
        start: (S,) the distribution of the first state.
        occupancy: (S, A) float64 ≥ 0, how often each action is taken, weighted by multipliers.
        prices: objective → λ ≥ 0.
        potential: (S,) float64, V with V ≥ r_0 + Σ λ_i r_i + W V for every action.
    """

    mdp: MDP
    objective: int
    bounds: Mapping[int, float]
    start: Tensor
    occupancy: Tensor
    prices: Mapping[int, float]
    potential: Tensor

    def verify(self) -> bool:
        """Check feasibility, and that V(start) − Σ λ c equals what the occupancy earns.

        Returns:
            Whether both hold, to 1e-6 of the numbers involved.
        """
        level = self.mdp.level(self.objective)
        rewards = self.mdp.expected_reward()
        scale = 1.0 + float(rewards.abs().max()) * float(self.occupancy.sum())
        priced = _priced(level, rewards, self.objective, self.prices)
        dual = priced.action_values(self.potential).amax(1)
        live = self.mdp.allowed.any(1)
        is_dual = bool((dual[live] <= self.potential[live] + _TOLERANCE * scale).all())
        is_flow = float(self._flow_error(level).abs().max()) <= _TOLERANCE * scale
        earned = (self.occupancy[..., None] * rewards).sum((0, 1))
        met = all(float(earned[i]) >= c - _TOLERANCE * scale for i, c in self.bounds.items())
        upper = float((self.start * self.potential).sum())
        upper -= sum(self.prices[i] * c for i, c in self.bounds.items())
        gap = abs(upper - float(earned[self.objective]))
        signs = bool((self.occupancy >= 0).all()) and all(p >= 0 for p in self.prices.values())
        return is_dual and is_flow and met and signs and gap <= _TOLERANCE * scale

    def explain(self) -> str:
        """Say what the constraints cost.

        Returns:
            One sentence.
        """
        prices = ", ".join(f"objective {i + 1}: {p:.6g}" for i, p in self.prices.items())
        return (
            f"no policy does better: one that may break the constraints, and pays these prices for "
            f"each unit ({prices or 'none'}), does not either"
        )

    def _flow_error(self, level: ScalarLevel) -> Tensor:
        into = torch.zeros(self.mdp.num_states, dtype=torch.float64)
        weight = level.weight.double() * level.scale * self.occupancy[..., None]
        into.index_add_(0, level.successor.reshape(-1).long(), weight.reshape(-1))
        out = self.occupancy.sum(1)
        live = self.mdp.allowed.any(1)
        return torch.where(live, out - into - self.start, torch.zeros_like(out))


@dataclass(frozen=True, eq=False, repr=False)
class CMDPSolution(Solution):
    """A policy that maximizes one objective while others keep their bounds.

    Attributes:
        value: (d,) float64, what the policy earns of each objective from the start.
        policy: (S, A) float64, probabilities of actions; rows of 0 at terminal states. It may have
            to be random, and it may be another one from another start.
        occupancy: (S, A) float64.
        prices: for each constrained objective what one unit of its bound costs.
        num_randomized: the number of visited states at which the policy is random.
    """

    policy: Tensor | None = None
    occupancy: Tensor | None = None
    prices: Mapping[int, float] | None = None
    num_randomized: int = 0

    def __repr__(self) -> str:
        if self.value is None:
            return f"CMDPSolution({self.status})"
        shown = ", ".join(f"{float(v):.9g}" for v in self.value)
        return f"CMDPSolution(({shown}), {self.num_randomized} randomized states, {self.status})"


def solve_cmdp(
    mdp: MDP,
    constraints: Mapping[int, float],
    start: int | Any,
    *,
    objective: int = 0,
    throw: bool = True,
) -> CMDPSolution:
    """Maximize E[u_objective] from a start subject to E[u_i] ≥ c_i, by one linear program.

    max Σ x r_objective over occupancies x ≥ 0, Σ_a x(s, a) − Σ W x = start(s), with a row
    Σ x r_i ≥ c_i for each constraint. Unlike lexicographic optima the result depends on the start,
    may need random actions, and is no maximum of a relation that satisfies Independence.

    Args:
        mdp: a process whose objectives share one multiplier of each transition, which dies out
            under every policy.
        constraints: objective (from 0) → lower bound c.
        start: a state, or the (S,) distribution of the first state.
        objective: what is maximized.
        throw: raise if no policy meets the constraints, rather than say so in `status`.

    Returns:
        The policy, its values, prices and a certificate.

    Raises:
        NotConvergedError: if no policy meets the constraints, and `throw`.
        UnsupportedError: if objectives have different multipliers: each would need an occupancy of
            its own.
        NotTransientError: if multipliers do not die out.
        RangeError, DomainError, ShapeError: if an objective, a bound or the start is none.

    Complexity: S A variables, S rows.

    Claims: decisions.C9, decisions.C9b.

    Examples:
        >>> mdp = MDP(
        ...     [[[0], [0]]],
        ...     [[[1.0], [1.0]]],
        ...     torch.tensor([[[[1.0, -1.0]], [[0.0, 0.0]]]]),
        ...     multiplier=0.0,
        ... )
        >>> found = solve_cmdp(mdp, {1: -0.5}, start=0)
        >>> found.policy.tolist(), found.value.tolist()
        ([[0.5, 0.5]], [0.5, -0.5])
    """
    bounds = _checked(mdp, constraints, objective)
    first = start_distribution(mdp, start)
    level = mdp.level(objective)
    transience(level).throw()
    problem, states = pairs_of_level(level, np.zeros(level.allowed.shape))
    rewards = mdp.expected_reward().reshape(-1, mdp.num_objectives).numpy()[problem.origin]
    found = _program(
        problem.state, problem.matrix, rewards, first.numpy()[states], bounds, objective
    )
    if found.status == 2:
        solution = CMDPSolution(
            None, Status.INFEASIBLE, "no policy meets all constraints from this start; relax one"
        )
        return solution.throw() if throw else solution
    if found.x is None or found.status != 0:
        raise NotConvergedError(f"the linear program must be solved; HiGHS says: {found.message}")
    return _solution(mdp, objective, bounds, first, found, problem.origin, states, rewards)


def start_distribution(mdp: MDP, start: Any) -> Tensor:
    """Return the distribution of the first state.

    Args:
        mdp: the process.
        start: a state, or (S,) probabilities.

    Returns:
        (S,) float64.

    Raises:
        RangeError: if there is no such state.
        ShapeError: if there is not one probability a state.
        DomainError: if the probabilities are negative or do not sum to 1.
    """
    if isinstance(start, int) and not isinstance(start, bool):
        if not 0 <= start < mdp.num_states:
            raise RangeError(f"the start is a state 0…{mdp.num_states - 1}; given {start}")
        first = torch.zeros(mdp.num_states, dtype=torch.float64)
        first[start] = 1.0
        return first
    first = torch.as_tensor(np.asarray(start, dtype=np.float64))
    if first.shape != (mdp.num_states,):
        raise ShapeError(
            f"the start is a state, or {mdp.num_states} probabilities; given {tuple(first.shape)}"
        )
    if not bool((first >= 0).all()) or not abs(float(first.sum()) - 1) <= 1e-6:
        raise DomainError(
            f"the probabilities of the first state are ≥ 0 and sum to 1; they sum to "
            f"{float(first.sum())}"
        )
    return first / first.sum()


def _checked(mdp: MDP, constraints: Mapping[int, float], objective: int) -> dict[int, float]:
    depth = mdp.num_objectives
    for i in (objective, *constraints):
        if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < depth:
            raise RangeError(f"an objective is one of 0…{depth - 1}; given {i!r}")
    if objective in constraints:
        raise DomainError(f"objective {objective} is maximized; leave it out of the constraints")
    bounds = {i: float(c) for i, c in constraints.items()}
    for i, c in bounds.items():
        if not math.isfinite(c):
            raise DomainError(f"a bound must be finite; that of objective {i} is {c}")
    if mdp.has_negative_multiplier:
        raise DomainError("multipliers must not be negative; see signed(mdp)")
    for i in range(depth):
        if bool((mdp.entry(i, i) != mdp.entry(0, 0)).any()):
            raise UnsupportedError(
                f"one linear program needs one multiplier for all objectives; that of objective "
                f"{i + 1} differs from that of objective 1; discount them alike"
            )
        if any(bool((mdp.entry(i, j) != 0).any()) for j in range(i)):
            raise UnsupportedError(
                f"one linear program needs diagonal multipliers; objective {i + 1} takes up values "
                f"of others"
            )
    return bounds


def _program(
    state: np.ndarray,
    matrix: sparse.csr_array,
    rewards: np.ndarray,
    first: np.ndarray,
    bounds: Mapping[int, float],
    objective: int,
) -> Any:
    from scipy.optimize import linprog

    count, size = matrix.shape
    own = sparse.csr_array((np.ones(count), (state, np.arange(count))), shape=(size, count))
    rows = [-rewards[:, i] for i in bounds]
    return linprog(
        -rewards[:, objective],
        A_eq=sparse.csr_matrix(own - sparse.csr_array(matrix.T)),
        b_eq=first,
        A_ub=np.stack(rows) if rows else None,
        b_ub=[-c for c in bounds.values()] or None,
        bounds=(0, None),
        method="highs",
    )


def _solution(
    mdp: MDP,
    objective: int,
    bounds: Mapping[int, float],
    first: Tensor,
    found: Any,
    origin: np.ndarray,
    states: np.ndarray,
    rewards: np.ndarray,
) -> CMDPSolution:
    shape = (mdp.num_states, mdp.num_actions)
    occupancy = torch.zeros(shape, dtype=torch.float64)
    occupancy.reshape(-1)[torch.from_numpy(origin)] = torch.from_numpy(np.maximum(found.x, 0.0))
    potential = torch.zeros(mdp.num_states, dtype=torch.float64)
    potential[torch.from_numpy(states)] = torch.from_numpy(-np.asarray(found.eqlin.marginals))
    marginals = found.ineqlin.marginals if bounds else []
    prices = {i: max(0.0, -float(p)) for i, p in zip(bounds, marginals, strict=True)}
    policy = _policy(mdp, objective, occupancy, potential, prices)
    value = torch.from_numpy(found.x @ rewards)
    visited = occupancy.sum(1) > _NO_SHARE
    randomized = int((((policy > 0) & (policy < 1)).any(1) & visited).sum())
    certificate = CMDPCertificate(mdp, objective, bounds, first, occupancy, prices, potential)
    return CMDPSolution(
        value=value,
        status=Status.SOLVED,
        certificate=certificate,
        iterations=int(found.nit),
        policy=policy,
        occupancy=occupancy,
        prices=prices,
        num_randomized=randomized,
    )


def _policy(
    mdp: MDP, objective: int, occupancy: Tensor, potential: Tensor, prices: Mapping[int, float]
) -> Tensor:
    """Return shares of visits; where none lead, the best action at the prices found."""
    total = occupancy.sum(1, keepdim=True)
    shares = occupancy / total.clamp(min=_NO_SHARE)
    shares = torch.where(shares > _NO_SHARE, shares, torch.zeros_like(shares))
    shares = shares / shares.sum(1, keepdim=True).clamp(min=_NO_SHARE)
    priced = _priced(mdp.level(objective), mdp.expected_reward(), objective, prices)
    best = priced.action_values(potential).argmax(1)
    greedy = torch.nn.functional.one_hot(best, mdp.num_actions).double()
    greedy *= mdp.allowed.any(1, keepdim=True)
    return torch.where(total > _NO_SHARE, shares, greedy)


def _priced(
    level: ScalarLevel, rewards: Tensor, objective: int, prices: Mapping[int, float]
) -> ScalarLevel:
    """Return the level that earns r_objective + Σ λ_i r_i."""
    nothing = torch.zeros_like(rewards[..., 0])
    paid = sum((price * rewards[..., i] for i, price in prices.items()), nothing)
    return replace(level, reward=rewards[..., objective] + paid)
