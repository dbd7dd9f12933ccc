"""How inconsistent beliefs are, where it hurts, and how to resolve it."""

from __future__ import annotations
