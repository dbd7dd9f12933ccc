"""Optimal k-means on a line, and weights replaced by few values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from coset.core.errors import ConfigError, DomainError, DtypeError, ShapeError, UnsupportedError
from coset.core.numerics import tolerance
from coset.sharing import clustering
from coset.sharing.clustering import interval_means, optimal_intervals
from coset.sharing.prox import prox_sharing
from coset.sharing.quantize import quantize_together, quantize_weights, relative_error


def error_of(x, mass, bounds):
    """Return the squared error of intervals, each about its own mean."""
    parts = [(x[i:j], mass[i:j]) for i, j in itertools.pairwise(bounds)]
    return sum(float(m @ (p - np.average(p, weights=m)) ** 2) for p, m in parts)


def least_errors(x, mass):
    """Return the least squared error for 1, 2, … n clusters, by dynamic programming over all."""
    n = x.size
    cost = np.full((n + 1, n + 1), np.inf)
    for i in range(n):
        for j in range(i + 1, n + 1):
            cost[i, j] = error_of(x, mass, [i, j])
    best = np.full(n + 1, np.inf)
    best[0] = 0.0
    found = []
    for _ in range(n):
        best = (best[:, None] + cost).min(0)
        found.append(best[n])
    return found


KINDS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "even": lambda rng, n: np.arange(n, dtype=np.float64),  # every cut has ties
    "tie-rich": lambda rng, n: rng.integers(0, 12, n).astype(np.float64),
    "heavy-tailed": lambda rng, n: 1e6 + 1e3 * rng.standard_cauchy(n),
}


@pytest.mark.oracle
@pytest.mark.parametrize("kind", KINDS)
def test_the_error_is_the_least_possible_for_every_number_of_clusters(kind):
    rng = np.random.default_rng(7)
    for case in range(12):
        x, mass = np.unique(KINDS[kind](rng, rng.integers(1, 20)), return_counts=True)
        if case % 2:
            mass = mass * rng.integers(1, 5, x.size)
        wanted = least_errors(x, mass)
        for k in range(1, x.size + 1):
            bounds = optimal_intervals(x, mass, k)
            assert bounds.size == k + 1
            assert (bounds[0], bounds[-1]) == (0, x.size)
            assert (np.diff(bounds) > 0).all()
            # Rounding of the sums is relative to the error of one cluster.
            assert error_of(x, mass, bounds) <= wanted[k - 1] + 1e-13 * wanted[0]


@pytest.mark.oracle
def test_it_is_no_worse_than_scikit_learn():
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(3)
    x = np.unique(np.concatenate([rng.standard_normal(1500), rng.standard_normal(500) / 50]))
    mass = np.ones(x.size, dtype=np.int64)
    for k in (2, 7, 32):
        peer = KMeans(k, n_init=3, random_state=0).fit(x[:, None])
        ours = error_of(x, mass, optimal_intervals(x, mass, k))
        assert ours <= peer.inertia_ * (1 + 1e-9)
        assert ours >= 0.8 * peer.inertia_


@pytest.mark.parametrize("outlier", [-1e9, 1e9])
def test_an_outlier_spoils_no_other_cluster(outlier):
    x = np.sort(np.random.default_rng(1).standard_normal(20_000))
    mass = np.ones(x.size + 1, dtype=np.int64)
    plain = error_of(x, mass[1:], optimal_intervals(x, mass[1:], 64))
    spoiled = np.unique(np.append(x, outlier))
    assert error_of(spoiled, mass, optimal_intervals(spoiled, mass, 65)) <= plain * (1 + 1e-6)


@pytest.mark.parametrize("kind", ["normal", "heavy-tailed"])
def test_pooling_very_many_numbers_costs_little(monkeypatch, kind):
    x = np.unique(KINDS[kind](np.random.default_rng(2), 40_000))
    mass = np.ones(x.size, dtype=np.int64)
    for k in (1, 2, 16, 64):
        exact = error_of(x, mass, optimal_intervals(x, mass, k))
        with monkeypatch.context() as patch:
            patch.setattr(clustering, "MAX_POINTS", 4096)
            bounds = optimal_intervals(x, mass, k)
        assert bounds.size == k + 1
        assert exact * (1 - 1e-12) <= error_of(x, mass, bounds) <= exact * 1.001


def test_well_separated_clusters_are_found_at_any_scale():
    groups = np.arange(-25.0, 25.0)
    for scale in (1e-3, 1e-12):
        x = np.unique((groups[:, None] + scale * groups[None, 10:15] / 25).reshape(-1))
        mass = np.ones(x.size, dtype=np.int64)
        bounds = optimal_intervals(x, mass, 50)
        assert bounds.tolist() == list(range(0, 251, 5))
        assert optimal_intervals(x, mass, 51).size == 52
        assert set(bounds.tolist()) - set(optimal_intervals(x, mass, 51).tolist()) == set()


def test_means_stay_inside_and_finite():
    x = np.array([-1.7e308, -1.6e308, 0.1, 0.1 + 2**-40, 1.6e308, 1.7e308])
    mass = np.array([1, 1, 3, 1, 1, 1])
    means = interval_means(x, mass, np.array([0, 2, 4, 6]))
    assert means == pytest.approx([-1.65e308, 0.1, 1.65e308], rel=1e-12)
    whole = interval_means(x, mass, np.array([0, 6]))
    assert abs(whole[0]) < 1e293
    assert optimal_intervals(x, mass, 3).tolist() == [0, 2, 4, 6]
    tiny = np.array([0.0, 5e-324, 1e-300])
    assert optimal_intervals(tiny, np.ones(3, dtype=np.int64), 2).tolist() == [0, 2, 3]


METHODS = ["kmeans", "path"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_values_are_the_means_of_their_weights(method, dtype, generator):
    w = torch.randn(40, 5, generator=generator).to(dtype)
    tied = quantize_weights(w, 12, method=method)
    q = tied.dense()
    assert (q.dtype, q.shape) == (dtype, w.shape)
    assert 1 <= tied.num_unique <= 12
    for value in q.unique():
        mean = w[q == value].double().mean()
        assert float(value) == pytest.approx(
            float(mean.to(dtype)), abs=1e-6 if q.element_size() > 2 else 0.02
        )
    # Order is kept: clusters are intervals.
    order = w.reshape(-1).double().argsort()
    assert bool((q.reshape(-1)[order].double().diff() >= 0).all())


def test_kmeans_has_the_smaller_error_and_the_path_has_the_clusters_of_the_prox(generator):
    w = torch.randn(500, generator=generator, dtype=torch.float64)
    for count in (2, 8, 40, 200):
        kmeans, path = (quantize_weights(w, count, method=m) for m in METHODS)
        assert (kmeans.num_unique, path.num_unique) == (count, count)
        assert relative_error(w, kmeans) <= relative_error(w, path)
    # Between two merges of the path the prox has the clusters of the cut.
    for strength in (0.05, 0.5, 1.3):
        tied, info = prox_sharing(w, strength, rewind=1.0, return_info=True)
        cut = quantize_weights(w, info.num_clusters, method="path").dense()
        assert (cut - tied).abs().max() < tolerance("float64", 500, "mean", scale=4.0)


@pytest.mark.parametrize("method", METHODS)
def test_few_distinct_values_are_kept_exactly(method):
    w = torch.tensor([[1e-30, 3.0], [3.0, -0.0], [0.0, 1e30]])
    for count in (4, 5, 1000):
        tied = quantize_weights(w, count, method=method)
        assert tied.dense().equal(w)
        assert relative_error(w, tied) == 0
    assert quantize_weights(w, 1, method=method).values.tolist() == pytest.approx([1e30 / 6])


@pytest.mark.parametrize("method", METHODS)
def test_edges(method):
    for shape in ((0,), (0, 3), (3, 0)):
        tied = quantize_weights(torch.zeros(shape), 4, method=method)
        assert (tied.dense().shape, tied.num_unique) == (shape, 0)
    assert quantize_weights(torch.tensor(2.5), 1, method=method).dense().equal(torch.tensor(2.5))
    base = torch.arange(24.0).reshape(4, 6)
    across = base.t()[::2]
    assert not across.is_contiguous()
    assert quantize_weights(across, 99, method=method).dense().equal(across)
    huge = torch.tensor([-1e308, -0.99e308, 1.0, 0.99e308, 1.7e308], dtype=torch.float64)
    tied = quantize_weights(huge, 3, method=method)
    assert bool(torch.isfinite(tied.values).all())
    assert 0 < relative_error(huge, tied) < 0.5
    offset = 1000 + 1e-3 * torch.randn(400, generator=torch.Generator().manual_seed(0)).double()
    assert quantize_weights(offset, 7, method=method).num_unique == 7


def test_equal_steps_merge_at_once_on_the_path():
    # All four weights meet at one strength: there are no two or three clusters on the way.
    w = torch.tensor([0.0, 1.0, 2.0, 3.0])
    assert quantize_weights(w, 3, method="path").values.tolist() == [1.5]
    assert quantize_weights(w, 3).num_unique == 3


def test_several_tensors_share_their_values(generator):
    tensors = [torch.randn(60, 3, generator=generator), torch.randn(50, generator=generator).half()]
    tied = quantize_together(tensors, 8)
    whole = torch.cat([t.reshape(-1).double() for t in tensors])
    alone = quantize_weights(whole, 8).dense()
    assert tied[0].dense().equal(alone[:180].float().reshape(60, 3))
    assert tied[1].dense().equal(alone[180:].half())
    used = {float(v) for v in tied[0].values}
    assert len(used) <= 8
    assert quantize_together([], 8) == []
    # Each keeps only the values that it uses.
    low, high = quantize_together([torch.tensor([0.0, 1.0, 0.0]), torch.tensor([9.0])], 2)
    assert (low.num_unique, high.num_unique) == (1, 1)


@pytest.mark.parametrize(
    ("w", "count", "method", "error", "message"),
    [
        (torch.tensor([1, 2]), 2, "kmeans", DtypeError, "floating"),
        ([1.0], 2, "kmeans", DtypeError, "list"),
        (torch.ones(2).to_sparse(), 2, "kmeans", UnsupportedError, "dense"),
        (torch.ones(2), 0, "kmeans", DomainError, "≥ 1; given 0"),
        (torch.ones(2), True, "kmeans", DomainError, "given True"),
        (torch.ones(2), 2.0, "kmeans", DtypeError, "integer; given 2.0"),
        (torch.ones(2), 2, "lloyd", ConfigError, "kmeans, path; given 'lloyd'"),
        (torch.tensor([[1.0, math.nan]]), 2, "kmeans", DomainError, r"nan at index \(0, 1\)"),
        (torch.tensor([math.inf]), 2, "path", DomainError, r"inf at index \(0,\)"),
    ],
)
def test_wrong_use_is_refused(w, count, method, error, message):
    with pytest.raises(error, match=message):
        quantize_weights(w, count, method=method)


@pytest.mark.parametrize(
    ("w", "error"),
    [
        ([1.0, 2.0], DtypeError),
        (torch.tensor([1, 2]), DtypeError),
        (torch.ones(3), ShapeError),
        (torch.ones(2, 1), ShapeError),
        (torch.tensor([math.nan, 1.0]), DomainError),
        (torch.tensor([1.0, -math.inf]), DomainError),
    ],
)
def test_no_error_is_relative_to_that(w, error):
    with pytest.raises(error):
        relative_error(w, quantize_weights(torch.ones(2), 1))


def test_relative_error_by_hand():
    tied = quantize_weights(torch.tensor([3.0, 5.0]), 1)
    assert relative_error(torch.tensor([3.0, 5.0]), tied) == pytest.approx(math.sqrt(2 / 34))
    assert relative_error(torch.zeros(3), quantize_weights(torch.zeros(3), 1)) == 0
    small = torch.tensor([1e-320, 3e-320], dtype=torch.float64)
    assert relative_error(small, quantize_weights(small, 1)) == pytest.approx(0.447, abs=0.01)
