from __future__ import annotations

import doctest
import math

import pytest

from coset.report import formats
from coset.report.formats import clip, duration, moment, number, plural, signed, slug


def test_the_examples_are_true():
    assert doctest.testmod(formats).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (-0.5, "-0.5"),
        (1e-12, "1e-12"),
        (12345.678, "12,345.7"),
        (math.nan, "nan"),
        ("inf", "inf"),
        (10**20, "1e+20"),
        ([1, 2], "[1, 2]"),
        (False, "false"),
    ],
)
def test_numbers_keep_their_size(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (math.nan, "–"), (59.96, "60 s"), (3e-6, "3 µs"), (0, "0 µs")]
)
def test_durations(value, text):
    assert duration(value) == text


def test_a_zero_difference_has_no_direction():
    assert signed(0.0) == "±0"
    assert plural(0, "claim") == "0 claims"


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "..", "<b>", "é", "a" * 300, "\x00"])
def test_a_slug_is_a_safe_file_name(name):
    found = slug(name)
    assert found
    assert not set(found) & set("/\\<>\"'& \x00")
    assert not found.startswith(".")
    assert len(found) < 120


def test_different_names_have_different_slugs():
    assert len({slug(name) for name in ("a b", "a-b", "a/b", "a?b")}) == 4


def test_a_clipped_text_is_short_enough():
    assert len(clip("word " * 100, 50)) <= 50
    assert clip("x" * 100, 50) == "x" * 49 + "…"


@pytest.mark.parametrize("value", ["yesterday", 12, ["a"]])
def test_a_moment_that_is_none_is_shown_as_it_is(value):
    assert str(value)[:3].strip("['") in moment(value)
