"""``coset verify``: the claims and their mutants, live, with an exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from coset.cli.output import MARKS, console, print_json
from coset.core.errors import UnknownNameError

if TYPE_CHECKING:
    from coset.core.claims import Claim
    from coset.core.judging import Judged

__all__ = ["COMMAND"]


def verify(
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    /,
    preset: Literal["smoke", "cpu", "paper"] = "smoke",
    seed: int = 0,
    mutants: bool = True,
    fresh: bool = False,
    report: bool = False,
    json: bool = False,
) -> int:
    """Check claims and their mutants; exit 1 if one is not as expected, in either direction.

    Example: coset verify sharing.C5 sharing.C7 --preset smoke

    Args:
        names: claim ids or subjects; none means every claim.
        preset: how many and how large the cases are.
        seed: the stream of random cases.
        mutants: also show that each near miss is caught.
        fresh: run experiments again although their rows are stored.
        report: write the HTML report afterwards and print its path.
        json: print the verdicts as JSON.
    """
    from coset.lab.verify import record_of, select_claims
    from coset.lab.verify import verify as judge_all

    claims = select_claims(names)
    if not claims:
        raise UnknownNameError(
            f"verify needs at least one claim; {', '.join(names) or 'coset'} has none"
        )
    board = _Board(claims, enabled=not json)
    with board:
        verdicts = list(
            board.follow(
                judge_all(
                    claims,
                    preset=preset,
                    seed=seed,
                    mutants=mutants,
                    fresh=fresh,
                    on_start=board.start,
                )
            )
        )
    if json:
        print_json([record_of(c, v) for c, v in zip(claims, verdicts, strict=True)])
    else:
        _print_summary(claims, verdicts)
    if report:
        _write_report(sys.stderr if json else sys.stdout)
    return 0 if all(verdict.as_expected for verdict in verdicts) else 1


def _write_report(stream: object) -> None:
    from coset.report import build_report

    print(f"report: {build_report()}", file=stream)  # type: ignore[call-overload]


def _mutants(verdict: Judged) -> str:
    if not verdict.mutants:
        return "–"
    return f"{sum(m.passed for m in verdict.mutants)}/{len(verdict.mutants)}"


def _mark(verdict: Judged) -> str:
    mark = MARKS[verdict.seen]
    if verdict.as_expected:
        return mark
    reason = "mutant not caught" if verdict.seen == verdict.expected else f"not {verdict.expected}"
    return f"{mark} [bold red]({reason})[/bold red]"


class _Board:
    """The live table; without a terminal, one line a claim as it ends."""

    def __init__(self, claims: list[Claim], enabled: bool) -> None:
        self._claims, self._enabled = claims, enabled
        self._done: list[Judged] = []
        self._running: tuple[Claim, float] | None = None
        self._live = Live(get_renderable=self._render, console=Console(stderr=True), transient=True)
        self._is_live = enabled and self._live.console.is_terminal

    def __enter__(self) -> _Board:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_live:
            self._live.stop()

    def start(self, claim: Claim) -> None:
        self._running = (claim, time.monotonic())
        if self._enabled and not self._is_live:
            print(f"checking {claim.id} ({claim.title})", file=sys.stderr, flush=True)

    def follow(self, verdicts: Iterable[Judged]) -> Iterator[Judged]:
        for verdict in verdicts:
            self._done.append(verdict)
            yield verdict

    def _render(self) -> Table:
        rows = Table(box=None, padding=(0, 1), show_header=False)
        for verdict in self._done[-12:]:
            rows.add_row(verdict.claim, _mark(verdict), f"{verdict.duration_s:.1f} s")
        if self._running is not None and len(self._done) < len(self._claims):
            claim, since = self._running
            rows.add_row(claim.id, f"… {escape(claim.title)}", f"{time.monotonic() - since:.0f} s")
        rows.add_row(f"{len(self._done)}/{len(self._claims)}", "claims checked", "")
        return rows


def _print_summary(claims: list[Claim], verdicts: list[Judged]) -> None:
    out = console()
    table = Table(box=None, padding=(0, 1))
    for name, options in {
        "claim": {"no_wrap": True},
        "what": {},
        "seen": {},
        "mutants": {"justify": "right"},
        "cases": {"justify": "right"},
        "time": {"justify": "right", "no_wrap": True},
    }.items():
        table.add_column(name, **options)  # type: ignore[arg-type]
    for claim, verdict in zip(claims, verdicts, strict=True):
        cases = f"{verdict.result.sample_size:,}" if verdict.result else "–"
        table.add_row(
            claim.id,
            escape(claim.title),
            _mark(verdict),
            _mutants(verdict),
            cases,
            f"{verdict.duration_s:.1f} s",
        )
    out.print(table)
    for verdict in verdicts:
        if not verdict.as_expected:
            _print_problem(out.print, verdict)
    good = sum(verdict.as_expected for verdict in verdicts)
    color = "green" if good == len(verdicts) else "red"
    out.print(f"[{color}]{good} of {len(verdicts)} claims are as expected[/{color}]")


def _print_problem(write: Callable[[str], None], verdict: Judged) -> None:
    write(f"\n[bold]{verdict.claim}[/bold]: expected {verdict.expected}, seen {verdict.seen}")
    if verdict.problem:
        write(escape(verdict.problem.rstrip()))
    if verdict.result is not None:
        write(escape(verdict.result.detail))
    for mutant in verdict.mutants:
        if not mutant.passed:
            why = "not caught" if not mutant.caught else "equals the right code on no stored input"
            write(escape(f"mutant {mutant.name!r}: {why}; {mutant.detail}"))


COMMAND = verify
