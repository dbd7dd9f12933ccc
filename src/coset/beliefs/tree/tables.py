"""The tables of many arcs at once: evaluated, checked and logarithmized together."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import row_tolerance

__all__ = ["log_tables"]

Floats = npt.NDArray[np.float64]


def log_tables(pdg: PDG) -> dict[str, Floats]:
    """Return log p of each arc, evaluated now and checked.

    Args:
        pdg: the graph.

    Returns:
        By the arc's name (*batch, *sources, *targets) in float64; −∞ where p = 0.

    Raises:
        CosetError: whatever `Arc.log_probabilities` raises.

    Complexity: as many calls of NumPy for plain tensors as for one, however many arcs there are.
    """
    plain = {name: arc for name, arc in pdg.arcs.items() if _is_plain(arc, pdg.cards(_scope(arc)))}
    found = _together(plain.values()) if plain else {}
    tables = {}
    for name, arc in pdg.arcs.items():
        if name in found:
            tables[name] = found[name]
        else:
            tables[name] = _alone(arc, pdg.cards(_scope(arc)))
    return tables


def _scope(arc: Arc) -> tuple[str, ...]:
    return (*arc.sources, *arc.targets)


def _is_plain(arc: Arc, cards: tuple[int, ...]) -> bool:
    table = arc.cpd
    return (
        isinstance(table, Tensor)
        and not arc.is_log
        and table.dtype == torch.float64
        and table.device.type == "cpu"
        and table.shape == cards
    )


def _alone(arc: Arc, cards: tuple[int, ...]) -> Floats:
    table = arc.log_probabilities(cards).detach()
    wide = table.double().cpu()
    if table.dtype != torch.float64:  # rows sum to one as exactly as that can say
        wide = wide - wide.logsumexp(tuple(range(-len(arc.targets), 0)), keepdim=True)
    found: Floats = wide.numpy()
    return found


def _together(arcs: Iterable[Arc]) -> dict[str, Floats]:
    """Return the tables that are right; one by one the others say what is wrong."""
    arcs = list(arcs)
    raw = [arc.cpd.detach().numpy() for arc in arcs if isinstance(arc.cpd, Tensor)]
    flat = np.concatenate([table.ravel() for table in raw])
    widths = [
        math.prod(table.shape[len(arc.sources) :]) for arc, table in zip(arcs, raw, strict=True)
    ]
    num_rows = [table.size // width for table, width in zip(raw, widths, strict=True)]
    width_of_row = np.repeat(widths, num_rows)
    begin = np.concatenate([[0], np.cumsum(width_of_row)])
    first_row = np.concatenate([[0], np.cumsum(num_rows)])
    sums = np.add.reduceat(flat, begin[:-1])
    right = np.abs(sums - 1) <= row_tolerance(torch.float64)
    right &= np.minimum.reduceat(flat, begin[:-1]) >= 0
    good = np.logical_and.reduceat(right, first_row[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(flat)
    found, at = {}, 0
    for arc, table, fine in zip(arcs, raw, good, strict=True):
        if fine:
            found[arc.name] = logs[at : at + table.size].reshape(table.shape)
        at += table.size
    return found
