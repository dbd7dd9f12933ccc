"""``coset decisions elicit``: be asked what you prefer, and see which reward that needs."""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.errors import ConfigError, DomainError
from coset.core.files import dump_json, output_folder, write_json
from coset.core.terminal import printable

if TYPE_CHECKING:
    from coset.decisions.elicit.session import Session
    from coset.decisions.preferences.lottery import Lottery, Oracle

__all__ = ["elicit"]

Kind = Literal["affine", "safety", "utility", "lexicographic"]

_WORDS = {"1": 1, "2": -1, "=": 0, "0": 0}
_HELP = "1 the first, 2 the second, = neither, q stop and go on later"


class _StoppedError(Exception):
    """The answers ended before the questions did."""


def elicit(
    names: tyro.conf.Positional[tuple[str, ...]] = (),
    /,
    kind: Kind = "affine",
    words: Path | None = None,
    reference: str | None = None,
    check: str | None = None,
    terminal: tuple[str, ...] = (),
    tol: float = 0.05,
    max_denominator: int | None = None,
    resolution: int | None = None,
    session: Path | None = None,
    answers: Path | None = None,
    simulate: Path | None = None,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Ask which of two lotteries you prefer until the numbers behind your preferences are known.

    affine: the reward and the multiplier of each event. safety: first which events no gain is
    worth. utility: how good outcomes are, between the worst and the best. lexicographic: the same
    with priorities. Each answer is kept at once; the same command goes on where it stopped, also
    with a smaller tolerance. Answers count as exact: one slip moves an interval for good.

    Example: coset decisions elicit step coin home --reference coin --terminal home

    Args:
        names: the events, or the outcomes for kinds utility and lexicographic.
        kind: what to find.
        words: a JSON file {"name": "how to say it", …}; its names are taken if none are given.
        reference: an event to measure in, better or worse than nothing; the first one by default.
        check: another event, to search with for preferences that depend on the past (affine).
        terminal: events after which nothing counts, so that it is not asked (affine, safety).
        tol: width of the intervals, relative above 1.
        max_denominator: find fractions of at most this denominator exactly, not intervals.
        resolution: for safety, offer chances down to 2^−resolution (20); for lexicographic, the
            largest denominator of any ratio (1000).
        session: keep the answers in this file; by default one under out/elicit for these names.
        answers: take the answers from this file, one a line: 1, 2 or =.
        simulate: answer as the model in this JSON file does, {"reward": {…}, "multiplier": {…}},
            with "unsafe": […] for safety first, or {"utility": {…}}.
        out: write what was found to this JSON file.
        json: print JSON.
    """
    if answers is not None and simulate is not None:
        raise ConfigError("give --answers or --simulate, not both")
    from coset.decisions.commands import elicit_sources as sources
    from coset.decisions.elicit.session import Session

    said = {} if words is None else sources.read_words(words)
    person = None if simulate is None else sources.read_person(simulate)
    listed = list(names) or list(said) or ([] if person is None else sources.names_of(person))
    if not listed:
        raise ConfigError("name at least one event or outcome, as in: elicit step coin home")
    sources.check_names(listed)
    asks = person is None and answers is None
    if asks and session is None:
        session = _session_file(kind, listed)
    ask: Oracle = person if person is not None else _Terminal(said, answers, quiet=json)
    notebook = Session(ask, session)
    if isinstance(ask, _Terminal):
        ask.number = notebook.num_known
    settings = _Settings(kind, listed, reference, check, terminal, tol, max_denominator, resolution)
    if simulate is not None:
        sources.check_kind(simulate, person, kind)
    if asks and not json:
        _greet(notebook, session)
    try:
        found = settings.run(notebook)
    except _StoppedError as stopped:
        return _stopped(notebook, session, stopped, json)
    if out is not None:
        write_json(out, found.to_json())
    if json:
        print(dump_json({"kind": kind, **found.to_json()}), end="")
    else:
        _print(found, settings, person)
        if isinstance(ask, _Terminal) and ask.num_left:
            print(f"the last {ask.num_left} of the answers were not needed: was more to be asked?")
    return 0


class _Settings:
    """What was asked for on the command line."""

    def __init__(
        self,
        kind: Kind,
        names: list[str],
        reference: str | None,
        check: str | None,
        terminal: tuple[str, ...],
        tol: float,
        max_denominator: int | None,
        resolution: int | None,
    ) -> None:
        self.kind, self.names, self.tol = kind, names, tol
        self.reference, self.check = reference or names[0], check
        self.terminal, self.max_denominator = terminal, max_denominator
        self.resolution = resolution
        on_events = kind in ("affine", "safety")
        for name, given in (("reference", reference), ("terminal", terminal or None)):
            if given is not None and not on_events:
                raise ConfigError(f"--{name} is for events, with --kind affine or safety")
        if check is not None and kind != "affine":
            raise ConfigError("--check is for --kind affine")
        if resolution is not None and kind not in ("safety", "lexicographic"):
            raise ConfigError("--resolution is for --kind safety or lexicographic")
        if max_denominator is not None and kind == "lexicographic":
            raise ConfigError("--kind lexicographic is exact: give --resolution instead")
        for named in (self.reference, check, *terminal):
            if on_events and named is not None and named not in names:
                raise DomainError(
                    f"--reference, --check and --terminal name events; {named!r} is not among "
                    f"{', '.join(names)}"
                )

    def run(self, oracle: Session) -> Any:
        """Ask, and return what was found."""
        from coset.decisions import elicit as ask

        if self.kind == "utility":
            return ask.utility(oracle, self.names, self.tol, None, self.max_denominator)
        if self.kind == "lexicographic":
            resolution = 1000 if self.resolution is None else self.resolution
            return ask.lexicographic(oracle, self.names, resolution)
        if self.kind == "safety":
            return ask.safety_first(
                oracle,
                self.names,
                self.reference,
                self.tol,
                self.max_denominator,
                resolution=20 if self.resolution is None else self.resolution,
                terminal=self.terminal,
            )
        return ask.affine(
            oracle,
            self.names,
            self.reference,
            self.tol,
            None,
            self.max_denominator,
            terminal=self.terminal,
            check=self.check,
        )


class _Terminal:
    """Asks in the terminal, or takes the answers from a file."""

    def __init__(self, said: Mapping[str, str], answers: Path | None, *, quiet: bool) -> None:
        from coset.decisions.commands.elicit_sources import read_answers

        self._said = said
        self._given = None if answers is None else deque(read_answers(answers))
        # Questions go to standard error where standard output is for JSON.
        self._console = Console(highlight=False, stderr=quiet)
        self.number = 0

    def __call__(self, first: Lottery, second: Lottery) -> int:
        self.number += 1
        if self._given is not None:
            if not self._given:
                self._show(first, second)
                raise _StoppedError("the file of answers ends here")
            return self._given.popleft()
        self._show(first, second)
        while True:
            answer = _WORDS.get(self._read())
            if answer is not None:
                return answer
            self._console.print(f"  please answer: {_HELP}")

    @property
    def num_left(self) -> int:
        """How many answers of the file were not needed."""
        return len(self._given or ())

    def _read(self) -> str:
        self._console.print("  1, 2, = or q? ", end="")
        line = sys.stdin.readline()
        if not line or line.strip().lower() in ("q", "quit"):
            if not line:
                self._console.print()
            raise _StoppedError("stopped")
        return line.strip()

    def _show(self, first: Lottery, second: Lottery) -> None:
        from coset.decisions.elicit.wording import lottery_text

        self._console.print(f"\nQuestion {self.number}: which do you prefer?", style="bold")
        for number, lottery in ((1, first), (2, second)):
            text = printable(lottery_text(lottery, self._said))
            self._console.print(escape(f"  {number}  {text}"))


def _session_file(kind: str, names: list[str]) -> Path:
    digest = hashlib.sha256("\n".join([kind, *sorted(names)]).encode()).hexdigest()[:8]
    return output_folder() / "elicit" / f"{kind}-{digest}.jsonl"


def _greet(notebook: Session, path: Path | None) -> None:
    console = Console(highlight=False)
    console.print(f"Answers: {_HELP}.")
    if path is not None:
        known = f"; {notebook.num_known} known already" if notebook.num_known else ""
        console.print(escape(f"They are kept in {printable(str(path))}{known}."))


def _stopped(notebook: Session, path: Path | None, why: _StoppedError, json: bool) -> int:
    given = notebook.num_known + notebook.num_asked
    if json:
        print(dump_json({"finished": False, "num_answers": given, "reason": str(why)}), end="")
        return 1
    kept = "; the same command goes on from here" if path is not None else ""
    many = "1 answer" if given == 1 else f"{given} answers"
    Console(highlight=False).print(f"{why} after {many}{kept}")
    return 1


def _print(found: Any, settings: _Settings, person: Any) -> None:
    from coset.decisions.commands import elicit_tables as tables

    console = Console(highlight=False)
    heads, rows = tables.TABLES[settings.kind](found, person, settings.reference)
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row))
    console.print(table)
    lines = tables.notes(found, settings.kind)
    if settings.check is not None and found.witness is None:
        lines.append(f"measured against {settings.check}: no failure of memorylessness shows")
    for line in lines:
        console.print(escape(printable(line)))
