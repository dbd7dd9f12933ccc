"""``coset decisions solve``: objectives in their order, and the policy that is best."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.errors import ConfigError
from coset.core.files import dump_json, write_atomic
from coset.core.terminal import printable
from coset.decisions.commands.policy_table import policy_lines, print_policy
from coset.decisions.commands.process import PLAIN, Problem, ProcessOptions, open_process

if TYPE_CHECKING:
    from coset.decisions.solvers.solution import MDPSolution

__all__ = ["find_solution", "solve"]

_FEW = 1000  # states that JSON lists in full


def solve(
    process: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PROCESS")],
    /,
    options: Annotated[ProcessOptions, tyro.conf.arg(name="")] = PLAIN,
    exact: bool = False,
    ties: Literal["tol", "strict"] = "tol",
    tol: float = 1e-8,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Find the best policy for objectives in order: the first priority first, the next in ties.

    PROCESS is a toy-text environment of Gymnasium (FrozenLake-v1, CliffWalking-v1, Taxi-v4) or a
    file: JSON, written by hand and exact, or npz with arrays. Values come with proved errors; on
    a grid each cell shows all best actions. The exit code is 1 if there is no optimal policy, or
    with --ties strict if a tie could not be proved.

    Example: coset decisions solve FrozenLake-v1 --objectives goal,steps

    Args:
        process: the environment or the file.
        options: what is asked of it.
        exact: solve in fractions (up to a few hundred states).
        ties: tol keeps actions that are closer than the proved error; strict refuses them.
        tol: error asked for at each objective.
        out: write values, policy and ties to this npz file.
        json: print JSON.
    """
    if out is not None and out.suffix.lower() != ".npz":
        raise ConfigError(f"--out must end in .npz; given {out}")
    problem = open_process(process, options)
    solution, reason = find_solution(problem, exact=exact, ties=ties, tol=tol)
    report = {"process": process, **_describe(problem)}
    if solution is None:
        report |= {"solved": False, "reason": reason}
    else:
        report |= {"solved": True, **_results(problem, solution)}
        if out is not None:
            _write(out, problem, solution)
            report["out"] = str(out)
    if json:
        print(dump_json(report), end="")
    else:
        _print(Console(highlight=False), problem, solution, report)
    return 0 if solution is not None else 1


def find_solution(
    problem: Problem, *, exact: bool, ties: Literal["tol", "strict"], tol: float
) -> tuple[MDPSolution | None, str]:
    """Solve, or say why there is nothing to be found.

    Args:
        problem: the process.
        exact: in fractions.
        ties: as `coset.decisions.solve`.
        tol: as `coset.decisions.solve`.

    Returns:
        The solution and "", or ``None`` and the reason.

    Raises:
        CosetError: as `coset.decisions.solve` for wrong use.
    """
    from coset.decisions.errors import NoOptimalPolicyError, NotTransientError, UnprovedTieError
    from coset.decisions.solvers.solving import solve as find

    try:
        if exact:
            return find(problem.rational()), ""
        return find(problem.named.mdp, tol=tol, ties=ties), ""
    except (NoOptimalPolicyError, NotTransientError, UnprovedTieError) as error:
        return None, str(error)


def _describe(problem: Problem) -> dict[str, Any]:
    named, chances = problem.named, problem.start_chances()
    one = named.states[named.start]
    return {
        "name": named.name,
        "num_states": named.mdp.num_states,
        "num_actions": named.mdp.num_actions,
        "objectives": list(named.objectives),
        "start": one if len(chances) == 1 else f"{len(chances):,} states, by their chances",
    }


def _results(problem: Problem, solution: MDPSolution) -> dict[str, Any]:
    """Return what is shown, as JSON values; the certificate is checked here."""
    from coset.decisions.processes.policy_outcome import policy_outcome

    named, certificate = problem.named, solution.certificate
    report: dict[str, Any] = {
        "value": dict(zip(named.objectives, _start_values(problem, solution), strict=True)),
        "exact": _exact_start_values(problem, solution),
        "proved_within": dict(zip(named.objectives, solution.level_bounds, strict=False)),
        "certified": None if certificate is None else certificate.verify(),
        "num_unproved_ties": solution.num_unproved_ties,
        "grid": policy_lines(problem, solution),
    }
    if problem.model is not None:
        outcome = policy_outcome(problem.model, solution.policy)
        steps = outcome.expected_steps
        report["goal_chance"] = outcome.goal_chance
        report["danger_chance"] = outcome.danger_chance
        report["expected_steps"] = None if steps == float("inf") else steps
    if named.mdp.num_states <= _FEW:
        report["policy"] = {
            named.states[s]: [named.actions[a] for a in row.nonzero()[:, 0].tolist()]
            for s, row in enumerate(solution.tie_set)
            if bool(row.any())
        }
    return report


