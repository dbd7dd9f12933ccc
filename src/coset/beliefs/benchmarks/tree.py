"""Benchmarks of exact marginals: random trees, and the networks that pgmpy brings."""

from __future__ import annotations

import graphlib
import importlib.util
import itertools
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.beliefs.claims.networks import literal_joint
from coset.beliefs.joint import DenseJoint
from coset.beliefs.pdg.bayes_net import read_bif
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.tree.network import JunctionTree
from coset.bench import Case, Contestant, Limit, benchmark
from coset.core.errors import UnavailableError

__all__ = ["NETWORKS", "network_file", "networks_case", "to_pgmpy", "tree_case", "trees_case"]

_CARD = 3
_CLOSE = 1e-10

# Those that pgmpy 1.1.2 brings, from bnlearn's repository.
NETWORKS = (
    *("alarm", "andes", "asia", "barley", "cancer", "child", "diabetes", "earthquake"),
    *("hailfinder", "hepar2", "insurance", "link", "mildew", "munin", "munin1", "munin2"),
    *("munin3", "munin4", "pathfinder", "pigs", "sachs", "survey", "water", "win95pts"),
)
# What pgmpy's one query takes less than a second for.
_NARROW = {"alarm", "asia", "cancer", "child", "earthquake", "hailfinder", "hepar2", "insurance"}
_NARROW |= {"sachs", "survey", "win95pts"}

Marginals = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class NetworkInputs:
    """A Bayesian network.

    Attributes:
        pdg: the network.
    """

    pdg: PDG

    @cached_property
    def compiled(self) -> JunctionTree:
        """Its junction tree."""
        return JunctionTree(self.pdg)

    @property
    def last(self) -> str:
        """The last variable."""
        return next(reversed(self.pdg.variables))


def network_file(name: str) -> Path:
    """Return the BIF file of one of pgmpy's networks.

    Args:
        name: one of `NETWORKS`.

    Returns:
        The path.

    Raises:
        UnavailableError: if pgmpy is not installed.
    """
    spec = importlib.util.find_spec("pgmpy")
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError("the published networks come with pgmpy; pip install pgmpy")
    folder = Path(spec.submodule_search_locations[0]) / "utils" / "example_models"
    return folder / f"{name}.bif.gz"


def _random_tree(size: int, variant: Any, generator: torch.Generator) -> NetworkInputs:
    pdg = PDG({f"X{i}": _CARD for i in range(size)})
    for i in range(size):
        parent = (f"X{int(torch.randint(0, i, (), generator=generator))}",) if i else ()
        shape = (_CARD,) * (1 + len(parent))
        pdg.add(f"p{i}", f"X{i}", parent, cpd=random_table(*shape, generator=generator))
    return NetworkInputs(pdg)


def _published(size: int, variant: str, generator: torch.Generator) -> NetworkInputs:
    """Return the first variables of a network, causes before effects."""
    pdg = read_bif(network_file(variant))
    parents = {arc.targets[0]: arc.sources for arc in pdg.arcs.values()}
    first = set(itertools.islice(graphlib.TopologicalSorter(parents).static_order(), size))
    arcs = [name for name, arc in pdg.arcs.items() if arc.targets[0] in first]
    return NetworkInputs(pdg.subgraph(arcs))


def _reference(inputs: NetworkInputs) -> Marginals:
    joint = DenseJoint(tuple(inputs.pdg.variables.values()), literal_joint(inputs.pdg))
    return {name: joint.marginal(name) for name in inputs.pdg.variables}


def _compare(inputs: NetworkInputs, output: Marginals, expected: Marginals) -> str | None:
    if set(output) != set(expected):
        return f"{len(output)} marginals instead of {len(expected)}"
    worst = max(float((output[n] - expected[n]).abs().max()) for n in expected)
    return None if worst <= _CLOSE else f"a marginal is off by {worst:.3g}"


def _verify_last(inputs: NetworkInputs, output: np.ndarray) -> str | None:
    expected = inputs.compiled.marginals()[inputs.last].numpy()
    worst = float(np.abs(expected - output).max())
    return None if worst <= _CLOSE else f"the last marginal is off by {worst:.3g}"


def to_pgmpy(pdg: PDG) -> Any:
    """Return a Bayesian network as pgmpy has it.

    Args:
        pdg: the network.

    Returns:
        A ``DiscreteBayesianNetwork``.
    """
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DiscreteBayesianNetwork

    logging.getLogger("pgmpy").setLevel(logging.ERROR)
    model = DiscreteBayesianNetwork()
    model.add_nodes_from(pdg.variables)
    for arc in pdg.arcs.values():
        model.add_edges_from((source, arc.targets[0]) for source in arc.sources)
    for arc in pdg.arcs.values():
        target, cards = arc.targets[0], list(pdg.cards(arc.sources))
        table = np.moveaxis(arc.probabilities().numpy(), -1, 0)
        values = table.reshape(table.shape[0], -1)
        model.add_cpds(TabularCPD(target, table.shape[0], values, list(arc.sources), cards))
    return model


