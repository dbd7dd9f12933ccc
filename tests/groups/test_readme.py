"""What the README shows is what happens."""

from __future__ import annotations

import doctest
from pathlib import Path

import coset.groups
from coset.groups import named_groups

README = Path(coset.groups.__file__).parent / "README.md"


def test_the_sessions_of_the_readme():
    failed, attempted = doctest.testfile(
        str(README), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert failed == 0
    assert attempted >= 6


def test_the_number_of_named_groups_in_the_readme():
    assert f"319 groups of order at most 63, {len(named_groups(63))} have a name" in (
        README.read_text(encoding="utf-8")
    )
