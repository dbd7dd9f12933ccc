"""``coset bench``: correctness first, then ours, the peers and the limit, interleaved."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich.markup import escape

from coset.cli.output import console, print_json, table

__all__ = ["COMMAND"]


def bench(
    cases: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    /,
    all: bool = False,
    sizes: tuple[int, ...] = (),
    variants: tuple[str, ...] = (),
    repeats: int = 15,
    threads: int = 1,
    tests: bool = True,
    out: Path | None = None,
    save: bool = True,
    json: bool = False,
) -> int:
    """Measure a case at every size and variant; without a case, list the cases.

    Example: coset bench sharing.prox --sizes 10000 --repeats 5 --no-save

    Args:
        cases: benchmark ids.
        all: every case.
        sizes: problem sizes in place of the case's own.
        variants: kinds of input in place of all.
        repeats: rounds; each round times every contestant once, in random order.
        threads: threads of torch and numba.
        tests: run the case's tests first; red tests refuse the measurement.
        out: folder for the JSON; default benchmarks/results of the checkout.
        save: store the measurement.
        json: print the measurement as JSON.
    """
    from coset.bench import all_benchmarks, format_report, run_benchmark, save_report

    known = all_benchmarks()
    chosen = [item.id for item in known] if all else list(cases)
    if not chosen:
        rows = [(item.id, escape(item.title), ", ".join(map(str, item.sizes))) for item in known]
        console().print(table(("case", "what", "sizes"), rows))
        return 0
    reports = []
    for case in chosen:
        report = run_benchmark(
            case,
            sizes=sizes or None,
            variants=variants or None,
            repeats=repeats,
            num_threads=threads,
            run_tests=tests,
            told=lambda line: print(line, file=sys.stderr, flush=True),
        )
        reports.append(report)
        if not json:
            print(format_report(report))
        if save:
            path = save_report(report, out)
            print(f"stored in {path}", file=sys.stderr)
    if json:
        print_json([report.to_json() for report in reports])
    return 0


COMMAND = bench
