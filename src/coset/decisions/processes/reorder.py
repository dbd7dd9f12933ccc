"""Renumber states so that successors lie near: sweeps then read values from the first cache."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import ConfigError, DtypeError, RangeError, ShapeError
from coset.decisions.processes.level import BLOCK
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.transition_graph import walk_components

__all__ = ["bandwidth", "permute_states", "reorder"]

Rule = Literal["reverse-cuthill-mckee", "breadth-first"]


def reorder(mdp: MDP, rule: Rule = "reverse-cuthill-mckee") -> tuple[MDP, Tensor]:
    """Return the same process with states renumbered along its transition graph.

    Both rules walk the graph of transitions of positive probability, taken without direction,
    breadth first from each component: neighbors get near numbers where the process is local (grids,
    queues, discretized motion). Where successors are anywhere nothing is won.

    Args:
        mdp: the process.
        rule: "reverse-cuthill-mckee" visits neighbors by degree and numbers backwards;
            "breadth-first" visits them as they come.

    Returns:
        The process, and the permutation: (S,) int64, new state i is old state permutation[i]. A
        value or policy v of the new process is ``v[permutation.argsort()]`` in old numbers.

    Raises:
        ConfigError: if the rule is unknown.

    Complexity: O(S A K) and a graph of as many edges.

    Examples:
        >>> chain = MDP(
        ...     [[[2]], [[1]], [[1]]], [[[1.0]], [[1.0]], [[1.0]]], [[0.0], [1.0], [0.0]], 0.5
        ... )
        >>> near, permutation = reorder(chain)
        >>> bandwidth(chain), bandwidth(near), permutation.tolist()
        (2, 1, [1, 2, 0])
    """
    if rule not in get_args(Rule):
        raise ConfigError(f"rule must be one of {', '.join(get_args(Rule))}; given {rule!r}")
    permutation = torch.from_numpy(_walk(mdp, rule)).to(mdp.successor.device)
    return permute_states(mdp, permutation), permutation


def _walk(mdp: MDP, rule: Rule) -> np.ndarray:
    """Return the states in their new order."""
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    size = mdp.num_states
    used = (mdp.probability > 0).cpu().numpy()
    source, _, _ = np.nonzero(used)
    target = mdp.successor.cpu().numpy()[used]
    if rule == "breadth-first":
        return _breadth_first(source, target, size)
    one = np.ones(len(source), np.int8)
    graph = csr_array(coo_array((one, (source, target)), shape=(size, size)))
    order: np.ndarray = reverse_cuthill_mckee(graph + graph.T, symmetric_mode=True)
    return order.astype(np.int64)


def _breadth_first(source: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    """Walk all components at once; then sort."""
    walk, _, component = walk_components(source, target, size)
    order: np.ndarray = walk[np.argsort(component[walk], kind="stable")]
    return order.astype(np.int64)


def permute_states(mdp: MDP, permutation: Tensor) -> MDP:
    """Return the same process with states in another order.

    Args:
        mdp: the process.
        permutation: (S,) integers, each state once: new state i is old state permutation[i].

    Returns:
        The process; new arrays.

    Raises:
        ShapeError: if the permutation is not one state a state.
        DtypeError: if it does not hold integers.
        RangeError: if a state is missing.
    """
    size = mdp.num_states
    permutation = torch.as_tensor(permutation, device=mdp.successor.device)
    if permutation.shape != (size,):
        raise ShapeError(
            f"a permutation must name each of the {size} states once; "
            f"given shape {tuple(permutation.shape)}"
        )
    if permutation.dtype.is_floating_point or permutation.dtype == torch.bool:
        raise DtypeError(f"a permutation must hold integers; given {permutation.dtype}")
    old = permutation.to(torch.int64)
    missing = torch.ones(size, dtype=torch.bool, device=old.device)
    inside = old[(old >= 0) & (old < size)]
    missing[inside] = False
    if bool(missing.any()):
        raise RangeError(
            f"a permutation must name each of the {size} states once; "
            f"state {int(missing.nonzero()[0])} is missing"
        )
    new = torch.empty_like(old, dtype=torch.int32)
    new[old] = torch.arange(size, dtype=torch.int32, device=old.device)
    successor = new[mdp.successor[old].long()]
    names = ("probability", "reward", "multiplier", "mask", "terminal")
    rows = {}
    for name in names:
        array = getattr(mdp, name)
        rows[name] = array[old] if array.shape[0] == size else array
    return replace(mdp, successor=successor, **rows)


def bandwidth(mdp: MDP) -> int:
    """Return how far apart in number a state and a successor are at most.

    Args:
        mdp: the process.

    Returns:
        max |s − s'| over transitions of positive probability; 0 if there are none.
    """
    furthest = 0
    for start in range(0, mdp.num_states, BLOCK):
        rows = slice(start, start + BLOCK)
        here = torch.arange(start, start + len(mdp.successor[rows]), device=mdp.successor.device)
        apart = (mdp.successor[rows].long() - here[:, None, None]).abs()
        used = apart[mdp.probability[rows] > 0]
        furthest = max(furthest, int(used.max()) if used.numel() else 0)
    return furthest
