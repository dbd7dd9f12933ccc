"""What was not checked: the list that keeps a green report honest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coset.report.comparison import NumberRow
from coset.report.drawing import FigureView
from coset.report.formats import plural, slug
from coset.report.links import Link
from coset.report.records import Notice
from coset.report.runs import ExperimentView, StoredRun
from coset.report.sources import Sources
from coset.report.timings import BenchmarkView
from coset.report.verdicts import ClaimRow, is_stale

__all__ = ["Gap", "find_gaps"]


@dataclass(frozen=True)
class Gap:
    """One kind of thing that was not checked.

    Attributes:
        title: what was not checked, with a count.
        why: what that means to the reader.
        items: each thing with its link, and words about it.
    """

    title: str
    why: str
    items: tuple[tuple[Link, str], ...]

    @property
    def anchor(self) -> str:
        """The name of its place on the page."""
        return slug(self.title)


def find_gaps(
    sources: Sources,
    rows: Sequence[ClaimRow],
    numbers: Sequence[NumberRow],
    experiments: Sequence[ExperimentView],
    figures: Sequence[FigureView],
    benchmarks: Sequence[BenchmarkView],
    notices: Sequence[Notice],
    commit: str | None,
) -> list[Gap]:
    """Gather everything that this report does not establish.

    Args:
        sources: what was read.
        rows: the claims matrix.
        numbers: published numbers beside ours.
        experiments: experiments with their runs.
        figures: the figures, failed ones included.
        benchmarks: the stored benchmarks.
        notices: what could not be used.
        commit: the checkout's commit.

    Returns:
        The gaps that are not empty.
    """
    gaps = [
        *_claim_gaps(rows, commit),
        _planned(sources),
        *_number_gaps(numbers),
        *_run_gaps(experiments),
        _failed_figures(figures),
        _benchmark_gap(benchmarks),
        _unread(notices),
    ]
    return [gap for gap in gaps if gap.items]


def _claim_gaps(rows: Sequence[ClaimRow], commit: str | None) -> list[Gap]:
    def of(title: str, why: str, chosen: list[tuple[ClaimRow, str]]) -> Gap:
        items = tuple((_claim_link(row), words) for row, words in chosen)
        return Gap(f"{plural(len(items), 'claim')} {title}", why, items)

    missing = [(r, f"{r.claim.title}: {r.why_missing}") for r in rows if r.record is None]
    gray = [(r, f"{r.claim.title}: {r.seen}") for r in rows if r.state == "gray"]
    untried = [(r, f"mutants: {r.mutants}") for r in rows if r.mutants_untried]
    small = [
        (r, f"preset {r.record['preset']}")
        for r in rows
        if r.record and r.record["preset"] != "paper"
    ]
    stale = [
        (r, f"commit {str(r.record['commit'])[:12]}")
        for r in rows
        if r.record and is_stale(r, commit)
    ]
    return [
        of("not run", "No verdict that can be read is stored for them.", missing),
        of(
            " or ".join(sorted({r.seen for r, _ in gray})),
            "Measured but not decided, or not checkable here.",
            gray,
        ),
        of("judged without all mutants", "It was not shown that these checks can fail.", untried),
        of("not checked at the size of the paper", "A smaller preset has fewer cases.", small),
        of("judged on another commit", "The code has moved on since the verdict.", stale),
    ]


def _claim_link(row: ClaimRow) -> Link:
    return Link(row.claim.id, f"{slug(row.claim.subject)}.html#{slug(row.claim.id)}")


def _planned(sources: Sources) -> Gap:
    items = tuple(
        (Link(s.subject.name), f"{s.subject.title}; {', '.join(p.title for p in s.subject.papers)}")
        for s in sources.subjects
        if not s.is_built
    )
    why = "Planned, and not built yet: nothing about them is checked."
    return Gap(f"{plural(len(items), 'subject')} not built", why, items)


def _number_gaps(numbers: Sequence[NumberRow]) -> list[Gap]:
    def of(title: str, why: str, chosen: list[tuple[NumberRow, str]]) -> Gap:
        items = tuple((Link(n.id, f"published.html#{slug(n.id)}"), words) for n, words in chosen)
        return Gap(f"{plural(len(items), 'published number')} {title}", why, items)

    unknown = [(n, n.what) for n in numbers if n.value is None]
    alone = [(n, f"{n.what}: {n.why_not}") for n in numbers if n.ours is None]
    return [
        of(
            "not found", "No public source gives the value, so nothing can differ from it.", unknown
        ),
        of("without one of ours", "Nothing of ours stands beside them.", alone),
    ]


def _run_gaps(experiments: Sequence[ExperimentView]) -> list[Gap]:
    def of(title: str, why: str, chosen: list[tuple[ExperimentView, StoredRun, str]]) -> Gap:
        items = tuple(
            (Link(f"{view.id}/{run.digest}", f"{view.page}#{run.anchor}"), words)
            for view, run, words in chosen
        )
        return Gap(f"{plural(len(items), 'run')} {title}", why, items)

    presets = [
        (Link(e.id, e.page), f"no finished run at preset {name}; coset run {e.id} --preset {name}")
        for e in experiments
        for name in e.missing_presets
    ]
    title = f"{plural(len(presets), 'preset')} never finished"
    runs = [(view, run) for view in experiments for run in view.runs]
    ended = [(e, r, f"{r.status} {r.error}".strip()) for e, r in runs if not r.is_finished]
    old = [(e, r, r.command) for e, r in runs if r.is_finished and r.is_current is False]
    lost = [(e, r, f"it was {r.stored_command or 'unknown'}") for e, r in runs if not r.command]
    return [
        Gap(title, "No rows at that size.", tuple(presets)),
        of("without rows", "They failed or did not end.", ended),
        of("from other code", "The code has changed since.", old),
        of("that no command gives now", "Their experiment or its settings have changed.", lost),
    ]


def _failed_figures(figures: Sequence[FigureView]) -> Gap:
    items = tuple(
        (Link(f.function, f"runs-{slug(f.experiment)}.html#{f.anchor}"), f.error)
        for f in figures
        if f.error
    )
    return Gap(
        f"{plural(len(items), 'figure')} failed", "Their error stands in their place.", items
    )


def _benchmark_gap(benchmarks: Sequence[BenchmarkView]) -> Gap:
    if not benchmarks:
        items = ((Link("coset bench", "benchmarks.html"), "no benchmark result is stored"),)
        return Gap("Speed", "Nothing in this report says how fast anything is.", items)
    partial = tuple(
        (Link(b.id, f"benchmarks.html#{b.anchor}"), "not all sizes and variants were measured")
        for b in benchmarks
        if not b.is_complete
    )
    return Gap(
        f"{plural(len(partial), 'benchmark')} incomplete", "Some sizes are missing.", partial
    )


def _unread(notices: Sequence[Notice]) -> Gap:
    items = tuple((Link(n.where), n.problem) for n in notices)
    return Gap(
        f"{plural(len(items), 'part')} that could not be used",
        "Nothing was dropped in silence.",
        items,
    )
