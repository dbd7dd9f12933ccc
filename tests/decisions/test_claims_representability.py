"""The claims about representability and constraints are as expected; their mutants are caught."""

from __future__ import annotations

import pytest

from coset.core.claims import find_claim, realized_in
from coset.core.judging import judge
from coset.decisions.claims import constrained, scalar_weights

pytestmark = pytest.mark.claim


@pytest.mark.parametrize("id", ["decisions.C1b", "decisions.C3", "decisions.C9"])
def test_a_claim_is_as_expected(id):
    assert constrained.__name__ != scalar_weights.__name__  # the imports register the claims
    item = find_claim(id)
    judged = judge(item)
    assert judged.seen == judged.expected, (judged.problem, judged.result)
    for outcome in judged.mutants:
        assert outcome.passed, outcome
    assert realized_in(item)
