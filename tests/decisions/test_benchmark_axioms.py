"""The benchmark of checking: contestants pass the gate, the judge sees what is wrong."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from coset.bench.session import Session
from coset.decisions.benchmarks import axioms as module
from coset.decisions.benchmarks.axioms import check_case


def test_every_contestant_passes_the_gate_at_small_sizes():
    from coset.bench.registry import _BENCHMARKS

    benchmark = _BENCHMARKS["decisions.check"]
    assert benchmark.module == module.__name__
    session = Session(benchmark)
    for variant, value in benchmark.variants.items():
        names = list(session.case.applicable(value))
        count = session.check_small(variant, names)
        assert count == len(names) * len(benchmark.small_sizes)


@pytest.mark.parametrize("variant", ["representable", "one turned"])
def test_the_judge_refuses_wrong_proofs(variant):
    case = check_case()
    inputs = case.prepare(120, variant, torch.Generator().manual_seed(0))
    right = case.ours["check"].run(inputs)
    literal = case.reference(inputs)
    assert right.status == ("representable" if variant == "representable" else "refuted")
    assert case.compare(inputs, right, literal) is None
    assert "margin" in case.compare(inputs, right, literal + Fraction(1, 10**9))
    if variant == "representable":
        outcome = next(iter(right.utility))
        wrong = replace(right, utility={**right.utility, outcome: right.utility[outcome] - 5})
    else:
        weights = list(right.certificate.weights)
        weights[0], weights[1] = weights[0] + Fraction(1, 99), weights[1] - Fraction(1, 99)
        wrong = replace(right, certificate=replace(right.certificate, weights=tuple(weights)))
    assert case.compare(inputs, wrong, literal)


def test_the_peer_is_judged_by_what_its_utility_attains():
    case = check_case()
    peer = case.peers["scipy linprog (HiGHS)"]
    inputs = case.prepare(120, "representable", torch.Generator().manual_seed(0))
    margin, utility = peer.run(inputs)
    assert peer.verify(inputs, (margin, utility)) is None
    assert peer.verify(inputs, (margin + 0.1, utility))
