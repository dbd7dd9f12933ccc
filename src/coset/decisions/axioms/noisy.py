"""Noisy answers: the likeliest utility, how sure it is, and whether any utility fits.

P(p is chosen over q) = 1/(1 + exp(−(u(p) − u(q)))): utilities are in units of the answers' noise.
Many people are fitted at once, on the device of the data, by Newton's method on the concave
likelihood; its Hessian also gives the standard errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.core.results import Record, Verdict
from coset.decisions.axioms.preferences import STRICT, Preferences

__all__ = [
    "LikelihoodRatio",
    "NoisyFit",
    "choice_counts",
    "fit_noisy",
    "likelihood_ratio_test",
]

_MAX_ITERATIONS = 60
# Half the likelihood that a step could still gain; its square root is the error in deviations.
_DECREMENT = 1e-18
# Log-odds beyond this are a probability of 1 − 2e-9: the data say "always".
_LARGEST_ODDS = 20.0


@dataclass(frozen=True)
class NoisyFit(Record):
    """The likeliest utility of each person.

    Attributes:
        utility: (B, n) float64 with mean 0 over the outcomes; 0 along directions that no question
            touches.
        standard_error: (B, n) float64, of those; inf where the questions do not settle a value.
        log_likelihood: (B,) float64.
        converged: (B,) bool. False where answers to some question are all alike, or nearly, so
            that the likeliest utility is infinite: use `coset.decisions.axioms.check`, or a ridge.
        num_iterations: Newton steps.
    """

    utility: Tensor
    standard_error: Tensor
    log_likelihood: Tensor
    converged: Tensor
    num_iterations: int

    def __repr__(self) -> str:
        people, outcomes = self.utility.shape
        return (
            f"NoisyFit({people:,} × {outcomes:,} utilities, {int(self.converged.sum()):,} fits "
            f"converged in {self.num_iterations} steps)"
        )


@dataclass(frozen=True)
class LikelihoodRatio(Verdict):
    """Whether a utility fits noisy answers as well as free probabilities do.

    Attributes:
        statistic: 2 (log-likelihood of free probabilities − that of the utility).
        degrees_of_freedom: different questions minus free parameters of the utility.
        p_value: how often a true utility gives so large a statistic.
        false_alarm: below which p-value the verdict is "no".
        method: "chi-squared" (for many answers to each question) or "bootstrap".
    """

    statistic: float = 0.0
    degrees_of_freedom: int = 0
    p_value: float = 1.0
    false_alarm: float = 0.05
    method: str = "chi-squared"


def choice_counts(preferences: Preferences, counts: Any = None) -> tuple[Tensor, Tensor, Tensor]:
    """Collect repeated answers to the same question.

    Args:
        preferences: strict answers only; the same pair may appear often, and both ways round.
        counts: (N,) how often each answer was given; once each if not given.

    Returns:
        The differences p − q of the M different questions, (M, n) float64; how often p was chosen,
        (M,) float64; and how often it was asked, (M,) float64.

    Raises:
        DomainError: if an answer is weak or indifferent, or a count is not ≥ 1.
        ShapeError: if the counts have another shape.
        DtypeError: if the counts are no numbers.

    Examples:
        >>> data = Preferences.from_pairs([("a", "b"), ("b", "a"), ("a", "b")])
        >>> [t.tolist() for t in choice_counts(data)]
        [[[1.0, -1.0]], [2.0], [3.0]]
    """
    if not bool((preferences.relation == STRICT).all()):
        raise DomainError(
            "noisy answers choose one of two lotteries; given weak or indifferent ones; leave them "
            "out, or use check"
        )
    try:
        size = np.ones(preferences.num_pairs) if counts is None else np.asarray(counts, dtype=float)
    except (TypeError, ValueError) as error:
        raise DtypeError(f"counts must be numbers; given {counts!r}") from error
    if size.shape != (preferences.num_pairs,):
        raise ShapeError(f"counts must have shape ({preferences.num_pairs},); given {size.shape}")
    if not (np.isfinite(size) & (size >= 1)).all():
        raise DomainError(f"counts must be finite and ≥ 1; given {size.min()}")
    low = np.minimum(preferences.preferred, preferences.other)
    high = np.maximum(preferences.preferred, preferences.other)
    key = low * preferences.num_lotteries + high
    _, first, question = np.unique(key, return_index=True, return_inverse=True)
    same = preferences.preferred == preferences.preferred[first][question]
    asked = np.bincount(question, weights=size, minlength=len(first))
    chosen = np.bincount(question, weights=size * same, minlength=len(first))
    rows = torch.from_numpy(preferences.differences[first].toarray())
    # Of no answers NumPy counts in integers.
    return rows, torch.from_numpy(chosen).double(), torch.from_numpy(asked).double()


def fit_noisy(
    differences: Tensor, chosen: Tensor, asked: Tensor | None = None, *, ridge: float = 0.0
) -> NoisyFit:
    """Fit a utility to noisy choices by maximum likelihood, for one person or many at once.

    Args:
        differences: (M, n) p − q of the questions, the same ones for all people.
        chosen: (B, M) or (M,): how often p was chosen.
        asked: how often each was asked, of the same shape or broadcastable; 1 if not given.
        ridge: ≥ 0: λ in the penalty λ‖u‖²/2, which keeps utilities finite.

    Returns:
        The fit, in float64.

    Raises:
        ShapeError: if the shapes do not fit.
        DomainError: if a number is not finite, or a count is outside [0, asked].

    Complexity: O(B (M r + r²) r) a step, r the rank of the differences; about ten steps.

    Examples:
        >>> fit = fit_noisy(torch.tensor([[1.0, -1.0]]), torch.tensor([3.0]), torch.tensor([4.0]))
        >>> round(float(fit.utility[0, 0] - fit.utility[0, 1]), 6)  # log(3/1)
        1.098612
    """
    rows, k, n = _checked(differences, chosen, asked, ridge)
    basis = _row_space(rows)
    reduced = rows @ basis
    z, iterations, converged = _newton(reduced, k, n, ridge)
    hessian = _hessian(reduced, z, n, ridge)
    spread = _covariance(basis, hessian)
    num = rows.shape[1]
    center = torch.eye(num, dtype=rows.dtype, device=rows.device) - 1 / max(num, 1)
    variance = torch.einsum("jn,bnm,jm->bj", center, spread, center)
    unsettled = (center - center @ basis @ basis.T).norm(dim=1) > 1e-9
    error = torch.where(unsettled, math.inf, variance.clamp(min=0).sqrt())
    error = torch.where(converged[:, None], error, math.inf)
    utility = z @ basis.T
    return NoisyFit(
        utility=utility - utility.mean(dim=1, keepdim=True) if num else utility,
        standard_error=error,
        log_likelihood=_log_likelihood(reduced, z, k, n),
        converged=converged,
        num_iterations=iterations,
    )


def likelihood_ratio_test(
    differences: Tensor,
    chosen: Tensor,
    asked: Tensor,
    *,
    false_alarm: float = 0.05,
    num_bootstrap: int = 0,
    generator: torch.Generator | None = None,
) -> LikelihoodRatio:
    """Test whether one utility explains a person's noisy choices.

    The alternative gives each question a probability of its own. The chi-squared law holds for
    many answers to each question; with few, let the bootstrap draw answers from the fitted utility
    instead: its p-value (1 + number at least as large) / (1 + draws) needs no such law.

    Args:
        differences: (M, n) p − q of the M different questions.
        chosen: (M,): how often p was chosen.
        asked: (M,): how often each was asked.
        false_alarm: the probability of saying "no" of a true utility.
        num_bootstrap: how many sets of answers to draw; 0 for the chi-squared law.
        generator: source of randomness.

    Returns:
        The verdict: holds iff the p-value is at least `false_alarm`.

    Raises:
        ShapeError: if the shapes do not fit.
        DomainError: if `false_alarm` is outside (0, 1), `num_bootstrap` < 0, or as `fit_noisy`.
    """
    if num_bootstrap < 0:
        raise DomainError(f"num_bootstrap must be ≥ 0; given {num_bootstrap}")
    if not 0 < false_alarm < 1:
        raise DomainError(f"false_alarm must lie in (0, 1); given {false_alarm}")
    rows, k, n = _checked(differences, chosen, asked, 0.0)
    if len(k) != 1:
        raise ShapeError(f"the test takes the answers of one person, (M,); given {tuple(k.shape)}")
    statistic, fit = _statistic(rows, k, n)
    freedom = int((n > 0).sum()) - _row_space(rows[n[0] > 0]).shape[1]
    observed = max(0.0, float(statistic[0]))
    if not freedom:  # any probabilities at all are those of a utility: what is left is rounding
        p_value = 1.0
    elif num_bootstrap:
        odds = (rows @ fit.utility[0]).clamp(-_LARGEST_ODDS, _LARGEST_ODDS)
        draws = _draw(odds.sigmoid(), n[0], num_bootstrap, generator)
        replicated, _ = _statistic(rows, draws, n.expand_as(draws))
        p_value = (1 + int((replicated >= observed - 1e-9).sum())) / (1 + num_bootstrap)
    else:
        p_value = _chi_squared_tail(observed, freedom)
    method = "bootstrap" if num_bootstrap else "chi-squared"
    holds = p_value >= false_alarm
    return LikelihoodRatio(
        holds,
        f"a utility {'fits' if holds else 'does not fit'}: p = {p_value:.3g} ({method}, "
        f"{freedom} degrees of freedom, false alarms {false_alarm:g})",
        {"converged": bool(fit.converged[0])},
        statistic=observed,
        degrees_of_freedom=freedom,
        p_value=p_value,
        false_alarm=false_alarm,
        method=method,
    )


def _checked(
    differences: Tensor, chosen: Tensor, asked: Tensor | None, ridge: float
) -> tuple[Tensor, Tensor, Tensor]:
    rows = torch.as_tensor(differences)
    if rows.is_complex():
        raise DtypeError(f"differences must be real; given {rows.dtype}")
    rows = rows.to(torch.float64)
    if rows.ndim != 2:
        raise ShapeError(f"differences must have shape (M, n); given {tuple(rows.shape)}")
    k = torch.as_tensor(chosen, dtype=torch.float64, device=rows.device)
    k = k[None] if k.ndim == 1 else k
    n = torch.ones_like(k) if asked is None else torch.as_tensor(asked, dtype=torch.float64)
    if k.ndim != 2 or k.shape[1] != rows.shape[0]:
        raise ShapeError(
            f"chosen must have shape (B, {rows.shape[0]}), one number for each question; given "
            f"{tuple(k.shape)}"
        )
    try:
        n = n.to(rows.device).broadcast_to(k.shape)
    except RuntimeError as error:
        raise ShapeError(
            f"asked must have the shape {tuple(k.shape)} of chosen; given {tuple(n.shape)}"
        ) from error
    finite = bool(rows.isfinite().all() and k.isfinite().all() and n.isfinite().all())
    if not finite or not bool(((k >= 0) & (k <= n)).all()) or not 0 <= ridge < math.inf:
        raise DomainError(
            "differences and counts must be finite, 0 ≤ chosen ≤ asked and ridge ≥ 0; given "
            + (f"ridge {ridge}" if not 0 <= ridge < math.inf else "counts or rows outside of that")
        )
    return rows, k, n


def _row_space(rows: Tensor) -> Tensor:
    """Return an orthonormal basis (n, r) of the directions that the questions touch."""
    if not rows.numel():
        return rows.new_zeros((rows.shape[1], 0))
    _, sizes, directions = torch.linalg.svd(rows, full_matrices=False)
    kept = sizes > 1e-10 * max(1.0, float(sizes.max()))
    basis: Tensor = directions[kept].T.contiguous()
    return basis


def _log_likelihood(rows: Tensor, z: Tensor, k: Tensor, n: Tensor) -> Tensor:
    odds = z @ rows.T
    logsigmoid = torch.nn.functional.logsigmoid
    return (k * logsigmoid(odds) + (n - k) * logsigmoid(-odds)).sum(dim=1)


def _hessian(rows: Tensor, z: Tensor, n: Tensor, ridge: float) -> Tensor:
    share = (z @ rows.T).sigmoid()
    curvature = torch.einsum("bm,mi,mj->bij", n * share * (1 - share), rows, rows)
    return curvature + ridge * torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)


def _newton(rows: Tensor, k: Tensor, n: Tensor, ridge: float) -> tuple[Tensor, int, Tensor]:
    """Climb the penalized likelihood; a step is halved until it climbs, each person's by itself."""
    z = rows.new_zeros((len(k), rows.shape[1]))
    done = torch.full((len(k),), rows.shape[1] == 0, device=rows.device)

    def height(point: Tensor) -> Tensor:
        return _log_likelihood(rows, point, k, n) - ridge * (point * point).sum(dim=1) / 2

    now = height(z)
    for iteration in range(_MAX_ITERATIONS):
        if bool(done.all()):
            return z, iteration, done
        odds = z @ rows.T
        slope = (k - n * odds.sigmoid()) @ rows - ridge * z
        hessian = _hessian(rows, z, n, ridge)
        # Keeps the system solvable where a person's answers leave it flat.
        floor = 1e-12 * (1 + hessian.diagonal(dim1=1, dim2=2).amax(dim=1))
        eye = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
        step = torch.linalg.solve(hessian + floor[:, None, None] * eye, slope[:, :, None])[..., 0]
        decrement = (step * slope).sum(dim=1)
        flat = odds.abs().amax(dim=1) > _LARGEST_ODDS
        done = done | ((decrement < _DECREMENT) & ~flat)
        scale = torch.where(done, 0.0, 1.0)
        for _ in range(30):
            after = height(z + scale[:, None] * step)
            worse = after < now + 1e-4 * scale * decrement - 1e-12 * now.abs()
            if not bool((worse & (scale > 0)).any()):
                break
            scale = torch.where(worse, scale / 2, scale)
        z, now = z + scale[:, None] * step, after
    return z, _MAX_ITERATIONS, done


def _covariance(basis: Tensor, hessian: Tensor) -> Tensor:
    if not basis.shape[1]:
        return hessian.new_zeros((len(hessian), len(basis), len(basis)))
    inverse = torch.linalg.pinv(hessian, hermitian=True)
    return torch.einsum("ni,bij,mj->bnm", basis, inverse, basis)


def _statistic(rows: Tensor, k: Tensor, n: Tensor) -> tuple[Tensor, NoisyFit]:
    fit = fit_noisy(rows, k, n)
    free = (torch.special.xlogy(k, k) + torch.special.xlogy(n - k, n - k)).sum(dim=1)
    free = free - torch.special.xlogy(n, n).sum(dim=1)
    return 2 * (free - fit.log_likelihood), fit


def _draw(share: Tensor, n: Tensor, num: int, generator: torch.Generator | None) -> Tensor:
    """Return (num, M) binomial counts."""
    expanded = n.expand(num, -1).contiguous()
    return torch.binomial(expanded, share.expand(num, -1).contiguous(), generator=generator)


def _chi_squared_tail(statistic: float, freedom: int) -> float:
    half = torch.tensor([freedom / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))
