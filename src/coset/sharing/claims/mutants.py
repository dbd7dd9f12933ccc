"""Near misses of the prox: each changes one term, accepts the same input, and is wrong.

They exist so that every claim of this subject can be seen to fail. All are built from one literal
pool-adjacent-violators pass whose terms can be changed one at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.sharing.prox import prox_sharing

__all__ = [
    "Change",
    "first_gap_strength",
    "identity_jacobian",
    "median_split_strength",
    "mutant",
    "mutant_blocks",
    "no_strength_gradient",
    "raw_stress",
    "single_stress",
    "summed_jacobian",
    "threshold_first",
    "threshold_scaled",
    "wide_stress",
]


@dataclass(frozen=True)
class Change:
    """Which term of the literal algorithm is wrong; the defaults are right.

    Attributes:
        dimension_shift: 1 gives d − 1 in the spacing; 0 gives d.
        left_merges: a block that grew is compared with its left neighbor again.
        weighted: pooled means are weighted by mass.
        sticky: particles stick on contact (else they pass through each other).
        descending: the weights are sorted the wrong way around.
        full_mass: the merge rule uses m_A + m_B (else m_A alone).
        mean_velocity: a block moves with the mean of its velocities (else with its first).
        centered: the velocities of pooled blocks sum to zero.
        dtype: pooling precision.
    """

    dimension_shift: int = 1
    left_merges: bool = True
    weighted: bool = True
    sticky: bool = True
    descending: bool = False
    full_mass: bool = True
    mean_velocity: bool = True
    centered: bool = True
    dtype: torch.dtype = torch.float64


def _pool(x: list[float], step: float, change: Change) -> list[tuple[int, int, float]]:
    """Return blocks (start, stop, mean) of sorted `x`; `step` is g/(d−1)."""
    if not change.sticky:
        return [(r, r + 1, value) for r, value in enumerate(x)]
    # A wrong rounding of the sums is a wrong term too: it is done through a tensor of that dtype.
    exact = change.dtype == torch.float64

    def rounded(value: float) -> float:
        return value if exact else float(torch.tensor(value, dtype=change.dtype))

    blocks: list[tuple[int, int, float]] = []
    for rank, value in enumerate(x):
        start, stop, mean = rank, rank + 1, rounded(value)
        merges = 0
        while blocks and (change.left_merges or merges == 0):
            a, b, other = blocks[-1]
            mass = stop - a if change.full_mass else b - a
            # Sorted the wrong way around, neighbors approach at any distance.
            if not change.descending and mean - other > step * mass:
                break
            share = (stop - start) / (stop - a) if change.weighted else 0.5
            start, mean = a, rounded(other + (mean - other) * share)
            blocks.pop()
            merges += 1
        blocks.append((start, stop, mean))
    return blocks


def _solve(w: Tensor, strength: float, change: Change) -> tuple[Tensor, list[int]]:
    flat = w.detach().reshape(-1).to(torch.float64)
    d = flat.numel()
    if d < 2 or strength == 0:
        return w.clone(), list(range(d))
    x, order = flat.sort(stable=True, descending=change.descending)
    step = float(strength) / (d - change.dimension_shift)
    blocks = _pool(x.tolist(), step, change)
    out = torch.empty_like(x)
    for a, b, mean in blocks:
        last = b if change.mean_velocity else a + 1
        shift = 0 if change.centered or b - a == 1 else 1
        out[a:b] = mean + step * (d + shift - a - last)
    values = torch.empty_like(x)
    values[order] = out
    return values.reshape(w.shape).to(w.dtype), [a for a, _, _ in blocks]


def mutant(change: Change) -> Callable[[Tensor, float], Tensor]:
    """Return a prox with one wrong term.

    Args:
        change: which.

    Returns:
        A function (w, strength) → tensor like `w`.
    """

    def wrong(w: Tensor, strength: float) -> Tensor:
        return _solve(w, strength, change)[0]

    return wrong


def mutant_blocks(change: Change) -> Callable[[Tensor, float], list[int]]:
    """Return a function that finds block starts with one wrong term.

    Args:
        change: which.

    Returns:
        A function (w, strength) → list of starts in sorted order.
    """

    def wrong(w: Tensor, strength: float) -> list[int]:
        return _solve(w, strength, change)[1]

    return wrong


class _IdentityJacobian(torch.autograd.Function):
    """The right values with a straight-through gradient."""

    @staticmethod
    def forward(ctx, w: Tensor, strength: float) -> Tensor:  # type: ignore[no-untyped-def]
        """Return the right values."""
        return _solve(w, strength, Change())[0]

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        """Pass the gradient through."""
        return gradient, None


class _SummedJacobian(torch.autograd.Function):
    """The right values with block sums where block means belong."""

    @staticmethod
    def forward(ctx, w: Tensor, strength: float) -> Tensor:  # type: ignore[no-untyped-def]
        """Return the right values."""
        values, _ = _solve(w, strength, Change())
        ctx.save_for_backward(values)
        return values

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        """Sum the gradient over equal values."""
        (values,) = ctx.saved_tensors
        _, index = values.reshape(-1).unique(return_inverse=True)
        sums = torch.zeros(int(index.max()) + 1, dtype=gradient.dtype)
        sums.index_add_(0, index, gradient.reshape(-1))
        return sums[index].reshape(gradient.shape), None


def identity_jacobian(w: Tensor, strength: float) -> Tensor:
    """Return the right values with the gradient of the identity.

    Args:
        w: (any shape) float.
        strength: g ≥ 0.

    Returns:
        A tensor like `w`.
    """
    out: Tensor = _IdentityJacobian.apply(w, strength)  # type: ignore[no-untyped-call]
    return out


def no_strength_gradient(w: Tensor, strength: float) -> Tensor:
    """Return the right values with the right gradient in the weights and none in the strength.

    Args:
        w: (any shape) float.
        strength: g ≥ 0.

    Returns:
        A tensor like `w`.
    """
    return prox_sharing(w, float(torch.as_tensor(strength).detach()))


def summed_jacobian(w: Tensor, strength: float) -> Tensor:
    """Return the right values with gradients summed, not averaged, over clusters.

    Args:
        w: (any shape) float.
        strength: g ≥ 0.

    Returns:
        A tensor like `w`.
    """
    out: Tensor = _SummedJacobian.apply(w, strength)  # type: ignore[no-untyped-call]
    return out


def median_split_strength(w: Tensor) -> float:
    """Return the all-merge strength of the middle split only (right for symmetric weights).

    Args:
        w: (d,) float.

    Returns:
        A strength that is too small in general.
    """
    x = w.to(torch.float64).sort().values
    d = x.numel()
    return float((x[d // 2 :].mean() - x[: d // 2].mean()) * (d - 1) / d)


def first_gap_strength(w: Tensor) -> float:
    """Return the all-merge strength of the split after the smallest weight only.

    Args:
        w: (d,) float.

    Returns:
        A strength that is too small in general.
    """
    x = w.to(torch.float64).sort().values
    d = x.numel()
    return float((x[1:].mean() - x[0]) * (d - 1) / d)


def _soft(w: Tensor, l1: float) -> Tensor:
    return w - w.clamp(-l1, l1)


def threshold_first(w: Tensor, strength: float, l1: float) -> Tensor:
    """Soft-threshold before sharing; the right order is sharing first.

    Args:
        w: (any shape) float.
        strength: g ≥ 0.
        l1: threshold ≥ 0.

    Returns:
        A tensor like `w`.
    """
    return _solve(_soft(w, l1), strength, Change())[0]


def threshold_scaled(w: Tensor, strength: float, l1: float) -> Tensor:
    """Multiply the threshold by the strength.

    Args:
        w: (any shape) float.
        strength: g ≥ 0.
        l1: threshold ≥ 0.

    Returns:
        A tensor like `w`.
    """
    return _soft(_solve(w, strength, Change())[0], l1 * strength)


def _stress(
    w: Tensor, delta: Tensor, strength: float, *, wide: bool, single: bool, centered: bool
) -> list[float]:
    """Return the stress of each cluster, literally, with terms that can be wrong."""
    found = []
    for value in sorted(set(w.tolist())):
        step = delta[w == value].sort(descending=True).values
        m = step.numel()
        step = step - step.mean() if centered else step
        span = (m if wide else w.numel()) - 1
        ratios = [
            float(step[:k].sum()) * span / (strength * k * (m - k))
            for k in range(1, 2 if single else m)
            if m > 1
        ]
        found.append(max(0.0, *ratios) if ratios else 0.0)
    return found


def wide_stress(w: Tensor, delta: Tensor, strength: float) -> list[float]:
    """Take the cluster's own mass for the number of weights.

    Args:
        w: (d,) float64, with ties.
        delta: (d,) float64: the perturbation.
        strength: g > 0.

    Returns:
        One stress a cluster; right if all weights are one cluster.
    """
    return _stress(w, delta, strength, wide=True, single=False, centered=True)


def single_stress(w: Tensor, delta: Tensor, strength: float) -> list[float]:
    """Look at the largest step only, as if weights left their cluster one at a time.

    Args:
        w: (d,) float64, with ties.
        delta: (d,) float64: the perturbation.
        strength: g > 0.

    Returns:
        One stress a cluster; right for clusters of two.
    """
    return _stress(w, delta, strength, wide=False, single=True, centered=True)


def raw_stress(w: Tensor, delta: Tensor, strength: float) -> list[float]:
    """Let a common motion of the cluster count as stress.

    Args:
        w: (d,) float64, with ties.
        delta: (d,) float64: the perturbation.
        strength: g > 0.

    Returns:
        One stress a cluster; right for steps whose mean is 0.
    """
    return _stress(w, delta, strength, wide=False, single=False, centered=False)
