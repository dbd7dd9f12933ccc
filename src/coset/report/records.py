"""Stored verdicts, read with suspicion: a damaged or foreign file becomes a notice, not a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coset.core.errors import FileFormatError
from coset.core.files import read_json

__all__ = ["SEEN", "Notice", "Record", "read_records"]

SEEN = ("holds", "refuted", "open", "unavailable", "error")
MAX_BYTES = 20_000_000


@dataclass(frozen=True)
class Notice:
    """Something that the report could not use, shown to the reader.

    Attributes:
        where: the file or the part of the library.
        problem: what is wrong with it.
    """

    where: str
    problem: str


@dataclass(frozen=True)
class Record:
    """One stored verdict that has the right form.

    Attributes:
        claim: the claim's id.
        path: the file.
        values: the whole record, as stored.
    """

    claim: str
    path: Path
    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name)

    @property
    def result(self) -> Mapping[str, Any]:
        """What the judge returned, empty if it returned nothing."""
        return self.values.get("result") or {}

    @property
    def mutants(self) -> list[Mapping[str, Any]]:
        """The mutants that were tried."""
        return list(self.values.get("mutants") or ())

    @property
    def mutants_caught(self) -> int:
        """How many mutants were near misses and were caught."""
        return sum(m["caught"] and m["near_miss"] for m in self.mutants)

    @property
    def as_expected(self) -> bool:
        """Whether verdict and mutants are as expected, judged again from the stored parts."""
        return (
            self["as_expected"] is True
            and self["seen"] == self["expected"]
            and not self["problem"]
            and self.mutants_caught == len(self.mutants)
        )


def read_records(folder: Path) -> tuple[dict[str, Record], list[Notice]]:
    """Read every stored verdict of a folder.

    Args:
        folder: with one ``<claim id>.json`` a claim; may be absent.

    Returns:
        The records by claim id, and a notice for each file that is no such record.
    """
    records: dict[str, Record] = {}
    notices: list[Notice] = []
    for path in _listed(folder, notices):
        fault, record = _read(path)
        if record is None:
            notices.append(Notice(str(path), fault))
        else:
            records[record.claim] = record
            if record["as_expected"] is True and not record.as_expected:
                notices.append(Notice(str(path), "calls itself as expected, but its parts do not"))
    return records, notices


def _listed(folder: Path, notices: list[Notice]) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        notices.append(Notice(str(folder), f"cannot be read: {error.strerror}"))
        return []
    shown = [path for path in found if not path.name.startswith(".")]
    for path in shown:
        if path.suffix != ".json":
            notices.append(Notice(str(path), "is not a stored verdict (.json) and was not read"))
    return [path for path in shown if path.suffix == ".json"]


def _read(path: Path) -> tuple[str, Record | None]:
    try:
        if not path.is_file():
            return "is not a regular file", None
        if path.stat().st_size > MAX_BYTES:
            return f"is larger than {MAX_BYTES:,} bytes and was not read", None
        value = read_json(path)
    except FileFormatError as error:
        return f"is damaged: {str(error).removeprefix(f'{path} ')}", None
    except (OSError, ValueError, RecursionError) as error:
        return f"cannot be read: {error}", None
    fault = _fault(value)
    if not fault and value["claim"] != path.stem:
        fault = f"holds the verdict of another claim, {value['claim']!r}"
    return fault, None if fault else Record(value["claim"], path, value)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or is_number or value in ("nan", "inf", "-inf")


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _is_object(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _is_interval(value: Any) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2
    return value is None or (is_pair and all(_is_number(end) for end in value))


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "claim": lambda v: isinstance(v, str) and bool(v),
    "expected": lambda v: v in SEEN[:4],
    "seen": lambda v: v in SEEN,
    "as_expected": lambda v: isinstance(v, bool),
    "problem": lambda v: v is None or isinstance(v, str),
    "preset": lambda v: isinstance(v, str),
    "duration_s": _is_number,
    "result": _is_object,
    "mutants": lambda v: v is None or isinstance(v, list),
}
_RESULT_FIELDS: dict[str, Callable[[Any], bool]] = {
    "holds": lambda v: v is None or isinstance(v, bool),
    "measured": _is_number,
    "bound": _is_number,
    "detail": lambda v: v is None or isinstance(v, str),
    "sample_size": _is_count,
    "interval": _is_interval,
    "false_alarm": _is_number,
    "counterexample": _is_object,
    "evidence": _is_object,
}


def _fault(value: Any) -> str:
    """Return what keeps a decoded file from being a verdict, or ""."""
    if not isinstance(value, dict):
        return "is not a stored verdict: it is not a JSON object"
    for name, is_right in _FIELDS.items():
        if not is_right(value.get(name)):
            return f"is not a stored verdict: field {name!r} is {str(value.get(name))[:60]!r}"
    for name, is_right in _RESULT_FIELDS.items():
        if not is_right((value["result"] or {}).get(name)):
            return f"is not a stored verdict: field 'result.{name}' has the wrong type"
    for mutant in value.get("mutants") or ():
        is_mutant = isinstance(mutant, dict) and isinstance(mutant.get("name"), str)
        if not is_mutant or not all(
            isinstance(mutant.get(k), bool) for k in ("caught", "near_miss")
        ):
            return "is not a stored verdict: a mutant lacks name, caught or near_miss"
    return _contradiction(value)


def _contradiction(value: Mapping[str, Any]) -> str:
    """Return how the verdict disagrees with the judge's own answer, or ""."""
    seen = value["seen"]
    if value["result"] is None or seen in ("unavailable", "error"):
        alone = seen in ("holds", "refuted", "open")
        return f"contradicts itself: seen is {seen!r} without a result" if alone else ""
    meaning = {True: "holds", False: "refuted", None: "open"}[value["result"].get("holds")]
    if meaning == seen:
        return ""
    return f"contradicts itself: seen is {seen!r}, but the judge's answer means {meaning!r}"
