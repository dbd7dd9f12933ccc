"""The benchmark of the whole path: its contestants agree, and its judge sees what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coset.bench import run_benchmark
from coset.bench.session import Session
from coset.sharing.benchmarks import path as module
from coset.sharing.benchmarks.path import VARIANTS, path_case, prepare_weights


def make(size, name):
    return prepare_weights(size, VARIANTS[name], torch.Generator().manual_seed(0))


def test_every_contestant_passes_the_gate_at_small_sizes():
    from coset.bench import find_benchmark

    assert module.__name__ == find_benchmark("sharing.path").module
    session = Session(find_benchmark("sharing.path"))
    for variant, value in session.benchmark.variants.items():
        names = list(session.case.applicable(value))
        assert session.check_small(variant, names) == len(names) * len(
            session.benchmark.small_sizes
        )


def mutants(right):
    """Return wrong answers, each by one slip."""
    swapped, late, wide, twice = right.copy(), right.copy(), right.copy(), right.copy()
    swapped[[100, 800], 1:] = swapped[[800, 100], 1:]
    late[500:, 0] += 1e-6
    wide[300, 3] += 1
    twice[700, 2] = twice[3, 2]
    start = right.copy()
    start[-1, 1] = 1
    return {
        "d instead of d - 1": right * [len(right) / (len(right) + 1), 1, 1, 1],
        "two merges swapped": swapped,
        "late": late,
        "strengths decrease": right[::-1],
        "stops too far": wide,
        "starts too late": start,
        "a boundary twice": twice,
        "not a number": np.where(np.arange(len(right))[:, None] == 7, np.nan, right),
        "too short": right[:-1],
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_the_judge_refuses_every_mutant(name):
    case, inputs = path_case(), make(1000, name)
    right = case.reference(inputs)
    assert case.compare(inputs, right.copy(), right) is None
    for mutant, wrong in mutants(right).items():
        assert case.compare(inputs, wrong, right), mutant


def test_the_judges_of_sorts_refuse_what_is_not_sorted():
    case, inputs = path_case(), make(100, "half-zero-float32")
    by_values = case.peers["numpy sort"].verify
    by_order = case.peers["numpy stable argsort"].verify
    values, order = np.sort(inputs.array), np.argsort(inputs.array)
    assert by_values(inputs, values) is by_order(inputs, order) is None
    assert by_values(inputs, values[::-1])
    assert by_order(inputs, order[::-1])
    assert by_order(inputs, np.zeros_like(order)) == "not a permutation"


def test_the_limit_reads_weights_and_writes_merges_once():
    limit = path_case().limits["copy"]
    assert limit.amount(make(1000, "normal-float32")) == 1000 * 4 + 999 * 32
    assert limit.amount(make(0, "plow-float64")) == 0


def test_the_case_runs():
    report = run_benchmark(
        "sharing.path", sizes=[300], variants=["plow-float64"], repeats=1, run_tests=False
    )
    (point,) = report.points
    assert point.ours.name == "sharing_path"
    assert {"heapq in Python", "numpy sort"} < {m.name for m in point.measurements}
