"""Digits on a torus: pooling, shifts, the permutation, and that every part is reproducible."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import ConfigError, DtypeError, ShapeError
from coset.core.numerics import tolerance
from coset.sharing.torus import MNIST_MEAN, MNIST_STD, pool_images, prepare_torus, shift_images

NUM_TRAIN, NUM_TEST = 60, 20


def some_images(count, generator):
    labels = torch.arange(count) % 10
    return torch.randint(0, 256, (count, 28, 28), generator=generator, dtype=torch.uint8), labels


def prepared(seed=0, **options):
    source = torch.Generator().manual_seed(1)
    train, test = some_images(NUM_TRAIN, source), some_images(NUM_TEST, source)
    settings = {"side": 7, "num_train": 40, "num_validation": 20} | options
    return prepare_torus(train, test, generator=torch.Generator().manual_seed(seed), **settings)


@pytest.mark.parametrize("side", [1, 2, 7, 14, 28])
def test_pooling_keeps_the_mean(side, generator):
    images, _ = some_images(3, generator)
    pooled = pool_images(images, side)
    assert pooled.shape == (3, side, side)
    expected = (images.double().mean((1, 2)) / 255 - MNIST_MEAN) / MNIST_STD
    assert (pooled.double().mean((1, 2)) - expected).abs().max() < tolerance("float32", 784, "mean")


def test_pooling_by_hand():
    image = torch.zeros(1, 2, 2, dtype=torch.uint8)
    image[0, 1, 1] = 204
    assert pool_images(image, 1).item() == pytest.approx((0.2 - MNIST_MEAN) / MNIST_STD, abs=1e-6)


def test_no_images_stay_no_images():
    assert pool_images(torch.zeros(0, 28, 28, dtype=torch.uint8), 7).shape == (0, 7, 7)


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(DtypeError):
        pool_images(torch.zeros(1, 28, 28), 7)
    with pytest.raises(ShapeError):
        pool_images(torch.zeros(1, 28, 14, dtype=torch.uint8), 7)
    with pytest.raises(ShapeError, match="given 5"):
        pool_images(torch.zeros(1, 28, 28, dtype=torch.uint8), 5)


def test_each_image_is_rolled_by_its_own_shift(generator):
    images = torch.randn(40, 5, 5, generator=generator)
    moved = shift_images(images, generator)
    seen = set()
    for image, other in zip(images, moved, strict=True):
        fits = [
            (r, c) for r in range(5) for c in range(5) if image.roll((r, c), (0, 1)).equal(other)
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 10


@pytest.mark.parametrize(("inclusive", "share"), [(False, 1 / 4), (True, 2 / 5)])
def test_the_weight_of_the_zero_shift(inclusive, share, generator):
    count = 20_000
    images = torch.arange(4.0).repeat(4, 1).T.expand(count, 4, 4)
    moved = shift_images(images, generator, inclusive=inclusive)
    zeros = float((moved[:, 0, 0] == 0).double().mean())
    # Seven standard deviations of a binomial: false alarm below 1e-10.
    assert abs(zeros - share) < 7 * (share * (1 - share) / count) ** 0.5


def test_the_shuffled_task_is_the_other_one_with_permuted_pixels():
    plain, shuffled = prepared(), prepared(shuffled=True)
    assert plain.permutation.equal(torch.arange(49))
    assert not shuffled.permutation.equal(torch.arange(49))
    for name in ("train", "validation", "test"):
        a, b = getattr(plain, f"{name}_images"), getattr(shuffled, f"{name}_images")
        assert a.flatten(1)[:, shuffled.permutation].equal(b.flatten(1))
        assert shuffled.unshuffle(b).equal(a)
        assert getattr(plain, f"{name}_labels").equal(getattr(shuffled, f"{name}_labels"))


def test_a_filter_sees_the_same_after_unshuffling(generator):
    data = prepared(shuffled=True)
    filters = torch.randn(2, 7, 7, generator=generator)
    shown = data.train_images.flatten(1) @ filters.flatten(1).T
    original = data.unshuffle(data.train_images).flatten(1) @ data.unshuffle(filters).flatten(1).T
    assert (shown - original).abs().max() < tolerance("float32", 49, "sum")


def test_the_seed_decides_everything():
    one, again, other = prepared(0), prepared(0), prepared(1)
    assert one.train_images.equal(again.train_images)
    assert one.test_images.equal(again.test_images)
    assert not one.train_images.equal(other.train_images)


def test_the_split_is_disjoint_and_keeps_the_classes_in_proportion():
    data = prepared()
    assert torch.bincount(data.train_labels).tolist() == [4] * 10
    assert torch.bincount(data.validation_labels).tolist() == [2] * 10
    sums = torch.cat([data.train_images, data.validation_images]).double().sum((1, 2))
    assert sums.unique().numel() == NUM_TRAIN
    assert data.side == 7
    assert len(data.test_labels) == NUM_TEST


@pytest.mark.parametrize("sizes", [(0, 5), (41, 20), (10, -1)])
def test_impossible_splits_are_refused(sizes):
    with pytest.raises(ConfigError, match="must sum to at most 60"):
        prepared(num_train=sizes[0], num_validation=sizes[1])
