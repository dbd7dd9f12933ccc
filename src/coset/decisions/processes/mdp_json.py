"""Decision processes in JSON, exact: numbers are decimals or fractions, read as they are written.

The file holds one object::

    {
      "format": "coset mdp 1",
      "name": "robot",                                  optional
      "description": "…",                               optional
      "objectives": ["safety", "money"],                the first priority first
      "states": ["left", "right", "end"],
      "actions": ["go", "wait"],
      "start": "left",
      "terminal": ["end"],                              optional: states where the process has ended
      "multiplier": [[1, 0], [0, 0.99]],                optional: for all transitions; 1 if missing
      "transitions": [
        {"state": "left", "action": "go", "next": "right", "reward": [0, 2]},
        {"state": "right", "action": "go", "reward": [0, 1], "outcomes": [
          {"next": "end", "probability": "2/3"},
          {"next": "left", "probability": "1/3", "reward": [-1, 0], "multiplier": 0}
        ]}
      ]
    }

An entry of "transitions" is one action in one state; each pair may be there once, and pairs that
are not listed do not exist. "reward" is a number, or one for each objective; 0 if missing.
"multiplier" is a number, one for each objective, or a lower triangular matrix. Both may stand in
an outcome or in the entry, a multiplier also in the file: the nearest counts.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from coset.core.errors import CosetError, FileFormatError
from coset.core.files import dump_json, write_atomic
from coset.core.foreign_files import read_strict_json
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.mdp_fields import (
    MAX_LABEL,
    TransitionReader,
    Written,
    check_fields,
    read_names,
    show,
)
from coset.decisions.processes.mdp_outcomes import Outcome, outcome_arrays, outcomes_of
from coset.decisions.processes.named_mdp import NamedMDP

__all__ = ["FORMAT", "MAX_FILE_BYTES", "mdp_from_json", "read", "write"]

FORMAT = "coset mdp 1"
MAX_FILE_BYTES = 64 * 2**20
_MAX_NAMES = {"objectives": 16, "states": 1_000_000, "actions": 10_000}


def read(path: Path) -> NamedMDP:
    """Read a decision process from a JSON file.

    Args:
        path: a file of at most 64 MiB.

    Returns:
        The process.

    Raises:
        FileFormatError: if the file is missing, too large, not strict JSON, or a field is wrong.
    """
    too_large = f"may have {MAX_FILE_BYTES:,} bytes; it has more; use npz"
    value = read_strict_json(path, MAX_FILE_BYTES, too_large, parse_float=Written)
    return mdp_from_json(value, str(path))


def mdp_from_json(value: Any, where: str = "the process") -> NamedMDP:
    """Build a decision process from decoded JSON.

    Args:
        value: the object described in this module.
        where: what an error calls it: the file's name.

    Returns:
        The process, in floats and in exact numbers.

    Raises:
        FileFormatError: if a field is missing, unknown or wrong; names the field and its index.

    Example:
        >>> named = mdp_from_json(
        ...     {
        ...         "format": "coset mdp 1",
        ...         "objectives": ["money"],
        ...         "states": ["s", "end"],
        ...         "actions": ["bet"],
        ...         "terminal": ["end"],
        ...         "transitions": [
        ...             {
        ...                 "state": "s",
        ...                 "action": "bet",
        ...                 "outcomes": [
        ...                     {"next": "end", "probability": "1/3", "reward": 2},
        ...                     {"next": "end", "probability": "2/3"},
        ...                 ],
        ...             }
        ...         ],
        ...     }
        ... )
        >>> named.outcomes[0].probability
        Fraction(1, 3)
    """
    check_fields(value, "file", where, where)
    if value["format"] != FORMAT:
        raise FileFormatError(f"{where}: format must be {FORMAT!r}; given {show(value['format'])}")
    names = {f: read_names(value[f], f, limit, where) for f, limit in _MAX_NAMES.items()}
    reader = TransitionReader(names, value.get("multiplier", 1), where)
    start = reader.place("states", value.get("start", next(iter(names["states"]))), "start")
    ended = value.get("terminal", [])
    if not isinstance(ended, list):
        raise FileFormatError(f"{where}: terminal must be a list of states; given {show(ended)}")
    terminal = {reader.place("states", s, f"terminal[{i}]") for i, s in enumerate(ended)}
    outcomes = reader.outcomes(value["transitions"], terminal)
    sizes = (len(names["states"]), len(names["actions"]), len(names["objectives"]))
    try:
        mdp = MDP(**outcome_arrays(outcomes, *sizes, where=where))
    except FileFormatError:
        raise
    except CosetError as error:
        raise FileFormatError(f"{where}: {error}") from error
    title = value.get("name", "")
    if not isinstance(title, str) or len(title) > MAX_LABEL:
        raise FileFormatError(
            f"{where}: name must be text of at most {MAX_LABEL} characters; given {show(title)}"
        )
    labels = {field: tuple(found) for field, found in names.items()}
    return NamedMDP(mdp, **labels, start=start, name=title, outcomes=outcomes)


def write(path: Path, named: NamedMDP) -> None:
    """Write a decision process as JSON that `read` reads.

    Args:
        path: the file.
        named: the process; without exact numbers its floats are written with all digits.

    Raises:
        StorageError: if the file cannot be written.
    """
    outcomes = named.outcomes or outcomes_of(named.mdp)
    pairs: dict[tuple[int, int], list[Outcome]] = {}
    for outcome in outcomes:
        pairs.setdefault((outcome.state, outcome.action), []).append(outcome)
    terminal = [name for name, ended in zip(named.states, _terminal(named), strict=True) if ended]
    value: dict[str, Any] = {
        "format": FORMAT,
        "name": named.name,
        "objectives": list(named.objectives),
        "states": list(named.states),
        "actions": list(named.actions),
        "start": named.states[named.start],
        "terminal": terminal,
        "transitions": [
            {
                "state": named.states[state],
                "action": named.actions[action],
                "outcomes": [_written(outcome, named) for outcome in own],
            }
            for (state, action), own in pairs.items()
        ],
    }
    write_atomic(path, dump_json(value))


def _terminal(named: NamedMDP) -> list[bool]:
    return (~named.mdp.allowed.any(1)).tolist()


def _text(number: Fraction) -> int | str:
    return number.numerator if number.denominator == 1 else str(number)


def _written(outcome: Outcome, named: NamedMDP) -> dict[str, Any]:
    return {
        "next": named.states[outcome.successor],
        "probability": _text(outcome.probability),
        "reward": [_text(x) for x in outcome.reward],
        "multiplier": [[_text(x) for x in row] for row in outcome.multiplier],
    }
