"""Stored runs, grouped by experiment and preset, each row with its command and its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coset.report.formats import number, slug
from coset.report.meanings import Meanings, column_meanings

__all__ = ["ExperimentView", "RunGroup", "StoredRun", "data_used", "view_experiments"]

PRESET_ORDER = ("smoke", "cpu", "paper")


@dataclass(frozen=True)
class StoredRun:
    """One run folder, as the report reads it.

    Attributes:
        experiment: the experiment's id.
        digest: what names the folder.
        folder: the folder.
        status: "finished", "running", "failed" or "interrupted".
        config: the configuration, flat: nested fields are named with dots.
        rows: the stored rows; empty unless the run finished.
        preset: the preset of whose grid it is a point, "" if of none.
        command: what reproduces it today, "" if the experiment has changed too much for that.
        stored_command: what reproduced it when it was run.
        error: why it failed, else "".
        started: when, ISO 8601.
        duration_s: wall-clock seconds.
        environment: what ``env.json`` holds.
        is_current: whether its rows come from the code as it is now; ``None`` if unknown.
    """

    experiment: str
    digest: str
    folder: Path
    status: str
    config: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    preset: str = ""
    command: str = ""
    stored_command: str = ""
    error: str = ""
    started: str = ""
    duration_s: float | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    is_current: bool | None = None

    @property
    def is_finished(self) -> bool:
        """Whether its rows are complete."""
        return self.status == "finished"

    @property
    def anchor(self) -> str:
        """The name of its place on the experiment's page."""
        return "run-" + slug(f"{self.preset or 'other'}-{self.digest}")


def data_used(run: StoredRun, data: Sequence[str]) -> str:
    """Say which data a run read: what its rows or its configuration name, else the experiment's.

    Args:
        run: the run.
        data: the data sets that the experiment declares.

    Returns:
        Names, "generated" if the experiment declares no data set.
    """
    for name in ("data", "dataset"):
        found = {str(row[name]) for row in run.rows if row.get(name) is not None}
        if not found and run.config.get(name) is not None:
            found = {str(run.config[name])}
        if found:
            return ", ".join(sorted(found))
    return ", ".join(data) or "generated (no data set)"


