"""The front doors of the subject, ``coset ssm …``."""

from __future__ import annotations

from coset.ssm.commands.compile import compile
from coset.ssm.commands.depth import depth
from coset.ssm.commands.dfa import dfa
from coset.ssm.commands.harden import harden
from coset.ssm.commands.witness import witness

__all__ = ["COMMANDS"]

COMMANDS = {
    "depth": depth,
    "compile": compile,
    "dfa": dfa,
    "witness": witness,
    "harden": harden,
}
