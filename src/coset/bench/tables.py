"""Tables in Markdown files, generated from stored reports and from nothing else.

A block ``<!-- bench:sharing.prox -->`` … ``<!-- /bench -->``, each marker alone on its line, is
filled with one row a point; ``<!-- bench:sharing.prox full -->`` with every contestant and spread.
Markers inside fenced code are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from coset.bench.results import BenchReport, Measurement, Point, load_reports
from coset.core.errors import FileFormatError
from coset.core.files import write_atomic

__all__ = ["fill_blocks", "format_report", "write_tables"]

_OPEN = re.compile(r"<!--\s*bench:(?P<id>[a-z]+\.[a-z0-9-]+)(?P<full>\s+full)?\s*-->")
_CLOSE = re.compile(r"<!--\s*/bench\s*-->")
_FENCE = re.compile(r"(`{3,}|~{3,})")
_SKIPPED = {".git", ".venv", "node_modules", "out", "build", "dist", "_build"}


def write_tables(root: Path, *, results: Path | None = None, check: bool = False) -> list[Path]:
    """Fill the benchmark blocks of all Markdown files under `root`.

    Args:
        root: a folder, searched without hidden, build and output folders.
        results: the stored reports; by default ``benchmarks/results`` under `root`.
        check: change nothing.

    Returns:
        The files that were changed or, with `check`, that would be: empty when all are up to date.

    Raises:
        FileFormatError: if a block is not closed, or a report is damaged.
        StorageError: if a file cannot be written.
    """
    reports = load_reports(results if results is not None else root / "benchmarks" / "results")
    stale = []
    for path in _markdown_files(root):
        old = path.read_text(encoding="utf-8")
        if "bench:" not in old:
            continue
        new = fill_blocks(old, reports, where=str(path))
        if new != old:
            stale.append(path)
            if not check:
                write_atomic(path, new)
    return stale


def fill_blocks(text: str, reports: Sequence[BenchReport], *, where: str = "the text") -> str:
    """Return Markdown text with its benchmark blocks filled.

    Args:
        text: the Markdown.
        reports: all stored reports.
        where: the file's name, for messages.

    Returns:
        The text; filling it again changes nothing.

    Raises:
        FileFormatError: if a block opens inside another, is not closed, or closes without opening.
    """
    lines: list[str] = []
    opened = 0
    fence = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if mark := _FENCE.match(line.strip()):
            fence = "" if fence and mark[0].startswith(fence) else fence or mark[0]
        start = None if fence else _OPEN.fullmatch(line.strip())
        end = not fence and _CLOSE.fullmatch(line.strip())
        if (start and opened) or (end and not opened):
            raise FileFormatError(_misplaced(where, number, line, opened))
        if start:
            opened = number
            lines += [line, *_block(start["id"], bool(start["full"]), reports)]
        elif end:
            opened = 0
            lines.append(line)
        elif not opened:
            lines.append(line)
    if opened:
        raise FileFormatError(_misplaced(where, opened, "the end of the file", opened))
    return "\n".join(lines)


def _misplaced(where: str, number: int, what: str, opened: int) -> str:
    begun = f"the block of line {opened} is not closed" if opened else "no block is open"
    return (
        f"{where}, line {number}: each `<!-- bench:ID -->` needs its own `<!-- /bench -->` below "
        f"it; at {what.strip()!r} {begun}; add or remove a marker"
    )


def _markdown_files(root: Path) -> Iterable[Path]:
    for path in sorted(root.rglob("*.md")):
        folders = path.relative_to(root).parts[:-1]
        if not any(part in _SKIPPED or part.startswith(".") for part in folders):
            yield path


def _block(id: str, full: bool, reports: Sequence[BenchReport]) -> list[str]:
    found = [report for report in reports if report.id == id]
    if not found:
        return ["", f"No stored result; `coset bench {id}` makes one.", ""]
    lines: list[str] = [""]
    for report in found:
        lines += [_heading(report), "", *(_full(report) if full else _summary(report)), ""]
    return lines


def _heading(report: BenchReport) -> str:
    machine, own = report.machine, report.processes[""]
    threads = report.settings["num_threads"]
    versions = ", ".join(f"{name} {version}" for name, version in own["versions"].items())
    loads = report.settings["load_at_start"]
    load = f", load {loads[0]:.2f} at the start" if loads else ""
    share = f", {100 * report.cpu_share:.0f} % of the clock on the processor"
    commit = report.source["commit"][:10] or "unknown"
    changed = " with changes" if report.source["changed"] else ""
    return (
        f"{report.title}: {machine['cpu']} (family {machine['cpu_family']}, model "
        f"{machine['cpu_model']}, {machine['num_usable_cpus']} cores), {threads} "
        f"thread{'s' * (threads != 1)}{load}{share}; {versions}; {report.when[:10]}, commit "
        f"{commit}{changed}. Medians of interleaved rounds; in brackets the quartiles. A ratio "
        "below 1 means that ours is faster."
    )


def _summary(report: BenchReport) -> list[str]:
    rows = [
        "| variant | size | ours | ÷ best peer | ÷ best part of the work | ÷ limit |",
        "|---|---|---|---|---|---|",
    ]
    for point in report.points:
        peers = point.of_role("peer")
        whole = _best([peer for peer in peers if not peer.partial])
        part = _best([peer for peer in peers if peer.partial])
        limit = max(point.of_role("limit"), key=lambda m: m.median, default=None)
        cells = [
            point.variant,
            f"{point.size:,}",
            _duration(point.ours),
            *(_against(point, other) for other in (whole, part, limit)),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _full(report: BenchReport) -> list[str]:
    lines: list[str] = []
    for variant in dict.fromkeys(point.variant for point in report.points):
        points = [point for point in report.points if point.variant == variant]
        columns = " | ".join(f"{point.size:,} | ours ÷ it" for point in points)
        lines += [f"**{variant}**", "", f"| who | {columns} |"]
        lines.append("|" + "---|" * (1 + 2 * len(points)))
        for measurement in points[0].measurements:
            cells = [_who(measurement)]
            for point in points:
                row = point.find(measurement.name)
                ratio = "" if row is point.ours else _ratio(point, row)
                cells += [_duration(row), ratio]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return [*lines, *_statements(report)]


def _statements(report: BenchReport) -> list[str]:
    """Say what each limit is, and how fast the machine was."""
    limits = {m.name: m.limit for point in report.points for m in point.of_role("limit")}
    lines = []
    for name, details in limits.items():
        rates: dict[int, list[float]] = {}
        for point in report.points:
            rates.setdefault(point.size, []).append(point.find(name).limit["rate"] / 1e9)
        measured = ", ".join(
            f"{min(found):.3g} to {max(found):.3g} G{details['unit']} at {size:,}"
            for size, found in sorted(rates.items())
        )
        lines.append(f"Limit *{name}*: {details['statement']}. Measured: {measured}.")
    return lines


def _who(measurement: Measurement) -> str:
    part = f", {measurement.partial}" if measurement.partial else ""
    return f"{measurement.role}: {measurement.name}{part} [{measurement.allocation}]"


def _best(measurements: Sequence[Measurement]) -> Measurement | None:
    return min(measurements, key=lambda measurement: measurement.median, default=None)


def _against(point: Point, other: Measurement | None) -> str:
    return "none" if other is None else f"{_ratio(point, other)} {other.name}"


def _ratio(point: Point, other: Measurement) -> str:
    return f"{point.ratio(point.ours.name, other.name).value:.3g}"


def _duration(measurement: Measurement) -> str:
    spread = measurement.spread
    factor, unit = (1e3, "ms") if spread.median >= 1e-3 else (1e6, "µs")
    low, middle, high = (
        f"{value * factor:.3g}" if value * factor < 1000 else f"{value * factor:.0f}"
        for value in (spread.q1, spread.median, spread.q3)
    )
    return f"{middle} {unit} [{low}, {high}]"


def format_report(report: BenchReport) -> str:
    """Return a report as Markdown: its heading and all tables.

    Args:
        report: the report.

    Returns:
        The text, as in a full block of a README.
    """
    return "\n".join([_heading(report), "", *_full(report), ""])
