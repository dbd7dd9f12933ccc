"""What this report was made on, and on what the stored runs were made."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import coset
from coset.core.backends import backends
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
    commit = _git(root, "rev-parse", "HEAD") if root else None
    changed = len((_git(root, "status", "--porcelain") or "").splitlines()) if root else 0
    shown = "not a checkout" if root is None else commit or "unknown"
    facts = [
        ("coset", coset.__version__),
        ("commit", f"{shown}, {changed} changed or new files" if changed else shown),
        ("python", platform.python_version()),
        *((name, _version(name)) for name in PACKAGES),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("CPU", _cpu_model()),
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


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
