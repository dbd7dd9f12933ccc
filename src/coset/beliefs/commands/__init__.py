"""The front doors of the subject, ``coset beliefs …``."""

from __future__ import annotations

from coset.beliefs.commands.infer import infer
from coset.beliefs.commands.inspect import inspect
from coset.beliefs.commands.resolve import resolve

__all__ = ["COMMANDS"]

COMMANDS = {
    "inspect": inspect,
    "resolve": resolve,
    "infer": infer,
}
