"""The inconsistency of many variables, without a dense joint."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from coset.beliefs.errors import NonConvexError
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solution import InconsistencySolution
from coset.beliefs.tree.anchor import anchor_scopes
from coset.beliefs.tree.certificate import CertifiedBelief, TreeCertificate
from coset.beliefs.tree.conflicts import conflicting_arcs
from coset.beliefs.tree.descent import DescentResult, descend
from coset.beliefs.tree.joint import TreeJoint
from coset.beliefs.tree.network import JunctionTree, is_network
from coset.beliefs.tree.plan import MAX_BYTES, Floats, TreePlan
from coset.beliefs.tree.problem import TreeProblem, tree_problem, unbatched
from coset.beliefs.tree.score import TreeScore
from coset.core.errors import DomainError
from coset.core.results import Status

__all__ = ["solve_tree"]

# Arrays of all clusters that a descent holds beside the window of Anderson's method.
_ARRAYS = 8
_DEPTH = 8


def solve_tree(
    pdg: PDG,
    gamma: float = 0.0,
    tol: float = 1e-9,
    max_iter: int = 20_000,
    *,
    max_bytes: int = MAX_BYTES,
) -> InconsistencySolution:
    """Find inf_μ [[M]]_γ(μ) on a junction tree: memory grows with its tables, not with all worlds.

    Constraints (β = ∞) may be observations, functions of their sources, on variables that nothing
    else touches (so that all of a Bayesian network may be certain), or a chain within one cluster
    in which each has all variables of those before it as sources.

    Args:
        pdg: the graph as it is attended (see `coset.beliefs.attend`).
        gamma: γ ≥ 0 in nats.
        tol: the gap at which to stop, > 0.
        max_iter: the most iterations.
        max_bytes: how much the tables may take.

    Returns:
        The solution; its joint is a `TreeJoint`. Numbers are float64 on the CPU. A Bayesian network
        with α = 1 is known without iterating: its joint is the product, its value 0 (claim C4).

    Raises:
        DomainError: if γ, `tol` or `max_iter` are not as above, or whatever the tables raise.
        NonConvexError: if γα > β on an arc.
        UnboundedInconsistencyError: if a belief with β < 0 has p = 0.
        UnsupportedError: if there are other constraints.
        WidthError: if the tables take too much.

    Complexity: O(entries of all clusters) an iteration, and 2 · 8 + 8 arrays of these in memory,
        fewer differences being kept where that is more than `max_bytes`.

    Claims: beliefs.C4, beliefs.C5, beliefs.C24.
    """
    if not (math.isfinite(gamma) and gamma >= 0 and tol > 0 and max_iter >= 1):
        raise DomainError(
            f"gamma is finite and ≥ 0, tol > 0, max_iter ≥ 1; given {gamma}, {tol}, {max_iter}"
        )
    if is_network(pdg):
        return _network(pdg, gamma, max_bytes)
    problem = tree_problem(pdg, gamma)
    concave = tuple(b.name for b in problem.beliefs if b.weight < 0 and b.targets)
    if concave:
        raise NonConvexError(
            f"the score is not convex where γα > β: {', '.join(concave)} at γ = {gamma:g}; lower "
            f'γ or α, or use method="cccp" on a smaller graph for a local minimum',
            concave,
        )
    if problem.conflicts:
        return _contradiction(problem.conflicts)
    plan = TreePlan.of(
        problem.inner_cards,
        [b.scope for b in problem.beliefs],
        roots=anchor_scopes(problem.beliefs),
        max_bytes=max_bytes,
        copies=_ARRAYS,
    )
    room = max_bytes // max(8 * plan.num_entries, 1) - _ARRAYS
    depth = max(0, min(_DEPTH, room // 2))
    attached = plan.attach([b.scope for b in problem.beliefs])
    results = []
    for element in range(math.prod(problem.batch_shape)):
        score = TreeScore(plan, problem.element(element), gamma, attached)
        results.append(descend(score, tol, max_iter, depth))
    if all(result.value == math.inf for result in results):
        return _contradiction(conflicting_arcs(pdg))
    return _solution(problem, plan, results, tol)


def _network(pdg: PDG, gamma: float, max_bytes: int) -> InconsistencySolution:
    """Return the product of a Bayesian network, with variables that are no target uniform."""
    joint = JunctionTree(pdg, max_bytes=max_bytes).joint()
    known = {target for arc in pdg.arcs.values() for target in arc.targets}
    roots = [v.card for name, v in pdg.variables.items() if name not in known]
    value = 0.0 - gamma * sum(map(math.log, roots))
    batch = joint.log_conditional.shape[:-1]
    return InconsistencySolution(
        torch.full(batch, value, dtype=torch.float64) if batch else value,
        Status.SOLVED,
        error_bound=0.0,
        joint=joint,
        method="tree",
    )


def _contradiction(conflicts: tuple[str, ...]) -> InconsistencySolution:
    return InconsistencySolution(
        math.inf,
        Status.INFEASIBLE,
        f"no joint agrees with {', '.join(map(repr, conflicts))} at once: make one of them less "
        f"than certain (a finite β, or no probability 0)",
        0.0,
        method="tree",
        conflicts=conflicts,
    )


def _solution(
    problem: TreeProblem, plan: TreePlan, results: Sequence[DescentResult], tol: float
) -> InconsistencySolution:
    batch = problem.batch_shape
    values = np.array([r.value for r in results]).reshape(batch) + problem.constant
    gap = max(r.gap for r in results)
    certificate = None if batch else _certificate(problem, plan, results[0])
    rows = np.stack([r.log_conditional for r in results]).reshape(*batch, -1)
    solved = gap <= tol
    return InconsistencySolution(
        float(values) if values.ndim == 0 else torch.from_numpy(values),
        Status.SOLVED if solved else Status.MAX_ITERATIONS,
        "" if solved else f"the gap did not reach tol={tol:g}: raise max_iter or tol",
        gap,
        certificate,
        max(r.iterations for r in results),
        joint=_joint(problem, plan, rows),
        method="tree",
    )


def _certificate(problem: TreeProblem, plan: TreePlan, result: DescentResult) -> TreeCertificate:
    return TreeCertificate(
        plan.cards,
        plan.clusters,
        plan.parents,
        tuple(CertifiedBelief.of(b) for b in problem.beliefs),
        problem.gamma,
        float(problem.constant),
        torch.from_numpy(result.log_conditional),
        torch.from_numpy(result.log_belief),
        result.value + float(problem.constant),
        result.gap,
    )


def _joint(problem: TreeProblem, plan: TreePlan, rows: Floats) -> TreeJoint:
    """Put the targets of leaves back, each in a cluster of its own."""
    variables = tuple(problem.pdg.variables.values())
    if problem.leaves:
        inner = problem.inner_cards
        popped = {i for i, card in enumerate(problem.cards) if card != inner[i]}
        scopes = [tuple(v for v in c if v not in popped) for c in plan.clusters]
        outer = TreePlan.of(problem.cards, [*scopes, *(leaf.scope for leaf in problem.leaves)])
        attached = outer.attach([*scopes, *(leaf.scope for leaf in problem.leaves)])
        batch = problem.batch_shape
        num = math.prod(batch)
        leaves = [
            unbatched(leaf.log_p, batch, len(leaf.scope)).reshape(num, -1)
            for leaf in problem.leaves
        ]
        parts = np.concatenate([rows.reshape(num, -1), *leaves], -1)
        tables = np.zeros((len(parts), outer.num_entries))
        for table, part in zip(tables, parts, strict=True):
            attached.add(table, part)
            outer.collect(table)
        plan, rows = outer, tables.reshape(*batch, -1)
    return TreeJoint.on(plan, variables, torch.from_numpy(rows), problem.observed)
