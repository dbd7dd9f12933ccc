"""Settings of every test: one thread a worker, no hidden seeds, no writing outside tmp_path."""

from __future__ import annotations

import os
import signal

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NUMBA_NUM_THREADS"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch

torch.set_num_threads(1)
# A shell that starts the tests in the background lets them ignore Ctrl-C, which some of them test.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    """Give each test its own output and cache folders and a fixed global seed."""
    monkeypatch.setenv("COSET_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("COSET_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    """Return a seeded generator."""
    return torch.Generator().manual_seed(20240311)
