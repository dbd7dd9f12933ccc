"""Which beliefs contradict each other, among many."""

from __future__ import annotations

import math

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.tree.anchor import anchor_scopes
from coset.beliefs.tree.plan import TreePlan
from coset.beliefs.tree.problem import is_certain, tree_problem
from coset.beliefs.tree.score import TreeScore
from coset.beliefs.tree.tables import log_tables
from coset.core.errors import UnsupportedError

__all__ = ["conflicting_arcs"]


def _is_possible(pdg: PDG) -> bool:
    problem = tree_problem(pdg, 0.0)
    if problem.conflicts:
        return False
    scopes = [b.scope for b in problem.beliefs]
    try:
        plan = TreePlan.of(problem.inner_cards, scopes, roots=anchor_scopes(problem.beliefs))
        scores = [
            TreeScore(plan, problem.element(i), 0.0) for i in range(math.prod(problem.batch_shape))
        ]
    except UnsupportedError:  # nothing is known, and the arc that was left out stays in
        return True
    return all(score.uniform() is not None for score in scores)


def conflicting_arcs(pdg: PDG) -> tuple[str, ...]:
    """Return a set of arcs that contradict each other (Junker's QuickXplain).

    It is minimal, but for arcs without which the constraints that are left are not supported.

    Args:
        pdg: a graph, as it is attended, whose inconsistency is +∞.

    Returns:
        The names, in the order of the graph.

    Complexity: O(k log(n / k)) passes over a junction tree for k of n arcs, where leaving them out
        one by one takes n.
    """
    tables = log_tables(pdg)
    seen = [name for name, arc in pdg.arcs.items() if is_certain(arc, tables[name])]

    def possible(names: list[str]) -> bool:
        return _is_possible(pdg.subgraph(names))

    def explain(background: list[str], grew: bool, names: list[str]) -> list[str]:
        if not names or (grew and not possible(background)):
            return []
        if len(names) == 1:
            return names
        middle = len(names) // 2
        left, right = names[:middle], names[middle:]
        second = explain(background + left, bool(left), right)
        return explain(background + second, bool(second), left) + second

    binding = [name for name, arc in pdg.arcs.items() if arc.beta > 0 and name not in set(seen)]
    kept = explain(seen, True, binding)
    # Observations last: without them tables are larger.
    touched = {v for name in kept for v in (*pdg.arcs[name].sources, *pdg.arcs[name].targets)}
    for name in seen:
        if pdg.arcs[name].targets[0] in touched or not kept:
            others = [other for other in seen if other != name]
            if not possible(kept + others):
                seen = others
    found = {*kept, *(n for n in seen if pdg.arcs[n].targets[0] in touched or not kept)}
    return tuple(name for name in pdg.arcs if name in found)
