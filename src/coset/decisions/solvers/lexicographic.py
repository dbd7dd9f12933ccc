"""Solve the objectives of a decision process in order, keeping at each only the best actions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from coset.core.results import Status
from coset.decisions.errors import UnprovedTieError
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.admissible import Trap, actions_free_of, admissible_policy, trap_of
from coset.decisions.solvers.bounds import ValueBounds
from coset.decisions.solvers.certificate import LevelProof, PolicyCertificate
from coset.decisions.solvers.pair_problem import multiplies, with_full_rows
from coset.decisions.solvers.scalar import LevelMethod, solve_level
from coset.decisions.solvers.solution import MDPSolution, TieStatus
from coset.decisions.solvers.state_list import list_states
from coset.decisions.solvers.ties import TieLedger, TieRule, decide_ties, reward_errors
from coset.decisions.solvers.transience import transience
from coset.decisions.solvers.undiscounted import LevelValues, solve_undiscounted

__all__ = ["SolveOptions", "solve_lexicographic"]

# Action values that differ by less than this, in units of the level's largest number, are a tie.
_TIE_TOLERANCE = 1e-9

# Bounds are found, and checked again, by different sums.
_SLACK = 1.0 + 1e-6


@dataclass(frozen=True)
class SolveOptions:
    """How to solve.

    Attributes:
        method: how a level is solved whose multipliers die out.
        tol: the error asked for at each level.
        max_iter: the most sweeps or evaluations of a level.
        ties: "tol" tolerates differences of 1e-9 of the level's scale, "strict" none.
        slack: for each objective by how much an action may be worse and still survive.
    """

    method: LevelMethod
    tol: float
    max_iter: int
    ties: Literal["tol", "strict"]
    slack: tuple[float, ...] | None


@dataclass(eq=False)
class _Progress:
    """What is known after some levels."""

    ledger: TieLedger
    value: Tensor
    errors: list[Tensor | float] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)
    proofs: list[LevelProof] = field(default_factory=list)
    traps: list[Trap] = field(default_factory=list)
    iterations: int = 0
    advice: list[str] = field(default_factory=list)
    status: Status = Status.SOLVED


@dataclass(frozen=True, eq=False)
class _Level:
    """One level, solved."""

    level: ScalarLevel
    value: Tensor
    error: Tensor | float
    reward_error: Tensor | float
    equal: Tensor | None = None
    graph: LevelValues | None = None
    weights: Tensor | None = None

    def proof(self, tolerance: float) -> LevelProof:
        """Return what proves the bounds, for the certificate."""
        if self.graph is None:
            error = self.error
            bound = error if isinstance(error, Tensor) else torch.tensor([error]).double()
            return LevelProof(bound, bound, self.weights, tolerance=tolerance)
        graph, device = self.graph, self.value.device

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device)

        return LevelProof(
            low=tensor(graph.low),
            high=tensor(graph.high),
            policy=tensor(graph.policy),
            component=tensor(graph.component),
            inside=tensor(graph.inside),
            stays=tensor(graph.stays),
            tolerance=tolerance,
        )


def solve_lexicographic(mdp: MDP, options: SolveOptions) -> MDPSolution:
    """Solve level after level on the actions that survive, in float64 with proved bounds.

    Given the levels above, r̄_k(s, a) = Σ P (r_k + Σ_{j<k} Γ_kj V_j(s')) is a known reward, and
    level k a scalar problem on the actions that attain V_0 … V_{k−1}; those whose action value is
    V_k survive.

    Args:
        mdp: the process; multipliers ≥ 0.
        options: how.

    Returns:
        The solution.

    Raises:
        NotTransientError: if a level has no finite value.
        NoOptimalPolicyError: if the best is approached and not attained.
        UnprovedTieError: with ties "strict", if a tie is not proved.

    Complexity: d scalar problems; (S, A) bool, int8 and float64 besides.

    Claims: decisions.C8.
    """
    depth, device = mdp.num_objectives, mdp.allowed.device
    ledger = TieLedger.of(mdp)
    value = torch.zeros(mdp.num_states, depth, dtype=torch.float64, device=device)
    progress = _Progress(ledger, value)
    for index in range(depth):
        _advance(mdp, index, options, progress)
    policy = admissible_policy(progress.ledger.allowed, progress.traps)
    certificate = PolicyCertificate(mdp, value, policy, ledger.lost_at, tuple(progress.proofs))
    return MDPSolution(
        value=value,
        status=progress.status,
        advice="; ".join(progress.advice),
        error_bound=max(progress.bounds),
        certificate=certificate,
        iterations=progress.iterations,
        policy=policy,
        tie_set=ledger.allowed,
        tie_status=ledger.tie_status,
        lost_at=ledger.lost_at,
        loss=ledger.loss,
        level_bounds=tuple(progress.bounds),
    )


def _advance(mdp: MDP, index: int, options: SolveOptions, progress: _Progress) -> None:
    """Solve one level and drop the actions that lose there."""
    solved = _solve(mdp, index, options, progress)
    slack = 0.0 if options.slack is None else options.slack[index]
    # Where nothing dies out, a loss that is made again and again is not small.
    tolerant = options.ties == "tol" and solved.graph is None
    tolerance = _TIE_TOLERANCE * _scale(mdp, index, solved) if tolerant else 0.0
    decide_ties(
        mdp,
        index,
        solved.level,
        solved.value,
        solved.error,
        solved.reward_error,
        TieRule(tolerance, slack),
        progress.ledger,
        solved.equal,
    )
    if solved.graph is not None and solved.graph.assumed.any():
        assumed = torch.from_numpy(solved.graph.assumed).to(solved.value.device)
        progress.ledger.tie_status[assumed, index] = int(TieStatus.ASSUMED)
    if options.ties == "strict":
        _refuse_assumed(progress.ledger.tie_status[:, index], index)
    progress.value[:, index] = solved.value
    progress.errors.append(solved.error)
    progress.proofs.append(solved.proof(max(slack, tolerance)))
    error = solved.error
    progress.bounds.append(
        error if isinstance(error, float) else float(error.max()) if error.numel() else 0.0
    )
    if solved.graph is not None:
        trap = trap_of(solved.level, solved.graph, index)
        if trap is not None:
            progress.traps.append(trap)
    if progress.traps:
        # Refuses if those that survive cannot attain the levels above.
        admissible_policy(progress.ledger.allowed, progress.traps)


def _scale(mdp: MDP, index: int, solved: _Level) -> float:
    low, high = torch.aminmax(mdp.reward[..., index])
    return max(-float(low), float(high), float(solved.value.abs().max()))


def _refuse_assumed(status: Tensor, index: int) -> None:
    states = torch.nonzero(status == TieStatus.ASSUMED).flatten().tolist()
    if states:
        shown = list_states(states)
        raise UnprovedTieError(
            f"every tie must be proved with ties='strict'; at objective {index + 1} actions of "
            f"{len(states)} states are closer than the proved error: {shown}; lower tol, or use "
            f"ties='exact'",
            tuple(states),
            index,
        )


def _solve(mdp: MDP, index: int, options: SolveOptions, progress: _Progress) -> _Level:
    level = mdp.level(index, progress.value[:, :index], progress.ledger.allowed)
    reward_error = reward_errors(mdp, index, progress.value, progress.errors)
    found = transience(level)
    if found.holds or multiplies(level):
        weights = found.throw().weights
        assert weights is not None
        solution = solve_level(
            level,
            method=options.method,
            tol=options.tol,
            max_iter=options.max_iter,
            weights=weights,
            factors=(found.low_factor, found.factor),
        )
        progress.iterations += solution.iterations
        if solution.status is not Status.SOLVED:
            progress.status = solution.status
            progress.advice.append(f"objective {index + 1}: {solution.advice}")
        error = _proved(solution.bounds, weights, found.factor)
        error = error + _carried(reward_error, weights, level.active, found.factor)
        return _Level(level, solution.value, error, reward_error, weights=weights)
    level = with_full_rows(level, mdp, index)
    return _solve_by_graph(level, index, reward_error, options.tol, progress)


def _proved(bounds: ValueBounds | None, weights: Tensor, factor: float) -> Tensor | float:
    """Return the bound that anyone finds again: the solver's, and the rounding of a new check."""
    assert bounds is not None
    uniform = weights.stride() == (0,)
    live = weights[:1] if uniform else weights[weights > 0]
    least = float(live.min()) if live.numel() else 1.0
    again = 8 * bounds.rounding / ((1 - factor) * least)
    if uniform:  # one bound for all saves a gather
        return bounds.error_bound + again
    return bounds.error + again * weights


def _carried(
    reward_error: Tensor | float, weights: Tensor, active: Tensor, factor: float
) -> Tensor | float:
    """Return what errors of the rewards do to the value: max (error / w) · w / (1 − λ)."""
    if not isinstance(reward_error, Tensor):
        return 0.0
    share = (reward_error.amax(1) / weights)[active]
    worst = float(share.max()) if share.numel() else 0.0
    # A little more, so that a new check does not stumble over the rounding of this product.
    return worst * _SLACK / (1 - factor) * weights


def _solve_by_graph(
    level: ScalarLevel,
    index: int,
    reward_error: Tensor | float,
    tol: float,
    progress: _Progress,
) -> _Level:
    shape = level.allowed.shape
    error = np.zeros(shape) if isinstance(reward_error, float) else reward_error.cpu().numpy()
    free = actions_free_of(progress.traps, (shape[0], shape[1]))
    graph = solve_undiscounted(level, error, free, index)
    progress.iterations += graph.iterations
    if graph.assumed.any():
        progress.advice.append(
            f"objective {index + 1}: rewards within their error of 0 count as 0 where one may stay "
            f"for ever, at {int(graph.assumed.sum())} states: its bound holds if they are 0; "
            f"method='exact' can tell"
        )
    bound = np.maximum(graph.low, graph.high)
    worst = float(bound.max(initial=0.0))
    if not worst <= tol:
        progress.status = Status.STALLED
        progress.advice.append(
            f"objective {index + 1}: the proved error is {worst:.3g}, asked for was {tol:.3g}; "
            f"float64 can prove no less: raise tol, or use exact arithmetic"
        )
    device = level.allowed.device
    return _Level(
        level=level,
        value=torch.from_numpy(graph.value).to(device),
        error=torch.from_numpy(bound).to(device),
        reward_error=reward_error,
        equal=torch.from_numpy(graph.inside).to(device),
        graph=graph,
    )
