"""Experiments: a frozen configuration, presets with grids, and a function from one to rows.

An experiment is registered by decorating its function::

    @experiment("sharing.torus-digits", title=…, presets={"smoke": Preset(TorusConfig(…), grid=…)})
    def torus_digits(config: TorusConfig, run: RunContext) -> Iterable[dict]: ...

Each row is a flat dictionary of JSON scalars and depends on the configuration only: no clock, no
path, no machine. Nothing here loads torch; looking an experiment up loads its subject.
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from coset.core.errors import ConfigError, UnknownNameError
from coset.core.provenance import source_place
from coset.core.registry import SUBJECTS, built_subjects, load
from coset.lab.configs import canonical, leaves, to_json
from coset.lab.overrides import format_override, parse_assignments, replace_fields
from coset.lab.records import digest_of

if TYPE_CHECKING:
    from coset.lab.context import RunContext

__all__ = [
    "Experiment",
    "Preset",
    "all_experiments",
    "experiment",
    "experiments_of",
    "find_experiment",
    "points",
    "reproduce_command",
    "run_digest",
]

Run = Callable[[Any, "RunContext"], Iterable[Mapping[str, Any]]]

_ID = re.compile(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Preset:
    """One size of an experiment.

    Attributes:
        config: the configuration from which each grid point starts.
        grid: field (dots for nested ones) to the values it takes; the last field varies fastest.
    """

    config: Any
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A registered experiment.

    Attributes:
        id: "subject.name".
        title: a few words.
        config_class: the frozen dataclass of its configurations.
        presets: name to preset; subjects offer "smoke", "cpu" and "paper".
        run: the function from a configuration and a `RunContext` to rows.
        version: part of every run's digest; raise it when the rows' meaning changes.
        claims: the claims that its rows are about.
        data: the data sets it reads.
        figures: "module:function" of the figures drawn from its rows.
        cost: preset to seconds on two cores, as measured once; for progress and for planning.
        module: where it is defined, so that a worker process can import it.
        file: its source file, from the package's name on.
        line: the line of its function.
    """

    id: str
    title: str
    config_class: type
    presets: Mapping[str, Preset]
    run: Run
    version: int
    claims: tuple[str, ...]
    data: tuple[str, ...]
    figures: tuple[str, ...]
    cost: Mapping[str, float]
    module: str
    file: str
    line: int

    @property
    def subject(self) -> str:
        """What stands before the dot."""
        return self.id.split(".")[0]

    def preset(self, name: str) -> Preset:
        """Return the preset of that name.

        Args:
            name: for instance "smoke".

        Returns:
            The preset.

        Raises:
            UnknownNameError: if there is none.
        """
        if name not in self.presets:
            raise UnknownNameError.of(f"preset of {self.id}", name, self.presets)
        return self.presets[name]


_EXPERIMENTS: dict[str, Experiment] = {}


def experiment(
    id: str,
    *,
    title: str,
    presets: Mapping[str, Preset],
    version: int = 1,
    claims: Sequence[str] = (),
    data: Sequence[str] = (),
    figures: Sequence[str] = (),
    cost: Mapping[str, float] | None = None,
) -> Callable[[Run], Run]:
    """Register the decorated function as an experiment.

    Args:
        id: "subject.name", lower case, words joined by "-"; literal text.
        title: a few words.
        presets: name to preset, all of one configuration class; at least one.
        version: raise it when the same configuration means other rows.
        claims: ids of the claims that its rows are about.
        data: names of the data sets it reads.
        figures: "module:function" of its figures.
        cost: preset to seconds on two cores.

    Returns:
        The decorator, which returns the function unchanged.

    Raises:
        ConfigError: if the id is malformed or taken, or a preset is wrong; the message says where.
    """
    if not _ID.fullmatch(id):
        raise ConfigError(f"an experiment's id must look like sharing.torus-digits; given {id!r}")
    checked, config_class = _check_presets(id, presets)

    def register(run: Run) -> Run:
        previous = _EXPERIMENTS.get(id)
        if previous is not None and previous.module != run.__module__:
            raise ConfigError(
                f"experiment {id} is registered twice: {previous.file}:{previous.line}; rename one"
            )
        file, line = source_place(run)
        _EXPERIMENTS[id] = Experiment(
            id=id,
            title=title,
            config_class=config_class,
            presets=checked,
            run=run,
            version=version,
            claims=tuple(claims),
            data=tuple(data),
            figures=tuple(figures),
            cost=dict(cost or {}),
            module=run.__module__,
            file=file,
            line=line,
        )
        return run

    return register


def _check_presets(id: str, presets: Mapping[str, Preset]) -> tuple[dict[str, Preset], type]:
    if not presets:
        raise ConfigError(f"{id}: an experiment needs at least one preset; give presets={{…}}")
    config_class = type(next(iter(presets.values())).config)
    checked = {}
    for name, preset in presets.items():
        if type(preset.config) is not config_class:
            raise ConfigError(
                f"{id}: all presets must be {config_class.__name__}; {name} is "
                f"{type(preset.config).__name__}"
            )
        if not (dataclasses.is_dataclass(config_class) and config_class.__hash__ is not None):
            raise ConfigError(f"{id}: {config_class.__name__} must be a frozen dataclass")
        config = canonical(preset.config)
        grid = {key: tuple(values) for key, values in preset.grid.items()}
        for key, values in grid.items():
            if not values:
                raise ConfigError(f"{id}: preset {name} has no value for {key}; give at least one")
            for value in values:
                replace_fields(config, {key: value})
        checked[name] = Preset(config, grid)
    return checked, config_class


