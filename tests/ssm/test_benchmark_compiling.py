"""The benchmarks of compiling: contestants agree, judges see what is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from coset.bench.session import Session
from coset.ssm.benchmarks import compiling as module
from coset.ssm.benchmarks.compiling import compile_case, track_case
from coset.ssm.cascade import Cascade, PhaseLayer


def small(id):
    from coset.bench.registry import _BENCHMARKS

    return _BENCHMARKS[id]


@pytest.mark.parametrize("id", ["ssm.compile", "ssm.track"])
def test_every_contestant_passes_the_gate_at_small_sizes(id):
    assert module.__name__ == small(id).module
    session = Session(small(id))
    for variant, value in session.benchmark.variants.items():
        names = list(session.case.applicable(value))
        count = session.check_small(variant, names)
        assert count == len(names) * len(session.benchmark.small_sizes)


def test_the_judge_of_trackers_refuses_every_slip():
    case = compile_case()
    inputs = case.prepare(24, "shuffled", torch.Generator().manual_seed(0))
    right = case.ours["compile_group"].run(inputs)
    literal = case.reference(inputs)
    assert case.compare(inputs, right, literal) is None
    layers = right.cascade.layers
    table = layers[2].increments.copy()
    table[3, 5, 1] = 1 - table[3, 5, 1]
    turned = Cascade((*layers[:2], PhaseLayer((2, 2), table)), 24)
    swapped = right.elements.copy()
    swapped[[1, 2]] = swapped[[2, 1]]
    fewer = right.codes.copy()
    fewer[4] = -1
    for wrong in (
        replace(right, cascade=turned),
        replace(right, elements=swapped),
        replace(right, codes=fewer),
    ):
        assert case.compare(inputs, wrong, literal)
    assert "moduli" in (case.compare(inputs, right, literal.below(2)) or "")
    other = type(inputs)(inputs.mul.T.copy(), 24)
    assert case.compare(other, right, literal)


def test_the_judge_of_words_refuses_every_slip():
    case = track_case()
    inputs = case.prepare(640, 64, torch.Generator().manual_seed(1))
    right = case.reference(inputs)
    assert right.shape == (64, 10)
    assert case.compare(inputs, right.clone(), right) is None
    wrong = right.clone()
    wrong[3, 9] = (wrong[3, 9] + 1) % 24
    assert "1 of 640" in case.compare(inputs, wrong, right)
    assert case.compare(inputs, right[:, :9], right)


def test_the_peer_is_judged_by_the_orders_of_its_series():
    case = compile_case()
    peer = case.peers["sympy derived_series"]
    inputs = case.prepare(24, "named", torch.Generator())
    series = peer.run(peer.setup(inputs))
    assert peer.verify(inputs, series) is None
    assert peer.verify(inputs, series[:-1])
    assert np.array_equal([int(part.order()) for part in series], [24, 12, 4, 1])
