"""Result tables of the READMEs, from stored rows and nothing else.

``python docs/results.py sharing.torus-digits cpu [KIND …]`` exports the finished rows of a preset
(of these kinds) to ``docs/results``; `docs/generate.py` fills blocks of the form
``<!-- results:ID PRESET where e=1,f=x by a,b: c,d -->`` … ``<!-- /results -->``: one line for each
(a, b) among the rows whose e is 1 and whose f is x (``where …`` may be left out), the mean of c and
d over them, and ± half of a 95 % t-interval where they differ; of truth values, how many are true.
What has no number is left out of the mean; a line without any shows a dash.
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
    r"(<!-- results:(\S+) (\w+)(?: where (\S+))? by ([\w,]+): ([\w,]+) -->\n)"
    r".*?(<!-- /results -->)",
    re.S,
)


def export(experiment: str, preset: str, *kinds: str) -> Path:
    """Write the rows of a preset whose runs are all finished and made by today's code.

    With `kinds` only rows of these kinds are kept: curves of pictures would fill the file.
    """
    from coset.lab.records import rows_of
    from coset.lab.runner import run_preset

    records = run_preset(experiment, preset)
    stale = [record.command for record in records if not record.is_current()]
    if stale:
        raise ConfigError(f"rows must come from today's code; run with --fresh: {stale[0]}")
    facts = records[0].environment
    rows = [row for row in rows_of(records) if not kinds or row["kind"] in kinds]
    first = rows[0]
    same = {k: v for k, v in first.items() if all(k in row and row[k] == v for row in rows)}
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
            "in_every_row": same,
            "rows": [{k: v for k, v in row.items() if k not in same} for row in rows],
        },
    )
    return path


def fill_results(text: str) -> str:
    """Return Markdown text with its result blocks filled from the exported rows."""
    return BLOCK.sub(
        lambda m: m[1] + _table(m[2], m[3], m[4] or "", m[5].split(","), m[6].split(",")) + m[7],
        text,
    )


def _chosen(rows: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    conditions = [part.split("=", 1) for part in where.split(",") if part]
    return [row for row in rows if all(_word(row[name]) == value for name, value in conditions)]


def _table(experiment: str, preset: str, where: str, keys: list[str], columns: list[str]) -> str:
    stored = read_json(FOLDER / f"{experiment}.{preset}.json")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    all_rows = [stored.get("in_every_row", {}) | row for row in stored["rows"]]
    for row in _chosen(all_rows, where):
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    sizes = sorted({len(rows) for rows in groups.values()})
    are_seeds = all(len({r.get("seed") for r in rows}) == len(rows) for rows in groups.values())
    unit = ("seed" if are_seeds else "row") + ("" if sizes == [1] else "s")
    lines = [
        f"`{stored['command']}`, {' or '.join(map(str, sizes))} {unit} a line, "
        f"{stored['seconds']} s of one core in all ({stored['cpu']}):",
        "",
        "| " + " | ".join(name.replace("_", " ") for name in [*keys, *columns]) + " |",
        "|" + "---|" * len(keys) + "---:|" * len(columns),
    ]
    for key, rows in groups.items():
        cells = [_word(value) for value in key]
        cells += [_mean([row[column] for row in rows]) for column in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value).replace("|", "\\|")


def _mean(values: list[Any]) -> str:
    given = [value for value in values if value is not None]
    numbers = [float(value) for value in given]
    if not numbers:
        return "–"
    if all(isinstance(value, bool) for value in given):
        return f"{sum(given)}/{len(given)}"
    mean = float(np.mean(numbers))
    tiny = 0 < abs(mean) < 5e-5
    whole = abs(mean) >= 100 or all(isinstance(v, int) for v in given)
    digits = 0 if whole else 3 if abs(mean) >= 0.1 or mean == 0 else 4
    form = ".0e" if tiny else f",.{digits}f"
    if len(set(numbers)) < 2:
        return f"{mean:{form}}"
    error = float(np.std(numbers, ddof=1)) / np.sqrt(len(numbers))
    half = float(student.ppf(0.975, len(numbers) - 1)) * error
    return f"{mean:{form}} ± {half:{form}}"


if __name__ == "__main__":
    print(f"written: {export(*sys.argv[1:]).name}")
