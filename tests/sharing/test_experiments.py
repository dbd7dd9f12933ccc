"""The experiments of sharing: rows, pairing, resuming after a kill, and the measures."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from coset.core.claims import find_claim
from coset.core.errors import ConfigError, ShapeError
from coset.core.numerics import tolerance
from coset.lab.context import RunContext
from coset.lab.experiments import find_experiment
from coset.lab.metrics import read_metrics
from coset.sharing.experiments import ParticlesConfig, TorusConfig, particles, torus_digits
from coset.sharing.experiments.filter_shape import align_filters, circulance, locality
from coset.sharing.experiments.torus_digits import ARRAYS_FILE
from coset.sharing.experiments.torus_settings import TUNED, describe, resolve
from coset.sharing.experiments.torus_training import METHODS
from coset.sharing.experiments.weights import (
    cut_path,
    kmeans_path,
    quantize_weights,
    weight_statistics,
)
from coset.sharing.models import unroll_kernel

TINY = TorusConfig(
    num_train=100,
    num_validation=50,
    channels=(4,),
    kernel_size=3,
    num_epochs=3,
    batch_size=25,
    learning_rate=3.0,
    momentum=0.9,
    strength=0.01,
    rewind=0.0,
    kappa=1.7,
    l1=0.001,
    beta=10.0,
    num_values=5,
)
TOLERANCE = tolerance("float64", 100, "mean")


def row_of(config, folder):
    rows = list(torus_digits(config, RunContext("sharing.torus-digits", config, folder)))
    assert len(rows) == 1
    return rows[0]


@pytest.mark.experiment
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shuffled", [False, True])
def test_each_method_gives_one_sound_row(method, shuffled, tmp_path):
    row = row_of(replace(TINY, method=method, shuffled=shuffled), tmp_path)
    for name in ("train_accuracy", "validation_accuracy", "test_accuracy", "cut_test_accuracy"):
        assert 0 <= row[name] <= 1
    assert (row["method"], row["shuffled"]) == (method, shuffled)
    assert row["num_weights"] == (36 if method == "cnn" else 4 * 49 * 49)
    assert 1 <= row["cut_num_distinct"] <= row["num_distinct"] <= row["num_weights"]
    assert 0 < row["locality"] <= 1
    if method == "cnn" and not shuffled:
        assert row["circulance"] == pytest.approx(1.0, abs=1e-6)
    else:
        assert 0 <= row["circulance"] < 0.9
    assert (row["sparsity"] > 0) == (method in ("fc+l1", "fc+beta-lasso"))
    if method == "fc+kmeans":
        assert row["num_distinct"] == TINY.num_values
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == TINY.num_epochs
    arrays = load_file(tmp_path / ARRAYS_FILE)
    assert arrays["histogram_epochs"].tolist() == [0, 1, 2, 3]
    # A normal or a uniform weight is rarely, one of many tied ones often, four deviations away.
    assert (arrays["histogram_counts"].sum(1) > 0.95 * row["num_weights"]).all()
    assert arrays["kmeans_num_distinct"][0] <= 2


@pytest.mark.experiment
def test_sharing_ties_weights_and_the_plain_network_does_not(tmp_path):
    plain = row_of(TINY, tmp_path / "a")
    shared = row_of(replace(TINY, method="fc+sharing", strength=0.1, final_rate=0.5), tmp_path)
    assert plain["num_distinct"] > 0.99 * plain["num_weights"]
    assert shared["num_distinct"] < 0.5 * plain["num_distinct"]
    assert shared["largest_cluster_fraction"] > 0.5


@pytest.mark.experiment
def test_a_network_of_two_layers_has_a_strength_for_each(tmp_path):
    config = replace(
        TINY, method="fc+sharing", channels=(2, 3), strength=0.0, later_strength=10.0, final_rate=1
    )
    row = row_of(config, tmp_path)
    sizes = (49 * 98, 98 * 147)
    assert row["num_weights"] == sum(sizes)
    # The second layer collapses to one value, the first is left alone.
    assert row["largest_cluster_fraction"] == pytest.approx(sizes[1] / sum(sizes), abs=1e-3)


class Killed(Exception):
    """Stands for a kill in the middle of a run."""


@pytest.mark.experiment
@pytest.mark.parametrize("method", ["fc+sharing", "fc+dual-averaging", "fc+kmeans", "cnn"])
def test_a_killed_run_continues_to_the_same_row_and_the_same_metrics(method, tmp_path):
    config = replace(TINY, method=method, dropout=0.3)

    def kill(done, total, note):
        if done == 2:
            raise Killed

    whole = row_of(config, tmp_path / "whole")
    broken = RunContext("sharing.torus-digits", config, tmp_path / "killed")
    broken.progress = kill
    with pytest.raises(Killed):
        list(torus_digits(config, broken))
    assert (tmp_path / "killed" / "checkpoints").is_dir()
    assert row_of(config, tmp_path / "killed") == whole
    for name in ("metrics.jsonl", ARRAYS_FILE):
        first, second = (tmp_path / run / name for run in ("whole", "killed"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.experiment
def test_methods_see_the_same_images_in_the_same_order(tmp_path):
    # With no strength the proximal step does nothing: all else must be equal.
    plain = row_of(TINY, tmp_path / "a")
    nothing = row_of(replace(TINY, method="fc+sharing", strength=0.0), tmp_path / "b")
    differing = {name for name in plain if plain[name] != nothing[name]}
    assert differing == {"method", "settings"}
    lasso = row_of(replace(TINY, method="fc+beta-lasso", l1=0.0), tmp_path / "d")
    assert {name for name in plain if plain[name] != lasso[name]} == {"method", "settings"}
    assert row_of(replace(TINY, seed=5), tmp_path / "c")["penalty"] != plain["penalty"]


@pytest.mark.experiment
def test_beta_lasso_leaves_no_small_weight(tmp_path):
    config = replace(TINY, method="fc+beta-lasso", l1=1e-3, beta=50.0)
    row = row_of(config, tmp_path)
    filters = load_file(tmp_path / ARRAYS_FILE)["filters"]
    sizes = filters[filters != 0].abs()
    assert sizes.min() >= 0.05
    assert row["sparsity"] == pytest.approx(1 - len(sizes) / filters.numel())


def test_none_takes_the_tuned_setting_and_a_given_value_stays():
    for side, channels, num_epochs in ((7, (16,), 60), (14, (8,), 30)):
        for method in METHODS:
            settings = resolve(TorusConfig(method=method, side=side))
            assert (settings.channels, settings.num_epochs) == (channels, num_epochs)
            for name, value in TUNED[side, method].items():
                assert getattr(settings, name) == value
                assert f"{name}={value:g}" in describe(settings)
    given = resolve(TorusConfig(method="fc+sharing", learning_rate=0.25, strength=0.5))
    assert (given.learning_rate, given.strength, given.later_strength) == (0.25, 0.5, 0.5)
    assert describe(given).startswith("learning_rate=0.25, ")


@pytest.mark.parametrize(
    "change",
    [
        *({"num_epochs": 0}, {"num_validation": 0}, {"num_train": 9999}),
        *({"num_values": 0}, {"l1": -1.0}, {"beta": -1.0}),
    ],
)
def test_impossible_settings_are_refused(change, tmp_path):
    with pytest.raises(ConfigError):
        row_of(replace(TINY, **change), tmp_path)


def test_the_presets_are_those_that_the_claim_needs():
    item = find_experiment("sharing.torus-digits")
    assert set(item.presets) == {"smoke", "cpu", "paper"}
    assert find_claim("sharing.C19").experiment == item.id
    for preset in item.presets.values():
        assert {"fc", "fc+sharing", "cnn"} <= set(preset.grid["method"])
        assert set(preset.grid["shuffled"]) == {False, True}
    paper = item.presets["paper"].config
    assert (paper.side, paper.channels, paper.num_epochs, paper.batch_size) == (
        14,
        (32, 64),
        200,
        512,
    )


@pytest.mark.experiment
def test_particles_rows(tmp_path):
    config = ParticlesConfig(num_weights=5000, num_particles=6, num_strengths=5)
    rows = list(particles(config, RunContext("sharing.particles", config, tmp_path)))
    (critical,) = (row for row in rows if row["kind"] == "critical")
    assert critical["strength"] == pytest.approx(math.sqrt(math.pi / 2))
    counts = [row for row in rows if row["kind"] == "count"]
    fractions = [row["distinct_fraction"] for row in counts]
    assert fractions[0] == 1
    assert fractions == sorted(fractions, reverse=True)
    # The standard error of the fraction is below 0.007 = 0.5/√5000; the law itself is not proved.
    assert abs(counts[1]["distinct_fraction"] - counts[1]["predicted_fraction"]) < 0.05
    assert [row["predicted_fraction"] is None for row in counts] == [False] * 3 + [True] * 2
    lines = [row for row in rows if row["kind"] == "line"]
    last = max(row["strength"] for row in lines)
    final = {(row["position"], row["mass"]) for row in lines if row["strength"] == last}
    assert len(final) == 1
    assert {mass for _, mass in final} == {6}


@pytest.mark.parametrize("field", ["num_particles", "num_weights", "num_strengths"])
def test_too_few_particles_are_refused(field, tmp_path):
    config = replace(ParticlesConfig(), **{field: 1})
    with pytest.raises(ConfigError, match=f"{field} must be ≥ 2"):
        list(particles(config, RunContext("sharing.particles", config, tmp_path)))


def convolution(generator, side=7, size=3):
    kernel = torch.randn(2, size, size, generator=generator, dtype=torch.float64)
    return unroll_kernel(kernel, side).reshape(2, side * side, side, side)


def test_a_convolution_has_circulance_one_in_any_order_of_units(generator):
    filters = convolution(generator)
    mixed = filters[:, torch.randperm(49, generator=generator)]
    assert circulance(filters) == pytest.approx(1.0, abs=TOLERANCE)
    assert circulance(mixed) == pytest.approx(1.0, abs=TOLERANCE)
    aligned, matched = align_filters(mixed)
    assert (aligned - aligned[:, :1]).abs().max() < TOLERANCE
    assert all(len(set(row)) == 49 for row in matched.tolist())


def test_noise_lowers_circulance_and_random_filters_have_little(generator):
    filters = convolution(generator)
    noise = torch.randn(filters.shape, generator=generator, dtype=torch.float64)
    noise *= filters.norm() / noise.norm()
    values = [circulance(filters + level * noise) for level in (0.0, 0.3, 1.0)]
    assert values == sorted(values, reverse=True)
    assert circulance(noise) < 0.25


def test_permuted_pixels_are_not_a_convolution(generator):
    order = torch.randperm(49, generator=generator)
    filters = convolution(generator, size=7).flatten(2)[..., order].reshape(2, 49, 7, 7)
    assert circulance(filters) < 0.5


def test_constant_channels_have_no_circulance():
    assert circulance(torch.full((2, 49, 7, 7), 0.3)) == 0
    assert circulance(torch.zeros(2, 49, 7, 7)) == 0


def test_locality_by_hand(generator):
    assert locality(convolution(generator)) == pytest.approx(1.0)
    assert locality(torch.ones(1, 49, 7, 7)) == pytest.approx(9 / 49)
    assert locality(torch.zeros(1, 49, 7, 7)) == 0
    corner = torch.zeros(1, 9, 3, 3)
    corner[..., 0, 0] = 1  # one filter, on a torus that the window covers
    assert locality(corner) == pytest.approx(1.0)
    normal = torch.randn(20, 49, 7, 7, generator=generator)
    assert locality(normal) == pytest.approx(0.36, abs=0.02)


def test_filters_of_another_shape_are_refused():
    for measure in (locality, circulance, align_filters):
        with pytest.raises(ShapeError):
            measure(torch.zeros(2, 5, 7, 7))


def test_weight_statistics_by_hand():
    statistics = weight_statistics([torch.tensor([[0.0, 0.0], [1.0, 1e-9]]), torch.ones(2)])
    assert statistics == {
        "num_weights": 6,
        "num_distinct": 4,
        "penalty": pytest.approx(1.0),
        "largest_cluster_fraction": 2 / 6,
        "sparsity": 3 / 6,
    }


def test_cuts_tie_more_and_more_and_give_the_weights_back(generator):
    weights = [nn.Parameter(torch.randn(300, generator=generator))]
    weights[0].data[:100] = 0.5
    before = weights[0].detach().clone()
    seen = []

    def evaluate():
        seen.append(weights[0].detach().unique().numel())
        return 0.5, float(weights[0].detach().mean())

    points = cut_path(weights, evaluate)
    counts = [point[1] for point in points]
    assert counts[0] == 201 == seen[0]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < 20
    means = [point[3] for point in points]
    assert max(means) - min(means) < tolerance("float32", 300, "mean")
    assert weights[0].detach().equal(before)


def test_quantizing_takes_the_nearest_centers():
    weights = [nn.Parameter(torch.tensor([[0.0, 1.0, 10.0], [11.0, 0.5, 10.5]])), torch.ones(4)]
    assert quantize_weights(weights, 2) == 3
    assert weights[0].tolist() == [[0.5, 0.5, 10.5], [10.5, 0.5, 10.5]]
    assert weights[1].tolist() == [1.0] * 4


@pytest.mark.parametrize("num_values", [1, 2, 5])
def test_quantizing_is_close_to_the_best_partition(num_values, generator):
    x = torch.randn(12, generator=generator, dtype=torch.float64)
    ascending = x.sort().values
    best = min(
        sum(float((part - part.mean()).square().sum()) for part in ascending.tensor_split(cuts))
        for cuts in itertools.combinations(range(1, 12), num_values - 1)
    )
    weights = [x.clone()]
    assert quantize_weights(weights, num_values) <= num_values
    error = float((weights[0] - x).square().sum())
    # A local optimum of two starts: never better than the best, and not far from it here.
    assert best * (1 - 1e-9) <= error <= 1.5 * best + 1e-12


def test_more_values_than_weights_change_nothing(generator):
    x = torch.randn(40, generator=generator)
    weights = [x.clone()]
    assert quantize_weights(weights, 1000) == 40
    assert weights[0].equal(x)


def test_the_path_of_k_means_has_ever_less_error_and_gives_the_weights_back(generator):
    weights = [nn.Parameter(torch.randn(500, generator=generator))]
    before = weights[0].detach().clone()
    points = kmeans_path(
        weights, lambda: (0.5, float((weights[0].detach() - before).square().mean()))
    )
    errors = [point[3] for point in points]
    assert errors == sorted(errors, reverse=True)
    assert points[0][:2] == (2.0, 2.0)
    assert weights[0].detach().equal(before)
