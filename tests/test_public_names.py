"""`docs/api.toml` lists every public name, and nothing else is public."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from pathlib import Path

import pytest

from coset.core.registry import built_subjects

ROOT = Path(__file__).resolve().parents[1]
API = tomllib.loads((ROOT / "docs" / "api.toml").read_text())


def test_every_subject_is_listed():
    assert {f"coset.{s.name}" for s in built_subjects()} <= set(API)


def test_every_module_of_core_is_listed():
    modules = {f"coset.core.{p.stem}" for p in (ROOT / "src/coset/core").glob("[a-z]*.py")}
    assert modules <= set(API)


@pytest.mark.parametrize("module_name", API)
def test_the_list_is_the_module_s_own(module_name):
    module = importlib.import_module(module_name)
    listed = API[module_name]
    names = {*listed["functions"], *listed["classes"]}
    public = {
        name
        for name in module.__all__
        if inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name))
    }
    assert public == names
    for name in listed["functions"]:
        assert inspect.isfunction(getattr(module, name)), name
    for name in listed["classes"]:
        assert inspect.isclass(getattr(module, name)), name


@pytest.mark.parametrize("module_name", API)
def test_every_public_name_is_documented(module_name):
    module = importlib.import_module(module_name)
    for name in (*API[module_name]["functions"], *API[module_name]["classes"]):
        thing = getattr(module, name)
        text = inspect.getdoc(thing) or ""
        assert text, name
        if inspect.isfunction(thing) and inspect.signature(thing).parameters:
            assert "Args:" in text, f"{module_name}.{name} does not document its arguments"
