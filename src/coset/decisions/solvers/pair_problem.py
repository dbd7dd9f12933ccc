"""A scalar level as a list of state-action pairs, solved by policy iteration with proved bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import linalg
from torch import Tensor

from coset.core.errors import NotConvergedError
from coset.core.numerics import EPSILON
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.policy_kernel import row_tolerance
from coset.decisions.solvers.row_sums import spread

__all__ = [
    "PairBounds",
    "PairProblem",
    "UndiscountedLevel",
    "bounded",
    "full_mass",
    "multiplies",
    "pair_policy_iteration",
    "pairs_of_level",
    "with_full_rows",
]

_MAX_ROUNDS = 1000
# Above this many states a policy is evaluated by BiCGSTAB: random sparsity fills a factorization.
_DIRECT_STATES = 5000
_MAX_STEPS = 500
# How often pairs are added to those whose longest lifetime proves the upper bound.
_WIDENINGS = 12
# Bounds are checked again by other sums, and one of them strictly: this much more than needed.
_MARGIN = 1.0 + 1e-6


@dataclass(frozen=True, eq=False)
class PairProblem:
    """V(s) = max over the pairs of s of r + W V; V is 0 outside of the N states.

    Attributes:
        state: (P,) int64 in increasing order; each of the N states has a pair.
        matrix: (P, N) sparse float64 weights ≥ 0.
        reward: (P,) float64.
        error: (P,) float64, how far each reward may be off.
        full: (P,) bool: the weights of the pair sum to 1 within the N states: nothing ends.
        origin: (P,) int64, s · A + a of the level that it comes from, −1 for none.
        terms: how many rounded operations make one action value, at most.
    """

    state: np.ndarray
    matrix: sparse.csr_array
    reward: np.ndarray
    error: np.ndarray
    full: np.ndarray
    origin: np.ndarray
    terms: int = 4

    @property
    def num_states(self) -> int:
        """N."""
        return int(self.matrix.shape[1])

    @property
    def first(self) -> np.ndarray:
        """(N,) the first pair of each state."""
        return np.asarray(np.searchsorted(self.state, np.arange(self.num_states)))

    def values(self, value: np.ndarray) -> np.ndarray:
        """Return r + W V.

        Args:
            value: (N,).

        Returns:
            (P,).
        """
        return np.asarray(self.reward + self.matrix @ value)

    def rounding(self, value: np.ndarray) -> np.ndarray:
        """Bound the rounding errors of `values`, and of weights and rewards as they were stored.

        Args:
            value: (N,).

        Returns:
            (P,).
        """
        return self._rounding(np.abs(self.reward), value)

    def steps(self, weights: np.ndarray) -> np.ndarray:
        """Return u − W u, rounded down.

        Args:
            weights: (N,) u ≥ 0.

        Returns:
            (P,).
        """
        lost = self._rounding(np.zeros(len(self.state)), weights)
        return np.asarray(weights[self.state] - self.matrix @ weights - lost)

    def _rounding(self, reward: np.ndarray, value: np.ndarray) -> np.ndarray:
        largest = np.zeros(len(self.state))
        some = np.flatnonzero(np.diff(self.matrix.indptr))
        if len(some):
            entries = np.abs(value)[self.matrix.indices]
            largest[some] = np.maximum.reduceat(entries, self.matrix.indptr[some])
        size = reward + self.matrix.sum(1) * largest + np.abs(value)[self.state]
        return np.asarray(2.0 * EPSILON["float64"] * self.terms * size)

    def restrict(self, kept: np.ndarray) -> PairProblem:
        """Return the same problem with fewer pairs; each state must keep one.

        Args:
            kept: (P,) bool.

        Returns:
            The restricted problem.
        """
        return PairProblem(
            self.state[kept],
            sparse.csr_array(self.matrix[np.flatnonzero(kept)]),
            self.reward[kept],
            self.error[kept],
            self.full[kept],
            self.origin[kept],
            self.terms,
        )


@dataclass(frozen=True, eq=False)
class PairBounds:
    """V − low · lifetime ≤ V* ≤ V + high · longest, with what proves it.

    Attributes:
        value: (N,) V.
        policy: (N,) int64, a pair for each state.
        lifetime: (N,) expected number of steps under the policy, counted with their weights.
        longest: (N,) weights u with r + W (V + high u) < V + high u for every pair.
        low: ≥ 0.
        high: ≥ 0.
        rounds: policy evaluations that were used.
    """

    value: np.ndarray
    policy: np.ndarray
    lifetime: np.ndarray
    longest: np.ndarray
    low: float
    high: float
    rounds: int


@dataclass(frozen=True, eq=False, repr=False)
class UndiscountedLevel(ScalarLevel):
    """A level with what the sums of its weights would hide in their rounding.

    Attributes:
        leaks: (S, A) bool: some event has a multiplier < 1 or leads to where the process has
            ended, and no other has one > 1, so that mass is lost, however little.
    """

    leaks: Tensor | None = None


def full_mass(level: ScalarLevel) -> np.ndarray:
    """Tell which actions keep all mass: weights that sum to 1, up to rounding of their dtype.

    Args:
        level: the problem; an `UndiscountedLevel` knows of losses smaller than rounding.

    Returns:
        (S, A) bool.
    """
    full = (level.row_sums() - 1).abs() <= _slack(level)
    leaks = level.leaks if isinstance(level, UndiscountedLevel) else None
    return (full if leaks is None else full & ~leaks).cpu().numpy()


def with_full_rows(level: ScalarLevel, mdp: MDP, index: int) -> UndiscountedLevel:
    """Return the level, told which actions lose mass; float32 rows that lose none sum to 1.

    What leads to where the process has ended gets the weight 0, and so counts in no sum.

    Args:
        level: the problem; weights in float32 miss 1 by so much that it matters where nothing
            ends.
        mdp: the process that it is an objective of.
        index: the objective.

    Returns:
        The level, with weights in float64.
    """
    gamma = mdp.entry(index, index)
    goes_on = level.active[level.successor.long()]
    happens = mdp.probability > 0
    loses = (happens & (~goes_on | (gamma < 1))).any(-1)
    leaks = loses & ~(happens & goes_on & (gamma > 1)).any(-1)
    weight = level.weight.masked_fill(~goes_on, 0.0)
    found = UndiscountedLevel(
        level.successor, weight, level.reward, level.allowed, scale=level.scale, leaks=leaks
    )
    if level.weight.dtype == torch.float64:
        return found
    weight = weight.double() * level.scale
    total = weight.sum(-1, keepdim=True)
    full = torch.from_numpy(full_mass(found)).to(total.device)[..., None]
    return replace(found, weight=torch.where(full, weight / total, weight), scale=1.0)


def multiplies(level: ScalarLevel) -> bool:
    """Tell whether some allowed action has weights that sum to more than 1 where it goes on.

    Args:
        level: the problem.

    Returns:
        Whether, beyond rounding.
    """
    mass = spread(level, level.active.double())
    return bool(((mass > 1 + _slack(level)) & level.allowed).any())


def _slack(level: ScalarLevel) -> float:
    return 8 * row_tolerance(level)


def pairs_of_level(level: ScalarLevel, error: np.ndarray) -> tuple[PairProblem, np.ndarray]:
    """Return the pairs of a level, rows that sum to nearly 1 made to sum to 1.

    Args:
        level: the problem.
        error: (S, A) how far each reward may be off.

    Returns:
        The problem on the N states that have an action, and those states, (N,).
    """
    allowed = level.allowed.cpu().numpy()
    at, action = np.nonzero(allowed)
    states = np.flatnonzero(allowed.any(1))
    number = np.full(level.num_states, -1, dtype=np.int64)
    number[states] = np.arange(len(states))
    weight = level.weight.cpu().numpy()[at, action].astype(np.float64) * level.scale
    successor = level.successor.cpu().numpy()[at, action].astype(np.int64)
    total = weight.sum(1)
    full = full_mass(level)[at, action]
    weight[full] /= total[full, None]
    column = number[successor]
    kept = (weight > 0) & (column >= 0)
    row = np.broadcast_to(np.arange(len(at))[:, None], weight.shape)
    matrix = sparse.coo_array(
        (weight[kept], (row[kept], column[kept])), shape=(len(at), len(states))
    ).tocsr()
    ends = ((weight > 0) & (column < 0)).any(1)
    problem = PairProblem(
        state=number[at],
        matrix=matrix,
        reward=level.reward.cpu().numpy()[at, action].astype(np.float64),
        error=error[at, action],
        full=full & ~ends,
        origin=at * level.num_actions + action,
        terms=weight.shape[1] + 4,
    )
    return problem, states


def _solve(problem: PairProblem, policy: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve (I − W_π) x = right, (N,)."""
    size = problem.num_states
    system = sparse.eye_array(size, format="csr") - problem.matrix[policy]
    if size > _DIRECT_STATES:
        found = _solve_iteratively(system, right)
        if found is not None:
            return found
    try:
        factors = linalg.splu(sparse.csc_matrix(system))
    except RuntimeError as error:
        raise NotConvergedError(
            "the equations of a policy must be solvable in float64; they are singular there, since "
            "what ends the process is less likely than its rounding; solve it with method='exact'"
        ) from error
    solution = factors.solve(right)
    # One refinement leaves the residual at rounding, which the bounds are made of.
    return np.asarray(solution + factors.solve(right - system @ solution))


