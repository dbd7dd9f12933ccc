"""The examples in docstrings show what happens."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import coset

MODULES = [
    module.name
    for module in pkgutil.walk_packages(coset.__path__, "coset.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    found = [t for n in MODULES for t in finder.find(importlib.import_module(n)) if t.examples]
    assert len(found) >= 30
