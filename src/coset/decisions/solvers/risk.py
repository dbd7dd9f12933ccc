"""Exponential utility of a total reward: a risk attitude that is an affine reward."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.core.errors import DomainError
from coset.core.results import Solution, Status
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.log_domain import EXPONENT, LogProblem
from coset.decisions.solvers.policy_iteration import greedy_policy
from coset.decisions.solvers.scalar import solve_level

__all__ = [
    "RiskSolution",
    "certainty_equivalent",
    "exponential_utility",
    "risk_sensitive",
    "solve_risk_sensitive",
]


def exponential_utility(amount: Tensor, beta: float) -> Tensor:
    """Return U(x) = (1 − e^{−βx})/β, and x for β = 0.

    Args:
        amount: x, any shape.
        beta: β; > 0 averse to risk, < 0 seeking it.

    Returns:
        Utilities; +0 at 0, slope 1 there.

    Claims: decisions.C12.

    Examples:
        >>> round(float(exponential_utility(torch.tensor(1.0), math.log(2))), 6)
        0.721348
    """
    return amount if beta == 0 else -torch.expm1(-beta * amount) / beta


def certainty_equivalent(value: Tensor, beta: float) -> Tensor:
    """Return the sure amount that is worth as much: x with U(x) = V, that is −log(1 − βV)/β.

    Args:
        value: expected utilities V, any shape.
        beta: β.

    Returns:
        Amounts; NaN where βV > 1, which no lottery reaches.

    Claims: decisions.C12.

    Examples:
        >>> gamble = torch.tensor([2.0, -1.0], dtype=torch.float64)
        >>> worth = exponential_utility(gamble, math.log(2)).mean()
        >>> round(float(certainty_equivalent(worth, math.log(2))), 9)
        -0.169925001
    """
    return value if beta == 0 else -torch.log1p(-beta * value) / beta


def risk_sensitive(mdp: MDP, beta: float) -> MDP:
    """Return the affine-reward process whose value is E[U(total reward)], U(x) = (1 − e^{−βx})/β.

    U(r + R) = U(r) + e^{−βr} U(R): each transition earns U(r) and multiplies the future by
    m = e^{−βr}, which is above 1 for a loss when β > 0. [derived, classical]

    Args:
        mdp: a process of one objective without discount (multipliers 1, or 0 where it ends).
        beta: β; 0 returns the process itself.

    Returns:
        The process; `certainty_equivalent` brings its values back to amounts.

    Raises:
        DomainError: if there are several objectives, a discount, a β that is not finite, or some
            |β r| > 700: then use `solve_risk_sensitive`, which works with logarithms.

    Claims: decisions.C12.

    Examples:
        >>> gamble = MDP(
        ...     [[[1, 1]], [[1, 1]]],
        ...     [[[0.5, 0.5]], [[1.0, 0.0]]],
        ...     [[[2.0, -1.0]], [[0.0, 0.0]]],
        ...     terminal=[False, True],
        ... )
        >>> level = risk_sensitive(gamble, math.log(2)).level(0)
        >>> value = level.backup(torch.zeros(2, dtype=torch.float64))
        >>> round(float(certainty_equivalent(value, math.log(2))[0]), 9)
        -0.169925001
    """
    _check(mdp, beta)
    if beta == 0:
        return mdp
    reward = mdp.reward[..., 0].double().expand(mdp.successor.shape)
    largest = float(torch.where(mdp.probability > 0, (beta * reward).abs(), 0.0).max())
    if largest > EXPONENT:
        raise DomainError(
            f"|β r| must be at most {EXPONENT:g}, so that e^(−βr) is a number; it reaches "
            f"{largest:.4g}; use solve_risk_sensitive"
        )
    multiplier = torch.exp(-beta * reward) * mdp.entry(0, 0)
    return MDP(
        mdp.successor,
        mdp.probability,
        exponential_utility(reward, beta),
        torch.where(mdp.probability > 0, multiplier, 0.0),
        mask=mdp.mask,
        terminal=mdp.terminal,
    )


def _check(mdp: MDP, beta: float) -> None:
    if mdp.num_objectives != 1:
        raise DomainError(f"there must be one objective; given {mdp.num_objectives}")
    if not math.isfinite(beta):
        raise DomainError(f"beta must be finite; given {beta}")
    multiplier = mdp.entry(0, 0)
    if not bool(((multiplier == 1) | (multiplier == 0)).all()):
        raise DomainError(
            "exponential utility is that of a total without discount: every multiplier must be 1, "
            "or 0 where the process ends; a discounted total has no stationary form; leave the "
            "discount out"
        )


@dataclass(frozen=True, repr=False)
class RiskSolution(Solution):
    """Optimal certainty equivalents.

    Attributes:
        value: (S,) float64, the sure amount that an optimal policy is worth from each state.
        error_bound: a proved bound on its error.
        policy: (S,) int64, −1 at states that have ended.
    """

    policy: Tensor | None = None

    def __repr__(self) -> str:
        return (
            f"RiskSolution({len(self.value):,} states, {self.status}, within "
            f"{self.error_bound:.2g})"
        )


def solve_risk_sensitive(
    mdp: MDP, beta: float, *, tol: float = 1e-8, max_iter: int = 100_000
) -> RiskSolution:
    """Maximize the certainty equivalent −log E[e^{−βR}]/β of the total reward R.

    C(s) = max_a −(1/β) log Σ P e^{−β(r + C(s'))}, by sweeps from 0 with log-sum-exp, so that no
    exponential overflows however large |β r|. The error is proved by the linear equations of the
    greedy policy in units of e^{−βC}, and from above by the sweeps (rewards ≤ 0) or by the weights
    of `transience`.

    Args:
        mdp: a process of one objective without discount.
        beta: β; 0 is the expected total.
        tol: the error asked for, > 0.
        max_iter: the most sweeps.

    Returns:
        Certainty equivalents, policy, proved error; status `STALLED` if float64 cannot prove the
        error asked for, `MAX_ITERATIONS` if the bounds did not meet: the error is infinite where no
        policy was met whose worth is finite.

    Raises:
        NotTransientError: if some reward is positive and multipliers do not die out under some
            policy.
        DomainError: as `risk_sensitive`, except for large |β r|.

    Claims: decisions.C12.

    Examples:
        >>> gamble = MDP(
        ...     [[[1, 1]], [[1, 1]]],
        ...     [[[0.5, 0.5]], [[1.0, 0.0]]],
        ...     [[[2000.0, -1000.0]], [[0.0, 0.0]]],
        ...     terminal=[False, True],
        ... )
        >>> round(float(solve_risk_sensitive(gamble, 1.0).value[0]), 6)
        -999.306853
    """
    _check(mdp, beta)
    if not tol > 0 or max_iter < 1:
        raise DomainError(f"tol must be positive and max_iter ≥ 1; given {tol}, {max_iter}")
    if beta == 0:
        return _expected_total(mdp, tol, max_iter)
    problem = LogProblem(mdp, beta)
    value = torch.zeros(mdp.num_states, dtype=torch.float64, device=mdp.successor.device)
    lower, upper = torch.where(problem.active, -torch.inf, value), value
    policy, done, check, gap = problem.greedy(value), 0, 16, math.inf
    while done < max_iter:
        for _ in range(min(check, max_iter - done)):
            value = problem.backup(value)
            done += 1
        policy = problem.greedy(value)
        lower, upper = problem.bounds(value, policy)
        before, gap = gap, 0.5 * float((upper - lower).max())
        # Sweeps that bring nothing more are at the limit of float64.
        if gap <= tol or (math.isfinite(gap) and gap > 0.99 * before):
            break
        check = min(2 * check, 4096)
    middle = torch.where(torch.isfinite(lower), 0.5 * (lower + upper), upper)
    status, advice = _ending(gap, tol, done < max_iter)
    return RiskSolution(middle, status, advice, gap, None, done, policy)


def _ending(gap: float, tol: float, stalled: bool) -> tuple[Status, str]:
    if gap <= tol:
        return Status.SOLVED, ""
    apart = f"the proved error is {gap:.3g}, asked for was {tol:.3g}; "
    if stalled:
        return Status.STALLED, apart + "float64 can prove no less: raise tol"
    return Status.MAX_ITERATIONS, apart + "raise max_iter, or lower |beta|"


def _expected_total(mdp: MDP, tol: float, max_iter: int) -> RiskSolution:
    level = mdp.level(0)
    found = solve_level(level, tol=tol, max_iter=max_iter)
    return RiskSolution(
        found.value,
        found.status,
        found.advice,
        found.error_bound,
        None,
        found.iterations,
        greedy_policy(level, found.value),
    )