@dataclass(frozen=True)
class RunGroup:
    """The runs of one experiment at one preset.

    Attributes:
        preset: the preset's name, "" for runs that are points of no preset.
        runs: the runs, finished ones first.
        data: what the experiment declares that it reads.
    """

    preset: str
    runs: tuple[StoredRun, ...]
    data: tuple[str, ...]

    @property
    def label(self) -> str:
        """What the group is called."""
        return f"preset {self.preset}" if self.preset else "settings of no preset"

    @property
    def finished(self) -> list[StoredRun]:
        """The runs whose rows are complete."""
        return [run for run in self.runs if run.is_finished]

    @property
    def unfinished(self) -> list[StoredRun]:
        """The runs that failed, were interrupted or are under way."""
        return [run for run in self.runs if not run.is_finished]

    @property
    def num_rows(self) -> int:
        """How many rows are stored."""
        return sum(len(run.rows) for run in self.runs)

    @property
    def constants(self) -> dict[str, str]:
        """The configuration fields on which all runs agree, as texts."""
        first = self.runs[0].config
        same = {
            name: number(value, 8)
            for name, value in first.items()
            if all(name in run.config and run.config[name] == value for run in self.runs)
        }
        return same if len(self.runs) > 1 else {}

    @property
    def config_columns(self) -> list[str]:
        """The configuration fields that differ between runs (all fields of a single run)."""
        names = dict.fromkeys(name for run in self.runs for name in run.config)
        return [name for name in names if name not in self.constants]

    @property
    def row_columns(self) -> list[str]:
        """The columns of the rows that do not merely repeat the configuration, in stored order."""
        names = dict.fromkeys(name for run in self.runs for row in run.rows for name in row)
        asked = {name for run in self.runs for name in run.config}
        return [name for name in names if name not in asked or self._differs(name)]

    def _differs(self, name: str) -> bool:
        """Whether some row says otherwise than its configuration."""
        return any(
            name in row and row[name] != r.config.get(name) for r in self.runs for row in r.rows
        )

    def cells(self, run: StoredRun, row: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return the row's cells as (column, text), configuration first."""
        left = [(c, number(run.config.get(c), 8)) for c in self.config_columns]
        return left + [(c, number(row.get(c), 6)) for c in self.row_columns]

    def data_of(self, run: StoredRun) -> str:
        """Return which data the run read."""
        return data_used(run, self.data)


@dataclass(frozen=True)
class ExperimentView:
    """An experiment with its stored runs.

    Attributes:
        id: the experiment's id.
        title: its title, or what is wrong with it.
        is_registered: whether the library knows it.
        presets: the presets that exist.
        data: the data sets it declares.
        claims: the claims that its rows are about.
        figures: the figures drawn from its rows, "module:function".
        file: its source file, from the package's name on.
        line: the line of its function.
        groups: the stored runs by preset.
        meanings: what the columns mean.
    """

    id: str
    title: str
    is_registered: bool
    presets: tuple[str, ...]
    data: tuple[str, ...]
    claims: tuple[str, ...]
    figures: tuple[str, ...]
    file: str
    line: int
    groups: tuple[RunGroup, ...]
    meanings: Meanings = field(default_factory=Meanings)

    @property
    def page(self) -> str:
        """The file name of its page."""
        return f"runs-{slug(self.id)}.html"

    @property
    def subject(self) -> str:
        """What stands before the dot."""
        return self.id.split(".")[0]

    @property
    def runs(self) -> list[StoredRun]:
        """All its runs."""
        return [run for group in self.groups for run in group.runs]

    @property
    def data_can(self) -> str:
        """Which data it can read."""
        none = "generated (no data set)" if self.is_registered else "unknown"
        return ", ".join(self.data) or none

    @property
    def data_so_far(self) -> str:
        """Which data its stored rows come from."""
        found = [group.data_of(run) for group in self.groups for run in group.finished if run.rows]
        names = dict.fromkeys(name for text in found for name in text.split(", "))
        return ", ".join(names) or "none: no row is stored"

    @property
    def missing_presets(self) -> list[str]:
        """The presets of which no run has finished."""
        done = {group.preset for group in self.groups if group.finished}
        return [name for name in self.presets if name not in done]


def view_experiments(experiments: Sequence[Any], runs: Sequence[StoredRun]) -> list[ExperimentView]:
    """Group runs by experiment; runs of experiments that are not registered are kept.

    Args:
        experiments: the registered experiments.
        runs: the stored runs.

    Returns:
        Registered experiments in their order, then the others by name.
    """
    known = {item.id: item for item in experiments}
    others = sorted({run.experiment for run in runs} - set(known))
    views = [_view(item.id, item, runs) for item in experiments]
    return views + [_view(name, None, runs) for name in others]


def _view(id: str, item: Any, runs: Sequence[StoredRun]) -> ExperimentView:
    data = tuple(item.data) if item else ()
    return ExperimentView(
        id=id,
        title=item.title if item else "not registered in this version of the library",
        is_registered=item is not None,
        presets=tuple(item.presets) if item else (),
        data=data,
        claims=tuple(item.claims) if item else (),
        figures=tuple(item.figures) if item else (),
        file=item.file if item else "",
        line=item.line if item else 0,
        groups=_groups([run for run in runs if run.experiment == id], data),
        meanings=column_meanings(item),
    )


def _groups(runs: Sequence[StoredRun], data: tuple[str, ...]) -> tuple[RunGroup, ...]:
    def place(preset: str) -> tuple[int, str]:
        known = preset in PRESET_ORDER
        return PRESET_ORDER.index(preset) if known else len(PRESET_ORDER), preset

    presets = sorted({run.preset for run in runs}, key=place)
    return tuple(
        RunGroup(
            preset,
            tuple(sorted((r for r in runs if r.preset == preset), key=lambda r: not r.is_finished)),
            data,
        )
        for preset in presets
    )
