"""``coset ssm compile``: the exact diagonal layers of a group, with their proof."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.errors import ConfigError
from coset.core.files import dump_json
from coset.core.terminal import printable

if TYPE_CHECKING:
    from coset.ssm.tracker import CompiledTracker
    from coset.ssm.tracker_module import Tracker

__all__ = ["compile", "print_layers"]


def compile(
    group: Annotated[str, tyro.conf.Positional],
    /,
    alphabet: Literal["all", "generators"] = "all",
    layers: str | None = None,
    out: Path | None = None,
    mode: Literal["int", "table", "complex", "real", "mlp"] = "int",
    json: bool = False,
) -> int:
    """Build the diagonal layers that track a group, right on words of every length, and prove it.

    Layer i keeps phases in Z_m, that is numbers exp(2πi·s/m); each token turns them by a step that
    a table tells from the token and the phases of the layers below. The proof is a check of every
    pair of a state and a token. If no such layers exist the exit code is 1, and the subgroup that
    is in the way is named.

    Example: coset ssm compile S4 --alphabet generators

    Args:
        group: a name such as S4, A5, Z60, D30, Q8, SL(2,3), GL(2,3), Heis(3), S4xZ2.
        alphabet: a token for each element, or for each of a few generators.
        layers: the class of each layer from bottom to top, letters of "trpc"; by default as few
            complex layers (c) as can be.
        out: write the layers to this model file.
        mode: the form of the file: exact integers, one table, complex numbers, real rotations, or
            complex numbers with gates out of ReLU layers. Floats drift by rounding: they are right
            for about as many tokens as is printed, an estimate from below.
        json: print JSON.
    """
    from coset.ssm.alphabet import as_group
    from coset.ssm.compile import compile_group
    from coset.ssm.errors import NotSolvableError, NotTrackableError

    if out is None and mode != "int":
        raise ConfigError(
            f"--mode names the form of the file --out; given {mode} and no --out; add "
            f"--out FILE, or leave --mode out"
        )
    named = as_group(group)
    try:
        tracker = compile_group(named, alphabet, layers=layers)
    except (NotSolvableError, NotTrackableError) as error:
        left = getattr(error, "residual_order", None) or getattr(error, "stalled_order", None)
        if json:
            report = {"group": named.name, "compiled": False, "reason": str(error), "left": left}
            print(dump_json(report), end="")
        else:
            Console(highlight=False).print(f"no: {escape(printable(str(error)))}")
        return 1
    module = tracker.to_module(mode) if out is not None else None
    report = _report(tracker, tracker if module is None else module, out, mode)
    if module is not None and out is not None:
        module.save(out)
    if json:
        print(dump_json(report), end="")
    else:
        _print(tracker, report)
    return 0 if report["certified"] else 1


def _report(
    tracker: CompiledTracker, proved: CompiledTracker | Tracker, out: Path | None, mode: str
) -> dict[str, Any]:
    """Return what is shown, as JSON values; the proof is checked here."""
    certificate = proved.certificate()
    return {
        **tracker.describe(),
        "compiled": True,
        "certified": certificate.verify(),
        "num_pairs": certificate.num_pairs,
        "num_phases": tracker.num_phases,
        "alphabet": [tracker.group.labels[y] for y in tracker.alphabet],
        "out": None if out is None else str(out),
        "mode": None if out is None else mode,
        "numbers": certificate.numbers,
        "horizon": certificate.horizon,
    }


def _print(tracker: CompiledTracker, report: dict[str, Any]) -> None:
    console = Console(highlight=False)
    shown = [str(label) for label in report["alphabet"][:6]]
    more = f", … {report['num_tokens']} in all" if report["num_tokens"] > 6 else ""
    name = f"{report['group']} (order {report['order']})"
    console.print(f"[bold]{escape(name)}[/bold]  tokens: {escape(', '.join(shown))}{more}")
    rows = [
        (f"{letter}: {above} → {left}", moduli, shape)
        for letter, above, left, moduli, shape in zip(
            report["letters"],
            report["series"][:-1],
            report["series"][1:],
            report["moduli"],
            report["table_shapes"],
            strict=True,
        )
    ]
    print_layers(console, rows, "class: values left")
    plural = "phase" if report["num_phases"] == 1 else "phases"
    layers = "layer" if report["depth"] == 1 else "layers"
    console.print(
        f"{report['depth']} {layers}, {report['num_phases']} {plural}; "
        f"{report['num_pairs']:,} pairs of state and token checked: "
        + (_reach(report) if report["certified"] else "[red]WRONG[/red]")
    )
    if report["out"] is not None:
        console.print(escape(f"written: {printable(report['out'])} ({report['mode']})"))


def _reach(report: dict[str, Any]) -> str:
    if report["numbers"] is None:
        return "right at every length"
    return (
        f"the integer layers are right at every length; {report['numbers']} numbers drift by "
        f"rounding: right for at least about {report['horizon']:,} tokens (an estimate); the modes "
        f"int and table do not drift"
    )


def print_layers(
    console: Console, rows: Sequence[tuple[str, Sequence[int], Sequence[int]]], heading: str
) -> None:
    """Print one line for each layer.

    Args:
        console: where to.
        rows: what the layer does, its moduli, the shape of its table.
        heading: what the first of these is called.
    """
    if not rows:
        return
    table = Table(box=None, padding=(0, 1))
    table.add_column("layer", justify="right")
    for title in (heading, "phases"):
        table.add_column(title)
    table.add_column("table: cells × tokens × phases", justify="right", no_wrap=True)
    for place, (does, moduli, shape) in enumerate(rows):
        phases = "×".join(f"Z{m}" for m in moduli)
        table.add_row(str(place + 1), does, phases, " × ".join(f"{n:,}" for n in shape))
    console.print(table)
