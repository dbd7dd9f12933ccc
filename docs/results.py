"""Result tables of the READMEs, from stored rows and nothing else.

``python docs/results.py sharing.torus-digits cpu`` exports the finished rows of a preset to
``docs/results``; `docs/generate.py` fills blocks of the form
``<!-- results:ID PRESET by a,b: c,d -->`` … ``<!-- /results -->``: one line for each (a, b), the
mean of c and d over the rows, and ± half of a 95 % t-interval when there are several.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from coset.core.errors import ConfigError
from coset.core.files import read_json, write_json

FOLDER = Path(__file__).parent / "results"
BLOCK = re.compile(
    r"(<!-- results:(\S+) (\w+) by ([\w,]+): ([\w,]+) -->\n).*?(<!-- /results -->)", re.S
)


def export(experiment: str, preset: str) -> Path:
    """Write the rows of a preset whose runs are all finished and made by today's code."""
    from coset.lab.records import rows_of
    from coset.lab.runner import run_preset

    records = run_preset(experiment, preset)
    stale = [record.command for record in records if not record.is_current()]
    if stale:
        raise ConfigError(f"rows must come from today's code; run with --fresh: {stale[0]}")
    facts = records[0].environment
    path = FOLDER / f"{experiment}.{preset}.json"
    write_json(
        path,
        {
            "experiment": experiment,
            "preset": preset,
            "command": f"coset run {experiment} --preset {preset}",
            "commit": facts["commit"],
            "cpu": facts["cpu"],
            "packages": facts["packages"],
            "seconds": round(sum(record.duration_s for record in records)),
            "rows": rows_of(records),
        },
    )
    return path


def fill_results(text: str) -> str:
    """Return Markdown text with its result blocks filled from the exported rows."""
    return BLOCK.sub(
        lambda m: m[1] + _table(m[2], m[3], m[4].split(","), m[5].split(",")) + m[6], text
    )


def _table(experiment: str, preset: str, keys: list[str], columns: list[str]) -> str:
    stored = read_json(FOLDER / f"{experiment}.{preset}.json")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in stored["rows"]:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    sizes = {len(rows) for rows in groups.values()}
    lines = [
        f"`{stored['command']}`, {' or '.join(map(str, sorted(sizes)))} seeds a line, "
        f"{stored['seconds']} s of one core ({stored['cpu']}):",
        "",
        "| " + " | ".join(name.replace("_", " ") for name in [*keys, *columns]) + " |",
        "|" + "---|" * len(keys) + "---:|" * len(columns),
    ]
    for key, rows in groups.items():
        cells = [_word(value) for value in key]
        cells += [_mean([float(row[column]) for row in rows]) for column in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _word(value: Any) -> str:
    return (
        {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )


def _mean(values: list[float]) -> str:
    mean = float(np.mean(values))
    digits = 0 if abs(mean) >= 100 else 3
    if len(values) < 2:
        return f"{mean:,.{digits}f}"
    error = float(np.std(values, ddof=1)) / np.sqrt(len(values))
    half = float(student.ppf(0.975, len(values) - 1)) * error
    return f"{mean:,.{digits}f} ± {half:,.{digits}f}"


if __name__ == "__main__":
    print(f"written: {export(*sys.argv[1:3]).name}")
