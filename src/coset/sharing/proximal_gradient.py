"""Least squares with the sharing penalty by accelerated proximal gradient, with a duality gap."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from coset.core.errors import ConfigError, DomainError, ShapeError, UnsupportedError
from coset.core.results import Certificate, Solution, Status
from coset.sharing.penalty import check_weights, pairwise_penalty, read_number
from coset.sharing.polar import read_ratio, sharing_polar
from coset.sharing.prox import prox_sharing

__all__ = ["SharingCertificate", "largest_alpha", "shared_least_squares"]

GROUPS = ("tensor", "row")
# The gap costs two passes over the data; between checks the Gram matrix is enough.
_CHECK_EVERY = 10
# Design rows that sum to less than this share of their size sum to 0 but for rounding: one-hot
# features about their means do.
_ROUNDING = 1e-12
# Beyond it products with 0 would not be 0; no data in float64 call for more.
_LARGEST_STRENGTH = 1e300
# Below it squares are inexact, and the inverse of an eigenvalue overflows.
_LEAST_SQUARE = 1e-290


@dataclass(frozen=True)
class _Problem:
    """1/(2n) ‖Y − X Wᵀ‖² + α Ω(W), with what does not change between steps."""

    x: Tensor
    y: Tensor
    alpha: float
    ratio: float
    group: str

    def as_groups(self, w: Tensor) -> Tensor:
        return w.reshape(1, -1) if self.group == "tensor" else w

    def penalty(self, w: Tensor) -> float:
        sharing = float(pairwise_penalty(self.as_groups(w), dim=-1).sum())
        return (1 - self.ratio) * sharing + self.ratio * float(w.abs().sum())

    def objective(self, w: Tensor) -> float:
        residual = self.y - self.x @ w.T
        return float(residual.square().sum()) / (2 * len(self.x)) + self.alpha * self.penalty(w)

    def dual_point(self, w: Tensor) -> Tensor:
        """Turn the residual into a feasible point of the dual; at the optimum it is the residual.

        θ is feasible iff the polar of θᵀX/n is ≤ α in each group. For ρ = 0 its entries must sum
        to 0 in each group first: θ is made orthogonal to the fit of equal weights, X·1.
        """
        theta = self.without_constant(self.y - self.x @ w.T)
        return theta * (self.alpha / self.polar(theta)).clamp(max=1)

    def without_constant(self, theta: Tensor) -> Tensor:
        ones = self.x.sum(1)
        size = float(ones.norm())
        if self.ratio > 0 or size <= _ROUNDING * self.x.shape[1] ** 0.5 * float(self.x.norm()):
            return theta
        share = (ones / size) @ theta / size
        mean = share.mean() if self.group == "tensor" else share[None]
        return theta - ones[:, None] * mean

    def polar(self, theta: Tensor) -> Tensor:
        """Return the polar of θᵀX/n in each group: (1,) or (K,)."""
        return sharing_polar(self.as_groups(theta.T @ self.x) / len(self.x), self.ratio)

    def dual_value(self, theta: Tensor) -> float:
        # ½‖Y‖² − ½‖Y − θ‖², without forming the difference of two large squares.
        return float((theta * (self.y - theta / 2)).sum()) / len(self.x)

    def gap(self, w: Tensor) -> float:
        gap = self.objective(w) - self.dual_value(self.dual_point(w))
        return 0.0 if gap <= 0 else gap  # NaN stays

    def prox(self, v: Tensor, step: float) -> Tensor:
        strength = min(step * self.alpha, _LARGEST_STRENGTH)
        return prox_sharing(
            v,
            strength * (1 - self.ratio),
            l1=strength * self.ratio,
            dim=None if self.group == "tensor" else -1,
            check_finite=False,
        )


@dataclass(frozen=True)
class SharingCertificate(Certificate):
    """A pair of weights and dual point that bounds how far the objective is from its minimum.

    It holds the data that were given, not a copy, if they were float64.

    Attributes:
        x: (n, p) float64: the design.
        y: (n, K) float64: the targets.
        weights: (K, p) float64.
        dual: (n, K) float64: feasible in the dual, up to rounding.
        alpha: strength of the penalty.
        l1_ratio: ρ.
        group: "tensor" or "row".
        gap: the bound.
    """

    x: Tensor
    y: Tensor
    weights: Tensor
    dual: Tensor
    alpha: float
    l1_ratio: float
    group: str
    gap: float

    def verify(self) -> bool:
        """Check that the dual point is feasible and that both objectives differ by the gap.

        Returns:
            Whether both hold, up to rounding: 1e-9 of α, 1e-12 of the objectives, and what is left
            of products of data and dual point that cancel.
        """
        problem = _Problem(self.x, self.y, self.alpha, self.l1_ratio, self.group)
        n, ratio = len(self.x), self.l1_ratio
        slope = problem.as_groups(self.dual.T @ self.x) / n
        size = max(float(self.dual.norm()), float(self.y.norm())) / n
        rounding = (1e-14 * size * self.x.norm(dim=0)).expand(self.dual.shape[1], -1)
        allowed = self.alpha * (1 + 1e-9) + sharing_polar(problem.as_groups(rounding), ratio)
        if not bool((sharing_polar(slope, ratio) <= allowed).all()):
            return False
        left = 2 * _ROUNDING * slope.shape[-1] ** 0.5 * size * float(self.x.norm())
        if ratio == 0 and not float(slope.sum(-1).abs().max()) <= left:
            return False
        reached = problem.objective(self.weights)
        slack = 1e-12 * (reached + float(self.y.square().sum()) / (2 * n))
        return reached - problem.dual_value(self.dual) <= self.gap + slack

    def explain(self) -> str:
        """Say what is proved.

        Returns:
            One sentence.
        """
        return (
            f"the objective exceeds its minimum by at most {self.gap:.3g}: the dual point is "
            f"feasible, and its value is a lower bound of every objective"
        )


def largest_alpha(x: Tensor, y: Tensor, *, l1_ratio: float = 0.0, group: str = "tensor") -> float:
    """Return the smallest alpha from which on the fit of `shared_least_squares` is trivial.

    It is the polar of the gradient at the trivial fit: equal weights in each group for ρ = 0, zeros
    for ρ > 0. A grid of strengths starts here.

    Args:
        x: (n, p) float: the design.
        y: (n, K) or (n,) float: the targets.
        l1_ratio: ρ in [0, 1].
        group: "tensor" or "row".

    Returns:
        The strength, ≥ 0.

    Raises:
        DtypeError: as `shared_least_squares`.
        ShapeError: as `shared_least_squares`.
        DomainError: as `shared_least_squares`.
        ConfigError: as `shared_least_squares`.
        UnsupportedError: as `shared_least_squares`.

    Example:
        >>> x = torch.eye(4, dtype=torch.float64)
        >>> largest_alpha(x, torch.tensor([0.0, 1.0, 10.0, 11.0]))  # 4 times that is g_all
        1.875
    """
    problem, _ = _read_problem(x, y, 0.0, l1_ratio, group, None)
    return float(problem.polar(problem.without_constant(problem.y)).max())


def shared_least_squares(
    x: Tensor,
    y: Tensor,
    alpha: float,
    *,
    l1_ratio: float = 0.0,
    group: str = "tensor",
    start: Tensor | None = None,
    max_iter: int = 10_000,
    tol: float = 1e-6,
) -> Solution:
    """Fit a linear map whose weights are tied: least squares plus the sharing penalty.

    min_W 1/(2n) ‖Y − X Wᵀ‖² + α ((1−ρ) R(W) + ρ ‖W‖₁), R(w) = 1/(d−1) · Σ_{i>j} |w_i − w_j|. FISTA
    with step 1/L, L the largest eigenvalue of XᵀX/n, restarted where momentum points uphill. Stops
    when the duality gap, a proved bound on the distance to the minimum, is ≤ tol · ‖Y‖²/(2n). Each
    iterate is a prox: ties are exact. α = 0 is solved directly, for the solution of least norm.
    For ρ = 0 the gap takes rows of X that sum to less than 10⁻¹² of their size to sum to 0, as the
    centered rows of one-hot features do but for rounding.

    Args:
        x: (n, p) float: the design; computed with in float64.
        y: (n, K) or (n,) float: the targets.
        alpha: α ≥ 0, finite.
        l1_ratio: ρ in [0, 1]: 0 is sharing alone, 1 the lasso.
        group: "tensor": all K·p weights are one group; "row": each output's p weights are one,
            and the fit is that of each output by itself.
        start: (K, p) float, or (p,) if `y` is (n,): where to start; None: at 0.
        max_iter: steps at most, ≥ 1.
        tol: ≥ 0; 0 stops early only where the gap is 0.

    Returns:
        `value`: (K, p) float64, or (p,) if `y` is (n,); `status` SOLVED or MAX_ITERATIONS;
        `error_bound`: the gap; `certificate`: `SharingCertificate` (None for α = 0); `iterations`.

    Raises:
        DtypeError: if `x`, `y` or `start` is not a real floating-point tensor.
        ShapeError: if shapes do not fit, or there is no sample or no feature.
        DomainError: if a number is out of range or not finite, or the squares of the data, or those
            of the residual at `start`, lie outside the range of exact float64.
        ConfigError: if `group` is unknown.
        UnsupportedError: if a tensor is not dense or not on the CPU.

    Complexity: O(n p min(n, p)) once, O(K p min(n, p) + K p log(K p)) a step.

    Claims: sharing.C9, sharing.C11.

    Example:
        >>> x = torch.eye(4, dtype=torch.float64)
        >>> y = torch.tensor([0.0, 1.0, 10.0, 11.0], dtype=torch.float64)
        >>> shared_least_squares(x, y, 0.1875).value  # the prox of strength 4 · 0.1875
        tensor([ 0.7500,  1.2500,  9.7500, 10.2500], dtype=torch.float64)
    """
    problem, first = _read_problem(x, y, alpha, l1_ratio, group, start)
    tolerance = read_number(tol, "tol")
    if not (tolerance >= 0 and math.isfinite(tolerance)):
        raise DomainError(f"tol must be finite and ≥ 0; given {tol}")
    if isinstance(max_iter, bool) or not isinstance(max_iter, numbers.Integral) or max_iter < 1:
        raise DomainError(f"max_iter must be an integer ≥ 1; given {max_iter!r}")
    if problem.alpha == 0:
        w = torch.linalg.lstsq(problem.x, problem.y, driver="gelsd").solution.T.contiguous()
        solution = Solution(w, Status.SOLVED, error_bound=0.0, iterations=1)
    else:
        solution = _fista(problem, first, max_iter, tolerance)
    if y.dim() == 2:
        return solution
    return replace(solution, value=solution.value[0])


def _read_problem(
    x: Tensor, y: Tensor, alpha: float, l1_ratio: float, group: str, start: Tensor | None
) -> tuple[_Problem, Tensor]:
    """Check the arguments; return the problem in float64 and where to start."""
    for tensor, name in ((x, "x"), (y, "y")) + (((start, "start"),) if start is not None else ()):
        check_weights(tensor, name)
        if tensor.device.type != "cpu":
            raise UnsupportedError(
                f"the fit runs on the CPU in this version; {name} is on {tensor.device}; "
                f"use {name}.cpu()"
            )
        if not bool(tensor.isfinite().all()):
            raise DomainError(f"{name} must be finite; given NaN or infinity; remove those samples")
    if x.dim() != 2 or y.dim() not in (1, 2) or len(x) != len(y) or 0 in (*x.shape, *y.shape):
        raise ShapeError(
            f"x must be (n, p) and y (n,) or (n, K), n, p, K ≥ 1; given {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    strength = read_number(alpha, "alpha")
    if not (strength >= 0 and math.isfinite(strength)):
        raise DomainError(f"alpha must be finite and ≥ 0; given {strength}")
    if group not in GROUPS:
        raise ConfigError(f"group must be one of {', '.join(GROUPS)}; given {group!r}")
    wide_x, wide_y = x.detach().double(), y.detach().double().reshape(len(y), -1)
    for tensor, name in ((wide_x, "x"), (wide_y, "y")):
        square = float(tensor.square().mean())
        if not (_LEAST_SQUARE <= square < math.inf) and bool(tensor.any()):
            size = float(tensor.abs().max())
            raise DomainError(
                f"squares of {name} must be finite and not vanish in float64; the largest entry "
                f"is {size:.3g}; divide {name} by it"
            )
    shape = (wide_y.shape[1], wide_x.shape[1])
    first = torch.zeros(shape, dtype=torch.float64) if start is None else start.detach().double()
    if y.dim() == 1 and first.dim() == 1:
        first = first[None]
    if first.shape != shape:
        raise ShapeError(f"start must have shape {shape}; given {tuple(first.shape)}")
    if not math.isfinite(float((wide_y - wide_x @ first.T).square().sum())):
        raise DomainError(
            "start must give finite squares of the residual; given entries of size "
            f"{float(first.abs().max()):.3g}; leave it out to start at 0"
        )
    if not bool(wide_y.any()):
        first = torch.zeros_like(first)
    return _Problem(wide_x, wide_y, strength, read_ratio(l1_ratio), group), first


class _Gradient:
    """The gradient of 1/(2n) ‖Y − X Wᵀ‖² by the smaller of Gram matrix and data."""

    def __init__(self, problem: _Problem) -> None:
        self.x, self.n = problem.x, len(problem.x)
        self.cross = problem.y.T @ self.x / self.n
        wide = self.x.shape[1] > self.n
        gram = (self.x @ self.x.T if wide else self.x.T @ self.x) / self.n
        self.gram = None if wide else gram
        self.lipschitz = float(torch.linalg.eigvalsh(gram)[-1])

    def __call__(self, w: Tensor) -> Tensor:
        if self.gram is not None:
            return w @ self.gram - self.cross
        return (w @ self.x.T) @ self.x / self.n - self.cross


def _fista(problem: _Problem, w: Tensor, max_iter: int, tol: float) -> Solution:
    gradient = _Gradient(problem)
    # Without a design every weight fits alike; any step shrinks to the least penalty.
    step = 1 / gradient.lipschitz if gradient.lipschitz > 0 else 1.0
    target = tol * float(problem.y.square().sum()) / (2 * len(problem.y))
    ahead, momentum = w, 1.0
    gap, i = problem.gap(w), 0
    while i < max_iter and (i == 0 or gap > target):
        new = problem.prox(ahead - step * gradient(ahead), step)
        moved = new - w
        # O'Donoghue and Candès: start the momentum anew where it points uphill.
        if float(((ahead - new) * moved).sum()) > 0:
            momentum = 1.0
        following = (1 + math.sqrt(1 + 4 * momentum * momentum)) / 2
        ahead = new + ((momentum - 1) / following) * moved
        w, momentum, i = new, following, i + 1
        if i % _CHECK_EVERY == 0 or i in (1, max_iter):
            gap = problem.gap(w)
    certificate = SharingCertificate(
        x=problem.x,
        y=problem.y,
        weights=w,
        dual=problem.dual_point(w),
        alpha=problem.alpha,
        l1_ratio=problem.ratio,
        group=problem.group,
        gap=gap,
    )
    solved = gap <= target
    advice = (
        f"the duality gap is {gap:.3g}, wanted {target:.3g}; raise max_iter or tol, raise alpha, "
        f"or bring the columns of x to like scales"
    )
    return Solution(
        w,
        Status.SOLVED if solved else Status.MAX_ITERATIONS,
        "" if solved else advice,
        error_bound=gap,
        certificate=certificate,
        iterations=i,
    )
