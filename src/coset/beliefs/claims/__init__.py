"""The claims of beliefs, with their near misses."""

from __future__ import annotations

from coset.beliefs.claims import (
    closed_forms,
    convexity,
    descent,
    games,
    gflow,
    gflow_study,
    identities,
    instances,
    laws,
    limits,
    loss_identities,
    message_passing,
    networks,
    resolution,
    solvers,
)

__all__ = [
    "closed_forms",
    "convexity",
    "descent",
    "games",
    "gflow",
    "gflow_study",
    "identities",
    "instances",
    "laws",
    "limits",
    "loss_identities",
    "message_passing",
    "networks",
    "resolution",
    "solvers",
]
