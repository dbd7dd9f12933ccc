"""``coset run`` and ``coset sweep``: experiments, from one grid point to many processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.markup import escape

from coset.cli.output import console, print_json, table
from coset.core.errors import ConfigError

if TYPE_CHECKING:
    from coset.lab.records import RunRecord

__all__ = ["COMMAND", "run_experiment", "show_records"]


def run(
    experiment: Annotated[str, tyro.conf.Positional] = "",
    /,
    preset: str = "smoke",
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = (),
    fresh: bool = False,
    json: bool = False,
) -> int:
    """Run an experiment at a preset; without one, list them. Exit 1 if a run failed.

    Stored rows are reused and a killed run resumes.

    Example: coset run sharing.torus-digits --preset smoke --set num_epochs=2

    Args:
        experiment: the experiment's id.
        preset: its size.
        set: field=value, dots for nested fields; may be repeated.
        fresh: run again although the rows are stored.
        json: print the records as JSON.
    """
    if not experiment:
        return _list(json)
    records = run_experiment(experiment, preset, overrides=set, fresh=fresh)
    return show_records(records, json)


def run_experiment(
    experiment: str,
    preset: str,
    *,
    overrides: Sequence[str] = (),
    grid: Mapping[str, Sequence[Any]] | None = None,
    seeds: Sequence[int] | None = None,
    workers: int = 1,
    fresh: bool = False,
) -> list[RunRecord]:
    """Run an experiment with a progress bar on standard error.

    Args:
        experiment: its id.
        preset: its size.
        overrides: ``field=value`` texts.
        grid: field to values.
        seeds: values of the field ``seed``.
        workers: processes.
        fresh: run what is stored, too.

    Returns:
        One record a grid point.

    Raises:
        UnknownNameError: if experiment or preset are unknown.
        ConfigError: if an override, the grid or the number of workers does not fit.
    """
    from coset.lab.experiments import find_experiment, points
    from coset.lab.progress import Progress
    from coset.lab.runner import run_preset
    from coset.lab.sweeps import LocalEngine

    # Wrong use is told before anything is shown.
    num_runs = len(points(find_experiment(experiment), preset, overrides, grid, seeds))
    engine = LocalEngine(workers)
    with Progress(experiment, num_runs, unit="runs") as progress:
        return run_preset(
            experiment,
            preset,
            overrides,
            grid,
            seeds,
            engine=engine,
            fresh=fresh,
            progress=progress.update,
        )


def _list(json: bool) -> int:
    from coset.lab.experiments import all_experiments

    found = all_experiments()
    if json:
        print_json([{"id": e.id, "title": e.title, "presets": list(e.presets)} for e in found])
        return 0
    rows = [(e.id, escape(e.title), ", ".join(e.presets)) for e in found]
    console().print(table(("experiment", "what", "presets"), rows))
    return 0


def show_records(records: Sequence[RunRecord], json: bool) -> int:
    """Print the rows of finished runs and the errors of failed ones.

    Args:
        records: the records.
        json: as JSON.

    Returns:
        1 if a run did not finish, else 0.
    """
    from coset.lab.records import rows_of

    unfinished = [record for record in records if record.state != "finished"]
    if json:
        print_json([record.to_json() for record in records])
    else:
        finished = [record for record in records if record.state == "finished"]
        settings = {name for record in finished for name in record.config}
        _print_rows(rows_of(finished), settings)
        for record in unfinished:
            reason = escape(str(record.error or record.state))
            console().print(f"[red]✗ {record.state}[/red] {escape(record.command)}\n  {reason}")
        reused = sum(record.was_stored for record in records)
        done = len(records) - len(unfinished)
        note = f", {reused} of them stored before" if reused else ""
        console().print(f"{done} of {len(records)} runs finished{note}")
    return 1 if unfinished else 0


def _print_rows(rows: Sequence[Mapping[str, Any]], settings: Collection[str]) -> None:
    """Print what differs between rows as tables that fit the terminal, the rest once above.

    Every table repeats the settings that tell the rows apart.
    """
    if not rows:
        return
    out = console()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    constant = [c for c in columns if len(rows) > 1 and len({row.get(c) for row in rows}) == 1]
    if constant:
        same = ", ".join(f"{c} = {_text(rows[0].get(c))}" for c in constant)
        out.print(f"[dim]all rows: {escape(same)}[/dim]")
    keys = [c for c in columns if c in settings and c not in constant]
    cells = {c: [_text(row.get(c)) for row in rows] for c in columns}
    width = {c: 2 + max(len(c), *map(len, cells[c])) for c in columns}
    part, used = list(keys), sum(width[c] for c in keys)
    for column in [c for c in columns if c not in keys and c not in constant]:
        if used + width[column] > out.width and len(part) > len(keys):
            out.print(table(part, _lines(cells, part)))
            part, used = list(keys), sum(width[c] for c in keys)
        part.append(column)
        used += width[column]
    out.print(table(part, _lines(cells, part)))


def _lines(cells: Mapping[str, Sequence[str]], columns: Sequence[str]) -> list[list[str]]:
    return [
        [escape(text) for text in line] for line in zip(*(cells[c] for c in columns), strict=True)
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)


def parse_grid(texts: Sequence[str]) -> dict[str, list[str]]:
    """Read ``field=a,b,c`` texts.

    Args:
        texts: one a field.

    Returns:
        Field to values, as texts.

    Raises:
        ConfigError: if a text has no "=" or a field comes twice.
    """
    grid: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name or not values:
            raise ConfigError(f"a grid must look like field=a,b,c; given {text!r}")
        if name in grid:
            raise ConfigError(f"the grid must name a field once; {name} is named twice")
        grid[name] = values.split(",")
    return grid


def sweep(
    experiment: Annotated[str, tyro.conf.Positional],
    /,
    preset: str = "smoke",
    grid: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = (),
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = (),
    seeds: int | None = None,
    workers: int = 2,
    engine: Literal["local"] = "local",
    dry_run: bool = False,
    fresh: bool = False,
    json: bool = False,
) -> int:
    """Run a grid of an experiment in several processes; their number does not change a row.

    Failed runs are recorded and the others go on; the same command tries the failed ones again.

    Example: coset sweep sharing.particles --grid strength=0.5,1 --workers 2

    Args:
        experiment: the experiment's id.
        preset: its size.
        grid: field=a,b,c; may be repeated.
        set: field=value; may be repeated.
        seeds: use the seeds 0 … N−1.
        workers: processes, one thread each.
        engine: where the runs go.
        dry_run: list the runs and stop.
        fresh: run again although the rows are stored.
        json: print the records as JSON.
    """
    if seeds is not None and seeds < 1:
        raise ConfigError(f"seeds must be at least 1; given {seeds}")
    axes = parse_grid(grid)
    numbers = None if seeds is None else range(seeds)
    if dry_run:
        return _show_plan(experiment, preset, set, axes, numbers, json)
    records = run_experiment(
        experiment,
        preset,
        overrides=set,
        grid=axes,
        seeds=numbers,
        workers=workers,
        fresh=fresh,
    )
    return show_records(records, json)


def _show_plan(
    experiment: str,
    preset: str,
    overrides: Sequence[str],
    grid: Mapping[str, Sequence[str]],
    seeds: Sequence[int] | None,
    json: bool,
) -> int:
    from coset.lab.experiments import find_experiment, points, reproduce_command

    item = find_experiment(experiment)
    configs = points(item, preset, overrides, grid, seeds)
    commands = [reproduce_command(item, config, preset) for config in configs]
    if json:
        print_json(commands)
        return 0
    for command in commands:
        print(command)
    base = len(points(item, preset))
    cost = item.cost.get(preset)
    about = f", about {cost * len(configs) / base:.0f} s of one process" if cost else ""
    print(f"{len(commands)} runs{about}")
    return 0


COMMAND = run
