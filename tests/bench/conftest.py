"""The toy benchmarks, registered for one test and forgotten after it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from coset.bench import registry


@pytest.fixture
def toys(monkeypatch):
    """Return the module of toy benchmarks; a worker finds it through the same path."""
    monkeypatch.setattr(registry, "_BENCHMARKS", {})
    monkeypatch.setattr(registry, "built_subjects", list)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.delitem(sys.modules, "toy_cases", raising=False)
    return importlib.import_module("toy_cases")
