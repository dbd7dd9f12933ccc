"""The claims about lexicographic processes, and the study of wrong solvers."""

from __future__ import annotations

import pytest

from coset.core.claims import find_claim
from coset.core.errors import ConfigError
from coset.core.judging import judge
from coset.decisions.claims import lexicographic_mdps, undiscounted  # noqa: F401  (register)
from coset.decisions.claims.flawed_solvers import FLAWED
from coset.decisions.experiments.random_lexicographic import (
    RandomLexicographicConfig,
    random_lexicographic,
)
from coset.lab.context import RunContext


@pytest.mark.parametrize("id", ["C8", "C8b", "C8c", "C9b", "C10"])
@pytest.mark.parametrize("seed", [1, 2])
def test_claims_hold_and_near_misses_fail_on_other_cases_too(id, seed):
    verdict = judge(find_claim(f"decisions.{id}"), seed=seed)
    assert verdict.seen == verdict.expected == "holds", verdict.problem
    assert [m.name for m in verdict.mutants if not m.passed] == []


def _rows(tmp_path, **options):
    config = RandomLexicographicConfig(**options)
    return list(
        random_lexicographic(config, RunContext("decisions.random-lexicographic", config, tmp_path))
    )


def test_right_solvers_never_fail_and_wrong_ones_do(tmp_path):
    rows = {row["solver"]: row for row in _rows(tmp_path, num_cases=40, seed=2)}
    right = [name for name in rows if "float64" in name or "exact" in name]
    assert len(right) == 4
    assert all(rows[name]["num_wrong"] == 0 for name in right)
    assert all(rows[name]["num_beyond"] == 0 for name in right if "float64" in name)
    assert all(rows[name]["num_misjudged"] == 0 for name in right if "float64" in name)
    assert set(FLAWED) <= set(rows)
    assert rows["objectives without what couples them"]["num_wrong"] > 0
    assert rows["ties broken by the next reward alone"]["num_wrong"] > 0
    assert {row["num_cases"] for row in rows.values()} == {40}


def test_where_nothing_couples_objectives_they_may_be_taken_apart(tmp_path):
    rows = {row["solver"]: row for row in _rows(tmp_path, num_cases=20, coupling="diagonal")}
    assert rows["objectives without what couples them"]["num_wrong"] == 0


def test_impossible_settings_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="two objectives"):
        _rows(tmp_path, max_objectives=1)
