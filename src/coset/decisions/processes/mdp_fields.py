"""The fields of a decision process in JSON: names, exact numbers, transitions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from coset.core.errors import FileFormatError
from coset.decisions.processes.mdp_outcomes import Outcome

__all__ = ["MAX_LABEL", "TransitionReader", "Written", "check_fields", "read_names", "show"]

MAX_LABEL = 200
_NUMBER = re.compile(r"[+-]?\d{1,50}(?:\.\d{1,50})?(?:[eE][+-]?\d{1,3})?(?:/\d{1,50})?")
_FIELDS = {
    "file": (
        ("format", "objectives", "states", "actions", "transitions"),
        ("name", "description", "start", "terminal", "multiplier"),
    ),
    "entry": (("state", "action"), ("next", "outcomes", "reward", "multiplier")),
    "outcome": (("next",), ("probability", "reward", "multiplier")),
}


class Written(str):
    """A decimal as it is written in the file, so that 0.1 is 1/10."""


def check_fields(value: Any, kind: str, field: str, where: str) -> None:
    """Refuse an object that lacks a field or has an unknown one.

    Args:
        value: what the file holds.
        kind: "file", "entry" or "outcome".
        field: how an error calls it; the same as `where` for the whole file.
        where: the file.

    Raises:
        FileFormatError: if it is no such object.
    """
    required, optional = _FIELDS[kind]
    place = where if field == where else f"{where}: {field}"
    if not isinstance(value, Mapping):
        raise FileFormatError(f"{place} must hold a JSON object; given {show(value)}")
    unknown = [key for key in value if key not in (*required, *optional)]
    missing = [key for key in required if key not in value]
    if unknown or missing:
        what = f"field {show(unknown[0])} is unknown" if unknown else f"{missing[0]} is missing"
        raise FileFormatError(
            f"{place}: {what}; it has the fields {', '.join(required)} and may have "
            f"{', '.join(optional)}"
        )


def read_names(value: Any, field: str, limit: int, where: str) -> dict[str, int]:
    """Read a list of distinct names.

    Args:
        value: what the file holds.
        field: how an error calls it.
        limit: the most names.
        where: the file.

    Returns:
        Name to index.

    Raises:
        FileFormatError: if it is no such list; names the index.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= limit:
        given = f"{len(value):,}" if isinstance(value, list) else show(value)
        raise FileFormatError(
            f"{where}: {field} must be a list of 1 to {limit:,} names; given {given}"
        )
    found: dict[str, int] = {}
    for index, name in enumerate(value):
        if not isinstance(name, str) or isinstance(name, Written) or len(name) > MAX_LABEL:
            raise FileFormatError(
                f"{where}: {field}[{index}] must be text of at most {MAX_LABEL} characters; given "
                f"{show(name)}"
            )
        if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in name):
            raise FileFormatError(
                f"{where}: {field}[{index}] must be text that can be written again, without NUL "
                f"and halves of surrogate pairs; given {name!a}"
            )
        if name in found:
            raise FileFormatError(
                f"{where}: {field} must differ; {field}[{index}] {show(name)} is also "
                f"{field}[{found[name]}]"
            )
        found[name] = index
    return found


def show(value: Any) -> str:
    """Return a value for an error, at most 60 characters of it.

    Args:
        value: any.

    Returns:
        The text.
    """
    text = str(value) if isinstance(value, Written) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


