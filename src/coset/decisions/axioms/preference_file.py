"""Preferences in CSV files, read exactly, with limits and errors that name line and field.

The file has a header and one preference a line::

    relation,preferred,other,note
    >,1M,0.01 nothing + 0.89 1M + 0.10 5M,a certain million
    >,9/10 nothing + 1/10 5M,89% nothing + 11% 1M,

* relation: ``>`` (strict), ``>=`` (at least as good) or ``=`` (indifferent); also in words, strict,
  weak, indifferent, or ``≻``, ``≿``, ``≈``, ``~``.
* preferred, other: lotteries. An outcome's name alone is certain; otherwise terms "weight name"
  joined by " + ". A weight is a decimal, a fraction or a percentage, and is read exactly; the
  weights of a lottery sum to 1. An outcome that begins with a number needs its weight: "1 2 eggs".
* count, if there is such a column: how often that answer was given, a whole number ≥ 1.
* note, if there is such a column: free text.

Empty lines and lines that begin with # are skipped.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from coset.core.errors import CosetError, DomainError, FileFormatError
from coset.core.files import write_atomic
from coset.core.foreign_files import read_text, show
from coset.decisions.axioms.packing import PackedLottery, packed
from coset.decisions.axioms.preferences import (
    INDIFFERENT,
    STRICT,
    WEAK,
    Preferences,
    number_text,
)
from coset.decisions.preferences.lottery import Lottery

__all__ = [
    "MAX_FILE_BYTES",
    "PreferenceFile",
    "parse_lottery",
    "read_preferences",
    "write_preferences",
]

MAX_FILE_BYTES = 64 * 2**20
_MAX_ROWS = 1_000_000
_MAX_OUTCOMES = 2000
_MAX_TERMS = 2000
_MAX_NAME = 200
_TOLD_EVERY = 2000
_REQUIRED = ("relation", "preferred", "other")
_OPTIONAL = ("count", "note")
_SIGNS = {
    **dict.fromkeys((">", "≻", "strict"), STRICT),
    **dict.fromkeys((">=", "≥", "≿", "weak"), WEAK),
    **dict.fromkeys(("=", "~", "≈", "indifferent"), INDIFFERENT),
}
# Between the terms of a lottery.
_PLUS = re.compile(r"\s\+\s")
# At most 30 digits on each side, and exponents of at most three digits.
_NUMBER = re.compile(r"(\d{1,30}/\d{1,30}|(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][-+]?\d{1,3})?%?)")


@dataclass(frozen=True, eq=False)
class PreferenceFile:
    """What a file of preferences holds.

    Attributes:
        preferences: exact, in the order of the file.
        lines: the line of the file on which each preference ends.
        counts: (N,) int64: how often each answer was given, 1 if the file does not say.
        notes: the notes, "" where there are none.
    """

    preferences: Preferences
    lines: tuple[int, ...]
    counts: np.ndarray
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"PreferenceFile({self.preferences!r})"


def read_preferences(
    path: Path, *, progress: Callable[[int, int], None] | None = None
) -> PreferenceFile:
    """Read preferences from a CSV file.

    Args:
        path: a file of at most 64 MiB, in UTF-8, as this module describes.
        progress: told now and then how many lines are read, and how many there are.

    Returns:
        The preferences with their lines.

    Raises:
        FileFormatError: if the file is missing, too large, no such CSV, or a field is wrong; names
            the line and the field.
    """
    too_large = f"may have {MAX_FILE_BYTES:,} bytes as preferences; it has more"
    text = read_text(path, MAX_FILE_BYTES, too_large, "utf-8-sig")
    return _Reader(str(path)).read(text, progress)


class _Reader:
    def __init__(self, where: str) -> None:
        self.where = where
        self.known: dict[str, int] = {}  # texts repeat
        self.numbers: dict[PackedLottery, int] = {}
        self.sides: list[tuple[int, int, int]] = []
        self.lines: list[int] = []
        self.counts: list[int] = []
        self.notes: list[str] = []

    def read(self, text: str, progress: Callable[[int, int], None] | None = None) -> PreferenceFile:
        # Universal newlines: a CSV's own reader takes care of those inside quotes.
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        header: list[str] | None = None
        total = text.count("\n") + 1 if progress else 0
        try:
            for number, row in enumerate(rows):
                if progress is not None and number % _TOLD_EVERY == 0:
                    progress(rows.line_num, total)
                if not any(cell.strip() for cell in row) or row[0].lstrip().startswith("#"):
                    continue
                if header is None:
                    header = self._header(row, rows.line_num)
                else:
                    self._row(header, row, rows.line_num)
        except csv.Error as error:
            raise FileFormatError(f"{self.where}, line {rows.line_num}: {error}") from error
        if header is None:
            raise FileFormatError(
                f"{self.where} must begin with the header {','.join(_REQUIRED)}; it is empty"
            )
        return self._result()

    def _header(self, row: list[str], line: int) -> list[str]:
        names = [cell.strip().lower() for cell in row]
        unknown = [name for name in names if name not in (*_REQUIRED, *_OPTIONAL)]
        missing = [name for name in _REQUIRED if name not in names]
        if unknown or missing or len(set(names)) != len(names):
            raise FileFormatError(
                f"{self.where}, line {line}: the header must name {', '.join(_REQUIRED)} and may "
                f"name {', '.join(_OPTIONAL)}, each once, with commas between; given "
                f"{show(','.join(row))}"
            )
        return names

    def _row(self, header: list[str], row: list[str], line: int) -> None:
        if len(row) != len(header):
            raise FileFormatError(
                f"{self.where}, line {line}: a line has {len(header)} fields, as the header; given "
                f"{len(row)}; put quotes around a text with commas"
            )
        if len(self.sides) >= _MAX_ROWS:
            raise FileFormatError(f"{self.where} may hold {_MAX_ROWS:,} preferences; it has more")
        cells = dict(zip(header, (cell.strip() for cell in row), strict=True))
        relation = _SIGNS.get(cells["relation"].lower())
        if relation is None:
            raise FileFormatError(
                f"{self.where}, line {line}, field relation: it must be >, >= or =; given "
                f"{show(cells['relation'])}"
            )
        preferred = self._lottery(cells["preferred"], "preferred", line)
        other = self._lottery(cells["other"], "other", line)
        self.sides.append((preferred, other, relation))
        self.lines.append(line)
        self.counts.append(self._count(cells.get("count") or "1", line))
        self.notes.append(cells.get("note", ""))

    def _lottery(self, text: str, field: str, line: int) -> int:
        """Return the number of a lottery."""
        number = self.known.get(text)
        if number is None:
            try:
                lottery = _packed(text)
            except CosetError as error:
                raise FileFormatError(
                    f"{self.where}, line {line}, field {field}: {error}"
                ) from error
            number = self.numbers.setdefault(lottery, len(self.numbers))
            self.known[text] = number
        return number

    def _count(self, text: str, line: int) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
            raise FileFormatError(
                f"{self.where}, line {line}, field count: it must be a whole number ≥ 1; given "
                f"{show(text)}"
            )
        return int(text)

    def _result(self) -> PreferenceFile:
        lotteries = list(self.numbers)
        outcomes = {name for names, _, _ in lotteries for name in names}
        if len(outcomes) > _MAX_OUTCOMES:
            raise FileFormatError(
                f"{self.where} may name {_MAX_OUTCOMES:,} outcomes; it names {len(outcomes):,}"
            )
        preferences = Preferences.from_packed(lotteries, self.sides)
        counts = np.array(self.counts, dtype=np.int64)
        return PreferenceFile(preferences, tuple(self.lines), counts, tuple(self.notes))


def parse_lottery(text: str) -> Lottery:
    """Read a lottery such as "0.5 win + 0.5 nothing", exactly.

    Args:
        text: an outcome's name, or terms "weight name" joined by " + ".

    Returns:
        The lottery, with fractions as weights.

    Raises:
        DomainError: if a term has no name or no weight, or the weights do not sum to 1.

    Examples:
        >>> parse_lottery("1/3 tea + 2/3 hot milk")
        2/3 hot milk + 1/3 tea
        >>> parse_lottery("tea") == parse_lottery("100% tea")
        True
    """
    names, numerators, scale = _packed(text)
    return Lottery(names, [Fraction(n, scale) for n in numerators])


def _packed(text: str) -> PackedLottery:
    """Read a lottery as integers; the file may hold a hundred thousand of them."""
    terms = _PLUS.split(text.strip())
    if len(terms) > _MAX_TERMS:
        raise DomainError(f"a lottery may have {_MAX_TERMS:,} terms; given {len(terms):,}")
    total: dict[str, Fraction] = {}
    for term in terms:
        weight, name = _term(term.strip(), len(terms) == 1)
        total[name] = total[name] + weight if name in total else weight
    names = sorted(name for name, weight in total.items() if weight)
    result = packed(names, [total[name] for name in names])
    if sum(result[1]) != result[2]:
        over = Fraction(sum(result[1]), result[2]) - 1
        shown = f"{float(1 + over):.6g}"
        if shown == "1":
            shown += f" {'-' if over < 0 else '+'} {number_text(abs(over))}"
        raise DomainError(
            f"the weights of {show(text)} must sum to 1; they sum to {shown}; write fractions "
            f"such as 1/3 where decimals would be rounded"
        )
    return result


def _term(term: str, alone: bool) -> tuple[Fraction, str]:
    head, _, rest = term.partition(" ")
    if _NUMBER.fullmatch(head):
        weight, name = _weight(head), rest.strip()
        if not name:
            raise DomainError(f"a weight needs an outcome after it; given {show(term)}")
        if weight > 1:
            raise DomainError(
                f"a weight is at most 1; given {show(term)}; an outcome whose name begins with a "
                f"number needs its weight before it, such as 1 {head} …"
            )
    elif alone:
        weight, name = Fraction(1), term
    else:
        raise DomainError(
            f'each term of several must be "weight name", such as 0.5 win or 1/2 win; given '
            f"{show(term)}"
        )
    if not name or len(name) > _MAX_NAME:
        raise DomainError(f"an outcome's name has 1 to {_MAX_NAME} characters; given {show(name)}")
    return weight, name


@functools.lru_cache(maxsize=4096)
def _weight(text: str) -> Fraction:
    try:
        value = Fraction(text.removesuffix("%"))
    except ZeroDivisionError:
        raise DomainError(f"a weight must be a number; given {text}") from None
    return value / 100 if text.endswith("%") else value


def write_preferences(path: Path, preferences: Preferences) -> None:
    """Write preferences as a file that `read_preferences` reads.

    Args:
        path: the file.
        preferences: exact ones, whose outcomes are names.

    Raises:
        DomainError: if the preferences are not exact, or an outcome is no name that can be read
            again.
        StorageError: if the file cannot be written.
    """
    if not preferences.is_exact:
        raise DomainError("a file of preferences needs exact weights; given floats; use fractions")
    texts = [_text(preferences.lottery(i)) for i in range(preferences.num_lotteries)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_REQUIRED)
    signs = (">", ">=", "=")
    for p, q, kind in zip(
        preferences.preferred.tolist(),
        preferences.other.tolist(),
        preferences.relation.tolist(),
        strict=True,
    ):
        writer.writerow((signs[kind], texts[p], texts[q]))
    write_atomic(path, buffer.getvalue())


def _text(lottery: Lottery) -> str:
    terms = " + ".join(f"{w} {o}" for o, w in lottery.items())
    try:
        same = parse_lottery(terms) == lottery
    except DomainError:
        same = False
    if not same:
        raise DomainError(f"an outcome of {terms!r} is no name that can be read again; rename it")
    return terms
