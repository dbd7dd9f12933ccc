"""One optimizer step: loss, gradients, clipping, update, in the precision asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from coset.core.errors import ConfigError, DomainError, DtypeError, ShapeError
from coset.train.batches import Batch
from coset.train.config import TrainConfig, TrainState
from coset.train.distributed import Processes

__all__ = ["Loss", "Objective", "StepTaker"]

Loss = Callable[[Any, tuple[Tensor, ...]], Tensor]
_AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Below this loss scale the smallest normal float16 (2^-14) stands for a gradient above 1.
_LEAST_LOSS_SCALE = 2.0**-14


class Objective(nn.Module):
    """The loss as a module, so that averaging over processes sees one forward pass.

    The loss gets the model itself, not a wrapper: its methods and attributes are there.

    Args:
        model: handed to the loss.
        loss: ``loss(model, batch) -> scalar``; a module keeps its parameters.
    """

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, batch: tuple[Tensor, ...]) -> Tensor:
        """Return the loss of a batch.

        Args:
            batch: tensors on the device of the model.

        Returns:
            What the loss returned.
        """
        return self.loss(self.model, batch)


@dataclass(frozen=True)
class StepTaker:
    """What turns a batch into an update of the weights.

    Attributes:
        objective: gives the loss of a batch; averages gradients if there are several processes.
        optimizer: updates the weights.
        scaler: scales the loss if the precision is float16; disabled otherwise.
        config: for precision and clipping.
        processes: who takes part.
    """

    objective: nn.Module
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    config: TrainConfig
    processes: Processes

    def take(self, batch: Batch, state: TrainState) -> tuple[float, float, bool]:
        """Take one step, or leave the weights alone if it would spoil them.

        Args:
            batch: this process's part of a batch.
            state: where the run stands, for errors.

        Returns:
            The loss over the whole batch, the norm of all gradients before clipping, and
            whether the optimizer stepped (float16 scaling may skip).

        Raises:
            DomainError: if the loss or a gradient is not finite, or depends on nothing trained.
            DtypeError: if the loss is no tensor.
            ShapeError: if it is no single real number.
            ConfigError: if there are several processes and a parameter got no gradient.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._backward(batch, state)
        gradient_norm = self._clip(state)
        return loss, gradient_norm, self._update(state)

    def _backward(self, batch: Batch, state: TrainState) -> float:
        dtype = _AUTOCAST[self.config.precision]
        device = self.processes.device.type
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            loss = self.objective(batch.tensors)
        _check_loss(loss)
        weighted = loss.reshape(()) * batch.weight
        # Averaging over processes divides by their number; the weights alone make the mean.
        self.scaler.scale(weighted * self.processes.size).backward()
        value = self.processes.total(float(weighted.detach()))
        if not math.isfinite(value):
            raise DomainError(
                f"the loss must be finite; {_place(state)} gave {value}; {self._advice()}"
            )
        return value

    def _clip(self, state: TrainState) -> float:
        self._check_all_used()
        self.scaler.unscale_(self.optimizer)
        held = [p for group in self.optimizer.param_groups for p in group["params"]]
        gradients = [parameter.grad for parameter in held if parameter.grad is not None]
        if not gradients:
            raise DomainError(
                f"the loss must depend on a parameter of the optimizer; {_place(state)} gave none "
                f"of its {len(held)} a gradient; look for .detach() or frozen parameters"
            )
        norm = get_total_norm(gradients)
        value = float(norm)
        if not math.isfinite(value) and not self.scaler.is_enabled():
            raise DomainError(
                f"the gradients must be finite; {_place(state)} gave norm {value} though the loss "
                f"is finite; {self._advice()}"
            )
        if self.config.clip_norm is not None:
            clip_grads_with_norm_(held, self.config.clip_norm, norm)
        return value

    def _update(self, state: TrainState) -> bool:
        if not self.scaler.is_enabled():
            self.optimizer.step()
            return True
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        took_step = self.scaler.get_scale() >= scale
        if not took_step and self.scaler.get_scale() < _LEAST_LOSS_SCALE:
            raise DomainError(
                f"float16 gradients must be finite at some loss scale; {_place(state)} they "
                f'overflow even at scale {scale:g}; use precision="bfloat16"'
            )
        return took_step

    def _check_all_used(self) -> None:
        """With several processes, a parameter without gradient breaks the averaging."""
        if self.processes.size == 1 or self.config.unused_parameters:
            return
        named = self.objective.named_parameters()
        idle = [name for name, p in named if p.requires_grad and p.grad is None]
        if idle:
            raise ConfigError(
                f"with several processes every parameter must get a gradient in each step, unless "
                f"unused_parameters=True; {len(idle)} got none, the first {idle[0]}; set it, or "
                f"freeze them with requires_grad_(False)"
            )

    def _advice(self) -> str:
        other = " or use bfloat16" if self.config.precision == "float16" else ""
        return (
            f"the weights are still those before this step; look for NaN and infinity in the "
            f"batch, lower the learning rate, set clip_norm{other}, and start over with "
            f"resume=False"
        )


def _place(state: TrainState) -> str:
    return f"step {state.step} (epoch {state.epoch}, batch {state.batch})"


def _check_loss(loss: Any) -> None:
    if not isinstance(loss, Tensor):
        raise DtypeError(f"loss must return a tensor; got {type(loss).__name__}")
    if loss.numel() != 1 or not loss.is_floating_point():
        raise ShapeError(
            f"loss must return one real number, the mean over the batch; got shape "
            f"{tuple(loss.shape)}, {loss.dtype}; add .mean()"
        )
    if not loss.requires_grad:
        raise DomainError(
            "loss must depend on a parameter that requires a gradient; the result does not; "
            "look for .detach(), .item(), torch.no_grad() or frozen parameters"
        )