def experiments_of(subject: str) -> list[Experiment]:
    """Return a subject's experiments, sorted by id; loads the subject.

    Args:
        subject: a subject's name.

    Returns:
        The experiments; empty if the subject has none.

    Raises:
        UnknownNameError: if the subject is unknown.
    """
    load(subject, "experiments")
    return sorted((e for e in _EXPERIMENTS.values() if e.subject == subject), key=lambda e: e.id)


def all_experiments() -> list[Experiment]:
    """Return the experiments of every subject that is built, subject by subject.

    Returns:
        The experiments.
    """
    return [e for subject in built_subjects() for e in experiments_of(subject.name)]


def find_experiment(id: str, module: str | None = None) -> Experiment:
    """Return the experiment of that id; loads its subject only.

    Args:
        id: for instance "sharing.torus-digits".
        module: where it is defined, needed when it belongs to no subject of the library and its
            module is not imported yet (as in a worker process).

    Returns:
        The experiment.

    Raises:
        UnknownNameError: if there is none, with the nearest ids.
    """
    subject = id.split(".")[0]
    if id not in _EXPERIMENTS and subject in {s.name for s in SUBJECTS}:
        load(subject, "experiments")
    if id not in _EXPERIMENTS and module and module != "__main__":
        importlib.import_module(module)
    if id in _EXPERIMENTS:
        return _EXPERIMENTS[id]
    raise UnknownNameError.of("experiment", id, _EXPERIMENTS or [e.id for e in all_experiments()])


def points(
    item: Experiment,
    preset: str,
    overrides: Sequence[str] = (),
    grid: Mapping[str, Sequence[Any]] | None = None,
    seeds: Sequence[int] | None = None,
) -> list[Any]:
    """Return the configurations of a preset, changed as asked.

    Args:
        item: the experiment.
        preset: the preset's name.
        overrides: ``field=value`` texts; an overridden field leaves the preset's grid.
        grid: field to values (or texts for them), in place of or beside the preset's grid.
        seeds: values of the field ``seed``, in place of the preset's.

    Returns:
        Distinct configurations; the grid field named last varies fastest.

    Raises:
        UnknownNameError: if the preset is unknown.
        ConfigError: if a field is unknown, set twice or empty, or a value does not fit.
    """
    start = item.preset(preset)
    changes: dict[str, Any] = dict(parse_assignments(overrides))
    wanted = dict(grid or {})
    if seeds is not None:
        if "seed" in wanted:
            raise ConfigError("seed must be given once; it is both in the grid and in seeds")
        wanted["seed"] = tuple(seeds)
    for name in wanted:
        if name in changes:
            raise ConfigError(f"{name} must be set once; it is both overridden and in the grid")
    axes = {n: v for n, v in start.grid.items() if n not in changes} | wanted
    for name, values in axes.items():
        if isinstance(values, str) or not tuple(values):
            raise ConfigError(f"the grid of {name} must be a sequence of values; given {values!r}")
    combinations = itertools.product(*axes.values())
    found = [
        replace_fields(start.config, {**changes, **dict(zip(axes, values, strict=True))})
        for values in combinations
    ]
    return list({run_digest(item, config): config for config in found}.values())


def run_digest(item: Experiment, config: Any) -> str:
    """Return the SHA-256 digest that identifies a run: of experiment id, version and config.

    Args:
        item: the experiment.
        config: an instance of its configuration class.

    Returns:
        64 hexadecimal digits; run folders use the first 12.

    Raises:
        ConfigError: if the configuration is not of the experiment's class or does not fit it.
    """
    if not isinstance(config, item.config_class):
        raise ConfigError(
            f"a configuration of {item.id} must be {item.config_class.__name__}; given "
            f"{type(config).__name__}"
        )
    return digest_of(item.id, item.version, to_json(config))


def reproduce_command(item: Experiment, config: Any, preset: str | None = None) -> str:
    """Return the shortest command that runs exactly this configuration.

    Args:
        item: the experiment.
        config: the configuration.
        preset: the preset to start from; the one that needs the fewest settings if ``None``.

    Returns:
        ``coset run ID --preset P --set field=value …``, quoted for a POSIX shell. Fields that the
        preset's grid varies are always set: without that the command would run the whole grid.

    Raises:
        UnknownNameError: if the preset is unknown.
    """
    config = canonical(config)
    if preset is None:
        return min((reproduce_command(item, config, name) for name in item.presets), key=len)
    start = item.preset(preset)
    single = {name: values[0] for name, values in start.grid.items() if len(values) == 1}
    varied = {name for name, values in start.grid.items() if len(values) > 1}
    base = leaves(replace_fields(start.config, single))
    words = ["coset", "run", item.id, "--preset", preset]
    for name, (hint, value) in leaves(config).items():
        if name in varied or name not in base or base[name][1] != value:
            words += ["--set", format_override(hint, name, value)]
    return shlex.join(words)
