"""Overrides of configuration fields given as text: ``learning_rate=0.1``, ``model.width=64``.

All overrides are applied at once, so that a configuration whose fields are only valid together is
never built half-changed. Nothing here loads torch.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from coset.core.errors import ConfigError
from coset.lab.configs import (
    canonical,
    conform,
    field_types,
    from_json,
    leaves,
    misfit,
    to_json,
    type_name,
    unknown_field,
)

__all__ = [
    "apply_overrides",
    "format_override",
    "from_json",
    "parse_assignments",
    "parse_text",
    "replace_fields",
    "to_json",
]

Config = TypeVar("Config")

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def apply_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """Return `config` with fields replaced as the texts say.

    Args:
        config: an instance of a frozen dataclass.
        overrides: texts of the form ``field=value``, dots for nested dataclasses. Booleans are
            true or false, tuples ``1,2,3`` or JSON, no value is ``none``.

    Returns:
        A new configuration, built once with all changes.

    Raises:
        ConfigError: if a text has no ``=``, a field is unknown or set twice, or a value does not
            fit; the message names the field, its type, what was given and the known fields.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Net:
        ...     width: int = 8
        ...     rate: float = 0.5
        >>> apply_overrides(Net(), ["width=16"])
        Net(width=16, rate=0.5)
    """
    return replace_fields(config, parse_assignments(overrides))


def parse_assignments(overrides: Sequence[str]) -> dict[str, str]:
    """Split texts of the form ``field=value``.

    Args:
        overrides: the texts.

    Returns:
        Field to value, as text.

    Raises:
        ConfigError: if a text has no ``=`` or a field stands twice.
    """
    changes: dict[str, str] = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ConfigError(f"an override must look like field=value; given {text!r}")
        if name in changes:
            raise ConfigError(f"{name} is set twice ({changes[name]!r}, {value!r}); give it once")
        changes[name] = value
    return changes


def replace_fields(config: Config, changes: Mapping[str, Any]) -> Config:
    """Return `config` with the named fields replaced.

    Args:
        config: an instance of a frozen dataclass.
        changes: dotted field name to a value of the field's type, or to a text for it.

    Returns:
        A new canonical configuration, built once with all changes.

    Raises:
        ConfigError: if a field is unknown or a value does not fit.
    """
    result: Config = _replace(canonical(config), changes, "")
    return result


def _replace(config: Any, changes: Mapping[str, Any], prefix: str) -> Any:
    config_class: Any = type(config)
    known = field_types(config_class)
    direct: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        head, dot, rest = name.partition(".")
        if head not in known:
            raise unknown_field(prefix + head, leaves(config, prefix), type(config).__name__)
        if dot:
            nested.setdefault(head, {})[rest] = value
        else:
            direct[head] = _value_of(known[head], value, prefix + head, config)
    for head, inner in nested.items():
        part = direct.get(head, getattr(config, head))
        if not dataclasses.is_dataclass(part):
            raise ConfigError(
                f"{prefix}{head} must be a dataclass to set {prefix}{head}.{next(iter(inner))}; "
                f"it is {part!r}"
            )
        direct[head] = _replace(part, inner, f"{prefix}{head}.")
    return dataclasses.replace(config, **direct)


def _value_of(hint: Any, value: Any, name: str, config: Any) -> Any:
    try:
        if isinstance(value, str):
            return parse_text(hint, value, name)
        return conform(hint, value, name)
    except ConfigError as error:
        fields = ", ".join(leaves(config, name.rpartition(".")[0] + "." if "." in name else ""))
        raise ConfigError(f"{error}; known fields: {fields}") from error


def parse_text(hint: Any, text: str, where: str) -> Any:
    """Read a value of the type `hint` from text.

    Args:
        hint: a resolved annotation.
        text: for instance "0.1", "true", "none", "1,2,3", "[1, 2]".
        where: the field's name, for the message.

    Returns:
        The value.

    Raises:
        ConfigError: if the text does not fit the type.

    Example:
        >>> parse_text(tuple[int, ...], "4,5", "sizes")
        (4, 5)
    """
    members = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is Literal:
        for allowed in members:
            if format_value(allowed) == text.strip():
                return allowed
        raise misfit(hint, text, where)
    if origin is tuple:
        return _parse_tuple(hint, text, where)
    if dataclasses.is_dataclass(hint):
        first = next(iter(field_types(hint)))  # type: ignore[arg-type]
        raise ConfigError(
            f"{where} is a {type_name(hint)}; set its fields, as in {where}.{first}=…"
        )
    if members:
        return _parse_union(members, hint, text, where)
    return _parse_scalar(hint, text, where)


def _parse_scalar(hint: Any, text: str, where: str) -> Any:
    word = text.strip().lower()
    if hint is str:
        return text
    if hint is type(None) and word in ("none", "null"):
        return None
    if hint is bool and word in _TRUE + _FALSE:
        return word in _TRUE
    try:
        if hint is int:
            return int(word)
        if hint is float:
            return conform(float, float(word), where)
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
    raise misfit(hint, text, where)


def _parse_union(members: tuple[Any, ...], hint: Any, text: str, where: str) -> Any:
    # Free text last: it would swallow "none" and numbers; JSON quotes make it text again.
    if str in members and text.startswith('"'):
        try:
            return conform(str, json.loads(text), where)
        except json.JSONDecodeError:
            return text
    for member in sorted(members, key=lambda m: m is str):
        try:
            return parse_text(member, text, where)
        except ConfigError:
            continue
    raise misfit(hint, text, where)


def _parse_tuple(hint: Any, text: str, where: str) -> tuple[Any, ...]:
    stripped = text.strip()
    if stripped.startswith("["):
        try:
            result: tuple[Any, ...] = conform(hint, json.loads(stripped), where)
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"{where} must be {type_name(hint)}; given {text!r}, which is not JSON: {error.msg}"
            ) from error
        return result
    if stripped.startswith("(") and stripped.endswith(")"):
        stripped = stripped[1:-1]
    parts = [p.strip() for p in stripped.split(",")] if stripped.strip() else []
    if parts and parts[-1] == "":
        parts.pop()
    inner = typing.get_args(hint)
    if len(inner) == 2 and inner[1] is ...:
        inner = (inner[0],) * len(parts)
    if len(inner) != len(parts):
        raise misfit(hint, text, where)
    return tuple(parse_text(h, p, where) for h, p in zip(inner, parts))  # noqa: B905


def format_value(value: Any) -> str:
    """Return `value` as the text that an override takes.

    Args:
        value: a scalar or a tuple.

    Returns:
        The text.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def format_override(hint: Any, name: str, value: Any) -> str:
    """Return ``name=value`` such that parsing it gives `value` back.

    Args:
        hint: the field's type.
        name: its dotted name.
        value: its value.

    Returns:
        The override; not quoted for a shell.
    """
    text = format_value(value)
    if isinstance(value, tuple) and all(type(v) in (int, float) for v in value) and value:
        text = ",".join(format_value(v) for v in value)
    if isinstance(value, str) and parse_text(hint, text, name) != value:
        text = json.dumps(value, ensure_ascii=False)
    return f"{name}={text}"
