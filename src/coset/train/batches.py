"""The batches of an epoch: in an order that depends on (seed, epoch) only, from any batch on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.core.errors import ConfigError, DomainError, DtypeError, ShapeError
from coset.core.seeds import generator_for
from coset.train.config import TrainConfig
from coset.train.distributed import Processes

__all__ = ["Batch", "BatchSource", "Dataset", "check_dataset", "epoch_batches"]

BatchSource = Callable[[torch.Generator], Iterable[Sequence[Tensor]]]
Dataset = Sequence[Tensor] | BatchSource


@dataclass(frozen=True)
class Batch:
    """One process's part of a batch.

    Attributes:
        tensors: its examples, on the run's device.
        weight: its weight in the mean over the whole batch.
        num_examples: examples in the whole batch, over all processes.
    """

    tensors: tuple[Tensor, ...]
    weight: float
    num_examples: int


def check_dataset(dataset: Dataset, config: TrainConfig) -> int | None:
    """Check that a dataset can be trained on.

    Args:
        dataset: tensors of equal first dimension, or a source of batches.
        config: for `batch_size` and `drop_last`.

    Returns:
        The number of examples; ``None`` for a source, which is asked once an epoch.

    Raises:
        DtypeError: if it is neither.
        ShapeError: if it is empty, or the tensors have different lengths.
        ConfigError: if `drop_last` leaves no batch.
    """
    if callable(dataset) and not isinstance(dataset, Tensor):
        return None
    count = _num_examples(dataset, "the dataset")
    if config.drop_last and count < config.batch_size:
        raise ConfigError(
            f"with drop_last, batch_size must be at most the number of examples; got batch_size "
            f"{config.batch_size} and {count} examples; lower it or set drop_last=False"
        )
    return count


def epoch_batches(
    dataset: Dataset, config: TrainConfig, epoch: int, start: int, processes: Processes
) -> Iterator[Batch]:
    """Give this process's part of the batches of one epoch, in order.

    Args:
        dataset: tensors, reordered by a permutation derived from (seed, epoch); or a source,
            called with a generator derived from (seed, epoch).
        config: for `batch_size`, `drop_last` and `seed`.
        epoch: number of the epoch, from 0.
        start: batches to leave out because they were done before an interruption.
        processes: who takes which part.

    Yields:
        The batches.

    Raises:
        DomainError: if a source gives no batch at all, or fewer than were done before.
    """
    generator = generator_for("train.order", config.seed, epoch)
    if callable(dataset):
        yield from _from_source(dataset(generator), start, processes)
        return
    count = dataset[0].shape[0]
    order = torch.randperm(count, generator=generator)
    stop = count - count % config.batch_size if config.drop_last else count
    for first in range(start * config.batch_size, stop, config.batch_size):
        chosen = order[first : min(first + config.batch_size, stop)]
        part, weight = processes.share(len(chosen))
        tensors = (tensor[chosen[part].to(tensor.device)] for tensor in dataset)
        yield Batch(_moved(tensors, processes), weight, len(chosen))


def _from_source(
    batches: Iterable[Sequence[Tensor]], start: int, processes: Processes
) -> Iterator[Batch]:
    iterator = iter(batches)
    done = sum(1 for _ in itertools.islice(iterator, start))
    if done < start:
        raise DomainError(
            f"a source of batches must give the same batches for the same generator; it gave "
            f"{done} in an epoch of which {start} were done before the interruption"
        )
    number = start
    for number, batch in enumerate(iterator, start + 1):
        count = _num_examples(batch, f"batch {number - 1}")
        part, weight = processes.share(count)
        yield Batch(_moved((tensor[part] for tensor in batch), processes), weight, count)
    if number == 0:
        raise DomainError("a source of batches must give at least one batch an epoch; got none")


def _moved(tensors: Iterable[Tensor], processes: Processes) -> tuple[Tensor, ...]:
    return tuple(tensor.to(processes.device, non_blocking=True) for tensor in tensors)


def _num_examples(tensors: Sequence[Tensor], what: str) -> int:
    """Return the common first dimension."""
    if not isinstance(tensors, (tuple, list)) or not all(isinstance(t, Tensor) for t in tensors):
        raise DtypeError(
            f"{what} must be a tuple of tensors (or, for a dataset, a callable that takes a "
            f"torch.Generator); got {type(tensors).__name__}"
        )
    shapes = [tuple(tensor.shape) for tensor in tensors]
    if not shapes or any(not shape for shape in shapes) or len({s[0] for s in shapes}) > 1:
        raise ShapeError(
            f"{what} must be one or more tensors with the same first dimension (examples); got "
            f"shapes {shapes}"
        )
    if shapes[0][0] == 0:
        raise ShapeError(f"{what} must hold at least one example; got shapes {shapes}")
    return int(shapes[0][0])
