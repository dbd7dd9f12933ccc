"""Automata in JSON files, read with limits and errors that name the file and the field.

The file holds one object::

    {
      "format": "coset automaton 1",
      "name": "parity",
      "description": "odd number of ones",            optional
      "tokens": ["0", "1"],
      "states": ["even", "odd"],
      "start": "even",
      "accepting": ["odd"],                           optional
      "otherwise": "error",                           optional: where transitions not listed lead
      "transitions": {
        "even": {"0": "even", "1": "odd"},
        "odd": {"0": "odd", "1": "even"}
      }
    }
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from coset.core.errors import CosetError, FileFormatError
from coset.core.files import write_json
from coset.core.foreign_files import read_strict_json, show
from coset.ssm.automata.automaton import Automaton
from coset.ssm.automata.transitions import MAX_TRANSITIONS

__all__ = ["FORMAT", "MAX_FILE_BYTES", "automaton_from_json", "read_automaton", "write_automaton"]

FORMAT = "coset automaton 1"
MAX_FILE_BYTES = 32 * 2**20
_MAX_NAMES = 100_000
_MAX_LABEL = 200
_REQUIRED = ("format", "tokens", "states", "start", "transitions")
_OPTIONAL = ("name", "description", "accepting", "otherwise")


def read_automaton(path: Path) -> Automaton:
    """Read an automaton from a file.

    Args:
        path: a JSON file of at most 32 MiB.

    Returns:
        The automaton.

    Raises:
        FileFormatError: if the file is missing, too large, not strict JSON, or a field is wrong.
    """
    too_large = f"may have {MAX_FILE_BYTES:,} bytes as an automaton; it has more"
    value = read_strict_json(path, MAX_FILE_BYTES, too_large)
    return automaton_from_json(value, str(path))


def automaton_from_json(value: Any, where: str = "the automaton") -> Automaton:
    """Build an automaton from decoded JSON.

    Args:
        value: the object described in this module.
        where: what an error calls it: the file's name.

    Returns:
        The automaton.

    Raises:
        FileFormatError: if a field is missing, unknown or wrong; names the field.
    """
    _check_fields(value, where)
    states = _names(value["states"], "states", where)
    tokens = _names(value["tokens"], "tokens", where)
    if len(states) * len(tokens) > MAX_TRANSITIONS:
        raise FileFormatError(
            f"{where}: states × tokens may be {MAX_TRANSITIONS:,}; given {len(states):,} × "
            f"{len(tokens):,}"
        )
    place = {state: q for q, state in enumerate(states)}
    accepting = value.get("accepting")
    if accepting is not None:
        if not isinstance(accepting, list):
            raise FileFormatError(f"{where}: accepting must be a list; given {show(accepting)}")
        accepting = [_state(q, place, f"accepting[{i}]", where) for i, q in enumerate(accepting)]
    start = _state(value["start"], place, "start", where)
    delta = _transitions(value, place, tokens, where)
    name = _text(value.get("name", ""), "name", where)
    _text(value.get("description", ""), "description", where, 10_000)
    try:
        return Automaton.from_dfa(
            delta, start, accepting, state_labels=states, token_labels=tokens, name=name
        )
    except CosetError as error:
        raise FileFormatError(f"{where}: {error}") from error


def _check_fields(value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        raise FileFormatError(f"{where} must hold one JSON object; given {show(value)}")
    unknown = [key for key in value if key not in (*_REQUIRED, *_OPTIONAL)]
    missing = [key for key in _REQUIRED if key not in value]
    if unknown or missing:
        what = f"field {show(unknown[0])} is unknown" if unknown else f"{missing[0]} is missing"
        raise FileFormatError(
            f"{where}: {what}; an automaton has the fields {', '.join(_REQUIRED)} and may have "
            f"{', '.join(_OPTIONAL)}"
        )
    if not isinstance(value["transitions"], Mapping):
        raise FileFormatError(
            f"{where}: transitions must be an object with one object for each state; given "
            f"{show(value['transitions'])}"
        )
    if value["format"] != FORMAT:
        raise FileFormatError(f"{where}: format must be {FORMAT!r}; given {show(value['format'])}")


def _names(value: Any, field: str, where: str) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_NAMES:
        given = f"{len(value):,}" if isinstance(value, list) else show(value)
        raise FileFormatError(
            f"{where}: {field} must be a list of 1 to {_MAX_NAMES:,} names; given {given}"
        )
    seen: set[str] = set()
    for place, name in enumerate(value):
        _text(name, f"{field}[{place}]", where)
        if name in seen:
            raise FileFormatError(f"{where}: {field} must differ; {show(name)} is there twice")
        seen.add(name)
    return value


def _text(value: Any, field: str, where: str, limit: int = _MAX_LABEL) -> str:
    if not isinstance(value, str) or len(value) > limit:
        given = f"{len(value):,} characters" if isinstance(value, str) else show(value)
        raise FileFormatError(
            f"{where}: {field} must be text of at most {limit:,} characters; given {given}"
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise FileFormatError(f"{where}: {field} holds half of a surrogate pair") from error
    return value


def _state(value: Any, place: Mapping[str, int], field: str, where: str) -> int:
    if not isinstance(value, str) or value not in place:
        raise FileFormatError(f"{where}: {field} must be one of states; given {show(value)}")
    return place[value]


def _transitions(
    value: Mapping[str, Any], place: Mapping[str, int], tokens: list[str], where: str
) -> np.ndarray:
    """Return δ from the rows of the file and from ``otherwise``."""
    rows = value["transitions"]
    other = -1
    if "otherwise" in value:
        other = _state(value["otherwise"], place, "otherwise", where)
    column = {token: x for x, token in enumerate(tokens)}
    delta = np.full((len(place), len(tokens)), other, dtype=np.int64)
    for state, row in rows.items():
        field = f"transitions[{show(state)}]"
        q = _state(state, place, f"the key {field}", where)
        if not isinstance(row, Mapping):
            raise FileFormatError(f"{where}: {field} must be an object; given {show(row)}")
        for token, after in row.items():
            if token not in column:
                raise FileFormatError(
                    f"{where}: each key of {field} must be one of tokens; given {show(token)}"
                )
            there = _state(after, place, f"{field}[{show(token)}]", where)
            delta[q, column[token]] = there
    if (delta < 0).any():
        q, x = (int(i) for i in np.argwhere(delta < 0)[0])
        state = next(s for s, number in place.items() if number == q)
        raise FileFormatError(
            f"{where}: transitions[{show(state)}][{show(tokens[x])}] is missing; list it, or "
            f"name in the field otherwise where what is not listed leads"
        )
    return delta


def write_automaton(automaton: Automaton, path: Path) -> None:
    """Write an automaton as a file that `read_automaton` reads.

    Args:
        automaton: any.
        path: the file.

    Raises:
        FileFormatError: if a name is too long to be read again.
        StorageError: if the file cannot be written.
    """
    states, tokens = automaton.state_labels, automaton.token_labels
    value: dict[str, Any] = {
        "format": FORMAT,
        "tokens": list(tokens),
        "states": list(states),
        "start": states[automaton.start],
        "transitions": {
            states[q]: {tokens[x]: states[after] for x, after in enumerate(row)}
            for q, row in enumerate(automaton.delta.tolist())
        },
    }
    if automaton.name:
        value["name"] = automaton.name
    if automaton.accepting is not None:
        value["accepting"] = [states[q] for q in automaton.accepting]
    automaton_from_json(value, str(path))  # what is written can be read again
    write_json(path, value)
