"""The front doors of the subject, ``coset sharing …``."""

from __future__ import annotations

from coset.sharing.commands.clusters import clusters
from coset.sharing.commands.compress import compress
from coset.sharing.commands.expand import expand
from coset.sharing.commands.path import path
from coset.sharing.commands.prox import prox

__all__ = ["COMMANDS"]

COMMANDS = {
    "prox": prox,
    "clusters": clusters,
    "path": path,
    "compress": compress,
    "expand": expand,
}
