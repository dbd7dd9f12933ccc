from __future__ import annotations

import pytest

from coset.report.timings import view_benchmarks
from report.synthetic import benchmark


def test_ours_peers_and_limit_are_shown_with_their_ratio():
    (view,), notices = view_benchmarks({"a/b.json": benchmark()})
    assert notices == []
    assert [row.role for row in view.rows] == ["ours", "peer", "limit"]
    assert view.rows[1].name == "numpy.sort (sort only)"
    assert view.rows[1].ratio == "1.25 [1.2, 1.3]"
    assert view.rows[2].name == "copy (8 bytes a weight)"
    assert (view.rows[0].size, view.rows[0].median) == ("1,000,000", "50 ms")
    assert ("machine", "made-up CPU") in view.facts


def test_an_incomplete_run_is_told():
    (view,), _ = view_benchmarks({"a.json": benchmark(complete=False)})
    assert not view.is_complete


@pytest.mark.parametrize(
    "changes",
    [{"points": [{}]}, {"points": [1]}, {"points": [{"measurements": [{}]}]}, {"machine": "fast"}],
)
def test_a_malformed_file_becomes_a_notice(changes):
    views, notices = view_benchmarks({"a.json": benchmark(**changes), "b.json": benchmark()})
    assert len(views) == 1
    assert [notice.where for notice in notices] == ["a.json"]
