"""Entropic mirror descent with Anderson acceleration: the default solver of dense problems."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from coset.beliefs.errors import NonConvexError
from coset.beliefs.solvers.anderson import AndersonWindow
from coset.beliefs.solvers.hard_chain import HardChain
from coset.beliefs.solvers.problem import DenseProblem
from coset.beliefs.solvers.result import DenseResult
from coset.beliefs.solvers.score import gap_of, gradient_of
from coset.core.backends import Backend, always, chosen_backend, register_backend, requires_module
from coset.core.errors import DomainError, ShapeError, UnsupportedError

__all__ = ["OPERATOR", "is_pinned", "solve_mirror"]

OPERATOR = "beliefs.mirror"

register_backend(
    Backend(
        OPERATOR,
        "numba",
        "cpu",
        requires_module("numba", "install it with: pip install numba"),
        "sums over tables of beliefs; a batch side by side; without constraints",
    )
)
for _device in ("cpu", "cuda"):
    register_backend(Backend(OPERATOR, "eager", _device, always, "whole-tensor operations"))

# The gap is looked at after each so many iterations: it costs about half of one, and a wait for
# the device.
CHECK_EVERY = 5
# The first steps are bolder than 1/L by this factor: L is a bound, and the safeguard corrects it.
BOLDNESS = 4.0
# By how much a value may rise by rounding alone, relative to 1 + |value|.
ROUNDING = 1e-14
# Values of sources get no less than exp of this: where μ*(s) = 0 floats would lose μ(t|s), on which
# the gap depends.
LEAST_LOG_MASS = -100.0


def is_pinned(problem: DenseProblem) -> bool:
    """Tell whether the constraints leave one joint only.

    Args:
        problem: the problem.

    Returns:
        Whether they are a chain that gives every variable its conditional.
    """
    return not problem.chain.rest and not any(stage.free for stage in problem.chain.stages)


def solve_mirror(
    problem: DenseProblem,
    *,
    tol: float = 1e-9,
    max_iter: int = 20_000,
    start: Tensor | None = None,
) -> DenseResult:
    """Minimize a convex score by mirror descent with step 1/L and Anderson acceleration.

    One step is log μ ← project(log μ − G/L), L = γ + Σ max(β − γα, 0): the score falls in each
    [derived]. The step that Anderson's extrapolation proposes is taken instead if the score does
    not rise. Constraints are met exactly in each iteration. All of it runs in float64 on the
    device of the problem; the parts of a batch stop one by one.

    Args:
        problem: the problem; its constraints must be a chain.
        tol: the gap in nats at which to stop.
        max_iter: the largest number of iterations.
        start: log μ from which to start, (*batch, *shape); uniform, if none.

    Returns:
        The minimizer, its score and its gap; `converged` is False if the gap stayed above `tol`.

    Raises:
        NonConvexError: if γα > β on some arc (and the constraints leave more than one joint).
        UnsupportedError: if the constraints are no chain.
        DomainError: if `tol` ≤ 0 or `max_iter` < 1.
        ShapeError: if `start` has another shape.

    Complexity: O(worlds · (arcs + depth²)) an iteration; 1/k without and a rate of 1 − γ/L a step
    with γ > 0, before acceleration.

    Claims: beliefs.C1, beliefs.C23.
    """
    _check(problem, tol, max_iter)
    flat = _flatten(problem)
    first = None if start is None else _check_start(problem, start)
    device = flat.cost.device
    compiled = (
        device.type == "cpu"
        and chosen_backend(OPERATOR, "cpu") == "numba"
        and bool(problem.variables)
        and not (problem.chain.stages or problem.conflicts)
    )
    found = _compiled(problem, flat, first, tol, max_iter) if compiled else None
    if found is None:
        found = _Descent(flat, first).run(tol, max_iter)
    shape = problem.batch_shape
    return DenseResult(
        value=found.value.reshape(shape),
        log_joint=found.log_joint.reshape(shape + problem.shape).to(problem.cost.dtype),
        gap=found.gap.reshape(shape),
        iterations=found.iterations,
        converged=found.converged,
    )


def _compiled(
    problem: DenseProblem, flat: DenseProblem, start: Tensor | None, tol: float, max_iter: int
) -> DenseResult:
    """Solve in compiled loops, and by whole tensors what is contradictory or too steep for them."""
    from coset.beliefs.solvers.kernels.launch import solve_compiled

    found = solve_compiled(problem, tol, max_iter, start)
    failed = found.value.isnan()
    if flat.allowed is not None:
        failed = failed | ~flat.allowed.flatten(1).any(1)
    if not bool(failed.any()):
        return found
    rest = _Descent(_select(flat, failed.nonzero().squeeze(-1)), None).run(tol, max_iter)
    for into, table in (
        (found.value, rest.value),
        (found.log_joint, rest.log_joint),
        (found.gap, rest.gap),
    ):
        into[failed] = table
    return replace(
        found,
        iterations=max(found.iterations, rest.iterations),
        converged=bool((found.gap <= tol).all()),
    )


def _check(problem: DenseProblem, tol: float, max_iter: int) -> None:
    if not tol > 0 or max_iter < 1:
        raise DomainError(f"tol > 0 and max_iter ≥ 1; given {tol} and {max_iter}")
    if problem.constraints:
        names = ", ".join(repr(term.name) for term in problem.constraints)
        raise UnsupportedError(
            f"mirror descent needs constraints that can be met one after the other; {names} "
            f'cannot be ordered so: use method="cone"'
        )
    if problem.concave and not is_pinned(problem):
        raise NonConvexError(
            f"the score is convex if β ≥ γα on every arc; it is not on "
            f'{", ".join(problem.concave)}: lower γ or α, or use method="cccp" for a local minimum',
            problem.concave,
        )


def _check_start(problem: DenseProblem, start: Tensor) -> Tensor:
    shape = problem.batch_shape + problem.shape
    try:
        start = start.detach().to(problem.cost.device, torch.float64).expand(shape)
    except RuntimeError:
        raise ShapeError(f"start is log μ, of shape {tuple(shape)}; given {start.shape}") from None
    if bool(torch.isnan(start).any()):
        raise DomainError("start is log μ and holds NaN")
    # A world with μ = 0 would stay at 0 for ever
    return start.clamp(min=-700.0).reshape(-1, *problem.shape)


def _flatten(problem: DenseProblem) -> DenseProblem:
    """Return the problem with one batch axis, in float64, without gradients."""
    shape, ndim = problem.batch_shape, len(problem.variables)
    num = math.prod(shape)

    def flat(table: Tensor) -> Tensor:
        own = tuple(table.shape[table.ndim - ndim :])
        return table.detach().expand((*shape, *own)).reshape(num, *own)

    cost = flat(problem.cost.double()).expand(num, *problem.shape)
    return replace(
        problem,
        cost=cost,
        allowed=None if problem.allowed is None else flat(problem.allowed).expand(cost.shape),
        chain=HardChain(
            tuple(
                replace(stage, log_kernel=flat(stage.log_kernel.double()))
                for stage in problem.chain.stages
            ),
            problem.chain.rest,
        ),
    )


def _select(problem: DenseProblem, index: Tensor) -> DenseProblem:
    return replace(
        problem,
        cost=problem.cost[index],
        allowed=None if problem.allowed is None else problem.allowed[index],
        chain=HardChain(
            tuple(
                replace(stage, log_kernel=stage.log_kernel[index]) for stage in problem.chain.stages
            ),
            problem.chain.rest,
        ),
    )


class _Descent:
    """The iteration on a problem with one batch axis; what has converged leaves the batch."""

    def __init__(self, problem: DenseProblem, start: Tensor | None) -> None:
        if start is None:
            start = torch.zeros_like(problem.cost)
        if problem.allowed is not None:
            start = start.masked_fill(~problem.allowed, -math.inf)
        self.problem = problem
        self.worlds = tuple(range(1, start.ndim))
        self.log_joint, least = problem.chain.project(start)
        self.gradient = gradient_of(problem, self.log_joint)
        self.value = self._mean(self.log_joint, self.gradient)
        self.smoothness = problem.smoothness
        mixing = problem.gamma + (self.smoothness - problem.gamma) / BOLDNESS
        self.mixing = torch.full_like(self.value, mixing)
        self.window = AndersonWindow()
        num = start.shape[0]
        self.places = torch.arange(num, device=start.device)
        self.found = DenseResult(
            self.value.clone(), self.log_joint.clone(), torch.zeros_like(self.value), 0, False
        )
        impossible = least.reshape(num) == -math.inf
        if problem.conflicts:
            impossible = torch.ones_like(impossible)
        self.found.value[impossible] = math.inf
        self.found.log_joint[impossible] = -math.inf
        self._keep(~impossible)

    def _mean(self, log_joint: Tensor, gradient: Tensor) -> Tensor:
        weighted = torch.where(log_joint > -math.inf, log_joint.exp() * gradient, 0.0)
        return weighted.sum(self.worlds) if self.worlds else weighted

    def _keep(self, which: Tensor) -> None:
        if not bool(which.all()):
            index = which.nonzero().squeeze(-1)
            self.problem = _select(self.problem, index)
            self.log_joint, self.gradient = self.log_joint[index], self.gradient[index]
            self.value, self.places = self.value[index], self.places[index]
            self.mixing = self.mixing[index]
            self.window.select(index)

    def run(self, tol: float, max_iter: int) -> DenseResult:
        """Iterate until each gap is at most `tol`."""
        iterations = 0
        while True:
            self._raise()
            gap = gap_of(self.problem, self.log_joint, self.gradient)
            self.found.value[self.places] = self.value
            self.found.log_joint[self.places] = self.log_joint
            self.found.gap[self.places] = gap.clamp(min=0.0)
            self._keep(~(gap <= tol))
            if not len(self.places) or iterations >= max_iter or self.smoothness <= 0:
                break
            for _ in range(min(CHECK_EVERY, max_iter - iterations)):
                self._step()
                iterations += 1
        return replace(self.found, iterations=iterations, converged=not len(self.places))

    def _raise(self) -> None:
        """Raise rare values of sources, for all targets alike."""
        log_joint = self.log_joint
        for sources in dict.fromkeys(tuple(sorted(t.sources)) for t in self.problem.terms):
            if sources:
                rest = [axis for axis in range(-len(self.worlds), 0) if axis not in sources]
                mass = log_joint.logsumexp(rest, keepdim=True) if rest else log_joint
                lack = (LEAST_LOG_MASS - mass).clamp(min=0.0)
                log_joint = log_joint + lack.masked_fill(lack == math.inf, 0.0)
        if log_joint is not self.log_joint and bool((log_joint > self.log_joint).any()):
            self.log_joint = self.problem.chain.project(log_joint)[0]
            self.gradient = gradient_of(self.problem, self.log_joint)

    def _descend(self, smoothness: Tensor) -> Tensor:
        """Return project(log μ − G/L)."""
        scaled = self.gradient / smoothness.reshape(-1, *(1,) * len(self.worlds))
        inside = self.log_joint > -math.inf
        step = torch.where(inside, self.log_joint - scaled, -math.inf)
        return self.problem.chain.project(step)[0]

    def _step(self) -> None:
        inside = self.log_joint > -math.inf
        here = self.log_joint.masked_fill(~inside, 0.0)
        image = self._descend(self.mixing).masked_fill(~inside, 0.0)
        flat = self.window.extrapolate(
            image.flatten(1), (image - here).flatten(1), self.log_joint.exp().flatten(1)
        )
        bold = torch.where(inside, flat.reshape(here.shape), -math.inf)
        bold, _ = self.problem.chain.project(bold)
        gradient = gradient_of(self.problem, bold)
        value = self._mean(bold, gradient)
        worse = ~(value <= self.value + ROUNDING * (1 + self.value.abs()))
        if bool(worse.any()):
            self.window.clear(worse)
            self.mixing = torch.where(
                worse, (2 * self.mixing).clamp(max=self.smoothness), self.mixing
            )
            plain = self._descend(torch.full_like(self.mixing, self.smoothness))
            bold = torch.where(worse.reshape(-1, *(1,) * len(self.worlds)), plain, bold)
            gradient = gradient_of(self.problem, bold)
            value = self._mean(bold, gradient)
        self.log_joint, self.gradient, self.value = bold, gradient, value
