"""What the tests of claims ask of each: it is as expected, and its near misses are caught."""

from __future__ import annotations

from coset.core.claims import find_claim
from coset.core.judging import judge
from coset.lab.verify import verify


def check(id: str) -> None:
    """Judge a claim at smoke size, and its mutants."""
    judged = judge(find_claim(id))
    assert judged.seen == judged.expected, (judged.problem, judged.result)
    for outcome in judged.mutants:
        assert outcome.passed, outcome
    assert judged.as_expected


def check_rows(id: str) -> None:
    """Run the smoke preset of the claim's experiment and judge its rows."""
    (judged,) = verify([find_claim(id)])
    assert judged.as_expected, (judged.problem, judged.result, judged.mutants)
