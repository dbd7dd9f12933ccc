from __future__ import annotations

import warnings

import pytest

from coset.core import backends as module
from coset.core.backends import (
    Backend,
    always,
    backends,
    chosen_backend,
    register_backend,
    requires_module,
    use_backend,
)
from coset.core.errors import UnavailableError, UnknownNameError


@pytest.fixture(autouse=True)
def _scratch(monkeypatch):
    monkeypatch.setattr(module, "_BACKENDS", {})
    monkeypatch.setattr(module, "_WARNED", set())
    missing = requires_module("a_module_that_is_not_there", "pip install it")
    register_backend(Backend("x.op", "fast", "cpu", missing))
    register_backend(Backend("x.op", "slow", "cpu", always, "literal"))


def test_a_missing_first_choice_warns_once_with_the_remedy():
    with pytest.warns(UserWarning, match="pip install it"):
        assert chosen_backend("x.op") == "slow"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chosen_backend("x.op") == "slow"


def test_the_table_tells_what_why_and_why_not():
    fast, slow = backends()
    assert (fast.available, fast.chosen) == (False, False)
    assert "cannot be imported" in fast.reason
    assert (slow.available, slow.chosen) == (True, True)
    assert slow.to_json()["reason"].startswith("literal")


def test_an_override_holds_inside_the_block_only():
    register_backend(Backend("x.op", "other", "cpu", always))
    with use_backend("x.op", "other"):
        assert chosen_backend("x.op") == "other"
        assert [row.name for row in backends() if row.chosen] == ["other"]
        with use_backend("x.op", "slow"):
            assert chosen_backend("x.op") == "slow"
        assert chosen_backend("x.op") == "other"
    with pytest.warns(UserWarning, match="uses 'slow'"):
        assert chosen_backend("x.op") == "slow"


def test_an_override_that_cannot_run_is_an_error_not_a_fallback():
    with use_backend("x.op", "fast"), pytest.raises(UnavailableError, match="pip install it"):
        chosen_backend("x.op")


def test_unknown_names():
    with pytest.raises(UnknownNameError, match=r"x\.op"):
        chosen_backend("x.opp")
    with pytest.raises(UnknownNameError, match="slow"), use_backend("x.op", "slo"):
        pass


def test_nothing_available_is_an_error():
    register_backend(Backend("y.op", "cuda only", "cuda", lambda: (False, "no device")))
    with pytest.raises(UnavailableError, match="no device"):
        chosen_backend("y.op", "cuda")
