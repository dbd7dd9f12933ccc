"""The errors that coset raises on purpose, each one also the builtin that a caller expects.

A message says what must hold, what was given (shape, dtype, value, index) and what to do.
Errors of one subject live in that subject, derive from a class here and end in ``Error``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ChecksumError",
    "ConfigError",
    "CosetError",
    "DomainError",
    "DtypeError",
    "FileFormatError",
    "NotConvergedError",
    "RangeError",
    "RunLockedError",
    "ShapeError",
    "StorageError",
    "UnavailableError",
    "UnknownNameError",
    "UnsupportedError",
]


class CosetError(Exception):
    """Every error that coset raises on purpose."""

    def __str__(self) -> str:
        """Return the message as written (``KeyError`` would show its ``repr``)."""
        return Exception.__str__(self)


class ShapeError(CosetError, ValueError):
    """A tensor has the wrong number of dimensions or a wrong size."""


class DomainError(CosetError, ValueError):
    """A value lies outside the mathematical domain (negative strength, NaN, …)."""


class DtypeError(CosetError, TypeError):
    """A tensor or an argument has the wrong type."""


class RangeError(CosetError, IndexError):
    """An index or a dimension is out of range."""


class UnsupportedError(CosetError, NotImplementedError):
    """A combination that is meaningful but not supported."""


class NotConvergedError(CosetError, RuntimeError):
    """A solver stopped before it reached the accuracy that was asked for."""


class UnavailableError(CosetError, ImportError):
    """An optional dependency, a device or a data set is not there."""


class ConfigError(CosetError, ValueError):
    """A configuration field is unknown, has the wrong type or an impossible value."""


class UnknownNameError(CosetError, LookupError):
    """A claim, experiment, benchmark or data set of that name is not registered."""

    @classmethod
    def of(cls, what: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """Build the error for `name`, with the closest of the `known` names as advice.

        Args:
            what: the kind of thing that was looked up, as a noun ("claim", "experiment").
            name: the name that was given.
            known: all registered names.

        Returns:
            The error, ready to be raised.
        """
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        advice = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"
        return cls(f"there is no {what} named {name!r}; {advice}")


class FileFormatError(CosetError, ValueError):
    """A file from a user is truncated, foreign or hostile; the message names file and place."""


class ChecksumError(FileFormatError):
    """A file's SHA-256 digest is not the expected one."""


class StorageError(CosetError, OSError):
    """A folder cannot be written, or the disk is full; nothing stored before is harmed."""


class RunLockedError(CosetError, RuntimeError):
    """Another process is writing to this run folder."""
