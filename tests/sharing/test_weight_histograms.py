"""Histograms of weights by epoch: counts by hand, and the same after a resume."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import ConfigError
from coset.sharing.experiments.weight_histograms import NUM_BINS, REACH, WeightHistograms
from coset.train import TrainState


def watched(weight):
    histograms = WeightHistograms()
    histograms.watch(weight)
    histograms.on_start(TrainState())
    return histograms


def test_counts_by_hand():
    arrays = watched(torch.tensor([[-3.0, -1.0], [1.0, 3.0]])).arrays()
    mean, deviation = arrays["histogram_shapes"][0].tolist()
    assert (mean, deviation) == pytest.approx((0.0, (20 / 3) ** 0.5))
    width = 2 * REACH / NUM_BINS
    wanted = sorted(int((x / deviation + REACH) / width) for x in (-3.0, -1.0, 1.0, 3.0))
    assert arrays["histogram_counts"][0].nonzero().flatten().tolist() == wanted


def test_equal_weights_fill_the_middle_bin_and_far_ones_are_left_out():
    (counts,) = watched(torch.full((50,), 0.3)).arrays()["histogram_counts"]
    assert counts[NUM_BINS // 2] == 50 == counts.sum()
    far = torch.zeros(1000)
    far[0] = 1.0  # 31 deviations away
    (counts,) = watched(far).arrays()["histogram_counts"]
    assert counts.sum() == 999


def test_a_resumed_history_goes_on(generator):
    weight = torch.randn(100, generator=generator)
    histograms = watched(weight)
    histograms.on_epoch(TrainState(epoch=1))
    state = histograms.state_dict()
    weight[:50] = 0.0
    histograms.on_epoch(TrainState(epoch=2))

    again = WeightHistograms()
    again.watch(weight)
    again.load_state_dict(state)
    again.on_start(TrainState(epoch=1))
    again.on_epoch(TrainState(epoch=2))
    for name, value in histograms.arrays().items():
        assert again.arrays()[name].equal(value)
    assert again.arrays()["histogram_epochs"].tolist() == [0, 1, 2]
    assert again.arrays()["histogram_counts"][2].max() >= 50


def test_a_history_without_a_layer_is_refused():
    with pytest.raises(ConfigError, match="watch"):
        WeightHistograms().on_start(TrainState())
