"""Batches: every example once, in an order that depends on (seed, epoch) only."""

from __future__ import annotations

import itertools

import pytest
import torch

from coset.core.errors import ConfigError, DomainError, DtypeError, ShapeError
from coset.train import TrainConfig
from coset.train.batches import check_dataset, epoch_batches
from coset.train.distributed import Processes

CPU = torch.device("cpu")
ONE = Processes(0, 1, CPU)


def config(**fields):
    return TrainConfig(**{"num_epochs": 1, "batch_size": 4} | fields)


def values(dataset, settings, epoch=0, start=0, processes=ONE):
    batches = epoch_batches(dataset, settings, epoch, start, processes)
    return [batch.tensors[0].tolist() for batch in batches]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 63, 64, 65])
def test_each_example_comes_once(count):
    batches = values((torch.arange(count),), config())
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(count))
    assert [len(batch) for batch in batches[:-1]] == [4] * ((count - 1) // 4)


def test_order_depends_on_seed_and_epoch_only():
    data = (torch.arange(50),)
    first = values(data, config())
    torch.manual_seed(99)
    assert values(data, config()) == first
    assert values(data, config(), epoch=1) != first
    assert values(data, config(seed=1)) != first


def test_start_leaves_out_what_was_done():
    data = (torch.arange(50),)
    for start in range(14):
        assert values(data, config(), start=start) == values(data, config())[start:]


def test_drop_last_leaves_out_the_small_batch():
    batches = values((torch.arange(10),), config(drop_last=True))
    assert [len(batch) for batch in batches] == [4, 4]


def test_tensors_stay_aligned():
    data = torch.arange(30)
    for batch in epoch_batches((data, data * 2), config(), 0, 0, ONE):
        assert torch.equal(batch.tensors[0] * 2, batch.tensors[1])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9])
def test_shares_partition_a_batch_and_weights_add_to_one(size, count):
    shares = [Processes(rank, size, CPU).share(count) for rank in range(size)]
    assert sum(weight for _, weight in shares) == pytest.approx(1)
    covered = [i for part, weight in shares if weight > 0 for i in range(count)[part]]
    assert covered == list(range(count))
    assert all(len(range(count)[part]) > 0 for part, _ in shares)
    assert shares[0][1] > 0  # process 0 keeps the batch statistics


def test_processes_together_see_the_batches_of_one():
    data = (torch.arange(21),)
    alone = values(data, config())
    parts = [values(data, config(), processes=Processes(rank, 2, CPU)) for rank in range(2)]
    assert [a + b for a, b in zip(*parts, strict=True)][:-1] == alone[:-1]


def test_source_gets_a_generator_of_its_epoch():
    def source(generator):
        for _ in range(3):
            yield (torch.rand(2, generator=generator),)

    first = values(source, config())
    assert values(source, config()) == first
    assert values(source, config(), start=1) == first[1:]
    assert values(source, config(), epoch=1) != first


def test_source_without_batches_is_refused():
    with pytest.raises(DomainError, match="at least one batch"):
        values(lambda generator: [], config())


def test_source_that_changed_length_is_refused():
    with pytest.raises(DomainError, match="same batches"):
        values(lambda generator: [(torch.ones(1),)], config(), start=2)


@pytest.mark.parametrize(
    ("dataset", "error"),
    [
        ((), ShapeError),
        ((torch.ones(0, 3),), ShapeError),
        ((torch.ones(3), torch.ones(4)), ShapeError),
        ((torch.tensor(1.0),), ShapeError),
        (torch.ones(3), DtypeError),
        (([1, 2],), DtypeError),
        (None, DtypeError),
        ("digits", DtypeError),
    ],
)
def test_bad_dataset_is_refused(dataset, error):
    with pytest.raises(error, match="dataset"):
        check_dataset(dataset, config())


def test_bad_batch_of_a_source_is_refused():
    with pytest.raises(ShapeError, match="batch 1"):
        values(lambda generator: [(torch.ones(2),), (torch.ones(0),)], config())


def test_drop_last_that_leaves_nothing_is_refused():
    with pytest.raises(ConfigError, match="drop_last"):
        check_dataset((torch.ones(3),), config(drop_last=True))
