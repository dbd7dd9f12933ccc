"""``coset beliefs inspect``: how inconsistent the beliefs of a file are, and which are to blame."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.beliefs.commands.source import (
    parse_gamma,
    read_observed,
    summary,
    without_rounding,
)
from coset.core.errors import ConfigError
from coset.core.files import dump_json
from coset.core.terminal import printable

if TYPE_CHECKING:
    from coset.beliefs.blame import Blame
    from coset.beliefs.pdg.graph import PDG
    from coset.beliefs.solution import InconsistencySolution

__all__ = ["inspect", "print_blame"]


def inspect(
    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    /,
    observe: str = "",
    gamma: str = "0",
    units: Literal["nats", "bits"] = "nats",
    at_most: float = math.inf,
    top: int = 10,
    picture: Path | None = None,
    json: bool = False,
) -> int:
    """Say how inconsistent beliefs are, with a proof, and which of them are to blame.

    FILE is a dependency graph (.json, .safetensors) or a Bayesian network (.bif, .bif.gz). The
    exit code is 1 if the inconsistency is more than --at-most, by more than what is proved of it
    leaves open, or if beliefs that are certain contradict each other.

    Example: coset beliefs inspect examples/beliefs/sensor.json

    Args:
        file: the beliefs.
        observe: what is certain besides, as A=a,B=b.
        gamma: weight of structure, a number or 0+.
        units: nats or bits.
        at_most: the inconsistency that is accepted.
        top: how many beliefs to list, those with most conflict first.
        picture: draw the beliefs, redder where they conflict, to this .svg file.
        json: print JSON.
    """
    from coset.beliefs.blame import blame
    from coset.beliefs.solvers.solve import solve
    from coset.beliefs.units import in_units
    from coset.core.results import Status

    if top < 0 or math.isnan(at_most):
        raise ConfigError(f"--top is ≥ 0 and --at-most a number; given {top} and {at_most}")
    if picture is not None and picture.suffix.lower() != ".svg":
        raise ConfigError(f"--picture must end in .svg; given {picture}")
    pdg, weight = read_observed(file, observe), parse_gamma(gamma)
    solution = solve(pdg, weight)
    found = blame(pdg, solution, weight, units=units)
    gap = None if solution.gap is None else in_units(solution.gap, units)
    solved = solution.status is Status.SOLVED
    # What is within the gap of a solution is not known to be more.
    known = without_rounding(found.value - (gap or 0.0 if solved else 0.0))
    certified = None if solution.certificate is None else solution.certificate.verify()
    accepted = known <= at_most and not found.conflicts and certified is not False
    if picture is not None:
        from coset.beliefs.figures.blame import hypergraph_of
        from coset.lab.figure_style import save_svg

        save_svg(hypergraph_of(pdg, found), picture)
    if json:
        print(dump_json(_report(file, pdg, solution, found, certified, accepted)), end="")
    else:
        console = Console(highlight=False)
        console.print(f"[bold]{escape(printable(file))}[/bold]: {summary(pdg)}")
        _print(console, solution, found, gap, top, certified)
        if known > at_most and not found.conflicts:
            console.print(f"[red]✗[/red] more than {at_most:g} {units}")
        if picture is not None:
            console.print(escape(f"drawn: {printable(str(picture))}"))
    return 0 if accepted else 1


def _report(
    file: str,
    pdg: PDG,
    solution: InconsistencySolution,
    found: Blame,
    certified: bool | None,
    accepted: bool,
) -> dict[str, Any]:
    return {
        "file": file,
        "num_beliefs": len(pdg.arcs),
        "num_variables": len(pdg.variables),
        "inconsistency": None if found.value == math.inf else found.value,
        "gap_nats": solution.gap,
        "units": found.units,
        "method": solution.method,
        "status": str(solution.status),
        "certified": certified,
        "conflicts": list(found.conflicts),
        "accepted": accepted,
        "blame": found.rows(),
    }


def _print(
    console: Console,
    solution: InconsistencySolution,
    found: Blame,
    gap: float | None,
    top: int,
    certified: bool | None,
) -> None:
    if found.conflicts:
        names = ", ".join(printable(name) for name in found.conflicts)
        console.print(f"[red]✗[/red] infinitely inconsistent: {escape(names)} cannot all hold")
        console.print(escape(printable(solution.advice)))
        return
    proof = "a local minimum, without a bound"
    if gap is not None:
        proof = f"proved within {gap:.1e}" if gap > 1e-15 else "proved up to rounding"
    if certified is False:
        proof = "[red]NOT proved: the certificate fails its check[/red]"
    value = f"{without_rounding(found.value):.6g} {found.units}"
    console.print(f"inconsistency [bold]{value}[/bold], {proof}")
    if solution.advice:
        console.print(f"[red]{escape(printable(solution.advice))}[/red]")
    print_blame(console, found, top)
    if certified:
        console.print("certificate checked again from its own data")


def print_blame(console: Console, found: Blame, top: int) -> None:
    """Print the beliefs with most conflict, and where each disagrees."""
    table = Table(box=None, padding=(0, 1))
    table.add_column("belief", overflow="fold")
    table.add_column("β", justify="right", no_wrap=True)
    table.add_column("conflict", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("where most", overflow="fold")
    for item in found.arcs[:top]:
        hurts = item.worst is not None and item.share > 0
        table.add_row(
            escape(printable(f"{item.arc}: {item.belief}")),
            "∞" if item.beta == math.inf else f"{item.beta:g}",
            f"{item.conflict:.4g}" if item.beta != math.inf else "–",
            f"{100 * item.share:.0f} %" if item.beta != math.inf else "–",
            escape(printable(str(item.worst))) if hurts else "",
        )
    console.print(table)
    if len(found.arcs) > top:
        console.print(f"and {len(found.arcs) - top:,} more with less conflict (--top)")
    if found.entropy:
        conflict, structure = (
            sum(getattr(item, part) for item in found.arcs) for part in ("conflict", "structure")
        )
        console.print(
            f"conflict {conflict:.4g} + structure {structure:.4g} − entropy {-found.entropy:.4g}, "
            f"the latter two by γ"
        )
