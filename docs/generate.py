"""Fill the generated blocks of the READMEs: claims, published numbers, results, benchmarks.

A `RESULTS.md` beside a README holds the long tables of results.

``python docs/generate.py`` writes them, ``--check`` exits 1 if a file would change.
"""

from __future__ import annotations

import sys
from pathlib import Path

from results import fill_results

from coset.core.claims import claims_of
from coset.core.registry import built_subjects, published

ROOT = Path(__file__).resolve().parents[1]


def cell(text: str) -> str:
    """Return a text as it may stand in a table: on one line, bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def claim_table(subject: str) -> str:
    """Return the Markdown table of a subject's claims, from the registry."""
    lines = [
        "| claim | what | kind | expected | source | near misses |",
        "|---|---|---|---|---|---|",
    ]
    for claim in claims_of(subject):
        # The line is left out on purpose: it changes with every edit; `coset claims ID` shows it.
        path = f"../../{claim.file}".replace(f"../../coset/{subject}/", "")
        title, source, mutants = map(cell, (claim.title, claim.source, ", ".join(claim.mutants)))
        lines.append(
            f"| [`{claim.id}`]({path}) | {title} | {claim.kind} | {claim.expected} "
            f"| {source} | {mutants} |"
        )
    return "\n".join(lines)


def published_table(subject: str) -> str:
    """Return the Markdown table of a subject's published numbers."""
    lines = ["| number | what | published | source | budget |", "|---|---|---|---|---|"]
    for number in published(subject)["numbers"]:
        value = "not found" if number["value"] is None else f"{number['value']} {number['unit']}"
        lines.append(
            f"| `{number['id']}` | {number['what']} | {value} | {number['source']} "
            f"| {number['budget']} |"
        )
    return "\n".join(lines)


def fill(text: str, name: str, content: str) -> str:
    """Put content between ``<!-- name -->`` and ``<!-- /name -->``."""
    start, stop = f"<!-- {name} -->", f"<!-- /{name} -->"
    if start not in text or stop not in text:
        raise SystemExit(f"the block {start} … {stop} is missing")
    head, _, rest = text.partition(start)
    return f"{head}{start}\n{content}\n{stop}{rest.partition(stop)[2]}"


def main() -> int:
    """Write or check every generated block."""
    check = "--check" in sys.argv[1:]
    stale = []
    for subject in built_subjects():
        readme = ROOT / "src" / "coset" / subject.name / "README.md"
        paths = [path for path in (readme, readme.with_name("RESULTS.md")) if path.exists()]
        texts = {path: path.read_text(encoding="utf-8") for path in paths}
        # A long table of published numbers stands with the results, a short one in the README.
        holder = next((p for p in paths if "<!-- published -->" in texts[p]), readme)
        for path, old in texts.items():
            new = fill(old, "claims", claim_table(subject.name)) if path == readme else old
            if path == holder:
                new = fill(new, "published", published_table(subject.name))
            stale += _write(path, old, fill_results(new), check)
    groups = ROOT / "docs" / "groups.md"
    old = groups.read_text(encoding="utf-8")
    stale += _write(groups, old, fill(old, "verdicts", _verdicts()), check)
    stale += _benchmarks(check)
    for path in sorted(set(stale)):
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
    if check and stale:
        print("run `make docs` and commit the result")
    return 1 if check and stale else 0


def _write(path: Path, old: str, new: str, check: bool) -> list[Path]:
    """Write a text that changed, unless only checking; return the path if it changed."""
    if new == old:
        return []
    if not check:
        path.write_text(new, encoding="utf-8")
    return [path]


def _verdicts() -> str:
    from coset.ssm.verdict_table import verdict_rows, verdict_table

    return verdict_table(verdict_rows(63)).rstrip("\n")


def _benchmarks(check: bool) -> list[Path]:
    from coset.bench import write_tables

    return [Path(p) for p in write_tables(ROOT, check=check)]


if __name__ == "__main__":
    sys.exit(main())
