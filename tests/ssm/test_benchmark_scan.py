"""Tests of coset.ssm.benchmarks.scan: the gate passes what is right and refuses what is not."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from coset.bench.registry import _BENCHMARKS
from coset.bench.session import Session
from coset.core.errors import UnavailableError
from coset.ssm.benchmarks import scan as module
from coset.ssm.benchmarks.scan import prepare_scan, scan_case, scan_cuda_case

BENCHMARK = _BENCHMARKS["ssm.scan"]


def make(size, name):
    return prepare_scan(size, BENCHMARK.variants[name], torch.Generator().manual_seed(0))


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 2)
    monkeypatch.setattr(module, "WIDTH", 70)


@pytest.mark.usefixtures("narrow")
def test_every_contestant_passes_the_gate_at_small_sizes():
    quick = dataclasses.replace(BENCHMARK, small_sizes=(0, 1, 2, 65))
    session = Session(quick)
    for variant, value in quick.variants.items():
        names = list(session.case.applicable(value))
        assert "scan" in names
        assert "torch associative_scan, generic" in names
        assert session.check_small(variant, names) == len(names) * 4


@pytest.mark.usefixtures("narrow")
def test_the_full_size_is_judged_against_a_peer():
    session = Session(BENCHMARK)
    session.prepare(300, "backward-complex64")
    names = ["scan", "scan, preallocated", "torch.mul"]
    assert session.check_full(names)[-1] == "torch loop, unbind"


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", BENCHMARK.variants)
def test_inputs_and_mutants(name):
    case, inputs = scan_case(), make(50, name)
    again = make(50, name)
    assert torch.equal(inputs.a, again.a)
    assert inputs.a.shape == inputs.h.shape == (2, 50, 70)
    modulus = inputs.a.abs()
    assert 0.499 <= float(modulus.min()) < 0.6
    assert 0.9 < float(modulus.max()) <= 1.001
    right = case.reference(inputs)
    assert case.compare(inputs, right, right) is None
    mutants = {
        "no start": case.reference(dataclasses.replace(inputs, h0=0 * inputs.h0)),
        "one step late": tuple(x.roll(1, 1) for x in right),
        "not a number": (right[0] * torch.nan, *right[1:]),
        "too short": (right[0][:, 1:], *right[1:]),
        "too few": right[1:],
        "drifts": (right[0] + 1e-3, *right[1:]),
    }
    for mutant, wrong in mutants.items():
        assert case.compare(inputs, wrong, right), mutant


@pytest.mark.usefixtures("narrow")
def test_the_product_is_judged():
    case, inputs = scan_case(), make(9, "forward-float32")
    verify = case.peers["torch.mul"].verify
    assert verify(inputs, inputs.a * inputs.b) is None
    assert verify(inputs, inputs.a + inputs.b)


def test_limits_count_the_tensors():
    limit = scan_case().limits["copy"].amount
    sizes = {name: limit(make(4, name)) for name in BENCHMARK.variants}
    one = 8 * 4 * 256 * 4
    assert sizes["forward-float32"] == 3 * one
    assert sizes["backward-float32"] == 5 * one
    assert sizes["forward-complex64"] == 6 * one


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_the_gpu_case_needs_a_gpu():
    variant = _BENCHMARKS["ssm.scan-cuda"].variants["forward-float32"]
    with pytest.raises(UnavailableError, match="CUDA device"):
        prepare_scan(4, variant, torch.Generator())
    assert next(iter(scan_cuda_case().ours)) == "scan"
