"""The training loop: `fit`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from coset.core.errors import ConfigError, DtypeError
from coset.core.files import storage_errors
from coset.core.seeds import derive_seed
from coset.train.batches import Batch, Dataset, check_dataset, epoch_batches
from coset.train.callbacks import Callback
from coset.train.checkpoint import (
    Stateful,
    previous_path,
    read_newest,
    restore,
    save_checkpoint,
)
from coset.train.config import TrainConfig, TrainState
from coset.train.distributed import Processes, join_processes
from coset.train.interrupts import StopRequest, deferred_interrupt
from coset.train.step import Loss, Objective, StepTaker

__all__ = ["fit"]


def fit(
    model: nn.Module,
    optimizer: Optimizer,
    loss: Loss,
    dataset: Dataset,
    config: TrainConfig,
    *,
    scheduler: LRScheduler | None = None,
    after_step: Sequence[Callable[[], object]] = (),
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | str | None = None,
    resume: bool = True,
    evaluate: Callable[[Any], Mapping[str, float]] | None = None,
    extra_state: Mapping[str, Stateful] | None = None,
) -> TrainState:
    """Train a model, and continue where an interrupted run of the same call stopped.

    A run that is killed at any moment and started again gives the same bits as one that was
    not: the order of the data derives from (seed, epoch), dropout from (seed, step, process),
    and the checkpoint holds all else. (On CUDA this needs deterministic kernels, see
    ``torch.use_deterministic_algorithms``.) torch's global random state is what the caller left.

    Under torchrun the batch is shared among the processes, see `coset.train.distributed`; every
    process makes the same call. Ctrl-C ends the step, writes a checkpoint and raises.

    Args:
        model: moved to the device and trained in place; its training modes are given back.
        optimizer: made from parameters of `model` (and of `loss`, if that is a module).
        loss: ``loss(model, batch) -> scalar``, the *mean* over the examples of the batch, a
            tuple of tensors on the device.
        dataset: tensors with the examples along the first dimension; or a callable that takes
            a ``torch.Generator`` and gives the batches of one epoch.
        config: the settings.
        scheduler: stepped once an epoch or a step; `ReduceLROnPlateau` sees the epoch's loss.
        after_step: called in every process after each step that the optimizer took, for
            example ``ProxSharing.step``.
        callbacks: watch the run in process 0.
        checkpoint: file to write, and to continue from; ``None`` keeps none.
        resume: ``False`` starts over and removes what `checkpoint` held.
        evaluate: ``evaluate(model) -> {name: number}``, called after each epoch in process 0,
            in evaluation mode and without gradients.
        extra_state: further objects to keep in the checkpoint, by name.

    Returns:
        The last state.

    Raises:
        DomainError: if a loss or a gradient is not finite (the weights are then still those
            before that step), or the loss depends on no parameter.
        ConfigError: if `optimizer` holds parameters of neither `model` nor `loss`,
            `checkpoint` is a folder, or `ReduceLROnPlateau` is to be stepped once a step.
        ShapeError: if the dataset is empty or of unequal lengths, or the loss is no scalar.
        DtypeError: if the dataset, the result of `evaluate` or a state dictionary has the
            wrong type.
        CheckpointMismatchError: if `checkpoint` belongs to another run.
        FileFormatError: if `checkpoint` and the one before it are damaged.
        StorageError: if a checkpoint cannot be written.
        UnavailableError: if the device is not there.
        KeyboardInterrupt: after Ctrl-C, when the checkpoint is written.

    Example:
        >>> x = torch.linspace(-1, 1, 64, dtype=torch.float64).unsqueeze(1)
        >>> model = nn.Linear(1, 1, dtype=torch.float64)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
        >>> def loss(model, batch):
        ...     return (model(batch[0]) - batch[1]).square().mean()
        >>> _ = fit(model, optimizer, loss, (x, 3 * x + 1), TrainConfig(50, batch_size=16))
        >>> round(model.weight.item(), 4), round(model.bias.item(), 4)
        (3.0, 1.0)
    """
    num_examples = check_dataset(dataset, config)
    _check_parameters(model, loss, optimizer)
    if isinstance(scheduler, ReduceLROnPlateau) and config.scheduler_every != "epoch":
        raise ConfigError(
            'scheduler_every must be "epoch" for ReduceLROnPlateau, which needs the loss of an '
            f"epoch; got {config.scheduler_every!r}"
        )
    processes = join_processes(config.device)
    model.to(processes.device)
    objective = processes.wrap(
        Objective(model, loss).to(processes.device), unused_parameters=config.unused_parameters
    )
    scaler = torch.amp.GradScaler(processes.device.type, enabled=config.precision == "float16")
    loop = _Loop(
        model=model,
        steps=StepTaker(objective, optimizer, scaler, config, processes),
        dataset=dataset,
        config=config,
        scheduler=scheduler,
        after_step=after_step,
        callbacks=callbacks if processes.rank == 0 else (),
        checkpoint=None if checkpoint is None else Path(checkpoint),
        evaluate=evaluate,
        objects=_objects(model, optimizer, loss, scheduler, scaler, extra_state or {}),
        settings=_settings(config, num_examples, optimizer),
        processes=processes,
    )
    with _own_random_state(processes.device), _mode(model, training=True):
        loop.open_checkpoint(resume=resume)
        with deferred_interrupt() as stop:
            loop.run(stop)
    return loop.state


@dataclass
class _Loop:
    """One run: the parts that `fit` was given, and the state that moves."""

    model: nn.Module
    steps: StepTaker
    dataset: Dataset
    config: TrainConfig
    scheduler: LRScheduler | None
    after_step: Sequence[Callable[[], object]]
    callbacks: Sequence[Callback]
    checkpoint: Path | None
    evaluate: Callable[[Any], Mapping[str, float]] | None
    objects: Mapping[str, Stateful]
    settings: Mapping[str, Any]
    processes: Processes
    state: TrainState = field(default_factory=TrainState)
    saved: TrainState | None = None

    def run(self, stop: StopRequest) -> None:
        """Go through the epochs that are left; return early when a stop is requested."""
        config = self.config
        for callback in self.callbacks:
            callback.on_start(self.state)
        while self.state.epoch < config.num_epochs and not self.state.stopped:
            state = self.state
            for batch in epoch_batches(
                self.dataset, config, state.epoch, state.batch, self.processes
            ):
                self.step(batch)
                if self.stopped(stop):
                    return
                every = config.num_checkpoint_steps
                if every and self.state.step % every == 0:
                    self.save()
            self.finish_epoch()
            if self.stopped(stop):
                return
        self.save()

    def step(self, batch: Batch) -> None:
        """Take one step and what follows it: hooks, scheduler, state, callbacks."""
        _seed(self.processes.device, self.config.seed, "step", self.state.step, self.processes.rank)
        loss, gradient_norm, took_step = self.steps.take(batch, self.state)
        if took_step:
            for hook in self.after_step:
                hook()
            if self.scheduler is not None and self.config.scheduler_every == "step":
                self.scheduler.step()
        state = self.state
        total = state.num_examples + batch.num_examples
        self.state = dataclasses.replace(
            state,
            batch=state.batch + 1,
            step=state.step + 1,
            loss=loss,
            gradient_norm=gradient_norm,
            num_skipped=state.num_skipped + (not took_step),
            epoch_loss=state.epoch_loss + (loss - state.epoch_loss) * batch.num_examples / total,
            num_examples=total,
        )
        for callback in self.callbacks:
            callback.on_step(self.state)

    def finish_epoch(self) -> None:
        """Step the scheduler, evaluate, tell the callbacks, write a checkpoint if it is due."""
        state = self.state
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(state.epoch_loss)
        elif self.scheduler is not None and self.config.scheduler_every == "epoch":
            self.scheduler.step()
        self.processes.copy_buffers(self.model)
        metrics = {"train_loss": state.epoch_loss, **self.processes.from_first(self._evaluated)}
        self.state = dataclasses.replace(
            state, epoch=state.epoch + 1, batch=0, epoch_loss=0.0, num_examples=0, metrics=metrics
        )
        ended = [callback.on_epoch(self.state) is True for callback in self.callbacks]
        if self.processes.any(any(ended)):
            self.state = dataclasses.replace(self.state, stopped=True)
        every = self.config.checkpoint_every
        if every and self.state.epoch % every == 0:
            self.save()

    def stopped(self, stop: StopRequest) -> bool:
        """Return whether any process was asked to stop; if so, write a checkpoint."""
        if not self.processes.any(stop.requested):
            return False
        stop.requested = True
        self.save()
        return True

    def save(self) -> None:
        """Write a checkpoint unless the newest one holds this state already."""
        path = self.checkpoint
        if path is None or self.saved is self.state:
            return
        self.processes.from_first(
            lambda: save_checkpoint(path, self.objects, self.state, settings=self.settings)
        )
        self.saved = self.state
        for callback in self.callbacks:
            callback.on_checkpoint(self.state, path)

    def open_checkpoint(self, *, resume: bool) -> None:
        """Continue from the checkpoint if there is one and `resume` says so."""
        path = self.checkpoint
        if path is None:
            return
        found = self.processes.from_first(lambda: _found(path, resume))
        if found is not None:
            restore(found, self.objects, settings=self.settings, exact=True, name=str(path))
            self.state = self.saved = found.state

    def _evaluated(self) -> dict[str, float]:
        if self.evaluate is None:
            return {}
        _seed(self.processes.device, self.config.seed, "evaluate", self.state.epoch)
        with _mode(self.model, training=False), torch.no_grad():
            metrics = self.evaluate(self.model)
        try:
            return {str(name): float(value) for name, value in metrics.items()}
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            raise DtypeError(
                f"evaluate must return a dictionary of numbers; got {metrics!r}"
            ) from error


def _found(path: Path, resume: bool) -> Any:
    if path.is_dir():
        raise ConfigError(f"checkpoint must be a file; {path} is a folder; add a file name")
    with storage_errors(path):  # now, and not after the first epoch
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            path.unlink(missing_ok=True)
            previous_path(path).unlink(missing_ok=True)
    return read_newest(path)


def _objects(
    model: nn.Module,
    optimizer: Optimizer,
    loss: Loss,
    scheduler: LRScheduler | None,
    scaler: torch.amp.GradScaler,
    extra_state: Mapping[str, Stateful],
) -> dict[str, Stateful]:
    objects: dict[str, Stateful] = {"model": model, "optimizer": optimizer}
    if isinstance(loss, nn.Module):
        objects["loss"] = loss
    if scheduler is not None:
        objects["scheduler"] = scheduler
    if scaler.is_enabled():
        objects["scaler"] = scaler
    for name, obj in extra_state.items():
        if not (hasattr(obj, "state_dict") and hasattr(obj, "load_state_dict")):
            raise DtypeError(
                f"extra_state must map names to objects with state_dict and load_state_dict; "
                f"{name!r} is a {type(obj).__name__}"
            )
        objects[f"extra_state.{name}"] = obj
    return objects


def _settings(
    config: TrainConfig, num_examples: int | None, optimizer: Optimizer
) -> dict[str, Any]:
    """Return what a resumed run must share with the one it continues."""
    kept = ("batch_size", "drop_last", "seed", "precision", "clip_norm", "scheduler_every")
    settings = {name: getattr(config, name) for name in kept}
    settings["num_examples"] = num_examples
    rates = (group.get("initial_lr", group["lr"]) for group in optimizer.param_groups)
    return settings | {"learning_rates": [float(rate) for rate in rates]}


def _check_parameters(model: nn.Module, loss: Loss, optimizer: Optimizer) -> None:
    known = {id(parameter) for parameter in model.parameters()}
    if isinstance(loss, nn.Module):
        known |= {id(parameter) for parameter in loss.parameters()}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    foreign = [tuple(parameter.shape) for parameter in held if id(parameter) not in known]
    if foreign:
        raise ConfigError(
            f"optimizer must hold parameters of model (or of loss, if that is a module); "
            f"{len(foreign)} of its {len(held)} are not, the first of shape {foreign[0]}; make it "
            f"from model.parameters(), or make that parameter part of the model"
        )


def _seed(device: torch.device, *parts: object) -> None:
    """Seed torch's global generators for one step, whatever was drawn from them before."""
    seed = derive_seed("train", *parts)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)


@contextlib.contextmanager
def _own_random_state(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng([device.index] if device.type == "cuda" else []):
        yield


@contextlib.contextmanager
def _mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Set the training mode, and give each module its own back."""
    former = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in former:
            module.training = mode
