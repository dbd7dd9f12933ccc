"""``coset ssm depth``: can diagonal layers track a group, and how many does it take?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.files import dump_json

if TYPE_CHECKING:
    from coset.groups import Group

__all__ = ["depth"]


def depth(
    group: Annotated[str, tyro.conf.Positional],
    /,
    layers: tuple[str, ...] = (),
    json: bool = False,
) -> int:
    """Tell whether stacks of diagonal layers can track a group at any length, and how deep.

    With complex eigenvalues (AUSSM) the least depth is the derived length; with real signed ones
    (negative-eigenvalue Mamba) the length of the 2-verbal series. Every element is a token here:
    then non-negative and time-invariant layers by themselves track only Z1. The exit code is 1 if
    no stack tracks the group, or if one of the given ones does not.

    Example: coset ssm depth "SL(2,3)" --layers crr rcr

    Args:
        group: a name such as S4, A5, Z60, D30, Q8, SL(2,3), GL(2,3), Heis(3), S4xZ2.
        layers: stacks to be judged, each the classes of its layers from bottom to top:
            c complex, r real signed, p non-negative (all three input-dependent), t time-invariant.
        json: print JSON.
    """
    from coset.ssm.alphabet import as_group
    from coset.ssm.tracking import can_track, check_layers

    for word in layers:
        check_layers(word)
    named = as_group(group)
    report = _report(named)
    report["stacks"] = [
        {"layers": word, "tracks": verdict.holds, "left": list(verdict.sizes)}
        for word, verdict in ((word, can_track(named, word)) for word in layers)
    ]
    if json:
        print(dump_json(report), end="")
    else:
        _print(report)
    judged = [stack["tracks"] for stack in report["stacks"]] or [report["depth_complex"]]
    return 0 if all(judge is not None and judge is not False for judge in judged) else 1


def _report(group: Group) -> dict[str, Any]:
    from coset.ssm.verdict_table import verdict_row

    row = verdict_row(group)
    return {
        "group": row.name,
        "order": row.order,
        "abelian": row.is_abelian,
        "solvable": row.is_solvable,
        "derived_series": [len(subgroup) for subgroup in group.derived_series()],
        "verbal_series": [len(subgroup) for subgroup in group.verbal_series(2)],
        "depth_complex": _finite(row.depth_complex),
        "depth_real": _finite(row.depth_real),
        "moduli": [list(layer) for layer in row.moduli],
        "cheapest": list(row.cheapest),
    }


def _finite(depth: int | float) -> int | None:
    return None if depth == math.inf else int(depth)


def _print(report: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{escape(report['group'])}[/bold] (order {report['order']})")
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for what, key, series in (
        ("complex layers", "depth_complex", "derived_series"),
        ("real signed layers", "depth_real", "verbal_series"),
    ):
        steps, count = report[series], report[key]
        shown = " → ".join(map(str, steps))
        stall = "" if count is not None else f" and stays: {steps[-1]} values are left"
        table.add_row(what, "none suffice" if count is None else str(count), f"{shown}{stall}")
    if report["cheapest"]:
        words = ", ".join(report["cheapest"]) or "no layer"
        table.add_row("cheapest stacks", words, "r real signed, c complex, bottom to top")
    for stack in report["stacks"]:
        left = " → ".join(map(str, stack["left"]))
        table.add_row(f"stack {stack['layers']}", _tracks(stack["tracks"]), f"{left} values left")
    console.print(table)


def _tracks(value: bool) -> str:
    return "✓ tracks it" if value else "✗ does not"
