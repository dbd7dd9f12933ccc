"""Parts of a graph that share no uncertain variable: they are solved one by one."""

from __future__ import annotations

from networkx.utils import UnionFind

from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.variable import Variable
from coset.beliefs.solvers.problem import is_observation

__all__ = ["idle_variables", "independent_parts"]


def idle_variables(pdg: PDG) -> list[Variable]:
    """Return the variables that no arc touches."""
    touched = {v for arc in pdg.arcs.values() for v in (*arc.sources, *arc.targets)}
    return [v for name, v in pdg.variables.items() if name not in touched]


def _observations(pdg: PDG) -> dict[str, list[Arc]]:
    """The arcs that make a variable certain, by the variable."""
    found: dict[str, list[Arc]] = {}
    for arc in pdg.arcs.values():
        candidate = arc.is_hard and not arc.sources and len(arc.targets) == 1
        if candidate and is_observation(arc, arc.log_probabilities(pdg.cards(arc.targets))):
            found.setdefault(arc.targets[0], []).append(arc)
    return found


def independent_parts(pdg: PDG) -> list[PDG]:
    """Split a graph where its observed variables separate it.

    The values of the parts add, and their joints multiply: given what is observed, no score links
    two of them.

    Args:
        pdg: the graph as it is attended.

    Returns:
        Graphs that share the arcs: one for each set of free variables that arcs connect, with the
        observations of the variables that these arcs touch, and, if there are any, one for all
        arcs between observed variables. Variables that no arc touches are in none of them.

    Complexity: linear in the sum of the arcs' numbers of variables, up to logarithms.

    Example:
        >>> import torch
        >>> pdg = PDG({"class": 2, "x": 2, "y": 2})
        >>> table = [[0.9, 0.1], [0.2, 0.8]]
        >>> arcs = [pdg.add(f"p{v}", v, "class", cpd=table) for v in ("x", "y")]
        >>> len(independent_parts(pdg)), len(independent_parts(pdg.condition({"class": 1})))
        (1, 2)
    """
    observed = _observations(pdg)
    certain = {id(arc) for arcs in observed.values() for arc in arcs}
    beliefs = [arc for arc in pdg.arcs.values() if id(arc) not in certain]
    joined = UnionFind()
    for arc in beliefs:
        free = [v for v in (*arc.sources, *arc.targets) if v not in observed]
        if free:
            joined.union(*free)
    groups: dict[str, list[Arc]] = {}
    for arc in beliefs:
        free = [v for v in (*arc.sources, *arc.targets) if v not in observed]
        groups.setdefault(joined[free[0]] if free else "", []).append(arc)
    touched = {v for arc in beliefs for v in (*arc.sources, *arc.targets)}
    lonely = [arc for name, arcs in observed.items() if name not in touched for arc in arcs]
    if lonely:
        groups.setdefault("", []).extend(lonely)
    place = {name: i for i, name in enumerate(pdg.variables)}
    return [_part(pdg, arcs, observed, place) for arcs in groups.values()]


def _part(pdg: PDG, arcs: list[Arc], observed: dict[str, list[Arc]], place: dict[str, int]) -> PDG:
    names = {v for arc in arcs for v in (*arc.sources, *arc.targets)}
    part = PDG(pdg.variables[name] for name in sorted(names, key=place.__getitem__))
    seen = [arc for name in part.variables for arc in observed.get(name, [])]
    part.arcs.update({arc.name: arc for arc in (*arcs, *seen)})
    return part