def _start_values(problem: Problem, solution: MDPSolution) -> list[float]:
    """Return the value of each objective at the start, its mean if there are several."""
    chances = problem.start_chances()
    values = solution.value[list(chances)].tolist()
    return [
        sum(float(p) * v for p, v in zip(chances.values(), column, strict=True))
        for column in zip(*values, strict=True)
    ]


def _exact_start_values(problem: Problem, solution: MDPSolution) -> list[str] | None:
    if solution.exact is None:
        return None
    rows = [(p, solution.exact[s]) for s, p in problem.start_chances().items()]
    size = len(problem.named.objectives)
    return [str(sum(p * Fraction(exact[k]) for p, exact in rows)) for k in range(size)]


def _write(path: Path, problem: Problem, solution: MDPSolution) -> None:
    import numpy as np

    named = problem.named
    arrays: dict[str, Any] = {
        name: getattr(solution, name).numpy()
        for name in ("value", "policy", "tie_set", "tie_status", "lost_at", "loss")
    }
    arrays |= {name: np.array(getattr(named, name)) for name in ("states", "actions", "objectives")}
    arrays |= {"level_bounds": np.array(solution.level_bounds), "start": np.array(named.start)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomic(path, buffer.getvalue())


def _print(
    console: Console, problem: Problem, solution: MDPSolution | None, report: dict[str, Any]
) -> None:
    order = " > ".join(report["objectives"])
    name = report["name"] or report["process"]
    counts = f"{report['num_states']:,} states, {report['num_actions']:,} actions"
    console.print(f"[bold]{escape(printable(name))}[/bold]: {counts}; {escape(printable(order))}")
    if solution is None:
        console.print(f"no: {escape(printable(report['reason']))}")
        return
    _print_values(console, problem, solution, report)
    if problem.model is not None:
        _print_outcome(console, report)
    print_policy(console, problem, solution)
    if report["certified"] is not None:
        console.print(
            "certificate checked again from its own data"
            if report["certified"]
            else "[red]the certificate is WRONG[/red]"
        )
    if "out" in report:
        console.print(escape(f"written: {printable(report['out'])}"))


def _print_values(
    console: Console, problem: Problem, solution: MDPSolution, report: dict[str, Any]
) -> None:
    from coset.decisions.solvers.solution import TieStatus

    named = problem.named
    table = Table(box=None, padding=(0, 1))
    table.add_column("priority", justify="right")
    table.add_column("objective")
    several = len(problem.start_chances()) > 1
    where = "mean of the starts" if several else "value at the start"
    table.add_column(where, justify="right", no_wrap=True)
    table.add_column("proved within", justify="right", no_wrap=True)
    table.add_column("ties in states")
    for k, name in enumerate(named.objectives):
        if solution.exact is None:
            value, bound = f"{report['value'][name] + 0.0:.9g}", "–"
            if k < len(solution.level_bounds):
                bound = f"{solution.level_bounds[k]:.1e}"
        else:
            value, bound = report["exact"][k], "exact"
        status = solution.tie_status[:, k]
        proved, assumed = (
            int((status == kind).sum()) for kind in (TieStatus.PROVED, TieStatus.ASSUMED)
        )
        counts = ((proved, "proved"), (assumed, "assumed"))
        ties = ", ".join(f"{count:,} {word}" for count, word in counts if count) or "none"
        table.add_row(str(k + 1), escape(printable(name)), value, bound, ties)
    console.print(table)


def _print_outcome(console: Console, report: dict[str, Any]) -> None:
    steps = report["expected_steps"]
    length = "may never end" if steps is None else f"{steps:,.6g} steps expected"
    console.print(
        f"chances from the start: goal {report['goal_chance']:.6f}, danger "
        f"{report['danger_chance']:.6f}; {length}"
    )