class TransitionReader:
    """Reads transitions, with names for places and the file's multiplier at hand.

    Args:
        names: the names of states, actions and objectives, each with its index.
        multiplier: of the file, for transitions that have none.
        where: the file, for errors.
    """

    def __init__(self, names: Mapping[str, Mapping[str, int]], multiplier: Any, where: str) -> None:
        self.names, self.where = names, where
        self.depth = len(names["objectives"])
        self.default = self._matrix(multiplier, "multiplier")

    def place(self, field: str, name: Any, where: str) -> int:
        """Return the index of a name.

        Args:
            field: "states" or "actions".
            name: what the file holds.
            where: how an error calls the place.

        Returns:
            The index.

        Raises:
            FileFormatError: if there is no such name.
        """
        if not isinstance(name, str) or isinstance(name, Written) or name not in self.names[field]:
            raise FileFormatError(
                f"{self.where}: {where} must be one of {field}; given {show(name)}"
            )
        return self.names[field][name]

    def _number(self, value: Any, field: str) -> Fraction:
        known = isinstance(value, int | float | str) and not isinstance(value, bool)
        text = str(value) if known else ""
        if not _NUMBER.fullmatch(text):
            raise FileFormatError(
                f'{self.where}: {field} must be a number, or a fraction such as "1/3", of at '
                f"most 50 digits and exponent 999; given {show(value)}"
            )
        top, _, bottom = text.partition("/")
        if bottom and not int(bottom):
            raise FileFormatError(f"{self.where}: {field} divides by 0; given {show(value)}")
        number = Fraction(top) / int(bottom or "1")
        if not _is_float(number):
            raise FileFormatError(
                f"{self.where}: {field} must be below 1.8e308; given {show(value)}"
            )
        return number

    def _vector(self, value: Any, field: str) -> tuple[Fraction, ...]:
        parts = value if isinstance(value, list) else [value]
        if len(parts) != self.depth:
            raise FileFormatError(
                f"{self.where}: {field} must have one number for each of {self.depth} objectives; "
                f"given {show(value)}"
            )
        return tuple(self._number(part, f"{field}[{i}]") for i, part in enumerate(parts))

    def _matrix(self, value: Any, field: str) -> tuple[tuple[Fraction, ...], ...]:
        rows = value if isinstance(value, list) else [value] * self.depth
        if len(rows) != self.depth:
            raise FileFormatError(
                f"{self.where}: {field} must be a number, or have {self.depth} numbers or rows; "
                f"given {show(value)}"
            )
        if not any(isinstance(row, list) for row in rows):
            rows = [[row if i == j else 0 for j in range(self.depth)] for i, row in enumerate(rows)]
        matrix = tuple(self._vector(row, f"{field}[{i}]") for i, row in enumerate(rows))
        for i, row in enumerate(matrix):
            if any(row[i + 1 :]) or (row[i] < 0 and self.depth > 1):
                raise FileFormatError(
                    f"{self.where}: {field} must be lower triangular and not negative on the "
                    f"diagonal (a lower priority never changes a higher one, nor its order); row "
                    f"{i} is {show(rows[i])}"
                )
        return matrix

    def outcomes(self, entries: Any, terminal: set[int]) -> tuple[Outcome, ...]:
        """Read all transitions.

        Args:
            entries: what the file holds.
            terminal: the states that must have none.

        Returns:
            The outcomes of positive probability.

        Raises:
            FileFormatError: if an entry is wrong or there twice, or a state has no action.
        """
        if not isinstance(entries, list):
            raise FileFormatError(
                f"{self.where}: transitions must be a list of objects; given {show(entries)}"
            )
        seen: dict[tuple[int, int], int] = {}
        found: list[Outcome] = []
        for index, entry in enumerate(entries):
            field = f"transitions[{index}]"
            check_fields(entry, "entry", field, self.where)
            state = self.place("states", entry["state"], f"{field}.state")
            action = self.place("actions", entry["action"], f"{field}.action")
            before = seen.setdefault((state, action), index)
            named = f"action {show(entry['action'])} in state {show(entry['state'])}"
            if before != index:
                raise FileFormatError(
                    f"{self.where}: {field} is {named}, which transitions[{before}] is too; list "
                    f"each pair once, with all its outcomes"
                )
            if state in terminal:
                raise FileFormatError(
                    f"{self.where}: {field} is {named}, which is terminal; drop one of the two"
                )
            found += self._entry(entry, field, state, action)
        acting = {state for state, _ in seen} | terminal
        idle = next((s for s, i in self.names["states"].items() if i not in acting), None)
        if idle is not None:
            raise FileFormatError(
                f"{self.where}: state {show(idle)} has no action; list one in transitions, or "
                f"list the state in terminal"
            )
        return tuple(found)

    def _entry(
        self, entry: Mapping[str, Any], field: str, state: int, action: int
    ) -> list[Outcome]:
        if ("next" in entry) == ("outcomes" in entry):
            raise FileFormatError(f"{self.where}: {field} must have either next or outcomes")
        listed = [{"next": entry["next"]}] if "next" in entry else entry["outcomes"]
        if not isinstance(listed, list) or not listed:
            raise FileFormatError(
                f"{self.where}: {field}.outcomes must be a list of at least one object; given "
                f"{show(listed)}"
            )
        found = []
        for k, outcome in enumerate(listed):
            inner = field if "next" in entry else f"{field}.outcomes[{k}]"
            check_fields(outcome, "outcome", inner, self.where)
            own = {**{k: entry[k] for k in ("reward", "multiplier") if k in entry}, **outcome}
            probability = self._number(own.get("probability", 1), f"{inner}.probability")
            if not 0 <= probability <= 1:
                raise FileFormatError(
                    f"{self.where}: {inner}.probability must be in [0, 1]; given "
                    f"{show(own['probability'])}"
                )
            successor = self.place("states", own["next"], f"{inner}.next")
            zero = [0] * self.depth
            reward = self._vector(own.get("reward", zero), f"{inner}.reward")
            multiplier = self.default
            if "multiplier" in own:
                multiplier = self._matrix(own["multiplier"], f"{inner}.multiplier")
            if probability:
                found.append(Outcome(state, action, successor, probability, reward, multiplier))
        return self._whole(found, field)

    def _whole(self, outcomes: list[Outcome], field: str) -> list[Outcome]:
        """Let probabilities that were rounded when written sum to 1; refuse others."""
        total = sum((outcome.probability for outcome in outcomes), Fraction(0))
        if abs(total - 1) > Fraction(1, 10**6):
            raise FileFormatError(
                f"{self.where}: the probabilities of {field} must sum to 1; they sum to "
                f"{float(total):.9g}"
            )
        if total == 1:
            return outcomes
        return [
            Outcome(o.state, o.action, o.successor, o.probability / total, o.reward, o.multiplier)
            for o in outcomes
        ]


def _is_float(number: Fraction) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False