@dataclass(frozen=True, eq=False)
class _Pgmpy:
    model: Any
    names: Sequence[str]


def _make_pgmpy(inputs: NetworkInputs) -> _Pgmpy:
    return _Pgmpy(to_pgmpy(inputs.pdg), list(inputs.pdg.variables))


def _calibrate(state: _Pgmpy) -> Marginals:
    """Return all marginals from the cliques that pgmpy calibrates."""
    from pgmpy.inference import BeliefPropagation

    tree = BeliefPropagation(state.model)
    tree.calibrate()
    beliefs = tree.get_clique_beliefs()
    found: Marginals = {}
    for name in state.names:
        clique = next(c for c in beliefs if name in c)
        others = [v for v in clique if v != name]
        factor = beliefs[clique].marginalize(others, inplace=False) if others else beliefs[clique]
        values = torch.as_tensor(factor.values)
        found[name] = values / values.sum()
    return found


def _eliminate(state: _Pgmpy) -> np.ndarray:
    """Return the marginal of the last variable."""
    from pgmpy.inference import VariableElimination

    query = VariableElimination(state.model).query([state.names[-1]], show_progress=False)
    values: np.ndarray = query.values
    return values


def _bytes_of_arcs(inputs: NetworkInputs) -> int:
    """Return the bytes of all tables read and of all marginals written once."""
    cards = inputs.pdg.cards
    read = sum(math.prod(cards((*a.sources, *a.targets))) for a in inputs.pdg.arcs.values())
    return 8 * (read + sum(cards(inputs.pdg.variables)))


def _bytes_of_clusters(inputs: NetworkInputs) -> int:
    """Return the bytes of log conditionals and probabilities of all clusters."""
    return 16 * inputs.compiled.plan.num_entries


OURS = {
    "junction tree": Contestant(lambda inputs: JunctionTree(inputs.pdg).marginals()),
    "compiled before": Contestant(
        lambda tree: tree.marginals(), setup=lambda inputs: inputs.compiled
    ),
}
ONE_QUERY = Contestant(
    _eliminate,
    setup=_make_pgmpy,
    partial="variable elimination of one marginal, the last",
    verify=_verify_last,
)
TESTS = ("tests/beliefs/test_tree_plan.py", "tests/beliefs/test_tree.py")


@benchmark(
    "beliefs.tree",
    title="all marginals of a random tree of N variables of 3 values",
    sizes=(10, 30, 100),
    variants={"random parents": None},
    small_sizes=(1, 2, 3, 5, 8),
)
def tree_case() -> Case:
    """Build the case: a junction tree against pgmpy's belief propagation.

    Returns:
        The case.
    """
    return Case(
        prepare=_random_tree,
        reference=_reference,
        compare=_compare,
        ours=OURS,
        peers={
            "pgmpy BeliefPropagation": Contestant(_calibrate, setup=_make_pgmpy),
            "pgmpy VariableElimination": ONE_QUERY,
        },
        limits={
            "copy": Limit(
                "copy", _bytes_of_arcs, "tables read and marginals written once; no arithmetic"
            )
        },
        tests=TESTS,
    )


@benchmark(
    "beliefs.trees",
    title="all marginals of a large random tree of N variables of 3 values",
    sizes=(1000, 10_000),
    variants={"random parents": None},
    small_sizes=(1, 2, 3, 5, 8),
)
def trees_case() -> Case:
    """Build the case for trees at which pgmpy's belief propagation takes minutes (42 s at 1,000).

    Returns:
        The case.
    """
    return Case(
        prepare=_random_tree,
        reference=_reference,
        compare=_compare,
        ours=OURS,
        peers={"pgmpy VariableElimination": ONE_QUERY},
        limits={
            "copy": Limit(
                "copy", _bytes_of_arcs, "tables read and marginals written once; no arithmetic"
            )
        },
        tests=TESTS,
    )


@benchmark(
    "beliefs.networks",
    title="all marginals of the first N variables of a published network",
    sizes=(2000,),
    variants={name: name for name in NETWORKS},
    small_sizes=(1, 2, 3),
)
def networks_case() -> Case:
    """Build the case: the 24 networks of bnlearn's repository; none has 2,000 variables.

    Returns:
        The case.
    """
    return Case(
        prepare=_published,
        reference=_reference,
        compare=_compare,
        ours={"junction tree": OURS["junction tree"]},
        peers={
            "pgmpy VariableElimination": Contestant(
                _eliminate,
                setup=_make_pgmpy,
                partial=ONE_QUERY.partial,
                verify=_verify_last,
                applies=_NARROW.__contains__,
            )
        },
        limits={
            "copy": Limit(
                "copy",
                _bytes_of_clusters,
                "tables of all clusters written twice, 16 bytes an entry; no arithmetic",
            )
        },
        tests=TESTS,
    )
