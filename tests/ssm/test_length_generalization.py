"""length_generalization: accuracies of models whose accuracy is known, thresholds, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from coset.core.errors import ConfigError, DtypeError, ShapeError
from coset.core.results import Record
from coset.groups import symmetric
from coset.ssm.length_generalization import LengthTable, length_generalization

S3 = symmetric(3)


class Tracker(nn.Module):
    """Track exactly up to a position, then say 0; optionally with NaN after it."""

    def __init__(self, group, horizon, after=0.0):
        super().__init__()
        self.group, self.horizon, self.after = group, horizon, after
        self.largest_batch, self.modes = 0, []

    def forward(self, tokens):
        self.largest_batch = max(self.largest_batch, len(tokens))
        self.modes.append(self.training)
        right = nn.functional.one_hot(self.group.prefix_products(tokens), self.group.order).float()
        right[:, self.horizon :] = self.after
        return right


def test_an_exact_model_is_exact(generator):
    table = length_generalization(
        Tracker(S3, 10**6), S3, [1, 2, 1000], num_words=20, generator=generator
    )
    assert table.lengths == (1, 2, 1000)
    assert table.accuracies == (1.0, 1.0, 1.0)
    assert table.standard_errors == (0.0, 0.0, 0.0)
    assert table.longest() == 1000


@pytest.mark.parametrize("metric", ["all", "last"])
def test_a_model_with_a_horizon(metric, generator):
    # Beyond position 30 it says 0, which is right with probability 1/6.
    table = length_generalization(
        Tracker(S3, 30), "S3", [10, 30, 40, 300], num_words=2000, metric=metric, generator=generator
    )
    by_length = dict(zip(table.lengths, table.accuracies, strict=True))
    errors = dict(zip(table.lengths, table.standard_errors, strict=True))
    assert by_length[10] == by_length[30] == 1.0
    for length in (40, 300):
        share = 30 / length if metric == "all" else 0.0
        expected = share + (1 - share) / 6
        assert abs(by_length[length] - expected) < 6 * errors[length]
        assert 0 < errors[length] < 0.02
    assert table.longest(0.9) == 30


def test_logits_that_are_no_numbers_are_wrong(generator):
    table = length_generalization(
        Tracker(S3, 10, math.nan), S3, [20], num_words=50, generator=generator
    )
    assert table.accuracies == (0.5,)


def test_the_batch_size_changes_memory_only():
    tables, largest = [], []
    for size in (3, 64):
        model = Tracker(S3, 10)
        generator = torch.Generator().manual_seed(5)
        tables.append(
            length_generalization(
                model, S3, [12, 40], num_words=9, batch_size=size, generator=generator
            )
        )
        largest.append(model.largest_batch)
    assert tables[0] == tables[1]
    assert largest == [3, 9]


def test_models_that_name_elements(generator):
    class Elements:
        def track(self, tokens):
            return S3.prefix_products(tokens, alphabet=[1, 2])

    table = length_generalization(
        Elements(), S3, [50], num_words=5, alphabet=[1, 2], generator=generator
    )
    assert table.accuracies == (1.0,)
    wrong = length_generalization(
        Elements(), S3, [50], num_words=50, alphabet=[2, 1], generator=generator
    )
    assert wrong.accuracies[0] < 0.6


def test_training_mode_is_left_as_it_was(generator):
    model = Tracker(S3, 10).train()
    length_generalization(model, S3, [4], num_words=2, generator=generator)
    assert model.training
    assert model.modes == [False]


def test_thresholds():
    table = LengthTable((10, 20, 30, 40), (1.0, 0.8, 0.95, 0.1), (0.0,) * 4, "all", 9)
    assert table.longest() == 10
    assert table.longest(unbroken=False) == 30
    assert table.longest(0.95, unbroken=False) == 10
    assert table.longest(0.05) == 40
    assert LengthTable((10,), (0.9,), (0.0,), "all", 9).longest(0.9) == 0
    assert [row["length"] for row in table.rows()] == [10, 20, 30, 40]
    assert "30  0.9500" in str(table)
    assert Record.from_json(table.to_json()) == table
    for wrong in (1.0, -0.1, math.nan):
        with pytest.raises(ConfigError, match="threshold"):
            table.longest(wrong)


def test_lengths_are_sorted_and_counted_once(generator):
    table = length_generalization(Tracker(S3, 10), S3, [8, 2, 8], num_words=1, generator=generator)
    assert table.lengths == (2, 8)
    assert all(math.isnan(error) for error in table.standard_errors)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"lengths": []}, "lengths must be one or more"),
        ({"lengths": [0]}, "length must be"),
        ({"num_words": 0}, "num_words"),
        ({"batch_size": 0}, "batch_size"),
        ({"metric": "mean"}, "metric must be"),
    ],
)
def test_bad_arguments_are_refused(arguments, match):
    with pytest.raises(ConfigError, match=match):
        length_generalization(Tracker(S3, 1), S3, **{"lengths": [3], **arguments})


def test_wrong_shapes_are_named():
    with pytest.raises(ShapeError, match=r"\(2, 3, 6\); it returned \(2, 3, 5\)"):
        length_generalization(lambda t: torch.zeros(*t.shape, 5), S3, [3], num_words=2)

    class Short:
        def track(self, tokens):
            return tokens[:, :-1]

    with pytest.raises(ShapeError, match=r"\(2, 3\); it returned \(2, 2\)"):
        length_generalization(Short(), S3, [3], num_words=2)


@pytest.mark.parametrize("lengths", [[2.5], 5, "abc", [True], torch.tensor([1.5]), np.array([])])
def test_lengths_that_are_no_integers_are_refused(lengths):
    with pytest.raises(ConfigError, match="length"):
        length_generalization(torch.nn.Identity(), "Z2", lengths)


def test_a_probability_of_zero_is_no_mistake_and_infinity_is_one(generator):
    def parity(tokens):
        return nn.functional.one_hot(tokens.cumsum(-1) % 2, 2).double()

    found = length_generalization(
        lambda x: parity(x).log(), "Z2", torch.tensor([4]), num_words=5, generator=generator
    )
    assert found.accuracies == (1.0,)
    found = length_generalization(
        lambda x: parity(x) * math.inf, "Z2", [4], num_words=5, generator=generator
    )
    assert found.accuracies == (0.0,)
    with pytest.raises(DtypeError, match="module or function"):
        length_generalization(3, "Z2", [4])
