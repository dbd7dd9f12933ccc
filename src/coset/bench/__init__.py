"""Floor 2: benchmark cases, checked before they are timed, timed against peers and a limit.

In reading order: `case` (what a case is), `registry`, `probes` (measured limits), `session` (gate
and clock in one process), `worker` and `remote` (the same in another environment), `interleave`,
`machine`, `results`, `runner`, `tables`.
"""

from __future__ import annotations

from coset.bench.case import BenchmarkRefusedError, Case, Contestant, Limit, WorkerError
from coset.bench.interleave import schedule
from coset.bench.registry import Benchmark, all_benchmarks, benchmark, find_benchmark
from coset.bench.results import BenchReport, load_report, load_reports, save_report
from coset.bench.runner import run_benchmark
from coset.bench.tables import format_report, write_tables

__all__ = [
    "BenchReport",
    "Benchmark",
    "BenchmarkRefusedError",
    "Case",
    "Contestant",
    "Limit",
    "WorkerError",
    "all_benchmarks",
    "benchmark",
    "find_benchmark",
    "format_report",
    "load_report",
    "load_reports",
    "run_benchmark",
    "save_report",
    "schedule",
    "write_tables",
]
