"""Floor 4: the HTML report, made from stored verdicts, runs and benchmarks and the registries.

In reading order: `sources` (the only module that knows how things are stored) with `records`,
`verdicts`, `evidence`, `basis`, `comparison`, `runs`, `compact`, `meanings`, `drawing`, `timings`,
`environment`, `gaps` (what the pages show), `content` (all of it), `pages` (templates), `build`
(the folder, replaced as a whole).
"""

from __future__ import annotations

from coset.report.build import build_report, write_report
from coset.report.records import Notice, read_records
from coset.report.sources import Sources, read_sources

__all__ = [
    "Notice",
    "Sources",
    "build_report",
    "read_records",
    "read_sources",
    "write_report",
]
