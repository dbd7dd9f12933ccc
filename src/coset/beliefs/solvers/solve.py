"""The inconsistency of a graph, by the method that suits it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.beliefs.attention import Attention, attend
from coset.beliefs.errors import WidthError
from coset.beliefs.joint import DenseJoint, Joint, ProductJoint
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.variable import Variable
from coset.beliefs.solution import InconsistencySolution
from coset.beliefs.solvers.certificate import PartsCertificate, certify
from coset.beliefs.solvers.components import idle_variables, independent_parts
from coset.beliefs.solvers.conflicts import conflicting_arcs
from coset.beliefs.solvers.dense import METHODS, solve_dense
from coset.beliefs.solvers.problem import dense_problem
from coset.beliefs.solvers.zero_plus import solve_zero_plus
from coset.core.errors import DomainError
from coset.core.results import Certificate, Status

__all__ = ["solve"]


@dataclass(frozen=True)
class _Options:
    method: str
    gamma: float
    tol: float
    max_iter: int
    start: Joint | None


@dataclass(frozen=True)
class _Part:
    """One independent part, solved: `value` and `gap` are (*batch,)."""

    value: Tensor
    gap: Tensor
    joint: Joint | None
    method: str
    iterations: int
    converged: bool
    observed: tuple[tuple[Variable, int], ...] = ()
    conflicts: tuple[str, ...] = ()
    certificate: Certificate | None = None


def solve(
    pdg: PDG,
    gamma: float | str = 0.0,
    attention: Attention | None = None,
    *,
    method: str = "auto",
    tol: float = 1e-9,
    max_iter: int = 20_000,
    start: Joint | None = None,
    throw: bool = False,
) -> InconsistencySolution:
    """Find inf_μ [[M]]_γ(μ) and a joint μ that attains it.

    [[M]]_γ(μ) = Σ_a β_a E_μ KL(μ(T|S) ‖ p_a(T|S)) + γ (−H(μ) + Σ_a α_a H_μ(T_a|S_a)).

    Args:
        pdg: the beliefs.
        gamma: γ ≥ 0 in nats, or "0+": among the minimizers for γ = 0 the one that is the limit
            of those for γ → 0.
        attention: factors of the confidences; see `Attention`.
        method: "mirror" (accelerated mirror descent), "interior" (Newton steps in the marginals),
            "cone" (Clarabel; needs the extra `convex`), "tree" (junction tree, no dense joint),
            "cccp" (a local minimum where the score is not convex), "zero_plus" (what γ = "0+"
            means), or "auto": descent for as long as interior points would take, then these; and
            the tree where the dense joint would be too large.
        tol: the gap at which to stop, > 0.
        max_iter: the most iterations.
        start: a joint to begin from; only iterative methods use it.
        throw: raise if the solver fails or the value is +∞.

    Returns:
        The solution: `value` in nats (+∞ if constraints and zeros contradict each other, with
        `conflicts`, a minimal set of arcs that do), `joint` over all variables of the graph as
        attended (observed ones are certain, those that no arc touches uniform), and `gap`. For a
        batch `value` is a tensor and tables of `joint` lead with the batch; where an element's
        value is +∞ its table is 0.

    Raises:
        DomainError: if γ, `tol`, `max_iter` or `method` are not as above, or whatever the tables
            raise; with `throw`, if the value is +∞.
        NonConvexError: if γα > β on an arc, and the method is not "cccp".
        UnboundedInconsistencyError: if a belief with β < 0 and p = 0 makes the score −∞.
        WidthError: if the method needs a dense joint that is too large.
        UnavailableError: if the cone solver is needed and not installed.
        NotConvergedError: with `throw`, if the gap was not reached.

    Warns:
        RuntimeWarning: if "cccp" was needed: its gap is unknown (``None``).

    Complexity: dense methods take O(arcs · worlds) an iteration, over the worlds of the largest
        part that its observed variables leave connected.

    Example:
        >>> pdg = PDG({"rain": ["no", "yes"]})
        >>> arc = pdg.add("radio", "rain", cpd=[0.2, 0.8])
        >>> arc = pdg.add("window", "rain", cpd=[0.9, 0.1])
        >>> solution = solve(pdg)
        >>> round(solution.value, 4), solution.joint.marginal("rain").numpy().round(2)
        (0.6931, array([0.6, 0.4]))

    Claims: beliefs.C1, beliefs.C2, beliefs.C3, beliefs.C9b, beliefs.C9c, beliefs.C9d, beliefs.C9e.
    """
    options = _checked(gamma, method, tol, max_iter, start)
    with torch.no_grad():
        attended = attend(pdg, attention)
        parts = [_solve_part(part, options) for part in independent_parts(attended)]
        solution = _joined(attended, parts, options)
    if "cccp" in solution.method:
        warnings.warn(
            "the score is not convex, and the value is that of a local minimum: solve from other "
            "starts and keep the least",
            RuntimeWarning,
            stacklevel=2,
        )
    if throw:
        return solution.throw(DomainError) if solution.conflicts else solution.throw()
    return solution


def _checked(
    gamma: float | str, method: str, tol: float, max_iter: int, start: Joint | None
) -> _Options:
    if gamma == "0+":
        gamma, method = 0.0, "zero_plus" if method == "auto" else method
    elif isinstance(gamma, str) or not (math.isfinite(gamma) and gamma >= 0):
        raise DomainError(f'gamma is a finite number ≥ 0, or "0+"; given {gamma!r}')
    elif method == "zero_plus" and gamma > 0:
        raise DomainError(f'the method "zero_plus" is the limit γ → 0; given gamma={gamma}')
    if method not in METHODS:
        raise DomainError(f"the methods are {', '.join(METHODS)}; given {method!r}")
    if not tol > 0 or max_iter < 1:
        raise DomainError(f"tol is > 0 and max_iter ≥ 1; given {tol} and {max_iter}")
    return _Options(method, float(gamma), float(tol), int(max_iter), start)


def _solve_part(part: PDG, options: _Options) -> _Part:
    if options.method == "tree":
        return _by_tree(part, options)
    try:
        problem = dense_problem(part, options.gamma)
    except WidthError:
        if options.method != "auto":
            raise
        return _by_tree(part, options)
    if problem.conflicts:
        return _contradiction(problem.conflicts)
    start = None
    names = [v.name for v in problem.variables]
    if options.start is not None and set(names) <= set(options.start.names):
        start = options.start.marginal(*names)
    if options.method == "zero_plus":
        structure = dense_problem(part, 1.0)
        method, result = "zero_plus", solve_zero_plus(problem, structure, tol=options.tol)
    else:
        method, result = solve_dense(
            problem, options.method, tol=options.tol, max_iter=options.max_iter, start=start
        )
    joint = DenseJoint(problem.variables, result.log_joint.exp()) if names else None
    return _Part(
        result.value,
        result.gap,
        joint,
        method,
        result.iterations,
        result.converged,
        problem.observed,
        conflicting_arcs(part) if bool((result.value == math.inf).any()) else (),
        certify(problem, result),
    )


def _by_tree(part: PDG, options: _Options) -> _Part:
    from coset.beliefs.tree.solver import solve_tree

    found = solve_tree(part, options.gamma, options.tol, options.max_iter)
    gap = math.nan if found.gap is None else found.gap
    return _Part(
        torch.as_tensor(found.value, dtype=torch.float64),
        torch.tensor(gap, dtype=torch.float64),
        found.joint,
        "tree",
        found.iterations,
        found.status is Status.SOLVED,
        (),
        found.conflicts,
        found.certificate,
    )


def _contradiction(conflicts: tuple[str, ...]) -> _Part:
    infinite, zero = torch.tensor([math.inf, 0.0], dtype=torch.float64)
    return _Part(infinite, zero, None, "", 0, True, (), conflicts)


def _joined(attended: PDG, parts: Sequence[_Part], options: _Options) -> InconsistencySolution:
    idle = idle_variables(attended)
    constant = -options.gamma * sum(math.log(v.card) for v in idle)
    value = torch.tensor(constant, dtype=torch.float64)
    gap = torch.zeros((), dtype=torch.float64)
    for part in parts:
        value, gap = value + part.value, gap + part.gap
    conflicts = tuple(dict.fromkeys(name for part in parts for name in part.conflicts))
    possible = not (value == math.inf).all()
    status, advice = _status(parts, conflicts, options)
    return InconsistencySolution(
        value=value if value.ndim else float(value),
        status=status,
        advice=advice,
        error_bound=None if bool(gap.isnan().any()) else max(float(gap.max()), 0.0),
        certificate=_proof(parts, constant),
        iterations=sum(part.iterations for part in parts),
        joint=_product(attended, parts, idle) if possible else None,
        method="+".join(sorted({part.method for part in parts} - {""})),
        conflicts=conflicts,
    )


def _proof(parts: Sequence[_Part], constant: float) -> Certificate | None:
    proofs = tuple(part.certificate for part in parts if part.certificate is not None)
    if len(proofs) < len(parts):
        return None
    return proofs[0] if len(proofs) == 1 and not constant else PartsCertificate(proofs, constant)


def _status(
    parts: Sequence[_Part], conflicts: tuple[str, ...], options: _Options
) -> tuple[Status, str]:
    if conflicts:
        return Status.INFEASIBLE, (
            f"no joint agrees with {', '.join(map(repr, conflicts))} at once: make one of them "
            f"less than certain (a finite β, or no probability 0)"
        )
    if all(part.converged for part in parts):
        return Status.SOLVED, ""
    return Status.MAX_ITERATIONS, (
        f"the gap did not reach tol={options.tol:g}: raise max_iter or tol, or try another method"
    )


def _product(attended: PDG, parts: Sequence[_Part], idle: Sequence[Variable]) -> Joint:
    factors = [part.joint for part in parts if part.joint is not None]
    known = {name for factor in factors for name in factor.names}
    for variable, place in dict(o for part in parts for o in part.observed).items():
        if variable.name not in known:
            table = torch.zeros(variable.card, dtype=torch.float64)
            table[place] = 1.0
            factors.append(DenseJoint((variable,), table))
    for variable in idle:
        table = torch.full((variable.card,), 1.0 / variable.card, dtype=torch.float64)
        factors.append(DenseJoint((variable,), table))
    if len(factors) == 1:
        return factors[0]
    return ProductJoint(tuple(attended.variables.values()), tuple(factors))
