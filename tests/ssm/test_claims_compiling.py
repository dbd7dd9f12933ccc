"""The oracles and the flawed compilers of the claims about compiling."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import coset.ssm.claims.compiling
import coset.ssm.claims.typed_stacks  # noqa: F401
from coset.core.claims import find_claim
from coset.core.judging import judge
from coset.groups import parse_group
from coset.ssm.claims.compiling import depth_of, ladder, tracked_by
from coset.ssm.claims.flawed_compile import Flaw, compiled_tables, flawed_tables
from coset.ssm.claims.series_search import SeriesSearch, clocked_values
from coset.ssm.claims.typed_stacks import tracked_by_classes, tracked_over_alphabet

pytestmark = pytest.mark.claim


@pytest.mark.parametrize("id", ["ssm.C1", "ssm.C2", "ssm.C3", "ssm.C4", "ssm.C5", "ssm.C5b"])
def test_claims_are_as_expected_and_their_mutants_are_caught(id):
    judged = judge(find_claim(id))
    assert judged.as_expected, (judged.problem, judged.result, judged.mutants)


def table(name):
    return torch.from_numpy(parse_group(name).mul.astype(np.int64))


def test_the_compiler_without_a_flaw_is_the_compiler():
    for name in ("Z6", "S3", "Q8", "S4", "GL(2,3)"):
        alphabet = torch.arange(len(table(name)))
        right, copied = (
            compiled_tables(table(name), alphabet),
            flawed_tables(Flaw())(table(name), alphabet),
        )
        assert right is not None
        assert copied is not None
        assert right[0] == copied[0]
        assert all(torch.equal(a, b) for a, b in zip(right[1], copied[1], strict=True))
        assert torch.equal(right[2], copied[2])
    assert compiled_tables(table("A5"), torch.arange(60)) is None
    assert flawed_tables(Flaw())(table("A5"), torch.arange(60)) is None


@pytest.mark.parametrize(
    ("name", "depth"),
    [("Z1", 0), ("Z2xZ2", 1), ("S3", 2), ("D8", 2), ("S4", 3), ("SL(2,3)", 3), ("A5", math.inf)],
)
def test_all_series_of_a_group(name, depth):
    assert SeriesSearch(parse_group(name)).depth() == depth == depth_of(table(name))


@pytest.mark.parametrize(
    ("layers", "tracked"), [("rc", True), ("cr", False), ("prtc", True), ("r", False), ("", False)]
)
def test_all_typed_series_of_s3(layers, tracked):
    assert SeriesSearch(parse_group("S3")).tracked(layers) == tracked
    assert tracked_by_classes(table("S3"), layers) == tracked


def test_values_that_clocks_leave_open():
    four = parse_group("Z4")
    assert clocked_values(four, [1], "t", 8) == {0}
    assert clocked_values(four, [1, 3], "t", 8) == {0, 2}
    assert clocked_values(four, [1, 3], "rt", 8) == {0}
    assert clocked_values(four, [0, 1], "t", 8) == {0, 1, 2, 3}
    assert tracked_over_alphabet(table("Z4"), torch.tensor([1, 3]), "rt")


def test_the_ladder():
    assert [group.order for group in ladder(5)] == [2, 6, 24, 48, 432]
    assert [depth_of(torch.from_numpy(g.mul.astype(np.int64))) for g in ladder(5)] == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert tracked_by(table("S4"), 3)
    assert not tracked_by(table("S4"), 2)
