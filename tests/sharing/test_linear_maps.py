"""Fits of linear maps, their measures, and the second stage, by hand and by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso, Ridge

from coset.sharing.experiments.linear_maps import (
    Pairs,
    circulance_of_map,
    convolution_fits,
    cyclic_positions,
    map_of_taps,
    number_ties,
    relative_squared_error,
    ridge_fits,
    shared_fits,
    tie_agreement,
)
from coset.sharing.experiments.second_stage import group_weights, refit_values


@pytest.fixture
def data(generator):
    x = torch.randn(30, 16, generator=generator, dtype=torch.float64)
    truth = map_of_taps(torch.arange(16.0).double() % 3, cyclic_positions([16]))
    return x, x @ truth.T + 0.1 * torch.randn(30, 16, generator=generator).double(), truth


def test_positions_on_a_torus_are_sums_of_coordinates():
    positions = cyclic_positions([3, 4])
    for q, s in itertools.product(range(12), repeat=2):
        row, column = (q // 4 + s // 4) % 3, (q % 4 + s % 4) % 4
        assert int(positions[q, s]) == 4 * row + column


def test_a_map_of_taps_is_a_correlation_on_the_torus(generator):
    taps, image = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    found = map_of_taps(taps.flatten(), cyclic_positions([5, 4])) @ image.flatten()
    wanted = torch.fft.ifft2(torch.fft.fft2(image) * torch.fft.fft2(taps).conj()).real
    assert float((found.reshape(5, 4) - wanted).abs().max()) < 1e-12


def test_ridge_is_scikit_learns(data):
    x, y, _ = data
    fits = ridge_fits(x, y, 4)
    assert [a.strength / b.strength for a, b in itertools.pairwise(fits)] == pytest.approx(
        [10 ** (5 / 3)] * 3
    )
    for fit in fits:
        peer = Ridge(alpha=fit.strength * len(x), fit_intercept=False).fit(x.numpy(), y.numpy())
        np.testing.assert_allclose(fit.weights.numpy(), peer.coef_, atol=1e-10)


def test_the_path_of_the_lasso_is_scikit_learns(data):
    x, y, _ = data
    calls = []
    fits = shared_fits(
        x, y, 5, l1_ratio=1.0, max_iter=20_000, tol=1e-12, report=lambda: calls.append(1)
    )
    assert len(calls) == 5
    assert not fits[0].weights.any()
    for fit in fits:
        peer = Lasso(alpha=fit.strength, fit_intercept=False, tol=1e-12, max_iter=100_000)
        peer.fit(x.numpy(), y.numpy())
        np.testing.assert_allclose(fit.weights.numpy(), peer.coef_, atol=1e-5)
        assert fit.relative_gap <= 1e-12


def test_the_path_of_sharing_begins_tied_and_comes_apart(data):
    x, y, _ = data
    counts = [
        fit.weights.unique().numel()
        for fit in shared_fits(x, y, 5, l1_ratio=0.0, max_iter=5000, tol=1e-8)
    ]
    assert counts[0] <= 2
    assert counts[-1] > 100


def test_a_convolution_is_found_exactly_and_only_where_it_is_one(data, generator):
    x, _, truth = data
    positions = cyclic_positions([16])
    found = convolution_fits(x, x @ truth.T, 6, positions)[-1].weights
    assert float((found - truth).abs().max()) < 1e-3
    assert circulance_of_map(found, positions) == pytest.approx(1.0)
    order = torch.randperm(16, generator=generator)
    shown = Pairs(x, x @ truth.T, x, x @ truth.T, x, x @ truth.T, truth).permuted(order)
    assert float((shown.x @ shown.truth.T - shown.y).abs().max()) < 1e-12
    lost = convolution_fits(shown.x, shown.y, 6, positions)[-1].weights
    assert shown.test_error(lost) > 0.2
    assert shown.test_error(shown.truth) < 1e-24
    assert shown.validation_error(0 * truth) == 1


def test_circulance_of_maps(generator):
    positions = cyclic_positions([4, 4])
    convolution = map_of_taps(torch.randn(16, generator=generator).double(), positions)
    assert circulance_of_map(convolution + 7, positions) == pytest.approx(1.0)
    assert circulance_of_map(torch.full((16, 16), 0.3), positions) == 0
    assert circulance_of_map(torch.zeros(16, 16), positions) == 0
    noise = torch.randn(16, 16, generator=generator, dtype=torch.float64)
    noise *= (convolution - convolution.mean()).norm() / noise.norm()
    values = [circulance_of_map(convolution + level * noise, positions) for level in (0, 0.3, 1)]
    assert values == sorted(values, reverse=True)
    assert circulance_of_map(noise, positions) < 0.2
    # The convolution nearest to a map that is none: no other is nearer.
    taps = torch.randn(16, generator=generator, dtype=torch.float64)
    centered = noise - noise.mean()
    other = float((centered - map_of_taps(taps, positions)).norm() / centered.norm())
    assert 1 - other < circulance_of_map(noise, positions)


def test_errors_and_ties_by_hand():
    assert relative_squared_error(
        torch.tensor([1.0, 1.0]), torch.tensor([1.0, 2.0])
    ) == pytest.approx(0.2)
    ties = number_ties(torch.tensor([[0.5, -1.0], [0.0, -0.0]]))
    assert ties.tolist() == [[2, 0], [1, 1]]
    assert ties.dtype == torch.int32
    truth = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    assert tie_agreement(torch.tensor([[5.0, 5.0], [-2.0, -2.0]]), truth) == 1
    assert tie_agreement(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), truth) == 0
    assert tie_agreement(torch.zeros(2, 2), truth) == 0
    assert tie_agreement(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), truth) < 0


@pytest.mark.oracle
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_grouping_is_the_best_of_all_cuts(k, generator):
    weights = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    weights[0, :2] = weights[1, 1]

    def loss(groups):
        parts = [weights[groups == g] for g in groups.unique()]
        return sum(float((part - part.mean()).square().sum()) for part in parts)

    found = group_weights(weights, k)
    assert found.max() == k - 1
    order = weights.flatten().argsort()
    best = min(
        loss(torch.zeros(12, dtype=torch.int64).scatter(0, order, ids).reshape(3, 4))
        for cut in itertools.combinations(range(1, 12), k - 1)
        for ids in [torch.tensor([sum(i >= c for c in cut) for i in range(12)])]
    )
    assert loss(found) == pytest.approx(best, abs=1e-12)
    by_value = [float(weights[found == g].mean()) for g in range(k)]
    assert by_value == sorted(by_value)


def test_grouping_into_more_than_there_are_keeps_the_values(generator):
    weights = torch.tensor([[1.0, 2.0], [2.0, 5.0]], dtype=torch.float64)
    assert group_weights(weights, 9).tolist() == [[0, 1], [1, 2]]


@pytest.mark.oracle
def test_refitting_is_least_squares_in_the_values(data, generator):
    x, y, _ = data
    groups = torch.randint(0, 4, (16, 16), generator=generator)
    found = refit_values(groups, x.T @ x, y.T @ x)
    # The long way: one column a value, one line an output of a sample.
    design = torch.stack([(x @ (groups == g).double().T).reshape(-1) for g in range(4)], dim=1)
    values = torch.linalg.lstsq(design, y.reshape(-1, 1)).solution[:, 0]
    assert float((found - values[groups]).abs().max()) < 1e-10
    assert found.unique().numel() == 4


def test_refitting_the_true_groups_finds_the_map(data):
    x, _, truth = data
    found = refit_values(number_ties(truth).long(), x.T @ x, (x @ truth.T).T @ x)
    assert float((found - truth).abs().max()) < 1e-10
    nothing = refit_values(number_ties(truth).long(), torch.zeros(16, 16).double(), 0 * truth)
    assert not nothing.any()
