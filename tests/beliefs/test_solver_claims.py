"""Tests of the claims about solvers: each holds, and each mutant is a near miss and caught."""

from __future__ import annotations

import pytest

from coset.core.claims import find_claim
from coset.core.judging import judge


@pytest.mark.parametrize("id", ["beliefs.C1", "beliefs.C22", "beliefs.C23", "beliefs.C23b"])
def test_claim(id):
    verdict = judge(find_claim(id), preset="smoke")
    assert verdict.as_expected, (verdict.problem, verdict.result, verdict.mutants)
    assert verdict.result.sample_size >= 6
