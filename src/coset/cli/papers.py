"""``coset papers``: the nine papers, their subjects, and what is built."""

from __future__ import annotations

from rich.markup import escape

from coset.cli.output import console, print_json, table
from coset.core.registry import SUBJECTS, is_built

__all__ = ["COMMAND"]


def papers(json: bool = False) -> int:
    """List the nine papers, the subject that realizes each, and how many claims are checked.

    Example: coset papers --json

    Args:
        json: print JSON.
    """
    from coset.core.claims import claims_of

    rows = [
        {
            "subject": subject.name,
            "paper": paper.id,
            "title": paper.title,
            "venue": paper.venue,
            "year": paper.year,
            "built": is_built(subject),
            "num_claims": len(claims_of(subject.name)),
        }
        for subject in SUBJECTS
        for paper in subject.papers
    ]
    if json:
        print_json(rows)
        return 0
    cells = [
        (
            str(row["subject"]),
            f"{escape(str(row['title']))}, {row['venue']} {row['year']}",
            f"{row['num_claims']} claims" if row["built"] else "[dim]not built yet[/dim]",
        )
        for row in rows
    ]
    console().print(table(("subject", "paper", "state"), cells))
    return 0


COMMAND = papers
