"""How the minimizer of a score moves with the beliefs, for second derivatives."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coset.beliefs.errors import WidthError
from coset.beliefs.solvers.problem import DenseProblem
from coset.beliefs.solvers.score import gradient_of
from coset.core.errors import UnsupportedError

__all__ = ["moved"]

MAX_WORLDS = 2_048
# Worlds with less than this are held at zero; curvatures below this share of the largest are none.
LEAST_PROBABILITY = 1e-9
LEAST_CURVATURE = 1e-12


def moved(problem: DenseProblem, log_joint: Tensor) -> Tensor:
    """Return log μ* as a function of the beliefs, right to first order.

    μ* moves by −P ΔG, where G is the gradient of the score at μ* and P the inverse of its Hessian
    on the directions that keep Σ μ = 1 and the constraints.

    Args:
        problem: the problem, with gradients.
        log_joint: log μ*, (*batch, *shape).

    Returns:
        The same numbers, differentiable once in the tables; the score of it twice.

    Raises:
        WidthError: if there are more than 2,048 worlds.
        UnsupportedError: if a constraint itself can move.
    """
    worlds = math.prod(problem.shape)
    if worlds > MAX_WORLDS:
        raise WidthError(
            f"second derivatives solve with a square matrix of as many rows as worlds, at most "
            f"{MAX_WORLDS}; given {worlds}: attend to fewer arcs",
            len(problem.shape) - 1,
            8 * worlds * worlds,
        )
    if any(table.requires_grad for _, table in _constraints(problem)):
        raise UnsupportedError(
            "second derivatives hold constraints fixed; give the arcs that learn a finite β, or "
            "use first derivatives"
        )
    joint = log_joint.detach().exp()
    gradient = gradient_of(problem, log_joint.detach())
    gradient = gradient.masked_fill(gradient.abs() == math.inf, 0.0)
    change = (gradient - gradient.detach()).reshape(-1, worlds)
    inverse = torch.stack(
        [_inverse(problem, row, i) for i, row in enumerate(joint.reshape(-1, *problem.shape))]
    )
    step = -(inverse @ change[:, :, None]).reshape(joint.shape)
    ratio = torch.where(joint > LEAST_PROBABILITY, step / joint, 0.0)
    return log_joint + torch.log1p(ratio - ratio.detach())


def _constraints(problem: DenseProblem) -> list[tuple[tuple[int, ...], Tensor]]:
    """Return (axes of targets, log p) of each constraint."""
    chain = [(stage.targets, stage.log_kernel) for stage in problem.chain.stages]
    return chain + [(term.targets, term.log_p) for term in problem.constraints]


def _inverse(problem: DenseProblem, joint: Tensor, batch: int) -> Tensor:
    """Return the pseudo-inverse of the Hessian on the directions that are free, (n, n)."""
    size, ndim = joint.numel(), joint.ndim
    hessian = torch.zeros(size, size, dtype=joint.dtype, device=joint.device)
    if problem.gamma:
        hessian += torch.diag(problem.gamma / joint.flatten().clamp(min=LEAST_PROBABILITY))
    for term in problem.terms:
        if term.weight and term.targets:
            for axes, sign in ((term.sources + term.targets, 1.0), (term.sources, -1.0)):
                member = _membership(joint, axes)
                total = (member @ joint.flatten()).clamp(min=LEAST_PROBABILITY)
                hessian += sign * term.weight * member.T @ (member / total[:, None])
    basis = _free_directions(problem, joint, batch, ndim)
    reduced = basis.T @ hessian @ basis
    inverse: Tensor = basis @ torch.linalg.pinv(reduced, rtol=LEAST_CURVATURE) @ basis.T
    return inverse


def _membership(joint: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the 0/1 matrix that sums a joint to a marginal, (entries, worlds)."""
    index = torch.zeros(joint.shape, dtype=torch.long, device=joint.device)
    for axis in axes:
        sizes = [1] * joint.ndim
        sizes[axis] = joint.shape[axis]
        place = torch.arange(joint.shape[axis], device=joint.device)
        index = index * joint.shape[axis] + place.reshape(sizes)
    kinds = torch.arange(int(index.max()) + 1, device=joint.device)
    return (kinds[:, None] == index.flatten()).double()


def _free_directions(problem: DenseProblem, joint: Tensor, batch: int, ndim: int) -> Tensor:
    """Return an orthonormal basis of the directions in which μ may move, (worlds, free)."""
    size = joint.numel()
    rows = [joint.new_ones(1, size)]
    for targets, log_kernel in _constraints(problem):
        kernel = log_kernel.detach().exp()
        kernel = kernel.reshape(-1, *kernel.shape[kernel.ndim - ndim :])
        kernel = kernel[batch % len(kernel)].expand(joint.shape).flatten()
        scope = tuple(a for a in range(-ndim, 0) if log_kernel.shape[a] > 1)
        both = _membership(joint, scope)
        source = _membership(joint, tuple(a for a in scope if a not in targets))
        # Σ over (s, t) less p(t|s) Σ over s: each row of `both` lies in one row of `source`
        wider = source[source[:, both.argmax(-1)].argmax(0)]
        chance = (both * kernel).sum(-1) / both.sum(-1)
        rows.append(both - chance[:, None] * wider)
    zero = (joint.flatten() <= LEAST_PROBABILITY).nonzero().flatten()
    rows.append(torch.eye(size, dtype=joint.dtype, device=joint.device)[zero])
    matrix = torch.cat(rows)
    _, values, directions = torch.linalg.svd(matrix, full_matrices=True)
    rank = int((values > values.max() * 1e-10).sum())
    basis: Tensor = directions[rank:].T
    return basis
