"""What this report was made on, and on what the stored runs were made."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import coset
from coset.core.backends import backends
from coset.core.provenance import cpu_model, git, package_version
from coset.report.formats import as_text
from coset.report.links import checkout_folder
from coset.report.runs import StoredRun

__all__ = ["EnvironmentView", "RunEnvironment", "view_environment"]

PACKAGES = ("torch", "numpy", "numba", "scipy", "matplotlib", "jinja2")


@dataclass(frozen=True)
class RunEnvironment:
    """An environment in which stored runs were made.

    Attributes:
        facts: names and texts.
        runs: experiment and digest of the runs made in it.
    """

    facts: tuple[tuple[str, str], ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class EnvironmentView:
    """Where the report was built.

    Attributes:
        facts: names and texts.
        commit: the checkout's commit, ``None`` if unknown.
        backends: operation, name, device, available, chosen, reason.
        runs: the distinct environments of the stored runs.
    """

    facts: tuple[tuple[str, str], ...]
    commit: str | None
    backends: tuple[Any, ...]
    runs: tuple[RunEnvironment, ...]


def view_environment(runs: Sequence[StoredRun]) -> EnvironmentView:
    """Gather versions, machine and commit; no user, host or folder names.

    Args:
        runs: the stored runs.

    Returns:
        The environment.
    """
    root = checkout_folder()
    commit = git(root, "rev-parse", "HEAD") if root else None
    changed = len((git(root, "status", "--porcelain") or "").splitlines()) if root else 0
    shown = "not a checkout" if root is None else commit or "unknown"
    facts = [
        ("coset", coset.__version__),
        ("commit", f"{shown}, {changed} changed or new files" if changed else shown),
        ("python", platform.python_version()),
        *((name, package_version(name) or "not installed") for name in PACKAGES),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("CPU", cpu_model()),
        ("CPUs", str(os.cpu_count() or "unknown")),
    ]
    try:
        table = tuple(backends())
    except Exception as error:  # a probe that fails is a fact about this machine
        facts.append(("backends", f"{type(error).__name__}: {error}"))
        table = ()
    return EnvironmentView(tuple(facts), commit, table, _of_runs(runs))


def _of_runs(runs: Sequence[StoredRun]) -> tuple[RunEnvironment, ...]:
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for run in runs:
        facts = tuple((str(k), _fact(v)) for k, v in sorted(run.environment.items()))
        name = f"{run.experiment}/{run.digest}"
        if name not in found.setdefault(facts, []):
            found[facts].append(name)
    return tuple(RunEnvironment(facts, tuple(names)) for facts, names in found.items())


def _fact(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_text(entry)}" for name, entry in value.items())
    return as_text(value)
