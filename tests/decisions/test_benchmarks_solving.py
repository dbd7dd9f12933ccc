"""Tests of coset.decisions.benchmarks: the gate passes what is right and refuses what is not."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from coset.bench.registry import _BENCHMARKS
from coset.bench.session import Session
from coset.core.errors import UnavailableError
from coset.decisions.benchmarks import solving, sweep

IDS = ("decisions.sweep", "decisions.solve", "decisions.lexicographic")
PREPARE = {
    "decisions.sweep": sweep.prepare_level,
    "decisions.solve": sweep.prepare_level,
    "decisions.lexicographic": solving._prepare_two,
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("id", IDS)
def test_every_contestant_passes_the_gate_at_small_sizes(id):
    quick = dataclasses.replace(_BENCHMARKS[id], small_sizes=(1, 2, 65))
    session = Session(quick)
    for variant, value in quick.variants.items():
        names = list(session.case.applicable(value))
        assert session.check_small(variant, names) == 3 * len(names)


@pytest.mark.parametrize("id", IDS)
def test_inputs_are_drawn_alike_and_mutants_are_refused(id):
    case, variants = _BENCHMARKS[id].make(), _BENCHMARKS[id].variants
    for variant in variants.values():
        inputs, again = (PREPARE[id](40, variant, torch.Generator().manual_seed(0)) for _ in "12")
        assert torch.equal(inputs.successor, again.successor)
        assert torch.equal(inputs.reward, again.reward)
        right = case.reference(inputs)
        assert case.compare(inputs, right.clone(), right) is None
        late = right.clone()
        late[-1] += 0.01
        for wrong in (late, right * torch.nan, right[1:], right.roll(1, 0)):
            assert case.compare(inputs, wrong, right)


def test_local_successors_are_near():
    inputs = sweep.prepare_level(
        5000, sweep.SweepVariant("local"), torch.Generator().manual_seed(0)
    )
    here = torch.arange(5000)[:, None, None]
    assert int((inputs.successor - here).abs().max()) <= 512
    assert float((inputs.probability.sum(-1) - 1).abs().max()) < 1e-6


def test_pairs_tie_at_the_first_objective_only():
    inputs = solving._prepare_two(50, sweep.SweepVariant(), torch.Generator().manual_seed(0))
    from coset.decisions.solvers.solving import solve

    found = solve(inputs.mdp)
    assert found.lost_at.tolist() != solve(inputs.first).lost_at.tolist()
    assert torch.equal(solve(inputs.first).tie_set.sum(1), torch.full((50,), 2))
    assert torch.equal(found.tie_set.sum(1), torch.ones(50, dtype=torch.int64))


def test_the_sum_of_random_reads_is_judged():
    inputs = sweep.prepare_level(65, sweep.SweepVariant(), torch.Generator().manual_seed(0))
    total = sweep._gathers(inputs)
    assert sweep._verify_gathers(inputs, total) is None
    assert sweep._verify_gathers(inputs, total * 1.001)
    first = solving._prepare_two(20, sweep.SweepVariant(), torch.Generator().manual_seed(0))
    value = solving._solve_first(first)
    assert solving._verify_first(first, value) is None
    assert solving._verify_first(first, value + 1)


def test_limits_count_the_arrays_once():
    inputs = sweep.prepare_level(10, sweep.SweepVariant(), torch.Generator().manual_seed(0))
    # Indices and probabilities 4 bytes each, rewards 8; values read, and written.
    assert sweep.sweep_case().limits["copy"].amount(inputs) == 10 * (4 * 5 * 8 + 4 * 8 + 16)
    assert solving.solve_case().limits["copy"].amount(inputs) == 10 * (4 * 5 * 8 + 4 * 8 + 8)


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_the_gpu_case_needs_a_gpu():
    variant = _BENCHMARKS["decisions.sweep-cuda"].variants["random-float32"]
    with pytest.raises(UnavailableError, match="CUDA device"):
        sweep.prepare_level(4, variant, torch.Generator())
    assert next(iter(sweep.sweep_cuda_case().ours)) == "sweep, preallocated"


@pytest.mark.slow
def test_a_solve_needs_little_memory_beside_the_arrays():
    found = solving.measure_memory(1_000_000)
    assert found["arrays"] == 1_000_000 * 4 * (5 * 8 + 8 + 1)
    assert 1.0 < found["ratio"] <= 1.3
