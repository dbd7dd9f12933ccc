from __future__ import annotations

import numpy as np
import pytest
import torch

from coset.bench import find_benchmark, run_benchmark
from coset.bench.session import Session
from coset.sharing.benchmarks.prox import STRENGTH, VARIANTS, prepare_weights, prox_case


def make(size, name, seed=0):
    return prepare_weights(size, VARIANTS[name], torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", VARIANTS)
def test_weights_have_the_dtype_and_the_tensor_shares_the_array(name):
    inputs = make(1000, name)
    assert str(inputs.array.dtype) == VARIANTS[name].dtype
    assert inputs.weights.data_ptr() == inputs.array.ctypes.data
    assert np.array_equal(make(1000, name).array, inputs.array)
    assert not np.array_equal(make(1000, name, seed=1).array, inputs.array)
    assert [len(make(size, name).array) for size in (0, 1, 2)] == [0, 1, 2]


def test_the_kinds_of_weights_are_what_they_say():
    assert np.count_nonzero(make(1001, "half-zero-float32").array == 0) == 500
    normal = make(10**5, "normal-float64").array
    assert normal.std() == pytest.approx(0.02, rel=0.02)
    plow = np.sort(make(1001, "plow-float64").array)
    touching = 2 * STRENGTH / 1000
    assert np.count_nonzero(plow == 0) == 500
    assert np.all(np.diff(plow[500:]) > touching)
    assert np.diff(plow[500:]) == pytest.approx(touching, rel=1e-8)


def test_every_contestant_passes_the_gate_at_small_sizes():
    benchmark = find_benchmark("sharing.prox")
    session = Session(benchmark)
    for variant, value in benchmark.variants.items():
        names = list(session.case.applicable(value))
        assert session.check_small(variant, names) == len(names) * len(benchmark.small_sizes)


def mutants(inputs, right):
    """Return wrong answers, each by one slip."""
    d = len(right)
    velocity = STRENGTH * (d - 1 - 2 * np.argsort(np.argsort(inputs.array))) / (d - 1)
    swapped = right.copy()
    swapped[[right.argmin(), right.argmax()]] = right.max(), right.min()
    found = {
        "d instead of d - 1": right - velocity / d,
        "mean drifts": right + 1e-5,
        "two swapped": swapped,
        "not a number": np.where(np.arange(d) == 7, np.nan, right),
        "too short": right[:-1],
    }
    # The plow ties all weights: nothing is swapped there.
    return {name: wrong for name, wrong in found.items() if not np.array_equal(wrong, right)}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_judge_refuses_every_mutant(name):
    case, inputs = prox_case(), make(1000, name)
    right = np.asarray(case.reference(inputs), dtype=np.float64)
    assert case.compare(inputs, right.astype(inputs.array.dtype), right) is None
    wrongs = mutants(inputs, right)
    assert len(wrongs) == (4 if name.startswith("plow") else 5)
    for mutant, wrong in wrongs.items():
        assert case.compare(inputs, wrong, right), mutant


def test_the_judges_of_sorts_refuse_what_is_not_sorted():
    case, inputs = prox_case(), make(100, "half-zero-float32")
    values, order = np.sort(inputs.array), np.argsort(inputs.array)
    by_values = case.peers["numpy sort"].verify
    by_order = case.peers["numpy argsort"].verify
    by_both = case.peers["torch.sort"].verify
    assert by_values(inputs, values) is by_order(inputs, order) is None
    assert by_both(inputs, (values, order)) is None
    assert by_values(inputs, values[::-1])
    assert by_order(inputs, order[::-1])
    repeated = np.where(inputs.array[order] == 0, order[inputs.array[order] == 0][0], order)
    assert by_order(inputs, repeated) == "not a permutation"
    assert by_both(inputs, (values, repeated))
    assert by_both(inputs, (values[::-1], order))


def test_the_limit_reads_and_writes_the_weights_once():
    limit = prox_case().limits["copy"]
    assert limit.amount(make(1000, "normal-float32")) == 2 * 1000 * 4
    assert limit.amount(make(1000, "normal-float64")) == 2 * 1000 * 8


def test_the_case_runs_with_numpy_in_both_dispatches():
    report = run_benchmark(
        "sharing.prox",
        sizes=[500],
        variants=["half-zero-float32"],
        repeats=1,
        run_tests=False,
    )
    (point,) = report.points
    assert point.ours.name == "prox_sharing"
    assert {m.name for m in point.measurements} >= {"torch.sort", "numpy sort, no AVX-512"}
    own, other = report.processes.values()
    assert "X86_V4" not in other["numpy_simd"]["dispatched"]
    assert set(other["numpy_simd"]["dispatched"]) <= set(own["numpy_simd"]["dispatched"])
