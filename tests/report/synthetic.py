"""Made-up claims, verdicts, runs and benchmarks, stored as the library stores them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from coset.core.claims import Claim, ClaimResult
from coset.core.registry import SUBJECTS
from coset.report.records import read_records
from coset.report.runs import StoredRun
from coset.report.sources import Sources, SubjectSource

HOSTILE = "<script>alert('x')</script>\"' onload=\"y\" {{ 1234567*8 }} </style> ]]> \u202e \x00"
FIGURES = "report.synthetic"


def claim(id: str = "sharing.C1", **changes: Any) -> Claim:
    values: dict[str, Any] = {
        "id": id,
        "title": f"title of {id}",
        "statement": "w_i ≤ w_j implies prox_i ≤ prox_j.",
        "hypotheses": "any finite w",
        "source": "[derived]",
        "kind": "proved",
        "expected": "holds",
        "judge": lambda: ClaimResult(True),
        "subject_under_test": None,
        "mutants": {"sign flipped": abs, "off by one": abs},
        "near_misses": lambda: (),
        "experiment": None,
        "file": "coset/report/records.py",
        "line": 12,
    }
    return Claim(**{**values, **changes})


def record(id: str = "sharing.C1", seen: str = "holds", **changes: Any) -> dict[str, Any]:
    holds = {"holds": True, "refuted": False}.get(seen)
    expected = changes.get("expected", "holds")
    mutants = [
        {"name": name, "caught": True, "near_miss": True, "detail": "seen refuted: 3 of 40"}
        for name in ("sign flipped", "off by one")
    ]
    values = {
        "claim": id,
        "expected": expected,
        "seen": seen,
        "as_expected": seen == expected,
        "preset": "smoke",
        "seed": 0,
        "duration_s": 0.125,
        "problem": "",
        "result": {
            "holds": holds,
            "measured": 0.43,
            "bound": 1.0,
            "detail": f"detail of {id}",
            "sample_size": 1200,
            "interval": [0.4, 0.46] if seen == "open" else None,
            "false_alarm": None,
            "counterexample": {"w": [1, 2]} if seen == "refuted" else None,
            "evidence": {"largest d": 1000},
        },
        "mutants": mutants,
        "when": "2026-01-02T03:04:05+00:00",
        "commit": "0123456789abcdef",
        "version": "0.1.0",
    }
    if seen in ("error", "unavailable"):
        values["result"] = None
    return {**values, **changes}


def store_records(folder: Path, *records: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for values in records:
        (folder / f"{values['claim']}.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


def run(
    rows: list[dict[str, Any]], config: dict[str, Any] | None = None, **changes: Any
) -> StoredRun:
    config = config if config is not None else {"seed": 0}
    digest = changes.pop(
        "digest", f"d{abs(hash(json.dumps(config, sort_keys=True))) % 10**11:011d}"
    )
    settings = " ".join(f"--set {name}={value}" for name, value in config.items())
    values: dict[str, Any] = {
        "experiment": "sharing.torus-digits",
        "digest": digest,
        "folder": Path("runs") / digest,
        "status": "finished",
        "config": config,
        "rows": [{**config, **row} for row in rows],
        "preset": "smoke",
        "command": f"coset run sharing.torus-digits --preset smoke {settings}",
        "started": "2026-01-02T03:04:05+00:00",
        "duration_s": 3.5,
        "environment": {"python": "3.11.2", "cpu": "made-up CPU"},
        "is_current": True,
    }
    return StoredRun(**{**values, **changes})


def experiment(id: str = "sharing.torus-digits", **changes: Any) -> Any:
    values: dict[str, Any] = {
        "id": id,
        "title": "digits on a torus",
        "presets": {"smoke": None, "cpu": None, "paper": None},
        "data": ("digits",),
        "claims": ("sharing.C1",),
        "figures": (f"{FIGURES}:draw_accuracy",),
        "file": "coset/report/records.py",
        "line": 3,
    }
    return SimpleNamespace(**{**values, **changes})


def number(id: str = "sharing.P1", value: float | None = 85.19, **changes: Any) -> dict[str, Any]:
    values = {
        "id": id,
        "what": f"accuracy of {id}",
        "value": value,
        "unit": "%",
        "source": "[site] a page",
        "budget": "400 epochs",
        "ours": {
            "experiment": "sharing.torus-digits",
            "select": {"method": "fc"},
            "column": "test_accuracy",
            "scale": 100,
        },
    }
    return {**values, **changes}


def benchmark(id: str = "sharing.prox", **changes: Any) -> dict[str, Any]:
    def measured(name: str, role: str, seconds: float) -> dict[str, Any]:
        spread = {"min": seconds, "q1": seconds, "median": seconds, "q3": seconds, "max": seconds}
        return {"name": name, "role": role, "seconds": [seconds], "spread": spread}

    point = {
        "size": 1_000_000,
        "variant": "normal-float32",
        "measurements": [
            measured("auto", "ours", 0.05),
            measured("numpy.sort", "peer", 0.04) | {"partial": "sort only"},
            measured("copy", "limit", 0.002) | {"limit": {"statement": "8 bytes a weight"}},
        ],
        "ratios": [
            {"ours": "auto", "against": "numpy.sort", "value": 1.25, "low": 1.2, "high": 1.3}
        ],
    }
    values = {
        "id": id,
        "title": "the proximal map",
        "when": "2026-01-02T03:04:05+00:00",
        "complete": True,
        "settings": {"repeats": 9, "num_threads": 1},
        "machine": {"cpu": "made-up CPU", "num_usable_cpus": 2},
        "source": {"commit": "0123456789abcdef", "changed": []},
        "points": [point],
    }
    return {**values, **changes}


def sources(
    folder: Path,
    claims: list[Claim],
    records: list[dict[str, Any]],
    runs: list[StoredRun] = (),  # type: ignore[assignment]
    experiments: list[Any] = (),  # type: ignore[assignment]
    numbers: list[dict[str, Any]] = (),  # type: ignore[assignment]
    benchmarks: dict[str, Any] | None = None,
) -> Sources:
    """Return sources with one built subject, the others planned; verdicts are read from files."""
    found, notices = read_records(store_records(folder / "verify", *records))
    subjects = [
        SubjectSource(
            subject,
            is_built=subject.name == "sharing",
            claims=tuple(c for c in claims if c.subject == subject.name),
            experiments=tuple(experiments) if subject.name == "sharing" else (),
            published={"paper": "a paper", "numbers": list(numbers)}
            if subject.name == "sharing"
            else {},
        )
        for subject in SUBJECTS
    ]
    return Sources(tuple(subjects), found, tuple(runs), benchmarks or {}, tuple(notices))


def draw_accuracy(rows: list[dict[str, Any]], folders: list[Path]) -> Any:
    """Show accuracy by method, shuffled or not. A second sentence."""
    from matplotlib.figure import Figure

    from coset.lab.figure_style import style

    with style():
        figure = Figure()
        axes = figure.add_subplot()
        for position, row in enumerate(rows):
            axes.bar(position, row.get("test_accuracy", 0.0))
        axes.set_title(f"{len(rows)} rows of {len(folders)} runs")
    return figure


def draw_badly(rows: list[dict[str, Any]], folders: list[Path]) -> Any:
    """Fail, as a figure does when a column was renamed."""
    return rows[0]["no such column <b>"]
