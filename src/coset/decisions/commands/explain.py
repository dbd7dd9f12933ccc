"""``coset decisions explain``: at which priority each action of a state lost, and by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.files import dump_json
from coset.core.terminal import printable
from coset.decisions.commands.process import PLAIN, Problem, ProcessOptions, open_process, place_of
from coset.decisions.commands.solve import find_solution

if TYPE_CHECKING:
    from coset.decisions.solvers.solution import MDPSolution

__all__ = ["explain"]


def explain(
    process: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PROCESS")],
    state: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="STATE")] = None,
    /,
    options: Annotated[ProcessOptions, tyro.conf.arg(name="")] = PLAIN,
    exact: bool = False,
    ties: Literal["tol", "strict"] = "tol",
    tol: float = 1e-8,
    json: bool = False,
) -> int:
    """Say why an action is best in a state: where each other one lost, and by how much.

    The exit code is 1 if there is no optimal policy.

    Example: coset decisions explain FrozenLake-v1 1,2 --objectives goal,steps

    Args:
        process: the environment or the file, as in solve.
        state: its number, its name, or row,column on a grid; by default the start.
        options: what is asked of it.
        exact: solve in fractions.
        ties: as in solve.
        tol: error asked for at each objective.
        json: print JSON.
    """
    problem = open_process(process, options)
    place = place_of(problem, state)
    solution, reason = find_solution(problem, exact=exact, ties=ties, tol=tol)
    report: dict[str, Any] = {"process": process, "state": problem.named.states[place]}
    if solution is None:
        report |= {"solved": False, "reason": reason}
    else:
        report |= {"solved": True, **_fates(problem, solution, place)}
    if json:
        print(dump_json(report), end="")
    else:
        _print(report)
    return 0 if solution is not None else 1


def _fates(problem: Problem, solution: MDPSolution, state: int) -> dict[str, Any]:
    """Return the values of a state and what became of each action, as JSON values."""
    from coset.decisions.solvers.solution import TieStatus

    named = problem.named
    depth = len(named.objectives)
    assumed = bool((solution.tie_status[state] == TieStatus.ASSUMED).any())
    exact = None if solution.exact is None else list(solution.exact[state])
    fates = []
    for a, name in enumerate(named.actions):
        lost = int(solution.lost_at[state, a])
        if lost < 0:
            continue
        fates.append(
            {
                "action": name,
                "best": lost == depth,
                "lost_at": None if lost == depth else named.objectives[lost],
                "priority": None if lost == depth else lost + 1,
                "by": None if lost == depth else float(solution.loss[state, a]),
            }
        )
    return {
        "value": dict(zip(named.objectives, solution.value[state].tolist(), strict=True)),
        "exact": exact,
        "tie_assumed": assumed,
        "actions": fates,
    }


def _print(report: dict[str, Any]) -> None:
    console = Console(highlight=False)
    state = report["state"]
    title = f"state {state}" if state.isdecimal() else state
    console.print(f"[bold]{escape(printable(title))}[/bold]")
    if not report["solved"]:
        console.print(f"no: {escape(printable(report['reason']))}")
        return
    numbers = report["exact"] or [f"{value + 0.0:.9g}" for value in report["value"].values()]
    values = ", ".join(
        f"{name} {number}" for name, number in zip(report["value"], numbers, strict=True)
    )
    console.print(f"worth {escape(printable(values))}")
    if not report["actions"]:
        console.print("the process has ended here")
        return
    table = Table(box=None, padding=(0, 1))
    table.add_column("action")
    table.add_column("")
    best = [fate for fate in report["actions"] if fate["best"]]
    doubt = "; a tie is assumed and not proved" if report["tie_assumed"] else ""
    for fate in (*best, *(f for f in report["actions"] if not f["best"])):
        if fate["best"]:
            what = f"optimal{' (with others)' if len(best) > 1 else ''}{doubt}"
        else:
            what = f"lost at {fate['lost_at']} (priority {fate['priority']}), by {fate['by']:.9g}"
        table.add_row(escape(printable(fate["action"])), escape(printable(what)))
    console.print(table)
