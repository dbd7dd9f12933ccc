"""Tests of coset.sharing.particles."""

from __future__ import annotations

import math

import pytest
import torch

from coset.core.errors import DomainError, DtypeError, ShapeError, UnsupportedError
from coset.core.numerics import tolerance
from coset.sharing.particles import simulate_particles
from coset.sharing.prox import prox_sharing


def test_merges_by_hand():
    history = simulate_particles(torch.tensor([7.0, 0.0, 3.0, 1.0]), [2.5, 0.0, math.inf])
    merges = [(e.time, e.start, e.split, e.stop, e.mass) for e in history.events]
    assert merges == [(1.5, 0, 1, 2, 2), (2.5, 0, 2, 3, 3), (4.25, 0, 3, 4, 4)]
    assert history.events[0].velocity == 2 / 3
    assert history.events[0].position == 1.5
    assert history.masses.tolist() == [[1, 3, 3, 3], [1, 1, 1, 1], [4, 4, 4, 4]]
    assert history.positions[1].tolist() == [7.0, 0.0, 3.0, 1.0]
    assert history.positions[2].tolist() == [2.75] * 4
    assert history.times.tolist() == [2.5, 0.0, math.inf]


@pytest.mark.oracle
def test_positions_are_the_prox_and_counts_agree(generator):
    for trial in range(40):
        d = 1 + trial
        w = torch.randn(d, generator=generator, dtype=torch.float64)
        if trial % 2:
            w = (4 * w).round() / 4
        times = [0.1, 0.4, 1.1, 2.5]
        history = simulate_particles(w, times)
        bound = tolerance(torch.float64, d, "mean", scale=float(w.abs().max()) + 1)
        for i, g in enumerate(times):
            out, info = prox_sharing(w, g, return_info=True)
            assert float((history.positions[i] - out).abs().max()) <= bound
            assert torch.equal(history.masses[i], info.masses[info.index.long()])
            assert abs(float(history.momentum[i])) <= d * tolerance(torch.float64)
            assert d - sum(e.time <= g for e in history.events) == info.num_clusters


def test_events_are_in_order_and_conserve_mass(generator):
    history = simulate_particles(torch.randn(200, generator=generator), [math.inf])
    assert len(history.events) == 199
    times = [event.time for event in history.events]
    assert times == sorted(times)
    assert history.events[-1].mass == 200


def test_empty_single_and_errors():
    assert simulate_particles(torch.zeros(0), [1.0]).positions.shape == (1, 0)
    assert simulate_particles(torch.ones(1), [1.0, 2.0]).positions.tolist() == [[1.0], [1.0]]
    with pytest.raises(DomainError, match="times"):
        simulate_particles(torch.zeros(2), [-1.0])
    with pytest.raises(DomainError, match="finite"):
        simulate_particles(torch.tensor([math.nan]), [1.0])
    with pytest.raises(DtypeError, match="int64"):
        simulate_particles(torch.arange(2), [1.0])


@pytest.mark.parametrize(
    ("w", "error", "match"),
    [
        ([0.0, 1.0], DtypeError, "given list; make one with torch.tensor"),
        (torch.zeros(2, dtype=torch.complex64), DtypeError, "w.real and w.imag"),
        (torch.zeros(2).to(torch.float8_e5m2), DtypeError, "float8_e5m2; convert with w.float"),
        (torch.eye(2).to_sparse(), UnsupportedError, "to_dense"),
    ],
)
def test_what_is_no_dense_real_tensor_is_refused(w, error, match):
    with pytest.raises(error, match=match):
        simulate_particles(w, [1.0])


@pytest.mark.parametrize(
    ("times", "error", "match"),
    [
        (5.0, DtypeError, r"given 5.0; write \[5.0\]"),
        (None, DtypeError, "given None"),
        ("12", DtypeError, "given '12'"),
        (["a"], DtypeError, "given 'a' of type str"),
        ([True], DtypeError, "given True"),
        (torch.tensor(5.0), ShapeError, "one dimension"),
        (torch.ones(1, 1), ShapeError, "one dimension"),
        ([10**400], DomainError, "math.inf"),
        ([math.nan], DomainError, "given nan"),
    ],
)
def test_times_that_are_no_numbers_are_refused(times, error, match):
    with pytest.raises(error, match=match):
        simulate_particles(torch.zeros(2), times)


@pytest.mark.parametrize("scale", [1.6e308, 2.0**1000])
def test_weights_near_the_end_of_float64(scale):
    w = torch.tensor([1.0, -0.5, 0.25, -1.0, -1.0], dtype=torch.float64)
    times = [0.0, 0.3, 0.9]
    plain = simulate_particles(w, [*times, math.inf])
    found = simulate_particles(w * scale, [*(t * scale for t in times), math.inf])
    assert bool(torch.isfinite(found.positions).all())
    assert float((found.positions / scale - plain.positions).abs().max()) <= 1e-15
    assert torch.equal(found.masses, plain.masses)
    for event, right in zip(found.events, plain.events, strict=True):
        assert (event.start, event.split, event.stop) == (right.start, right.split, right.stop)
        assert abs(event.position / scale - right.position) <= 1e-15
        if right.time * scale < 1.7e308:
            assert abs(event.time / scale - right.time) <= 1e-15
