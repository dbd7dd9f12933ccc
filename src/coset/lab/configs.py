"""Configurations: frozen dataclasses of plain values, as JSON and back, with their types enforced.

A field is an ``int``, ``float``, ``bool``, ``str``, ``None``, a ``Literal``, a tuple of these, a
union of these, or another such dataclass. `canonical` makes equal configurations identical (an
``int`` given for a ``float`` becomes a ``float``, a list becomes a tuple), so that the digest of
the JSON form identifies a run. Nothing here loads torch.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from coset.core.errors import ConfigError

__all__ = [
    "canonical",
    "conform",
    "field_types",
    "from_json",
    "leaves",
    "misfit",
    "to_json",
    "type_name",
    "unknown_field",
]

Config = TypeVar("Config")


def canonical(config: Config) -> Config:
    """Return `config` with every value checked against, and brought to, its declared type.

    Args:
        config: an instance of a dataclass.

    Returns:
        An equal configuration.

    Raises:
        ConfigError: if a field's value does not fit its type, or the type cannot be stored.
    """
    _require_dataclass(type(config))
    result: Config = conform(type(config), config, "")
    return result


def to_json(config: Any) -> dict[str, Any]:
    """Return `config` as JSON values.

    Args:
        config: an instance of a dataclass.

    Returns:
        Field names to values; tuples become lists, nested dataclasses objects.

    Raises:
        ConfigError: as `canonical`.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Net:
        ...     width: int = 8
        ...     rate: float = 1
        >>> to_json(Net())
        {'width': 8, 'rate': 1.0}
    """
    plain = _plain(canonical(config))
    assert isinstance(plain, dict)
    return plain


def from_json(config_class: type[Config], value: Any) -> Config:
    """Rebuild a configuration from `to_json`; fields that are absent get their defaults.

    Args:
        config_class: the dataclass.
        value: a JSON object.

    Returns:
        The configuration.

    Raises:
        ConfigError: if a field is unknown, missing without default, or of the wrong type.
    """
    _require_dataclass(config_class)
    result: Config = conform(config_class, value, "")
    return result


@functools.cache
def field_types(config_class: type) -> dict[str, Any]:
    """Return the resolved type of each field that the constructor takes.

    Args:
        config_class: a dataclass.

    Returns:
        Field name to type, in order of declaration.

    Raises:
        ConfigError: if an annotation names something that does not exist where it is defined.
    """
    try:
        hints = typing.get_type_hints(config_class)
    except NameError as error:
        raise ConfigError(
            f"the field types of {config_class.__name__} must be importable where it is defined; "
            f"{error}; define the classes at the top level of the module"
        ) from error
    return {f.name: hints[f.name] for f in dataclasses.fields(config_class) if f.init}


def leaves(config: Any, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the fields of `config` that are not dataclasses themselves, by dotted name.

    Args:
        config: an instance of a dataclass.
        prefix: what stands before each name.

    Returns:
        Dotted name to (type, value), in order of declaration.
    """
    found: dict[str, tuple[Any, Any]] = {}
    config_class: Any = type(config)
    for name, hint in field_types(config_class).items():
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            found.update(leaves(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = (hint, value)
    return found


def type_name(hint: Any) -> str:
    """Return a type as a reader writes it: "float | None", "'fc' | 'cnn'", "tuple[int, ...]".

    Args:
        hint: a resolved annotation.

    Returns:
        The text.
    """
    origin = typing.get_origin(hint)
    if hint is type(None):
        return "None"
    if origin is Literal:
        return " | ".join(repr(a) for a in typing.get_args(hint))
    if _is_union(hint):
        return " | ".join(type_name(a) for a in typing.get_args(hint))
    if origin is tuple:
        parts = ("..." if a is ... else type_name(a) for a in typing.get_args(hint))
        return f"tuple[{', '.join(parts)}]"
    return getattr(hint, "__name__", str(hint))


def conform(hint: Any, value: Any, where: str) -> Any:
    """Return `value` as an instance of the type `hint`, without guessing.

    Args:
        hint: a resolved annotation.
        value: a Python or JSON value.
        where: the field's name, for the message.

    Returns:
        The value; a list becomes a tuple, an object a dataclass, an int a float where one is due.

    Raises:
        ConfigError: if the value does not fit.
    """
    origin = typing.get_origin(hint)
    if _is_union(hint):
        return _conform_union(hint, value, where)
    if origin is Literal:
        for allowed in typing.get_args(hint):
            if type(allowed) is type(value) and allowed == value:
                return value
        raise misfit(hint, value, where)
    if origin is tuple or hint is tuple:
        return _conform_tuple(hint, value, where)
    if dataclasses.is_dataclass(hint):
        return _conform_dataclass(hint, value, where)
    return _conform_scalar(hint, value, where)


def misfit(hint: Any, value: Any, where: str) -> ConfigError:
    """Return the error for a value that does not fit its field.

    Args:
        hint: the field's type.
        value: what was given.
        where: the field's name.

    Returns:
        The error, ready to be raised.
    """
    return ConfigError(f"{where} must be {type_name(hint)}; given {value!r}")


def unknown_field(name: str, known: Iterable[str], where: str) -> ConfigError:
    """Return the error for a field that does not exist, with the nearest names.

    Args:
        name: what was given.
        known: the names that exist.
        where: the class or field that was searched.

    Returns:
        The error, ready to be raised.
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return ConfigError(f"{where} has no field {name!r}{hint}; its fields: {', '.join(names)}")


def _require_dataclass(config_class: type) -> None:
    if not dataclasses.is_dataclass(config_class):
        raise ConfigError(
            f"a configuration must be an instance of a dataclass; given {config_class.__name__}; "
            f"decorate the class with @dataclass(frozen=True)"
        )


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _conform_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is type(None):
        fits = value is None
    elif hint is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if fits and not math.isfinite(value):
            raise ConfigError(
                f"{where} must be a finite float; given {value!r}; declare float | None and use "
                f"none for 'no limit'"
            )
        value = float(value) if fits else value
    elif hint in (bool, str):
        fits = type(value) is hint
    elif hint is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        raise ConfigError(
            f"{where} is declared as {type_name(hint)}, which a configuration cannot hold; use "
            f"int, float, bool, str, None, Literal, tuple, unions of these or a dataclass"
        )
    if not fits:
        raise misfit(hint, value, where)
    return value


def _conform_union(hint: Any, value: Any, where: str) -> Any:
    members = typing.get_args(hint)
    # An exact match first, so that 1.0 stays a float in int | float and 1 an int in float | int.
    for member in sorted(members, key=lambda m: m is not type(value)):
        try:
            return conform(member, value, where)
        except ConfigError:
            continue
    raise misfit(hint, value, where)


def _conform_tuple(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    inner = typing.get_args(hint)
    if not isinstance(value, list | tuple):
        raise misfit(hint, value, where)
    if not inner:
        raise ConfigError(f"{where} is declared as a bare tuple; declare tuple[int, ...] or so")
    if len(inner) == 2 and inner[1] is ...:
        inner = (inner[0],) * len(value)
    if inner == ((),):
        inner = ()
    if len(inner) != len(value):
        raise misfit(hint, value, where)
    return tuple(conform(h, v, f"{where}[{i}]") for i, (h, v) in enumerate(zip(inner, value)))  # noqa: B905


def _conform_dataclass(hint: Any, value: Any, where: str) -> Any:
    known = field_types(hint)
    owner = where or hint.__name__
    if isinstance(value, hint):
        value = {name: getattr(value, name) for name in known}
    if not isinstance(value, Mapping):
        raise misfit(hint, value, owner)
    for name in value:
        if name not in known:
            raise unknown_field(str(name), known, owner)
    prefix = f"{where}." if where else ""
    given = {name: conform(known[name], v, prefix + name) for name, v in value.items()}
    try:
        return hint(**given)
    except TypeError as error:
        raise ConfigError(
            f"{owner} cannot be built: {error}; its fields: {', '.join(known)}"
        ) from error


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in field_types(type(value))}  # type: ignore[arg-type]
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value
