"""The errors of finite groups: a table that is no group, and a name that names none."""

from __future__ import annotations

from coset.core.errors import DomainError

__all__ = ["GroupNameError", "NotAGroupError"]


class NotAGroupError(DomainError):
    """The table, generators or action given do not make a group; the message holds a witness."""


class GroupNameError(DomainError):
    """A name of a group cannot be read; the message quotes it and points at the place."""
