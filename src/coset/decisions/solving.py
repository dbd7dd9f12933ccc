"""One front door to the solvers of decision processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, cast, get_args

from coset.core.errors import ConfigError, DomainError, ShapeError
from coset.decisions.lexicographic import SolveOptions, solve_lexicographic
from coset.decisions.mdp import MDP
from coset.decisions.scalar import LevelMethod
from coset.decisions.solution import MDPSolution

__all__ = ["Method", "Ties", "solve"]

Method = Literal["auto", "vi", "mpi", "pi", "lp", "exact"]
Ties = Literal["tol", "exact", "strict"]


def solve(
    mdp: MDP,
    method: Method = "auto",
    *,
    tol: float = 1e-8,
    max_iter: int = 100_000,
    ties: Ties = "tol",
    slack: float | Sequence[float] | None = None,
    throw: bool = True,
) -> MDPSolution:
    """Find the lexicographically best values, and every action that attains them.

    Args:
        mdp: the process.
        method: "vi", "mpi", "pi" or "lp" for the levels whose multipliers die out, "auto" chooses.
        tol: the error asked for at each objective, absolute.
        max_iter: the most sweeps or evaluations of a level.
        ties: "tol" or "strict".
        slack: how much worse an action may be at an objective and still survive.
        throw: raise if the error asked for could not be proved.

    Returns:
        The solution.
    """
    if method not in get_args(Method):
        raise ConfigError(f"method must be one of {get_args(Method)}; given {method!r}")
    if ties not in get_args(Ties):
        raise ConfigError(f"ties must be one of {get_args(Ties)}; given {ties!r}")
    if not (isinstance(tol, int | float) and tol > 0 and math.isfinite(tol)):
        raise DomainError(f"tol must be a positive number; given {tol}")
    slacks = _slacks(slack, mdp.num_objectives)
    rule = cast(Literal["tol", "strict"], ties)
    options = SolveOptions(cast(LevelMethod, method), tol, max_iter, rule, slacks)
    solution = solve_lexicographic(mdp, options)
    return solution.throw() if throw else solution


def _slacks(slack: float | Sequence[float] | None, depth: int) -> tuple[float, ...] | None:
    if slack is None:
        return None
    given = tuple(slack) if isinstance(slack, Sequence) else (slack,) * depth
    if len(given) != depth:
        raise ShapeError(f"slack needs one number for each of {depth} objectives; given {given}")
    if not all(0 <= s < math.inf for s in given):
        raise DomainError(f"slack must be finite and not negative; given {given}")
    return tuple(float(s) for s in given)
