"""``coset claims``: the list, or one claim with everything that belongs to it."""

from __future__ import annotations

from typing import Annotated, Any

import tyro
from rich.markup import escape

from coset.cli.output import MARKS, console, print_json, table

__all__ = ["COMMAND"]


def claims(
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    /,
    json: bool = False,
) -> int:
    """List the claims, or show one: statement, kind, verdicts, code, test, experiment.

    Example: coset claims sharing.C5

    Args:
        names: claim ids or subjects; none lists all.
        json: print JSON.
    """
    from coset.lab.verify import select_claims

    described = [_describe(claim) for claim in select_claims(names)]
    if json:
        print_json(described)
    elif len(described) == 1 and names:
        _print_one(described[0])
    else:
        rows = [
            (c["id"], escape(c["title"]), c["kind"], c["expected"], MARKS.get(c["seen"], c["seen"]))
            for c in described
        ]
        console().print(table(("claim", "what", "kind", "expected", "last seen"), rows))
    return 0


def _describe(claim: Any) -> dict[str, Any]:
    from coset.core.claims import realized_in
    from coset.core.files import output_folder, read_json

    stored = output_folder() / "verify" / f"{claim.id}.json"
    last = read_json(stored) if stored.is_file() else {}
    return {
        "id": claim.id,
        "title": claim.title,
        "statement": claim.statement,
        "hypotheses": claim.hypotheses,
        "source": claim.source,
        "kind": claim.kind,
        "expected": claim.expected,
        "seen": last.get("seen", "not run"),
        "last": last,
        "judge": f"{claim.file}:{claim.line}",
        "realized_in": realized_in(claim),
        "test": claim.test,
        "experiment": claim.experiment,
        "mutants": list(claim.mutants),
    }


def _print_one(claim: dict[str, Any]) -> None:
    out = console()
    out.print(f"[bold]{claim['id']}[/bold]  {escape(claim['title'])}\n")
    out.print(escape(" ".join(claim["statement"].split())))
    last = claim["last"]
    result = last.get("result") or {}
    rows = [
        ("hypotheses", escape(" ".join(claim["hypotheses"].split()))),
        ("source", escape(claim["source"])),
        ("kind", claim["kind"]),
        ("expected", claim["expected"]),
        ("last seen", MARKS.get(claim["seen"], claim["seen"])),
        ("measured", escape(result.get("detail", "–"))),
        ("judge", claim["judge"]),
        ("code", "\n".join(claim["realized_in"])),
        ("test", claim["test"]),
        ("experiment", claim["experiment"] or "–"),
        ("mutants", escape("\n".join(claim["mutants"]))),
        ("check it", f"coset verify {claim['id']}"),
    ]
    grid = table(("", ""), rows)
    grid.show_header = False
    out.print()
    out.print(grid)


COMMAND = claims
