"""One process or several: who takes part in a run, and what they tell each other.

Under torchrun each process holds the whole model and takes its share of every batch. Gradients
are averaged over *examples*, so a run over N processes follows the same path as one process
with the same `batch_size`, up to rounding, also when a batch does not divide evenly. What is
*not* the same: batch statistics. BatchNorm normalizes each process's share by itself, and the
running statistics are those of process 0 (``torch.nn.SyncBatchNorm`` removes the difference on
CUDA); it also refuses a share of one example, which `drop_last` avoids. Dropout masks differ
between processes, as they must.
"""

from __future__ import annotations

import atexit
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from coset.core.errors import ConfigError, CosetError, UnavailableError, UnsupportedError

__all__ = ["Processes", "join_processes", "resolve_device"]


@dataclass(frozen=True)
class Processes:
    """The processes of one run, seen from one of them.

    Attributes:
        rank: this process, 0 <= rank < size; process 0 alone writes, evaluates and reports.
        size: how many there are.
        device: where this one computes.
    """

    rank: int
    size: int
    device: torch.device

    def wrap(self, objective: nn.Module, *, unused_parameters: bool) -> nn.Module:
        """Return `objective`, averaging its gradients over all processes if there are several.

        Args:
            objective: a module whose output is the loss; its parameters and buffers are
                overwritten by those of process 0.
            unused_parameters: whether a step may leave parameters without gradient.

        Returns:
            The module to call in its place.
        """
        if self.size == 1 or not any(p.requires_grad for p in objective.parameters()):
            return objective
        return nn.parallel.DistributedDataParallel(
            objective,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            find_unused_parameters=unused_parameters,
        )

    def share(self, count: int) -> tuple[slice, float]:
        """Return this process's part of a batch and its weight in the batch's mean.

        A process that gets no example (fewer examples than processes) takes the whole batch with
        weight 0: it must compute something, because gradients are averaged in step.

        Args:
            count: examples in the batch, >= 1.

        Returns:
            A slice, and (examples in it) / count, or 0.

        Example:
            >>> cpu = torch.device("cpu")
            >>> [Processes(rank, 3, cpu).share(4) for rank in range(3)]
            [(slice(0, 2, None), 0.5), (slice(2, 3, None), 0.25), (slice(3, 4, None), 0.25)]
            >>> Processes(2, 3, cpu).share(2)
            (slice(0, 2, None), 0.0)
        """
        start, stop = (-(-count * rank // self.size) for rank in (self.rank, self.rank + 1))
        if start == stop:
            return slice(0, count), 0.0
        return slice(start, stop), (stop - start) / count

    def total(self, value: float) -> float:
        """Return the sum of `value` over all processes.

        Args:
            value: this process's number.

        Returns:
            The sum, the same in every process.
        """
        if self.size == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return float(tensor)

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is set in any process.

        Args:
            flag: this process's flag.

        Returns:
            The same answer in every process.
        """
        return self.total(float(flag)) > 0

    def from_first(self, compute: Callable[[], Any]) -> Any:
        """Run `compute` in process 0 only and return its result everywhere.

        Args:
            compute: takes nothing; its result must be picklable if there are several processes.

        Returns:
            The result.

        Raises:
            CosetError: in the other processes, if `compute` failed in process 0; there the
                original error is raised.
        """
        if self.size == 1:
            return compute()
        message: list[Any] = [None, None]
        failure: Exception | None = None
        if self.rank == 0:
            try:
                message = [None, compute()]
            except Exception as error:  # told to the others first, so that none waits for ever
                failure, message = error, [f"{type(error).__name__}: {error}", None]
        dist.broadcast_object_list(message, src=0, device=self.device)
        if failure is not None:
            raise failure
        if message[0] is not None:
            raise CosetError(f"process 0 failed ({message[0]}); its own traceback says where")
        return message[1]

    def copy_buffers(self, module: nn.Module) -> None:
        """Give every process the buffers of process 0 (running statistics of BatchNorm).

        Args:
            module: changed in place.
        """
        if self.size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)


def join_processes(device: str) -> Processes:
    """Find out which processes take part, and join them if torchrun started several.

    A process group that exists already is used as it is. Otherwise one is made from torchrun's
    environment (gloo for CPU, NCCL for CUDA) and left at the end of the program.

    Args:
        device: "cpu", "cuda" or "cuda:N".

    Returns:
        The processes.

    Raises:
        ConfigError: if the device is not understood.
        UnavailableError: if it is not there.
        UnsupportedError: if it is neither CPU nor CUDA.
    """
    started = all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"))
    several = started and int(os.environ["WORLD_SIZE"]) > 1
    if not dist.is_available() or not (several or dist.is_initialized()):
        return Processes(0, 1, resolve_device(device))
    chosen = resolve_device(device, local_rank=int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if not dist.is_initialized():
        # Its functions keep the group that exists at import as a default argument. Wrapping a
        # module imports it; afterwards, the group and its threads would outlive `_leave`, and a
        # thread that meets the end of the interpreter aborts the process.
        importlib.import_module("torch.distributed.nn")
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        # Kept for later calls of `fit`: a group cannot be made twice from one torchrun store.
        atexit.register(_leave)
    return Processes(dist.get_rank(), dist.get_world_size(), chosen)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def resolve_device(name: str, *, local_rank: int | None = None) -> torch.device:
    """Return the device called `name`, or say why it cannot be used.

    Args:
        name: "cpu", "cuda" or "cuda:N".
        local_rank: number of this process on its machine when there are several.

    Returns:
        The device; a CUDA device always has an index.

    Raises:
        ConfigError: if `name` is no device, or names one GPU for several processes.
        UnavailableError: if there is no CUDA or no GPU of that number.
        UnsupportedError: if it is neither CPU nor CUDA.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f'device must be "cpu", "cuda" or "cuda:N"; got {name!r}') from error
    if device.type not in ("cpu", "cuda"):
        raise UnsupportedError(f'device must be "cpu", "cuda" or "cuda:N"; got {name!r}')
    if device.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UnavailableError(
            f'device {name!r} needs CUDA, which torch does not find here; set device="cpu", '
            f"or install a CUDA build of torch on a machine with a GPU"
        )
    if local_rank is not None and device.index is not None:
        raise ConfigError(
            f'device must be "cuda" when there are several processes (each takes the GPU of its '
            f"LOCAL_RANK); got {name!r}"
        )
    index = device.index if device.index is not None else (local_rank or 0)
    if index >= torch.cuda.device_count():
        raise UnavailableError(
            f"device {name!r} means GPU {index}, but there are {torch.cuda.device_count()}; "
            f"name one of them, or start as many processes as there are GPUs"
        )
    return torch.device("cuda", index)
