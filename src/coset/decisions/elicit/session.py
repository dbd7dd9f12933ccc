"""Answers kept in a file, so that an interview can be stopped and taken up at any time."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from coset.core.errors import FileFormatError
from coset.core.files import dump_json, storage_errors, write_atomic
from coset.decisions.elicit.interview import check_answer
from coset.decisions.preferences.lottery import EventSequence, Lottery, Oracle

__all__ = ["Session"]

_HEADER = {"format": "coset elicitation", "version": 1}
_LARGEST_FILE = 20_000_000


class Session:
    """A notebook of answers, and an oracle that asks only what is not in it yet.

    The file holds one JSON object a line: the format, then each answer with its two lotteries. It
    is written anew, whole or not at all, after each answer. Answers are found again by their
    lotteries, so that an interview may be taken up with another tolerance or other events.

    Args:
        oracle: asked for what is not known.
        path: the file, made at the first answer; ``None`` keeps nothing.

    Attributes:
        num_known: answers that the file held.
        num_asked: answers given since.

    Raises:
        FileFormatError: if the file is none of this kind, or two of its answers contradict each
            other; names the line.

    Examples:
        >>> session = Session(lambda p, q: 1)
        >>> session(Lottery.sure("x"), Lottery.sure("y")), session.num_asked
        (1, 1)
    """

    def __init__(self, oracle: Oracle, path: Path | None = None) -> None:
        self._oracle = oracle
        self._path = path
        self._lines: list[str] = [dump_json(_HEADER, indent=None)]
        self._answers: dict[tuple[str, str], int] = {}
        if path is not None and path.exists():
            self._read(path)
        self.num_known = len(self._lines) - 1
        self.num_asked = 0

    def __call__(self, first: Lottery, second: Lottery) -> int:
        """Return the answer, from the file or from the oracle."""
        one, other = _key(first), _key(second)
        if (one, other) in self._answers:
            return self._answers[one, other]
        if (other, one) in self._answers:
            return -self._answers[other, one]
        answer = check_answer(self._oracle(first, second), first, second)
        self._answers[one, other] = answer
        self.num_asked += 1
        line = {"first": json.loads(one), "second": json.loads(other), "answer": answer}
        self._lines.append(dump_json(line, indent=None))
        if self._path is not None:
            write_atomic(self._path, "".join(self._lines))
        return answer

    def _read(self, path: Path) -> None:
        with storage_errors(path):
            if path.stat().st_size > _LARGEST_FILE:
                raise FileFormatError(
                    f"{path} must have at most {_LARGEST_FILE:,} bytes; it has "
                    f"{path.stat().st_size:,}: no file of answers"
                )
            content = path.read_bytes()
        try:
            # Only "\n" ends a line: names may hold the other ends of lines that Unicode has.
            lines = content.decode("utf-8").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise FileFormatError(
                f"{path} must be UTF-8 text; byte {error.start} is not"
            ) from error
        if _parsed(path, 1, lines[0]) != _HEADER:
            raise FileFormatError(
                f"{path}, line 1, must be {json.dumps(_HEADER)}; it is no file of answers: choose "
                f"another --session"
            )
        for number, line in enumerate(lines[1:], 2):
            record = _parsed(path, number, line)
            one, other = _checked(path, number, record)
            answer = record["answer"]
            before = self._answers.get((one, other), -self._answers.get((other, one), -answer))
            if answer != before:
                raise FileFormatError(
                    f"{path}, line {number}, must not contradict an earlier line; it answers the "
                    f"same question with {answer} instead of {before}: delete one of the lines"
                )
            self._answers[one, other] = answer
            self._lines.append(dump_json(record, indent=None))


def _key(lottery: Lottery) -> str:
    """Return a lottery as JSON text: [[outcome, weight], …]; a sequence is a list of events."""
    pairs = [[_outcome(o), str(Fraction(w))] for o, w in lottery.items()]
    return json.dumps(pairs, ensure_ascii=False)


def _outcome(outcome: Any) -> Any:
    return list(outcome.events) if isinstance(outcome, EventSequence) else str(outcome)


def _parsed(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise FileFormatError(
            f"{path}, line {number}, must be a JSON object; {error!s:.80}"
        ) from error


def _is_lottery(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(x, list) and len(x) == 2 and isinstance(x[1], str) for x in value)
        and all(isinstance(name, str) for x in value for name in _names(x[0]))
    )


def _names(outcome: Any) -> list[Any]:
    return outcome if isinstance(outcome, list) else [outcome]


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "first": (_is_lottery, "a list of [outcome, weight]"),
    "second": (_is_lottery, "a list of [outcome, weight]"),
    "answer": (lambda x: type(x) is int and x in (-1, 0, 1), "−1, 0 or 1"),
}


def _checked(path: Path, number: int, record: Any) -> tuple[str, str]:
    if not isinstance(record, dict) or set(record) != set(_FIELDS):
        raise FileFormatError(
            f"{path}, line {number}, must have the fields {', '.join(_FIELDS)}; it is "
            f"{str(record)[:80]}"
        )
    for name, (holds, what) in _FIELDS.items():
        if not holds(record[name]):
            raise FileFormatError(
                f"{path}, line {number}, {name} must be {what}; it is {str(record[name])[:80]}"
            )
    first, second = (json.dumps(record[n], ensure_ascii=False) for n in ("first", "second"))
    return first, second
