"""The table of verdicts: published values, brute force over stacks, every group once."""

from __future__ import annotations

import itertools
import math

import pytest

from coset.core.errors import CosetError
from coset.groups import parse_group
from coset.ssm.tracking import can_track
from coset.ssm.verdict_table import cheapest_stacks, verdict_row, verdict_rows, verdict_table


@pytest.mark.parametrize(
    ("name", "moduli", "depth", "real"),
    [
        ("Z1", (), 0, 0),
        ("Z60", ((60,),), 1, math.inf),
        ("Z2xZ4", ((4, 2),), 1, 2),
        ("Z8", ((8,),), 1, 3),
        ("S3", ((2,), (3,)), 2, math.inf),
        ("D4", ((2, 2), (2,)), 2, 2),
        ("Q8", ((2, 2), (2,)), 2, 2),
        ("A4", ((3,), (2, 2)), 2, math.inf),
        ("Heis(3)", ((3, 3), (3,)), 2, math.inf),
        ("S4", ((2,), (3,), (2, 2)), 3, math.inf),
        ("SL(2,3)", ((3,), (2, 2), (2,)), 3, math.inf),
        ("GL(2,3)", ((2,), (3,), (2, 2), (2,)), 4, math.inf),
        ("A5", (), math.inf, math.inf),
        ("S5", (), math.inf, math.inf),
    ],
)
def test_rows_of_known_groups(name, moduli, depth, real):
    row = verdict_row(name)
    assert (row.moduli, row.depth_complex, row.depth_real) == (moduli, depth, real)
    assert row.is_solvable == (depth < math.inf)
    assert row.is_abelian == (depth <= 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("S3", ("rc",)),
        ("A4", ("cr",)),
        ("S4", ("rcr",)),
        ("GL(2,3)", ("rcrr",)),
        ("SL(2,3)", ("crr",)),
        ("D30", ("rc",)),
        ("Q8", ("rr",)),
        ("Z4", ("c",)),
        ("Z1", ("",)),
        ("A5", ()),
    ],
)
def test_cheapest_stacks_of_known_groups(name, words):
    assert cheapest_stacks(name) == words


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name", ["Z6", "Z2xZ4", "S3xZ4", "D4", "A4", "S4", "Dic3", "S3xS3", "D4xZ3"]
)
def test_a_stack_tracks_iff_a_cheapest_one_does_with_some_real_layers_complex(name):
    group = parse_group(name)
    cheapest = cheapest_stacks(group)
    for letters in itertools.product("rc", repeat=group.derived_length):
        word = "".join(letters)
        below = any(
            all(a == "c" or b == "r" for a, b in zip(word, other, strict=True))
            for other in cheapest
        )
        assert bool(can_track(group, word)) == below, word


def test_the_table_has_each_group_once_and_reads_as_markdown():
    rows = verdict_rows(16)
    assert len({row.name for row in rows}) == len(rows)
    assert [row.order for row in rows] == sorted(row.order for row in rows)
    assert {"Z1", "S3", "Q8", "A4"} <= {row.name for row in rows}
    lines = verdict_table(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert {line.count("|") for line in lines} == {9}
    again = type(rows[0]).from_json(rows[-1].to_json())
    assert again == rows[-1]


def test_a_name_that_is_no_group():
    with pytest.raises(CosetError):
        verdict_row("X7")
