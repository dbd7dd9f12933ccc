"""The person of the specification, and what several tests of elicitation do."""

from __future__ import annotations

import json

from coset.core.results import Record
from coset.decisions.preferences.models import AffineModel

__all__ = ["ABC", "MULTIPLIER", "PERSON", "REWARD", "through_json"]

# Three events whose numbers the specification gives, with the answers it expects.
REWARD = {"a": "1.3", "b": "-0.7", "c": "0.2"}
MULTIPLIER = {"a": "0.9", "b": "1.5", "c": "0.25"}
PERSON = AffineModel(REWARD, MULTIPLIER)
ABC = ["a", "b", "c"]


def through_json(record):
    """Return a record as it comes back from its JSON text."""
    return Record.from_json(json.loads(json.dumps(record.to_json())))
