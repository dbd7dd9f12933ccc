"""Expectation maximization in closed form: latent classes, and mixtures of Gaussians."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

__all__ = [
    "gaussian_log_density",
    "gaussian_mixture_em",
    "latent_class_em",
    "latent_class_log_likelihood",
]


def latent_class_em(
    data: Tensor, weights: Tensor, tables: Sequence[Tensor]
) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Yield the iterates of EM for p(x, z) = w(z) ∏_k t_k(x_k | z), literally, world by world.

    Args:
        data: D(x₁, …, x_K), float64, sums to 1.
        weights: (Z,), where w starts.
        tables: K tables (Z, values of x_k), where t starts.

    Yields:
        (w, t) after each iteration, endlessly.

    Claims: beliefs.C15.
    """
    w, t = weights.tolist(), [table.tolist() for table in tables]
    classes, cards = range(len(w)), data.shape
    while True:
        new_w = [0.0 for _ in classes]
        new_t = [[[0.0] * card for _ in classes] for card in cards]
        for x in itertools.product(*map(range, cards)):
            joint = [w[z] * math.prod(t[k][z][v] for k, v in enumerate(x)) for z in classes]
            for z in classes:
                share = float(data[x]) * joint[z] / sum(joint)
                new_w[z] += share
                for k, v in enumerate(x):
                    new_t[k][z][v] += share
        w = new_w
        t = [[[v / w[z] for v in new_t[k][z]] for z in classes] for k in range(len(cards))]
        yield (
            torch.tensor(w, dtype=torch.float64),
            [torch.tensor(table, dtype=torch.float64) for table in t],
        )


def latent_class_log_likelihood(data: Tensor, weights: Tensor, tables: Sequence[Tensor]) -> float:
    """Return E_D log Σ_z w(z) ∏_k t_k(x_k | z) in nats.

    Args:
        data: D(x₁, …, x_K).
        weights: (Z,).
        tables: K tables (Z, values of x_k).

    Returns:
        The mean log-likelihood.
    """
    total = 0.0
    for x in itertools.product(*map(range, data.shape)):
        if float(data[x]) > 0:
            likelihood = sum(
                float(weights[z])
                * math.prod(float(t[z, v]) for t, v in zip(tables, x, strict=True))
                for z in range(len(weights))
            )
            total += float(data[x]) * math.log(likelihood)
    return total


def gaussian_log_density(points: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """Return log N(x_i; m_z, S_z).

    Args:
        points: (N, D).
        means: (Z, D).
        covariances: (Z, D, D), positive definite.

    Returns:
        (N, Z).
    """
    normal = torch.distributions.MultivariateNormal(means, covariances)
    log_density: Tensor = normal.log_prob(points[:, None, :])  # type: ignore[no-untyped-call]
    return log_density


def gaussian_mixture_em(
    points: Tensor, weights: Tensor, means: Tensor, covariances: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield the iterates of EM for a mixture of Gaussians with full covariances.

    Args:
        points: (N, D).
        weights: (Z,), where the weights start.
        means: (Z, D), likewise.
        covariances: (Z, D, D), likewise.

    Yields:
        (weights, means, covariances) after each iteration, endlessly.

    Claims: beliefs.C15.
    """
    while True:
        log_joint = weights.log() + gaussian_log_density(points, means, covariances)
        shares = log_joint.softmax(-1)
        counts = shares.sum(0)
        weights = counts / len(points)
        means = torch.stack([shares[:, z] @ points / counts[z] for z in range(len(counts))])
        away = [points - mean for mean in means]
        covariances = torch.stack(
            [(shares[:, z, None] * a).T @ a / counts[z] for z, a in enumerate(away)]
        )
        yield weights, means, covariances
