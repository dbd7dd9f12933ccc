"""The front doors of the subject, ``coset decisions …``."""

from __future__ import annotations

from coset.decisions.commands.check import check
from coset.decisions.commands.elicit import elicit
from coset.decisions.commands.explain import explain
from coset.decisions.commands.solve import solve

__all__ = ["COMMANDS"]

COMMANDS = {
    "check": check,
    "elicit": elicit,
    "solve": solve,
    "explain": explain,
}
