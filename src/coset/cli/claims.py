"""``coset claims``: the list, or one claim with everything that belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.markup import escape

from coset.cli.output import MARKS, console, print_json, table
from coset.core.errors import FileFormatError

if TYPE_CHECKING:
    from coset.core.claims import Claim

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
            (c["id"], escape(c["title"]), c["kind"], c["expected"], _last_seen(c))
            for c in described
        ]
        console().print(table(("claim", "what", "kind", "expected", "last seen"), rows))
    return 0


def _describe(claim: Claim) -> dict[str, Any]:
    from coset.cli.verdicts import stored_verdict
    from coset.core.claims import realized_in

    problem = ""
    try:
        last = stored_verdict(claim) or {}
    except FileFormatError as error:
        last, problem = {}, str(error)
    return {
        "id": claim.id,
        "title": claim.title,
        "statement": claim.statement,
        "hypotheses": claim.hypotheses,
        "source": claim.source,
        "kind": claim.kind,
        "expected": claim.expected,
        "seen": "unreadable" if problem else last.get("seen", "not run"),
        "is_older_code": bool(last) and _is_older(claim, last),
        "problem": problem,
        "last": last,
        "judge": _from_checkout(f"{claim.file}:{claim.line}"),
        "realized_in": [
            _from_checkout(place) for place in realized_in(claim) if "/experiments/" not in place
        ],
        "test": claim.test,
        "experiment": claim.experiment,
        "experiments": _experiments(claim),
        "mutants": list(claim.mutants),
    }


def _experiments(claim: Claim) -> list[str]:
    """Return the experiments whose rows the claim judges or that name it."""
    from coset.lab.experiments import experiments_of

    named = [e.id for e in experiments_of(claim.subject) if claim.id in e.claims]
    judged = [claim.experiment] if claim.experiment else []
    return list(dict.fromkeys([*judged, *named]))


def _is_older(claim: Claim, last: dict[str, Any]) -> bool:
    """Tell whether other code than today's gave the verdict: another commit or another version."""
    from coset import __version__
    from coset.lab.provenance import checkout_commit

    today = (checkout_commit()[0], __version__)
    return (last["commit"], last["version"]) != today


def _from_checkout(place: str) -> str:
    """Return "coset/file.py:1" as it opens in a checkout, "src/coset/file.py:1", if this is one."""
    import coset

    source = Path(coset.__file__).parent.parent
    is_checkout = source.name == "src" and (source.parent / "pyproject.toml").is_file()
    is_ours = (source / place.partition(":")[0]).is_file()
    return f"src/{place}" if is_checkout and is_ours else place


def _last_seen(claim: dict[str, Any]) -> str:
    parts = [MARKS.get(claim["seen"], claim["seen"])]
    if claim["last"]:
        parts.append(escape(claim["last"]["preset"]))
    if claim["is_older_code"]:
        parts.append("[yellow]older code[/yellow]")
    return ", ".join(parts)


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
        ("last seen", _last_seen(claim)),
        ("measured", escape(claim["problem"] or result.get("detail", "–"))),
        ("judge", claim["judge"]),
        ("code", "\n".join(claim["realized_in"])),
        ("test", f"pytest {claim['test'].replace('::', ' -k ')}_"),
        ("experiment", "\n".join(claim["experiments"]) or "–"),
        ("mutants", escape("\n".join(claim["mutants"]))),
        ("check it", f"coset verify {claim['id']}"),
    ]
    grid = table(("", ""), rows)
    grid.show_header = False
    out.print()
    out.print(grid)


COMMAND = claims
