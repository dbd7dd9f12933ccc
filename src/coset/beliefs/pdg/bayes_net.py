"""Bayesian networks as dependency graphs: one arc for each conditional distribution."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.pdg.bif import (
    BayesianNetworkFile,
    BayesianTable,
    bif_text,
    read_bayesian_network,
)
from coset.beliefs.pdg.bif_table import unround
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.variable import Variable
from coset.core.errors import DomainError, DtypeError, FileFormatError, ShapeError
from coset.core.files import write_atomic
from coset.core.foreign_files import show

__all__ = ["from_bayes_net", "read_bif", "write_bif"]


def read_bif(path: Path | str) -> PDG:
    """Read a Bayesian network from a BIF file; see `coset.beliefs.pdg.bif` for the format.

    Args:
        path: ends in ".bif" or ".bif.gz".

    Returns:
        The graph: an arc for each variable, named after it, from its parents, with α = β = 1.
        Rows that rounding explains are divided by their sums.

    Raises:
        FileFormatError: if the file is missing, too large or malformed, a row does not sum to one,
            or the arrows make a cycle; names file and line.

    Claims: beliefs.C4.
    """
    return _graph(read_bayesian_network(path))


def from_bayes_net(model: Any) -> PDG:
    """Make a graph of a Bayesian network of pgmpy.

    Args:
        model: a ``DiscreteBayesianNetwork``, or any object with ``nodes()``, and ``get_cpds()``
            that returns objects with ``variables`` (the target, then the parents), ``values`` (an
            axis each) and ``state_names``.

    Returns:
        The graph, as of `read_bif`; the names of variables and values become text.

    Raises:
        DtypeError: if `model` is no such object.
        DomainError: if a variable has no distribution, or two.
        NotNormalizedError: if a row is off by more than rounding explains.

    Claims: beliefs.C4.
    """
    try:
        nodes = [str(node) for node in model.nodes()]
        cpds = {str(cpd.variables[0]): cpd for cpd in model.get_cpds()}
        num_cpds = len(model.get_cpds())
    except (AttributeError, TypeError, IndexError) as error:
        raise DtypeError(
            f"a Bayesian network has nodes() and get_cpds(), as pgmpy's DiscreteBayesianNetwork; "
            f"given {type(model).__name__}: {error}"
        ) from error
    if num_cpds != len(nodes) or set(cpds) != set(nodes):
        off = sorted(set(nodes) ^ set(cpds))
        raise DomainError(
            f"each of the {len(nodes):,} variables must have one distribution; given {num_cpds:,}, "
            f"see {show(off[0]) if off else 'those that are twice'}"
        )
    variables, tables = [], []
    for name in nodes:
        cpd = cpds[name]
        axes = [str(variable) for variable in cpd.variables]
        states = tuple(map(str, cpd.state_names[cpd.variables[0]]))
        variables.append(Variable(name, len(states), states))
        values = torch.as_tensor(cpd.values).to("cpu", torch.float64).movedim(0, -1)
        tables.append(BayesianTable(name, tuple(axes[1:]), unround(values)[0]))
    return _graph(BayesianNetworkFile("unknown", tuple(variables), tuple(tables)))


def write_bif(network: PDG | BayesianNetworkFile, path: Path | str) -> None:
    """Write a Bayesian network as a BIF file.

    `read_bif` finds the same numbers, if rows sum to one within 1e-12; otherwise divided by their
    sums. Values without names are called 0, 1, …; modules and functions are evaluated now.

    Args:
        network: a graph in which each variable is the target of one arc, alone, with α = β = 1; or
            what `coset.beliefs.pdg.bif.read_bayesian_network` returned.
        path: ends in ".bif" or ".bif.gz".

    Raises:
        DomainError: if the graph is no Bayesian network, or a name cannot be written.
        FileFormatError: if the ending is another one.
        StorageError: if the file cannot be written.
    """
    path = Path(path)
    name = path.name.lower()
    if not name.endswith((".bif", ".bif.gz")):
        raise FileFormatError(f"a Bayesian network is written to .bif or .bif.gz; given {path}")
    text = bif_text(_network(network) if isinstance(network, PDG) else network)
    # Without a time the same network gives the same bytes.
    write_atomic(path, gzip.compress(text.encode(), mtime=0) if name.endswith(".gz") else text)


def _graph(network: BayesianNetworkFile) -> PDG:
    pdg = PDG(network.variables)
    for table in network.tables:
        pdg.add(table.target, table.target, table.parents, cpd=table.probability)
    return pdg


def _network(pdg: PDG) -> BayesianNetworkFile:
    tables: dict[str, BayesianTable] = {}
    for arc in pdg.arcs.values():
        target = arc.targets[0]
        if len(arc.targets) > 1 or target in tables or (arc.alpha, arc.beta) != (1, 1):
            raise DomainError(
                f"a Bayesian network has one arc to each variable, with alpha = beta = 1; given "
                f"{arc} with alpha={arc.alpha:g}, beta={arc.beta:g}; write it as JSON"
            )
        probability = arc.probabilities().detach().to("cpu", torch.float64)
        if isinstance(arc.cpd, Tensor) and not arc.is_log:
            # exp(log p) differs from p in its last digit.
            probability = arc.cpd.detach().to("cpu", torch.float64)
        if probability.ndim > len(arc.sources) + 1:
            raise ShapeError(
                f"a file holds one network; the table of {arc.name!r} has batch axes, "
                f"{tuple(probability.shape)}"
            )
        tables[target] = BayesianTable(target, arc.sources, probability)
    for variable in pdg.variables:
        if variable not in tables:
            raise DomainError(
                f"each variable of a Bayesian network has a distribution; {variable!r} has none; "
                f"add one, or write the graph as JSON"
            )
    return BayesianNetworkFile("unknown", tuple(pdg.variables.values()), tuple(tables.values()))
