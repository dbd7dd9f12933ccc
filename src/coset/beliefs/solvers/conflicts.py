"""Which beliefs contradict each other: a minimal set of arcs that no joint can satisfy."""

from __future__ import annotations

import math

from coset.beliefs.errors import WidthError
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.cells import possible_worlds
from coset.beliefs.solvers.problem import DenseProblem, dense_problem, elements, is_observation

__all__ = ["conflicting_arcs", "is_possible"]


def is_possible(problem: DenseProblem) -> bool:
    """Return whether some joint meets all constraints, for every element of a batch."""
    if problem.conflicts:
        return False
    return all(len(possible_worlds(element)[0]) > 0 for element in elements(problem))


def conflicting_arcs(pdg: PDG) -> tuple[str, ...]:
    """Return a minimal set of arcs that contradict each other (a deletion filter).

    Arcs are left out one by one, and stay out if the others still contradict each other; so each
    arc that remains is needed for the contradiction.

    Args:
        pdg: a graph, as it is attended, whose inconsistency is +∞.

    Returns:
        The names, in the order of the graph.
    """
    binding = []
    for name, arc in pdg.arcs.items():
        table = arc.log_probabilities(pdg.cards((*arc.sources, *arc.targets)))
        if arc.is_hard or (arc.beta > 0 and bool((table == -math.inf).any())):
            binding.append((is_observation(arc, table), name))
    kept = [name for _, name in binding]
    # Observations last: without them the joint is larger.
    for _, name in sorted(binding):
        fewer = [other for other in kept if other != name]
        try:
            if not is_possible(dense_problem(pdg.subgraph(fewer))):
                kept = fewer
        except WidthError:
            continue
    return tuple(kept)
