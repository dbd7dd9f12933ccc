"""``coset ssm dfa``: can diagonal layers track an automaton; the layers, if they can."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape

from coset.core.files import dump_json
from coset.core.terminal import printable
from coset.ssm.commands.compile import print_layers

if TYPE_CHECKING:
    from coset.ssm.automata import Automaton, AutomatonVerdict, CompiledAutomaton

__all__ = ["dfa"]

_GROUPS = 8  # groups listed in the terminal
_STEPS = 12  # states of a word shown in the terminal


def dfa(
    file: Annotated[Path, tyro.conf.Positional],
    /,
    word: tuple[str, ...] = (),
    minimize: bool = False,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Judge an automaton by the groups in its transition monoid, and compile it.

    Diagonal layers can track a finite automaton iff each of those groups is solvable. Then the
    layers are built (holonomy decomposition: phases that tokens turn, or reset), and a check of
    every pair of a state of theirs and a token proves them right at every length. If a group is
    not solvable, or the layers would need too large a table, the exit code is 1. Layers of
    4,194,304 codes, the most that are built, take about 20 seconds.

    The file is JSON: format ("coset automaton 1"), tokens, states, start, transitions, and if
    wanted name, accepting, and otherwise (where transitions that are not listed lead). Classes of
    layers: p holds or sets (a = 1 or 0, to which Mamba comes near), r also flips (a = −1), c also
    turns.

    Example: coset ssm dfa examples/automata/shell_game.json --word "put left" "swap left middle"

    Args:
        file: the automaton.
        word: tokens to read; the states on the way are shown.
        minimize: first merge states that no word tells apart by acceptance.
        out: write the layers to this model file.
        json: print JSON.
    """
    from coset.core.errors import UnsupportedError
    from coset.ssm.automata import Automaton

    automaton = Automaton.from_json_file(file)
    if minimize:
        automaton = automaton.minimal()
    tokens = automaton.tokens(word)
    verdict = automaton.verdict()
    report: dict[str, Any] = {"file": str(file), **_describe(automaton, verdict)}
    compiled = None
    try:
        compiled = automaton.compile() if verdict else None
    except UnsupportedError as error:  # the verdict stands
        report["not_compiled"] = str(error)
    states = (automaton.run(tokens) if compiled is None else compiled.track(tokens)).tolist()
    report["word"] = list(word)
    report["states"] = [automaton.state_labels[q] for q in states]
    report["layers"] = None if compiled is None else _layers(compiled)
    if compiled is not None:
        certificate = compiled.certificate()
        report |= {"num_pairs": certificate.num_pairs, "certified": certificate.verify()}
        if out is not None:
            compiled.to_module().save(out)
            report["out"] = str(out)
    if json:
        print(dump_json(report), end="")
    else:
        _print(report, word)
    return 0 if report.get("certified") else 1


def _describe(automaton: Automaton, verdict: AutomatonVerdict) -> dict[str, Any]:
    """Return the automaton and its verdict as JSON values."""
    smaller = None if automaton.accepting is None else automaton.minimal().num_states
    return {
        "name": automaton.name,
        "num_states": automaton.num_states,
        "num_reachable": int(automaton.reachable.size),
        "num_minimal": smaller,
        "num_tokens": automaton.num_tokens,
        "kind": verdict.kind,
        "trackable": verdict.holds,
        "reason": verdict.reason,
        "depth_at_least": _finite(verdict.depth_at_least),
        "depth_at_most": _finite(verdict.depth_at_most),
        "groups": [
            {
                "states": list(group.states),
                "order": _written(group.order),
                "derived_orders": [_written(order) for order in group.orders],
                "solvable": group.is_solvable,
            }
            for group in verdict.groups
        ],
    }


def _written(order: int) -> int | str:
    """Return an order, or about what it is where it has more digits than Python writes."""
    from coset.ssm.automata.permutations import order_text

    return order if order < 10**4000 else order_text(order)


def _finite(depth: int | float) -> int | None:
    return None if depth == math.inf else int(depth)


def _layers(compiled: CompiledAutomaton) -> list[dict[str, Any]]:
    return [
        {
            "class": letter,
            "moduli": list(layer.moduli),
            "turns": bool(layer.increments.any()),
            "resets": layer.resets is not None,
            "table_shape": list(layer.increments.shape),
        }
        for letter, layer in zip(compiled.letters, compiled.cascade.layers, strict=True)
    ]


def _print(report: dict[str, Any], word: tuple[str, ...]) -> None:
    console = Console(highlight=False)
    name = printable(report["name"] or report["file"])
    counts = f"{report['num_states']:,} states, {report['num_tokens']:,} tokens"
    console.print(f"[bold]{escape(name)}[/bold]: {counts}, {report['kind']}")
    _print_groups(console, report["groups"])
    answer = "[green]✓ yes[/green]" if report["trackable"] else "[red]✗ no[/red]"
    console.print(f"diagonal layers can track it: {answer}")
    console.print(escape(printable(report["reason"])))
    if report["num_reachable"] < report["num_states"]:
        console.print(
            f"only {report['num_reachable']:,} states can be reached; the others count not"
        )
    if report["num_minimal"] is not None and report["num_minimal"] < report["num_reachable"]:
        console.print(f"{report['num_minimal']:,} states are enough to accept alike: --minimize")
    if report["layers"] is not None:
        _print_compiled(console, report)
    if "not_compiled" in report:
        console.print(escape(printable(f"not compiled: {report['not_compiled']}")))
    if word:
        shown = report["states"] if len(word) <= _STEPS else ["…", *report["states"][-_STEPS:]]
        console.print(escape(printable(f"states: {', '.join(shown)}")))


def _print_groups(console: Console, groups: list[dict[str, Any]]) -> None:
    from coset.ssm.automata.permutations import order_text
    from coset.ssm.automata.verdict import describe_states

    for group in groups[:_GROUPS]:
        series = " → ".join(
            n if isinstance(n, str) else order_text(n) for n in group["derived_orders"]
        )
        stall = "" if group["solvable"] else ", where it stalls: not solvable"
        states = printable(describe_states(tuple(group["states"])))
        console.print(escape(f"group on {states}: derived series {series}{stall}"))
    if len(groups) > _GROUPS:
        console.print(f"and {len(groups) - _GROUPS} more groups")


def _print_compiled(console: Console, report: dict[str, Any]) -> None:
    rows = []
    for layer in report["layers"]:
        does = [word for word in ("turns", "resets") if layer[word]]
        what = f"{layer['class']}: {' and '.join(does)}"
        rows.append((what, layer["moduli"], layer["table_shape"]))
    print_layers(console, rows, "class: a token")
    least, depth = report["depth_at_least"], len(report["layers"])
    bound = "no stack is shallower" if depth == least else f"every stack has at least {least}"
    console.print(
        f"{depth} {'layer' if depth == 1 else 'layers'}, {bound}; {report['num_pairs']:,} pairs of "
        f"state and token checked: "
        + ("right at every length" if report["certified"] else "[red]WRONG[/red]")
    )
    if "out" in report:
        console.print(escape(f"written: {printable(report['out'])}"))
