"""One front door to the solvers of decision processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, cast, get_args

from torch import Tensor

from coset.core.errors import ConfigError, DomainError, DtypeError, ShapeError
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.named_mdp import NamedMDP
from coset.decisions.processes.rational import RationalMDP
from coset.decisions.solvers.lexicographic import SolveOptions, solve_lexicographic
from coset.decisions.solvers.rational_solver import solve_exact
from coset.decisions.solvers.scalar import LevelMethod
from coset.decisions.solvers.solution import MDPSolution

__all__ = ["Method", "Ties", "solve"]

Method = Literal["auto", "vi", "mpi", "pi", "lp", "exact"]
Ties = Literal["tol", "exact", "strict"]


def solve(
    mdp: MDP | RationalMDP | NamedMDP,
    method: Method = "auto",
    *,
    tol: float = 1e-8,
    max_iter: int = 100_000,
    ties: Ties = "tol",
    slack: float | Sequence[float] | None = None,
    throw: bool = True,
) -> MDPSolution:
    """Find the lexicographically best values of a process, and every action that attains them.

    Objective by objective: V_k is the best that the actions which attain V_0 … V_{k−1} can do, and
    those whose action value is V_k survive. Multipliers may exceed 1 if they die out all the same;
    where they need not (undiscounted objectives) end components are analyzed instead.

    In floating point every value has a proved bound. An action loses if it is proved worse; what
    is closer than the bounds is a tie, proved or assumed (`tie_status`), and a wrong call there
    costs at most the bound at this objective but any amount at the next.

    The multiplier of an event has a positive diagonal, or is 0: else what follows the event counts
    for one objective and not for one above it, and what is best then is not what is best now. Such
    a process is solved all the same, for policies that stay best at every state; `advice` says so.

    Args:
        mdp: the process; a `RationalMDP` is solved exactly, a `NamedMDP` from the exact numbers of
            its file where ``"exact"`` is asked for.
        method: how an objective is solved whose multipliers die out: "vi", "mpi", "pi", "lp", or
            "auto"; "exact" reads the floats as the fractions that they are, and solves in
            fractions (some hundred states).
        tol: the error asked for at each objective, absolute.
        max_iter: the most sweeps, or evaluated policies, of an objective.
        ties: "tol" lets actions survive that are worse by at most 1e-9 of the objective's scale,
            proved or not; "strict" lets none, and raises if a tie is not proved; "exact" is
            method "exact".
        slack: by how much an action may be worse at an objective, all or each, and still survive:
            a different problem, whose result depends on the start; the values are those of each
            objective on the actions left, not of the policy (`evaluate` has those). [derived]
        throw: raise if the error asked for could not be proved, rather than say so in `status`.

    Returns:
        Values, the tie set, statuses, where each action lost, a policy, and a certificate.

    Raises:
        NotTransientError: if an objective has no finite value, or is not known to have one: gains
            and losses may go on for ever, or multipliers above 1 need not die out.
        NoOptimalPolicyError: if the best is approached and not attained.
        UnprovedTieError: with ties "strict".
        NotConvergedError: if `throw` and the error asked for could not be proved.
        ConfigError: if the method or the rule for ties is unknown, or they contradict.
        DomainError: if `tol` or `slack` is no such number, or multipliers are negative: see
            `signed`.
        DtypeError: if the process is no `MDP` or `RationalMDP`.

    Complexity: d scalar problems.

    Claims: decisions.C8, decisions.C8b, decisions.C8c.

    Examples:
        >>> import torch
        >>> mdp = MDP(
        ...     [[[0], [0]]],
        ...     [[[1.0], [1.0]]],
        ...     torch.tensor([[[[1.0, 0.0]], [[1.0, 2.0]]]]),
        ...     multiplier=0.5,
        ... )
        >>> found = solve(mdp)
        >>> [round(v, 9) for v in found.value[0].tolist()], found.policy.tolist()
        ([2.0, 4.0], [1])
        >>> print(found.explain(0, ["left", "right"]))
        state 0: objective 1 2, objective 2 4
          left: lost at objective 2 (priority 2), by 2
          right: optimal
        >>> found.certificate.verify()
        True
    """
    if isinstance(mdp, NamedMDP):
        mdp = mdp.exact() if "exact" in (method, ties) else mdp.mdp
    slacks = _checked(mdp, method, tol, max_iter, ties, slack)
    if isinstance(mdp, RationalMDP) or "exact" in (method, ties):
        if slacks is not None:
            raise ConfigError("slack is for floating point; an exact solution keeps exact ties")
        exact = mdp if isinstance(mdp, RationalMDP) else RationalMDP.from_mdp(mdp)
        return _advised(mdp, solve_exact(exact))
    rule = cast(Literal["tol", "strict"], ties)
    options = SolveOptions(cast(LevelMethod, method), float(tol), max_iter, rule, slacks)
    solution = _advised(mdp, solve_lexicographic(mdp, options))
    return solution.throw() if throw else solution


def _advised(mdp: MDP | RationalMDP, solution: MDPSolution) -> MDPSolution:
    """Say it where an event ends some objectives and not those below."""
    if not _ends_some(mdp):
        return solution
    more = (
        "some event ends an objective (multiplier 0) and not all: the policy is best among those "
        "that stay best at every state; from a start, one that forgets that objective after the "
        "event may be better"
    )
    return replace(solution, advice="; ".join(filter(None, (solution.advice, more))))


def _ends_some(mdp: MDP | RationalMDP) -> bool:
    """Tell whether some multiplier is neither 0 nor has a positive diagonal."""
    if isinstance(mdp, RationalMDP):
        return any(
            any(map(any, event.multiplier))
            and not all(row[i] for i, row in enumerate(event.multiplier))
            for event in mdp.all_events()
        )
    gamma = mdp.multiplier
    if not isinstance(gamma, Tensor) or gamma.ndim < 4:
        return False
    diagonal = gamma if gamma.ndim == 4 else gamma.diagonal(dim1=-2, dim2=-1)
    some = (diagonal == 0).any(-1) & (gamma != 0).flatten(3).any(-1)
    return bool(some.any()) and bool((some & (mdp.probability > 0)).any())


def _checked(
    mdp: Any, method: str, tol: float, max_iter: int, ties: str, slack: Any
) -> tuple[float, ...] | None:
    if not isinstance(mdp, MDP | RationalMDP):
        raise DtypeError(
            f"a process must be an MDP, a RationalMDP or a NamedMDP; given {type(mdp).__name__}"
        )
    for what, given, known in (("method", method, Method), ("ties", ties, Ties)):
        if given not in get_args(known):
            raise ConfigError(
                f"{what} must be one of {', '.join(get_args(known))}; given {given!r}"
            )
    if isinstance(mdp, MDP) and mdp.has_negative_multiplier:
        raise DomainError(
            "multipliers must not be negative; an event that reverses preferences needs "
            "signed(mdp), which remembers the sign"
        )
    if not (isinstance(tol, int | float) and tol > 0 and math.isfinite(tol)):
        raise DomainError(f"tol must be a positive number; given {tol!r}")
    if isinstance(max_iter, bool) or not isinstance(max_iter, int) or max_iter < 1:
        raise DomainError(f"max_iter must be an integer ≥ 1; given {max_iter!r}")
    return _slacks(slack, mdp.num_objectives)


def _slacks(slack: float | Sequence[float] | None, depth: int) -> tuple[float, ...] | None:
    if slack is None:
        return None
    given = tuple(slack) if isinstance(slack, Sequence) else (slack,) * depth
    if len(given) != depth:
        raise ShapeError(f"slack needs one number for each of {depth} objectives; given {given}")
    if not all(0 <= s < math.inf for s in given):
        raise DomainError(f"slack must be finite and not negative; given {given}")
    return tuple(float(s) for s in given)
