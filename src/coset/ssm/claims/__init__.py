"""The claims of state tracking by diagonal layers, with their near misses."""

from __future__ import annotations

from coset.ssm.claims import (
    automata,
    compiling,
    gates,
    impossible,
    learning,
    parity,
    return_maps,
    studies,
    typed_stacks,
)

__all__ = [
    "automata",
    "compiling",
    "gates",
    "impossible",
    "learning",
    "parity",
    "return_maps",
    "studies",
    "typed_stacks",
]
