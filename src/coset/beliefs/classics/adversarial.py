"""Adversarial examples and training by plain gradient steps, literally."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["attack_loss", "gradient_attack", "gradient_patch", "patch_loss"]


def attack_loss(
    network: nn.Module, inputs: Tensor, moved: Tensor, targets: Tensor, closeness: float
) -> Tensor:
    """Return the mean of −log p(y′ | x′) + ½ c |x′ − x|².

    Args:
        network: from (N, …) to logits (N, classes).
        inputs: x, (N, …).
        moved: x′, (N, …).
        targets: y′, (N,), the labels that the attacker wants.
        closeness: c ≥ 0.

    Returns:
        A differentiable number, in nats.

    Claims: beliefs.C17.
    """
    fit = nn.functional.cross_entropy(network(moved), targets)
    return fit + 0.5 * closeness * (moved - inputs).flatten(1).square().sum(1).mean()


def gradient_attack(
    network: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    closeness: float,
    rate: float,
    steps: int,
) -> Tensor:
    """Return x′ after steps of gradient descent on N · `attack_loss` from x′ = x.

    Args:
        network: as in `attack_loss`.
        inputs: x.
        targets: y′.
        closeness: c.
        rate: the size of a step for each example.
        steps: how many.

    Returns:
        x′, of the shape of `inputs`.
    """
    moved = inputs.clone().requires_grad_()
    for _ in range(steps):
        loss = attack_loss(network, inputs, moved, targets, closeness)
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = (moved - rate * len(inputs) * gradient).detach().requires_grad_()
    return moved.detach()


def patch_loss(network: nn.Module, moved: Tensor, labels: Tensor, decay: float) -> Tensor:
    """Return the mean of −log p(y | x′), plus ½ c |θ|².

    Args:
        network: as in `attack_loss`.
        moved: x′, (N, …).
        labels: y, (N,), the true labels.
        decay: c ≥ 0.

    Returns:
        A differentiable number, in nats.

    Claims: beliefs.C17.
    """
    size = sum((p.square().sum() for p in network.parameters()), start=torch.zeros(()))
    return nn.functional.cross_entropy(network(moved), labels) + 0.5 * decay * size


def gradient_patch(
    network: nn.Module, moved: Tensor, labels: Tensor, *, decay: float, rate: float
) -> Iterable[Tensor]:
    """Move the parameters of a network by one gradient step on `patch_loss`, in place.

    Args:
        network: as in `attack_loss`.
        moved: x′.
        labels: y.
        decay: c.
        rate: the size of the step.

    Returns:
        The parameters.
    """
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(patch_loss(network, moved, labels, decay), parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.sub_(rate * gradient)
    return parameters
