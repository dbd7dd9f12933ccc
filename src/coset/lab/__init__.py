"""Floor 2: registered experiments, the run store, sweeps, progress and the figure style.

Reading order: `experiment` (declare), `run_preset` (run), `RunStore` (look up), `LocalEngine` (run
many at a time). Names load at their first use; none of them loads torch until something runs.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Experiment": "experiments",
    "Preset": "experiments",
    "RunContext": "context",
    "all_experiments": "experiments",
    "experiment": "experiments",
    "find_experiment": "experiments",
    "points": "experiments",
    "reproduce_command": "experiments",
    "apply_overrides": "overrides",
    "from_json": "overrides",
    "to_json": "overrides",
    "RunRecord": "records",
    "RunFailedError": "records",
    "rows_of": "records",
    "RunStore": "store",
    "run_point": "runner",
    "run_preset": "runner",
    "Engine": "sweeps",
    "LocalEngine": "sweeps",
    "Progress": "progress",
    "read_metrics": "metrics",
    "save_svg": "figure_style",
    "style": "figure_style",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"coset.lab.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'coset.lab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
