"""Render the pages of a site into a folder; every value is escaped."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from coset.core.files import storage_errors, write_atomic
from coset.report.basis import basis
from coset.report.compact import compact_table, compared_columns
from coset.report.comparison import NumberRow
from coset.report.content import Site, SubjectView, matrix_lines
from coset.report.formats import as_text, duration, moment, number, slug
from coset.report.links import Link
from coset.report.runs import ExperimentView
from coset.report.verdicts import SYMBOLS

__all__ = ["write_pages"]

Write = Callable[..., None]


def write_pages(site: Site, folder: Path, destination: Path) -> None:
    """Write all pages.

    Args:
        site: what they show.
        folder: where they are written.
        destination: where the report will lie in the end, for links into the checkout.

    Raises:
        StorageError: if the folder cannot be written.
    """
    templates = _environment()

    def write(template: str, file: str, title: str, **values: Any) -> None:
        up = "../" * file.count("/")
        page = templates.get_template(template)
        # A page that is not in the navigation itself marks the entry that it is a part of.
        part = "runs.html" if template == "experiment.html" else ""
        text = page.render(site=site, here=file, part=part, title=title, up=up, **values)
        write_atomic(folder / file, text)

    _write_index(site, write)
    for subject in site.subjects:
        if subject.href:
            _write_subject(site, subject, write)
    _write_published(site, write)
    write("runs.html", "runs.html", "Runs")
    for view in site.experiments:
        _write_experiment(site, view, write)
    write("benchmarks.html", "benchmarks.html", "Benchmarks")
    write("environment.html", "environment.html", "Environment", environment=site.environment)
    write("unchecked.html", "unchecked.html", "What was not checked")
    _copy_records(site, folder)
    for page in sorted(site.code.files):
        write(
            "source.html",
            f"code/{page}",
            site.code.name(page),
            lines=site.code.lines(page),
            way_back=site.code.way_back(page, destination / "code"),
        )


def _environment() -> jinja2.Environment:
    folder = resources.files("coset.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"slug": slug, "number": number, "duration": duration, "text": as_text}
    environment.filters["moment"] = moment
    return environment


def _write_index(site: Site, write: Write) -> None:
    write(
        "index.html",
        "index.html",
        site.headline.text,
        basis=basis(site.rows, sum(bool(s.href) for s in site.subjects), len(site.subjects)),
        lines=matrix_lines(site, site.rows),
        tallies=[(state, SYMBOLS[state], words) for state, words in site.headline.tallies],
        farthest=_farthest(site),
    )


def _write_published(site: Site, write: Write) -> None:
    write(
        "published.html",
        "published.html",
        "Published numbers beside ours",
        farthest=_farthest(site),
        compared=[row for row in site.numbers if row.is_compared],
        not_compared=[row for row in site.numbers if not row.is_compared],
    )


def _farthest(site: Site) -> NumberRow | None:
    first = site.numbers[0] if site.numbers else None
    return first if first is not None and first.is_compared else None


def _write_subject(site: Site, subject: SubjectView, write: Write) -> None:
    write(
        "subject.html",
        subject.href,
        subject.name,
        subject=subject,
        lines=matrix_lines(site, site.rows_of(subject.name)),
        figures=[f for f in site.figures if f.experiment.split(".")[0] == subject.name],
    )


def _write_experiment(site: Site, view: ExperimentView, write: Write) -> None:
    known = {row.claim.id for row in site.rows}
    claims = [
        Link(id, f"{slug(id.split('.')[0])}.html#{slug(id)}" if id in known else "")
        for id in view.claims
    ]
    preferred = compared_columns(view.id, (s.published for s in site.sources.subjects))
    write(
        "experiment.html",
        view.page,
        view.id,
        view=view,
        code=site.code.code(view.file, view.line),
        claims=claims,
        compact={group.preset: compact_table(group, preferred) for group in view.groups},
        figures=[f for f in site.figures if f.experiment == view.id],
    )


def _copy_records(site: Site, folder: Path) -> None:
    for row in site.rows:
        if row.record is not None:
            target = folder / "records" / f"{slug(row.claim.id)}.json"
            with storage_errors(target):
                content = row.record.path.read_bytes()
            write_atomic(target, content)
