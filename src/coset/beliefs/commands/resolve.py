"""``coset beliefs resolve``: let some beliefs move until all agree as well as they can."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.beliefs.commands.source import (
    parse_names,
    read_observed,
    summary,
    without_rounding,
)
from coset.core.errors import ConfigError, DomainError, UnknownNameError
from coset.core.files import dump_json
from coset.core.terminal import printable

if TYPE_CHECKING:
    from torch import Tensor

    from coset.beliefs.pdg.arc import Arc
    from coset.beliefs.pdg.graph import PDG

__all__ = ["resolve"]


def resolve(
    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    /,
    learn: str,
    observe: str = "",
    steps: int = 50,
    rate: float = 1.0,
    gamma: float = 0.0,
    units: Literal["nats", "bits"] = "nats",
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Let some beliefs follow the gradient of the inconsistency, and say what moved.

    FILE is a dependency graph (.json, .safetensors) or a Bayesian network (.bif, .bif.gz). All
    beliefs are attended; those of --learn move, as softmax tables. How far a belief moved is the
    total variation of a row, Σ|Δp|/2, on average over its rows: from 0 to 1.

    Example: coset beliefs resolve examples/beliefs/cycle.json --learn worry --steps 20

    Args:
        file: the beliefs.
        learn: the beliefs that may move, as p or p,q.
        observe: what is certain besides, as A=a,B=b.
        steps: how often to follow the gradient, for one unit of time each.
        rate: how fast the beliefs move; inf goes to the minimum in each step.
        gamma: weight of structure.
        units: nats or bits.
        out: write all beliefs, moved and observed, to this file (.json, .safetensors).
        json: print JSON.
    """
    from coset.beliefs.pdg.pdg_file import write_pdg
    from coset.beliefs.resolve.control import Control
    from coset.beliefs.resolve.focus import Focus
    from coset.beliefs.resolve.lir import lir
    from coset.beliefs.resolve.movement import tables_of
    from coset.beliefs.solvers.solve import solve
    from coset.beliefs.units import in_units

    if steps < 1 or not rate > 0:
        raise ConfigError(f"--steps is ≥ 1 and --rate > 0; given {steps} and {rate}")
    if out is not None and out.suffix.lower() not in (".json", ".safetensors"):
        raise ConfigError(f"--out must end in .json or .safetensors; given {out}")
    names = parse_names(learn, "--learn")
    pdg = _learnable(read_observed(file, observe), names)
    if conflict := solve(pdg, gamma).conflicts:
        raise DomainError(
            f"what is certain must not contradict itself, because no belief can move to resolve "
            f"that; {', '.join(conflict)} cannot all hold: make one of them less than certain"
        )
    before = tables_of(pdg)
    trace = lir(pdg, [Focus(control=Control.only(names, rate))], steps, gamma=gamma)
    after = tables_of(pdg)
    values = [without_rounding(in_units(float(v), units)) for v in trace.overall]
    moved = {n: _moved(pdg.arcs[n], before[n], after[n]) for n in names}
    if out is not None:
        write_pdg(pdg, out)
    if json:
        report: dict[str, Any] = {"file": file, "units": units, "inconsistency": values}
        print(
            dump_json(report | {"moved": moved, "out": None if out is None else str(out)}), end=""
        )
        return 0
    console = Console(highlight=False)
    console.print(f"[bold]{escape(printable(file))}[/bold]: {summary(pdg)}")
    console.print(
        f"inconsistency {values[0]:.6g} → [bold]{values[-1]:.6g} {units}[/bold] in {steps} steps"
    )
    _print_tables(console, pdg, before, moved)
    if out is not None:
        console.print(escape(f"written: {printable(str(out))}"))
    return 0


def _learnable(pdg: PDG, names: list[str]) -> PDG:
    """Return the graph with softmax tables in place of the tables of some arcs."""
    from torch import Tensor

    graph = pdg.copy()
    for name in names:
        if name not in graph.arcs:
            raise UnknownNameError.of("belief", name, graph.arcs)
        arc = graph.arcs[name]
        if arc.beta == math.inf:
            raise DomainError(f"{name!r} is certain (β = ∞); what moves has a finite β")
        if isinstance(arc.cpd, Tensor):
            graph.arcs[name] = arc.learnable()
    return graph


def _moved(arc: Arc, before: Tensor, after: Tensor) -> float:
    """Return the total variation of a row, on average over rows."""
    targets = tuple(range(-len(arc.targets), 0))
    return float(((after - before).abs().sum(targets) / 2).mean())


def _print_tables(
    console: Console, pdg: PDG, before: dict[str, Any], moved: dict[str, float]
) -> None:
    for name, distance in moved.items():
        arc = pdg.arcs[name]
        what = "total variation" if not arc.sources else "total variation, mean over rows"
        console.print(escape(printable(f"{arc}, moved by {distance:.3g} ({what})")))
        now = arc.probabilities().detach()
        if now.numel() > 24:
            continue
        table = Table(box=None, padding=(0, 1))
        sources = [pdg.variables[n] for n in arc.sources]
        targets = [pdg.variables[n] for n in arc.targets]
        table.add_column(escape(printable(", ".join(arc.sources))) if sources else "")
        columns = _labels(targets)
        for label in columns:
            table.add_column(escape(printable(label)), justify="right")
        old = before[name].reshape(-1, len(columns)).tolist()
        new = now.reshape(-1, len(columns)).tolist()
        for label, was, rows in zip(_labels(sources), old, new, strict=True):
            cells = (f"{a:.3f} → {b:.3f}" for a, b in zip(was, rows, strict=True))
            table.add_row(escape(printable(label)), *cells)
        console.print(table)


def _labels(variables: list[Any]) -> list[str]:
    from itertools import product

    values = ([str(x) for x in v.values or range(v.card)] for v in variables)
    return [", ".join(value) for value in product(*values)]
