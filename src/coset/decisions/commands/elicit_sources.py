"""The files that ``coset decisions elicit`` reads: words, answers, and simulated people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coset.core.errors import ConfigError, CosetError, FileFormatError
from coset.core.files import read_json, storage_errors

__all__ = ["check_kind", "check_names", "names_of", "read_answers", "read_person", "read_words"]

_ANSWERS = {"1": 1, "2": -1, "=": 0, "0": 0}
_LARGEST_FILE = 1_000_000


def _check(path: Path) -> None:
    if not path.is_file():
        raise FileFormatError(f"{path} must be a file; there is none")
    with storage_errors(path):
        size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise FileFormatError(f"{path} must have at most {_LARGEST_FILE:,} bytes; it has {size:,}")


def read_words(path: Path) -> dict[str, str]:
    """Read how events or outcomes are said: {"name": "words", …}.

    Args:
        path: a JSON file.

    Returns:
        Name to words.

    Raises:
        FileFormatError: if it is something else.
    """
    _check(path)
    value = read_json(path)
    if not isinstance(value, dict) or not value:
        raise FileFormatError(f'{path} must hold {{"name": "words", …}}; it holds {_short(value)}')
    for name, said in value.items():
        if not isinstance(said, str) or not said.strip():
            raise FileFormatError(f"{path}, field {name!r}, must be text; it is {_short(said)}")
    return value


def read_answers(path: Path) -> list[int]:
    """Read answers, one a line: 1, 2 or =; empty lines and what follows # are skipped.

    Args:
        path: a text file.

    Returns:
        +1, −1 and 0.

    Raises:
        FileFormatError: if a line is something else.
    """
    _check(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path} must be UTF-8 text; byte {error.start} is not") from error
    found = []
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip()
        if text and text not in _ANSWERS:
            raise FileFormatError(f"{path}, line {number}, must be 1, 2 or =; it is {_short(text)}")
        if text:
            found.append(_ANSWERS[text])
    return found


def read_person(path: Path) -> Any:
    """Read a simulated person.

    Args:
        path: a JSON file: {"reward": {event: r, …}, "multiplier": {event: m, …}}; with "unsafe":
            [event, …], and "terminal": [event, …], safety first; or {"utility": {outcome: u, …}}
            where u is a number or a list of numbers by priority. Numbers may be text, "9/10".

    Returns:
        The model, an oracle.

    Raises:
        FileFormatError: if it is something else, with the reason.
    """
    from coset.decisions.preferences.models import AffineModel, LexicographicUtility, safety_model

    _check(path)
    value = read_json(path)
    fields = set(value) if isinstance(value, dict) else set()
    try:
        if fields == {"utility"} and isinstance(value["utility"], dict):
            vectors = {o: u if isinstance(u, list) else [u] for o, u in value["utility"].items()}
            return LexicographicUtility(vectors)
        if fields == {"reward", "multiplier"}:
            _check_tables(path, value)
            if any(isinstance(r, list) for r in value["reward"].values()):
                from coset.decisions.preferences.models import LexicographicModel

                return LexicographicModel(value["reward"], value["multiplier"])
            return AffineModel(value["reward"], value["multiplier"])
        if {"reward", "multiplier", "unsafe"} <= fields <= _SAFETY:
            _check_tables(path, value)
            terminal = value.get("terminal", [])
            return safety_model(value["reward"], value["multiplier"], value["unsafe"], terminal)
    except CosetError as error:
        raise FileFormatError(f"{path}: {error}") from error
    raise FileFormatError(
        f'{path} must hold {{"reward": {{…}}, "multiplier": {{…}}}}, these with "unsafe": […], or '
        f'{{"utility": {{…}}}}; it holds {_short(value)}'
    )


_SAFETY = {"reward", "multiplier", "unsafe", "terminal"}


def _check_tables(path: Path, value: dict[str, Any]) -> None:
    for name in ("reward", "multiplier"):
        if not isinstance(value[name], dict):
            raise FileFormatError(
                f"{path}, field {name!r}, must be {{event: number, …}}; it is {_short(value[name])}"
            )
    for name in ("unsafe", "terminal"):
        listed = value.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(e, str) for e in listed):
            raise FileFormatError(
                f"{path}, field {name!r}, must be a list of events; it is {_short(listed)}"
            )


def check_kind(path: Path, person: Any, kind: str) -> None:
    """Refuse a simulated person who knows outcomes if events are asked about, or the reverse.

    Args:
        path: where the person was read from.
        person: what `read_person` returned.
        kind: of elicitation.

    Raises:
        FileFormatError: if the kind asks about something else.
    """
    on_events = kind in ("affine", "safety")
    if hasattr(person, "events") != on_events:
        fields = '"reward" and "multiplier"' if on_events else '"utility"'
        raise FileFormatError(
            f"{path} must hold {fields} for --kind {kind}; it holds a person for other kinds"
        )


def check_names(names: list[str]) -> None:
    """Refuse names that cannot be shown, or not be written to the file of answers.

    Args:
        names: events or outcomes.

    Raises:
        ConfigError: if one is blank or holds bytes that are no UTF-8 text.
    """
    for name in names:
        if not name.strip() or name != name.encode(errors="replace").decode():
            raise ConfigError(f"a name must be UTF-8 text and not blank; given {name!r:.60}")


def names_of(person: Any) -> list[str]:
    """Return the events or outcomes of a model.

    Args:
        person: what `read_person` returned.

    Returns:
        Their names.
    """
    return list(person.events if hasattr(person, "events") else person.outcomes)


def _short(value: Any) -> str:
    return repr(value)[:80]
