"""``coset beliefs infer``: what beliefs together say of some variables, given others."""

from __future__ import annotations

from itertools import product
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.beliefs.commands.source import (
    named_values,
    parse_gamma,
    parse_names,
    parse_values,
    read_observed,
)
from coset.core.errors import ConfigError
from coset.core.files import dump_json
from coset.core.terminal import printable

__all__ = ["infer"]


def infer(
    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    /,
    query: str,
    given: str = "",
    gamma: str = "0+",
    top: int = 20,
    json: bool = False,
) -> int:
    """Say how probable values are, given others, in the joint that fits all beliefs best.

    FILE is a dependency graph (.json, .safetensors) or a Bayesian network (.bif, .bif.gz).

    Example: coset beliefs infer examples/beliefs/sensor.json --query pump

    Args:
        file: the beliefs.
        query: variables, as A or A,B.
        given: what is known, as C=c,D=d.
        gamma: weight of structure, a number or 0+.
        top: how many values to list, the most probable first.
        json: print JSON.
    """
    from coset.beliefs.infer import infer as distribution

    if top < 1:
        raise ConfigError(f"--top is ≥ 1; given {top}")
    pdg = read_observed(file, "")
    names = parse_names(query, "--query")
    known = named_values(pdg, parse_values(given, "--given"))
    found = distribution(pdg, names, known, gamma=parse_gamma(gamma))
    labels = [pdg.variables[n].values or range(pdg.variables[n].card) for n in names]
    values = product(*(map(str, label) for label in labels))
    rows = list(zip(values, found.flatten().tolist(), strict=True))
    if json:
        print(
            dump_json(
                {
                    "file": file,
                    "query": names,
                    "given": known,
                    "gamma": gamma,
                    "distribution": [{"values": list(v), "probability": p} for v, p in rows],
                }
            ),
            end="",
        )
        return 0
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 1))
    for name in names:
        table.add_column(escape(printable(name)))
    table.add_column("probability", justify="right")
    for value, probability in sorted(rows, key=lambda row: -row[1])[:top]:
        table.add_row(*(escape(printable(v)) for v in value), f"{probability:.6f}")
    console.print(table)
    if len(rows) > top:
        console.print(f"and {len(rows) - top:,} less probable (--top)")
    return 0
