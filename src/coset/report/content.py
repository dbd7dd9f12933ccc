"""From sources to what the pages show: one object that every template reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import coset
from coset.core.claims import realized_in
from coset.report.comparison import NumberRow, compare_numbers
from coset.report.drawing import FigureView, draw_figures
from coset.report.environment import EnvironmentView, view_environment
from coset.report.formats import clip, duration, slug
from coset.report.gaps import Gap, find_gaps
from coset.report.links import CodePages, Link
from coset.report.records import Notice
from coset.report.runs import ExperimentView, view_experiments
from coset.report.sources import Sources
from coset.report.timings import BenchmarkView, view_benchmarks
from coset.report.verdicts import SYMBOLS, ClaimRow, Headline, State, claim_rows, headline

__all__ = ["MatrixLine", "Site", "SubjectView", "gather_site", "matrix_lines"]

Tally = tuple[State, str, str]


@dataclass(frozen=True)
class SubjectView:
    """One subject on the first page.

    Attributes:
        name: its name.
        title: what it is about.
        papers: its papers, as one text.
        href: its page, "" if it is not built.
        tallies: state, symbol and words.
    """

    name: str
    title: str
    papers: str
    href: str
    tallies: tuple[Tally, ...]


@dataclass(frozen=True)
class MatrixLine:
    """A row of the matrix with its links.

    Attributes:
        row: the claim beside its verdict.
        statement: the statement in short.
        duration: how long the judge ran.
        href: the claim's place on its subject's page.
        code: the judge's line.
        realized: the other places in the code that name the claim.
        test: its test.
        experiment: the experiment whose rows it judges.
        figures: the figures drawn from those rows.
        stored: the copy of its stored verdict below the report, "" if there is none.
    """

    row: ClaimRow
    statement: str
    duration: str
    href: str
    code: Link
    realized: tuple[Link, ...]
    test: Link
    experiment: Link
    figures: tuple[Link, ...]
    stored: str


@dataclass(frozen=True)
class Site:
    """Everything that the pages show.

    Attributes:
        sources: what was read.
        rows: the claims matrix.
        headline: the one-line verdict.
        numbers: published numbers beside ours.
        experiments: experiments with their runs.
        figures: the figures, failed ones included.
        benchmarks: the stored benchmarks.
        environment: where the report was made.
        gaps: what was not checked.
        notices: what could not be used.
        code: the source files that the pages refer to.
        built_at: when the report was made.
        version: the library's version.
    """

    sources: Sources
    rows: list[ClaimRow]
    headline: Headline
    numbers: list[NumberRow]
    experiments: list[ExperimentView]
    figures: list[FigureView]
    benchmarks: list[BenchmarkView]
    environment: EnvironmentView
    gaps: list[Gap]
    notices: tuple[Notice, ...]
    code: CodePages
    built_at: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    version: str = coset.__version__

    @property
    def subjects(self) -> list[SubjectView]:
        """All subjects, the planned ones included."""
        return [
            SubjectView(
                name=source.subject.name,
                title=source.subject.title,
                papers="; ".join(f"{p.title} ({p.venue} {p.year})" for p in source.subject.papers),
                href=f"{slug(source.subject.name)}.html" if source.is_built else "",
                tallies=_tallies(self.rows_of(source.subject.name), source.is_built),
            )
            for source in self.sources.subjects
        ]

    @property
    def pages(self) -> list[Link]:
        """The navigation."""
        built = [Link(s.name, s.href) for s in self.subjects if s.href]
        return [
            Link("Verdict", "index.html"),
            *built,
            Link("Published numbers", "published.html"),
            Link("Runs", "runs.html"),
            Link("Benchmarks", "benchmarks.html"),
            Link("Environment", "environment.html"),
            Link("Not checked", "unchecked.html"),
        ]

    def rows_of(self, subject: str) -> list[ClaimRow]:
        """Return the rows of one subject, unexpected ones first.

        Args:
            subject: its name.

        Returns:
            The rows.
        """
        return [row for row in self.rows if row.claim.subject == subject]

    def figures_of(self, row: ClaimRow) -> list[FigureView]:
        """Return the figures drawn from rows that are about a claim.

        Args:
            row: the claim's row.

        Returns:
            The figures of its experiment, and of the experiments that name it.
        """
        about = {e.id for e in self.experiments if row.claim.id in e.claims}
        return [f for f in self.figures if f.experiment in about | {row.claim.experiment}]


def _tallies(rows: Sequence[ClaimRow], is_built: bool) -> tuple[Tally, ...]:
    if not is_built:
        return (("missing", SYMBOLS["missing"], "not built yet, not checked"),)
    tallies = headline(list(rows)).tallies
    return tuple((state, SYMBOLS[state], words) for state, words in tallies)


def gather_site(sources: Sources, folder: Path, code: CodePages) -> Site:
    """Work out everything that the pages show, and draw the figures.

    Args:
        sources: what was read.
        folder: the report's folder; figures are written below it.
        code: collects the source files that the pages refer to.

    Returns:
        The site.
    """
    experiments = view_experiments(sources.experiments, sources.runs)
    published = {s.subject.name: s.published for s in sources.subjects if s.published}
    numbers, number_faults = compare_numbers(published, experiments)
    benchmarks, benchmark_faults = view_benchmarks(sources.benchmarks)
    notices = (*sources.notices, *number_faults, *benchmark_faults)
    damaged = {Path(n.where).stem: "its stored verdict cannot be used" for n in sources.notices}
    rows = claim_rows(sources.claims, sources.records, damaged)
    figures = draw_figures(experiments, folder)
    environment = view_environment(sources.runs)
    return Site(
        sources=sources,
        rows=rows,
        headline=headline(rows, len(notices)),
        numbers=numbers,
        experiments=experiments,
        figures=figures,
        benchmarks=benchmarks,
        environment=environment,
        gaps=find_gaps(
            sources, rows, numbers, experiments, figures, benchmarks, notices, environment.commit
        ),
        notices=notices,
        code=code,
    )


def matrix_lines(site: Site, rows: Sequence[ClaimRow]) -> list[MatrixLine]:
    """Add the links to rows of the matrix.

    Args:
        site: the site.
        rows: the rows.

    Returns:
        One line a row, in order.
    """
    return [_line(site, row) for row in rows]


def _line(site: Site, row: ClaimRow) -> MatrixLine:
    claim = row.claim
    page = f"{slug(claim.subject)}.html"
    view = next((e for e in site.experiments if e.id == claim.experiment), None)
    return MatrixLine(
        row=row,
        statement=clip(claim.statement, 140),
        duration=duration(row.record["duration_s"]) if row.record else "–",
        href=f"{page}#{slug(claim.id)}",
        code=site.code.code(claim.file, claim.line),
        realized=tuple(_realized(site, row)),
        test=site.code.test(claim.test),
        experiment=Link(str(claim.experiment), view.page if view else ""),
        figures=tuple(
            Link(
                f"{f.function.rpartition(':')[2]}, {f.preset}",
                f"runs-{slug(f.experiment)}.html#{f.anchor}",
            )
            for f in site.figures_of(row)
        ),
        stored=f"records/{slug(claim.id)}.json" if row.record else "",
    )


def _realized(site: Site, row: ClaimRow) -> list[Link]:
    try:
        places = realized_in(row.claim)
    except (KeyError, OSError, ValueError):  # a claim whose package is not a folder of files
        return []
    links = []
    for place in places:
        file, _, rest = place.rpartition(":")
        line, _, name = rest.partition(" ")
        link = site.code.code(file, int(line))
        links.append(replace(link, text=name) if name else link)
    return links
