"""Learning for several objectives in order: tables, deep Q-networks, policies."""

from __future__ import annotations

from coset.decisions.learn.q_learning import LexQ, LexQAgent
from coset.decisions.learn.selection import kept_actions, lexicographic_argmax

__all__ = ["LexQ", "LexQAgent", "kept_actions", "lexicographic_argmax"]
