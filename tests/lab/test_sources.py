"""Which code decides whether stored rows are still those of today's code."""

from __future__ import annotations

import sys

import pytest

from coset.lab.sources import _code_and_imports, source_digest


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """Return a function that digests a module of the given text."""
    monkeypatch.syspath_prepend(tmp_path)

    def of(text: str) -> str:
        (tmp_path / "some_experiment.py").write_text(text)
        _code_and_imports.cache_clear()
        sys.path_importer_cache.clear()
        return source_digest("some_experiment")

    return of


def test_comments_docstrings_and_layout_do_not_count(digest):
    first = digest('"""Say."""\ndef f(x):\n    """Add."""\n    return x + 1\n')
    assert (
        digest('"""Say it."""\n\n\ndef f(x):\n    """Sum."""\n    return (x + 1)  # so\n') == first
    )
    assert digest('"""Say."""\ndef f(x):\n    """Add."""\n    return x + 2\n') != first


def test_a_module_imported_through_another_counts(digest, monkeypatch):
    import coset.core.errors as errors

    text = "def run():\n    from coset.sharing.penalty import pairwise_penalty\n"
    first = digest(text)

    def changed(path):
        code, names = _code_and_imports.__wrapped__(path)
        return ("changed" if str(path) == errors.__file__ else code), names

    changed.cache_clear = lambda: None
    monkeypatch.setattr("coset.lab.sources._code_and_imports", changed)
    assert digest(text) != first
    assert digest("import math\n") == digest("import math\n")


def test_what_is_not_imported_does_not_count(digest, monkeypatch):
    import coset.sharing.torus as torus

    text = "from coset.sharing.penalty import pairwise_penalty\n"
    first = digest(text)
    seen = []

    def changed(path):
        seen.append(str(path))
        return _code_and_imports.__wrapped__(path)

    changed.cache_clear = lambda: None
    monkeypatch.setattr("coset.lab.sources._code_and_imports", changed)
    assert digest(text) == first
    assert torus.__file__ not in seen
