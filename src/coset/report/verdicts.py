"""The claims matrix: every registered claim beside its stored verdict, the unexpected first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from coset.core.claims import Claim
from coset.report.evidence import Evidence, view_evidence
from coset.report.formats import as_text, number, plural
from coset.report.records import Record

__all__ = ["ClaimRow", "Headline", "claim_rows", "gray_words", "headline", "is_stale"]

State = Literal["bad", "missing", "gray", "good"]

SYMBOLS: dict[State, str] = {"bad": "✗", "missing": "□", "gray": "○", "good": "✓"}
_ORDER: dict[State, int] = {"bad": 0, "missing": 1, "gray": 2, "good": 3}

# "(5 standard errors: ± 0.012)": the words and the half-width.
_HALF_WIDTH = re.compile(r"\(([^()±]*[^()±: ]):? ± (\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class ClaimRow:
    """One line of the matrix.

    Attributes:
        claim: the registered claim.
        record: its stored verdict, ``None`` if there is none that can be read.
        why_missing: for a claim without a verdict, why.
    """

    claim: Claim
    record: Record | None
    why_missing: str = ""

    @property
    def state(self) -> State:
        """How the row is painted: red, empty, gray or green; open is never green."""
        if self.record is None:
            return "missing"
        if not self.record.as_expected or self.record["expected"] != self.claim.expected:
            return "bad"
        return "gray" if self.record["seen"] in ("open", "unavailable") else "good"

    @property
    def symbol(self) -> str:
        """The sign that stands for the state where there is no color."""
        return SYMBOLS[self.state]

    @property
    def seen(self) -> str:
        """The verdict as a word, "not run" if there is none."""
        return str(self.record["seen"]) if self.record else "not run"

    @property
    def words(self) -> str:
        """The state as words."""
        if self.record is None:
            return "not run"
        if self.state != "bad":
            return "as expected"
        if self.record["expected"] != self.claim.expected:
            return f"expected was {self.record['expected']} when it was run"
        if self.record["seen"] != self.record["expected"]:
            return "not as expected"
        if self.record["problem"]:
            return "does not count"
        return "mutant not caught"

    @property
    def measured(self) -> str:
        """What was measured."""
        return number(self.record.result.get("measured")) if self.record else "–"

    @property
    def interval(self) -> str:
        """The interval of what was measured, "" if there is none."""
        found = self.record.result.get("interval") if self.record else None
        return f"[{number(found[0])}, {number(found[1])}]" if found else ""

    @property
    def interval_words(self) -> str:
        """How the judge's own detail calls the interval, "" if it does not name it."""
        result = self.record.result if self.record else {}
        ends = result.get("interval")
        if not ends or not all(isinstance(end, int | float) for end in ends):
            return ""
        half = (ends[1] - ends[0]) / 2
        for words, digits in _HALF_WIDTH.findall(result.get("detail") or ""):
            # Only a half-width that is this interval's: a detail may tell of several figures.
            if f"{half:.{len(digits.partition('.')[2])}f}" == digits:
                return str(words).strip()
        return ""

    @property
    def bound(self) -> str:
        """What it was compared with."""
        return number(self.record.result.get("bound")) if self.record else "–"

    @property
    def sample_size(self) -> str:
        """How many cases were checked."""
        return number(self.record.result.get("sample_size")) if self.record else "–"

    @property
    def mutants(self) -> str:
        """How many mutants were caught, of how many; "not tried" if the check ran without them."""
        if self.record is None:
            return "–"
        if not self.record.mutants:
            return f"0/{len(self.claim.mutants)} tried"
        return f"{self.record.mutants_caught}/{len(self.record.mutants)}"

    @property
    def mutants_untried(self) -> bool:
        """Whether there is a verdict that was given without trying every registered mutant."""
        return self.record is not None and len(self.record.mutants) < len(self.claim.mutants)

    @property
    def evidence(self) -> Evidence:
        """Further figures of the judge."""
        found = self.record.result.get("evidence") if self.record else None
        return view_evidence(found or {})

    @property
    def counterexample(self) -> str:
        """The stored counterexample as text, or ""."""
        found = self.record.result.get("counterexample") if self.record else None
        return as_text(found, None) if found else ""


def is_stale(row: ClaimRow, commit: str | None) -> bool:
    """Tell whether the verdict was given on another commit than the one checked out.

    Args:
        row: the row.
        commit: the checkout's commit, ``None`` if unknown.

    Returns:
        Whether both are known and differ.
    """
    stored = row.record["commit"] if row.record else None
    return bool(stored and commit and str(stored) != commit)


def claim_rows(
    claims: Iterable[Claim], records: Mapping[str, Record], damaged: Mapping[str, str]
) -> list[ClaimRow]:
    """Return one row a registered claim, unexpected first, then not run, open, as expected.

    Args:
        claims: the registered claims, in reading order.
        records: stored verdicts by claim id.
        damaged: claim id to what is wrong with its unreadable file.

    Returns:
        The rows; the order within a state is that of `claims`.
    """
    rows = [
        ClaimRow(
            claim,
            records.get(claim.id),
            damaged.get(claim.id, "" if claim.id in records else "no verdict is stored"),
        )
        for claim in claims
    ]
    return sorted(rows, key=lambda row: _ORDER[row.state])


def gray_words(rows: Sequence[ClaimRow]) -> str:
    """Count the rows that are neither green nor red by the verdicts that occur.

    Args:
        rows: the matrix.

    Returns:
        For instance "3 open" or "2 open, 1 unavailable".
    """
    seen = [row.seen for row in rows if row.state == "gray"]
    return ", ".join(f"{seen.count(name)} {name}" for name in sorted(set(seen)))


@dataclass(frozen=True)
class Headline:
    """The one-line verdict.

    Attributes:
        state: how it is painted.
        text: the line.
        tallies: what stands below it, from the state to its words.
    """

    state: State
    text: str
    tallies: tuple[tuple[State, str], ...]

    @property
    def symbol(self) -> str:
        """The sign that stands for the state where there is no color."""
        return SYMBOLS[self.state]


def headline(rows: list[ClaimRow], num_faults: int = 0) -> Headline:
    """Return the one-line verdict; green only if every claim was run and nothing was unreadable.

    Args:
        rows: the matrix.
        num_faults: how many files or parts of the library could not be read.

    Returns:
        The line and its tallies.
    """
    by_state = {state: sum(row.state == state for row in rows) for state in SYMBOLS}
    bad, missing = by_state["bad"], by_state["missing"]
    state: State = "good"
    if bad:
        state, verb = "bad", "is" if bad == 1 else "are"
        text = f"{plural(bad, 'claim')} {verb} not as expected"
    elif missing == len(rows):
        state, text = "missing", "Nothing was checked: no verdict is stored"
    elif missing:
        state = "missing"
        text = f"No claim is unexpected, but {missing} of {plural(len(rows), 'claim')} were not run"
    elif num_faults:
        state = "missing"
        text = f"No claim is unexpected, but {plural(num_faults, 'part')} could not be read"
    else:
        told = gray_words(rows).replace(" ", " of them ", 1)
        gray = f", {told}" if told else ""
        text = f"All {plural(len(rows), 'claim')} are as expected{gray}"
    words: dict[State, str] = {
        "bad": "not as expected",
        "missing": "not run",
        "gray": f"{gray_words(rows)}, as expected",
        "good": "as expected",
    }
    tallies = tuple(
        (s, words[s] if s == "gray" else f"{by_state[s]} {words[s]}")
        for s in SYMBOLS
        if by_state[s]
    )
    return Headline(state, text, tallies)