def _solve_iteratively(system: sparse.csr_array, right: np.ndarray) -> np.ndarray | None:
    """Solve by BiCGSTAB, restarted to polish the residual; ``None`` where it breaks down."""
    scale = np.abs(right).max(initial=0.0)
    found, residual = np.zeros_like(right), right
    for _ in range(3):
        # A breakdown shows in the residual; the warnings on the way say nothing more.
        with np.errstate(all="ignore"):
            step, _ = linalg.bicgstab(system, residual, rtol=1e-10, maxiter=_MAX_STEPS)
        if not np.isfinite(step).all():
            return None
        found = found + step
        residual = right - system @ found
        if np.abs(residual).max(initial=0.0) > 1e-3 * scale:
            return None
    good = np.abs(residual).max(initial=0.0) <= 1e-9 * (scale + np.abs(found).max(initial=0.0))
    return found if good else None


def pair_policy_iteration(
    problem: PairProblem, policy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Improve a policy that ends until no pair is better by more than rounding.

    Args:
        problem: every policy of it either ends with probability 1 or has value −∞ somewhere.
        policy: (N,) a pair for each state, under which the process ends.

    Returns:
        The policy's value (N,), the policy (N,), and the rounds.

    Raises:
        NotConvergedError: if the limit of rounds is met.
    """
    first = problem.first
    for rounds in range(1, _MAX_ROUNDS + 1):
        value = _solve(problem, policy, problem.reward[policy])
        action_value = problem.values(value)
        gain = action_value - action_value[policy][problem.state] - problem.rounding(value)
        best = np.maximum.reduceat(gain, first)
        better = best > 0
        if not better.any():
            return value, policy, rounds
        winner = np.flatnonzero(gain == best[problem.state])
        _, at = np.unique(problem.state[winner], return_index=True)
        policy = np.where(better, winner[at], policy)
    raise NotConvergedError(
        f"policy iteration must end within {_MAX_ROUNDS} rounds; it did not; "
        f"solve it with ties='exact', or rescale the rewards"
    )


def bounded(problem: PairProblem, value: np.ndarray, policy: np.ndarray, rounds: int) -> PairBounds:
    """Prove how far the value of a policy can be from the best one.

    Below, the policy itself: r_π + W_π V ≥ V − low. Above, weights u ≥ 1 with
    r + W (V + high u) < V + high u for every pair, which no policy can beat.

    Args:
        problem: the problem.
        value: (N,) its value.
        policy: (N,) the policy, under which the process ends.
        rounds: to be reported.

    Returns:
        The bounds, infinite if the upper one could not be proved.
    """
    lifetime = np.maximum(_solve(problem, policy, np.ones(problem.num_states)), 1.0)
    # Weights are used through inequalities that are checked, so that their rounding is harmless.
    lifetime *= 1.0 + 1e-9
    gain = problem.values(value) - value[problem.state]
    slack = problem.error + problem.rounding(value)
    steps = problem.steps(lifetime)[policy]
    shortfall = np.maximum(0.0, slack[policy] - gain[policy])
    low = float((shortfall / steps).max(initial=0.0)) * _MARGIN if (steps > 0).all() else np.inf
    high, longest = _upper(problem, gain + slack, lifetime, policy)
    return PairBounds(value, policy, lifetime, longest, low, high, rounds)


def _upper(
    problem: PairProblem, gain: np.ndarray, lifetime: np.ndarray, policy: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return high and weights u with gain < high (u − W u) for every pair."""
    near = np.zeros(len(problem.state), dtype=bool)
    near[policy] = True
    near |= gain >= 0
    for _ in range(_WIDENINGS):
        part = problem.restrict(near)
        ones = replace(part, reward=np.ones(len(part.state)))
        start = np.searchsorted(np.flatnonzero(near), policy)
        try:
            longest, _, _ = pair_policy_iteration(ones, start)
        except NotConvergedError:
            break
        if not (np.isfinite(longest).all() and (longest >= 0.5).all()):
            break
        longest = longest * (1.0 + 1e-9)
        steps = problem.steps(longest)
        counts = (gain > 0) | (steps > 0)
        floor = gain[counts & (steps > 0)] / steps[counts & (steps > 0)]
        high = max(float(floor.max(initial=0.0)) * _MARGIN, 1e-300)
        if not np.isfinite(high):
            break
        failing = gain >= high * steps
        if not failing.any():
            return high, longest
        near |= failing
    return np.inf, lifetime
