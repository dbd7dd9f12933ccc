"""Policies in the terminal: arrows on a grid, or a line for each state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.terminal import printable

if TYPE_CHECKING:
    from coset.decisions.commands.process import Problem
    from coset.decisions.solvers.solution import MDPSolution

__all__ = ["policy_lines", "print_policy"]

_MAX_STATES = 24
_MAX_WIDTH = 76
_DOUBT = "? a tie, here or at a priority above, is assumed and not proved; --exact decides"


def print_policy(console: Console, problem: Problem, solution: MDPSolution) -> None:
    """Print all best actions of each state; "?" marks ties that are not proved.

    Args:
        console: where to.
        problem: the process.
        solution: of it.
    """
    lines = policy_lines(problem, solution)
    if lines:
        for line in lines:
            console.print(escape(line), soft_wrap=True)
        if solution.num_unproved_ties:
            console.print(_DOUBT)
    else:
        _print_states(console, problem, solution)


def policy_lines(problem: Problem, solution: MDPSolution) -> list[str]:
    """Return the grid as text, a line for each row.

    Args:
        problem: the process.
        solution: of it.

    Returns:
        The lines; empty if the process is no grid, or too wide a one.
    """
    model = problem.model
    if model is None or model.layout is None:
        return []
    cells = []
    for state, letter in enumerate("".join(model.layout)):
        if letter in "HCG":
            cells.append(letter)
            continue
        best = solution.tie_set[state].tolist()
        arrows = "".join(a for a, kept in zip(model.arrows, best, strict=True) if kept)
        cells.append(arrows + ("?" if _is_assumed(solution, state) else ""))
    width = max(len(cell) for cell in cells) + 1
    columns = len(model.layout[0])
    if width * columns > _MAX_WIDTH:
        return []
    return [
        "  " + "".join(cell.ljust(width) for cell in cells[at : at + columns]).rstrip()
        for at in range(0, len(cells), columns)
    ]


def _is_assumed(solution: MDPSolution, state: int) -> bool:
    from coset.decisions.solvers.solution import TieStatus

    return bool((solution.tie_status[state] == TieStatus.ASSUMED).any())


def _print_states(console: Console, problem: Problem, solution: MDPSolution) -> None:
    named = problem.named
    acting = (solution.policy >= 0).nonzero()[:, 0].tolist()
    table = Table(box=None, padding=(0, 1))
    table.add_column("state")
    table.add_column("best actions")
    for name in named.objectives:
        table.add_column(escape(printable(name)), justify="right", no_wrap=True)
    for state in acting[:_MAX_STATES]:
        best = solution.tie_set[state].nonzero()[:, 0].tolist()
        doubt = " ?" if _is_assumed(solution, state) else ""
        actions = ", ".join(named.actions[a] for a in best) + doubt
        values = [f"{value + 0.0:.6g}" for value in solution.value[state].tolist()]
        table.add_row(escape(printable(named.states[state])), escape(printable(actions)), *values)
    console.print(table)
    if len(acting) > _MAX_STATES:
        console.print(f"and {len(acting) - _MAX_STATES:,} more states: --out FILE.npz has them all")
    if solution.num_unproved_ties:
        console.print(_DOUBT)
