"""Divergences between beliefs about one variable: what a graph of a few arcs comes to.

Each is the observational inconsistency of a graph without sources, in closed form: `pooled` of k
beliefs, `pdg_divergence` of two, and the divergences of Rényi and Chernoff as special confidences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.tables import row_tolerance
from coset.beliefs.units import Units, in_units
from coset.core.errors import DomainError, ShapeError

__all__ = [
    "chernoff",
    "gaussian_inconsistency",
    "pdg_divergence",
    "pooled",
    "renyi",
]

# Halvings of [0, 1] after which float64 has no number left between the ends.
_HALVINGS = 60


def _logs(name: str, p: Tensor) -> Tensor:
    """Return log p, checked as the table of an arc is; −∞ where p = 0."""
    return Arc(name, (), ("x",), p).log_probabilities()


def _pair(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    log_p, log_q = _logs("p", p), _logs("q", q)
    _check_shapes([log_p, log_q])
    return log_p, log_q


def _check_shapes(tables: Sequence[Tensor]) -> None:
    try:
        # torch's function of this name loads sympy: half a second
        np.broadcast_shapes(*(table.shape for table in tables))
        fit = len({table.shape[-1] for table in tables}) == 1
    except ValueError:
        fit = False
    if not fit:
        raise ShapeError(
            f"beliefs are about one variable, on the last axis, with batch axes that broadcast; "
            f"given shapes {', '.join(str(tuple(table.shape)) for table in tables)}"
        )


def _relative_entropy(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL(p‖q), where 0 log 0 = 0 and p log(p/0) = ∞."""
    inside = log_p > -math.inf
    ratio = log_p.masked_fill(~inside, 0.0) - torch.where(inside, log_q, 0.0)
    return torch.where(inside, log_p.exp() * ratio, 0.0).sum(-1)


def _check_confidences(confidences: Sequence[float]) -> None:
    finite = sum(number for number in confidences if number != math.inf)
    if not all(number >= 0 for number in confidences) or finite == math.inf:
        raise DomainError(
            f"confidences are ≥ 0, and infinite or of a finite sum; given "
            f"{', '.join(f'{c:g}' for c in confidences)}"
        )


def pooled(
    beliefs: Sequence[Tensor], confidences: Sequence[float], *, units: Units = "nats"
) -> Tensor:
    """Return the inconsistency of several beliefs about one variable.

    −B log Σ_x ∏_j p_j(x)^(b_j / B) with B = Σ_j b_j. The normalized weighted geometric mean of the
    beliefs attains it. If one b_j = ∞, this is Σ_i b_i KL(p_j ‖ p_i). In float64 rounding leaves
    an error of about 1e-16 B: a belief that is as good as certain has the confidence ∞, not 1e16.

    Args:
        beliefs: k ≥ 1 tensors (*batch, n) of probabilities.
        confidences: k numbers b_j ≥ 0; a belief with b_j = 0 does not count.
        units: "nats" or "bits".

    Returns:
        (*batch,), at least 0; ∞ if no x is possible for all, or if certain beliefs differ.
        Gradients flow to the beliefs.

    Raises:
        ShapeError: if the counts differ or are zero, the last axes differ, or batches do not fit.
        DomainError: if a confidence is negative or NaN, or an entry is negative or NaN.
        NotNormalizedError: if a belief does not sum to one.

    Example:
        >>> p, q = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], dtype=torch.float64)
        >>> round(float(pooled([p, q], [2.0, 1.0])), 12)
        0.75854568088

    Claims: beliefs.C6b.
    """
    if len(beliefs) == 0 or len(beliefs) != len(confidences):
        raise ShapeError(
            f"each belief has its confidence; given {len(beliefs)} beliefs and "
            f"{len(confidences)} confidences"
        )
    _check_confidences(confidences)
    logs = [_logs(f"beliefs[{j}]", p) for j, p in enumerate(beliefs)]
    _check_shapes(logs)
    certain = [j for j, b in enumerate(confidences) if b == math.inf]
    if certain:
        return in_units(_around(logs, confidences, certain), units)
    total = sum(confidences)
    if total == 0:
        return sum(0.0 * p[..., 0] for p in beliefs[1:]) + 0.0 * beliefs[0][..., 0]
    # A belief with b = 0 is left out: 0 · log 0 must not spoil the sum.
    terms = [(b / total) * table for table, b in zip(logs, confidences, strict=True) if b > 0]
    mixed = torch.stack(torch.broadcast_tensors(*terms)).sum(0)  # type: ignore[no-untyped-call]
    # A sum of probabilities can exceed 1 by rounding alone.
    return in_units((-total * _log_sum(mixed)).clamp(min=0.0), units)


def _log_sum(logs: Tensor) -> Tensor:
    # logsumexp of nothing but −∞ has the gradient NaN; the value −∞ has the gradient 0 here.
    empty = (logs == -math.inf).all(-1, keepdim=True)
    value = logs.masked_fill(empty, 0.0).logsumexp(-1)
    return value.masked_fill(empty[..., 0], -math.inf)


def _around(logs: Sequence[Tensor], confidences: Sequence[float], certain: Sequence[int]) -> Tensor:
    """Return Σ b_i KL(p ‖ p_i) around the belief that is certain, ∞ if others differ from it."""
    log_p = logs[certain[0]]
    value = torch.zeros_like(log_p[..., 0])
    for j, table in enumerate(logs):
        if j in certain:
            off = (table.exp() - log_p.exp()).abs().amax(-1)
            value = torch.where(off <= row_tolerance(table.dtype), value, math.inf)
        elif confidences[j] > 0:
            value = value + confidences[j] * _relative_entropy(log_p, table)
    return value


def pdg_divergence(
    p: Tensor, q: Tensor, r: float = 1.0, s: float = 1.0, *, units: Units = "nats"
) -> Tensor:
    """Return the inconsistency of the beliefs p with confidence r and q with confidence s.

    −(r + s) log Σ_x p(x)^(r/(r+s)) q(x)^(s/(r+s)) = s · Rényi divergence of order r/(r+s);
    r = ∞ gives s KL(p‖q), s = ∞ gives r KL(q‖p), r = s = 1 twice the Bhattacharyya distance.

    Args:
        p: (*batch, n), probabilities.
        q: (*batch, n), probabilities.
        r: confidence in p, ≥ 0.
        s: confidence in q, ≥ 0.
        units: "nats" or "bits".

    Returns:
        (*batch,), at least 0; ∞ if the supports are disjoint.

    Raises:
        CosetError: as `pooled`.

    Example:
        >>> p, q = torch.tensor([[0.7, 0.3], [0.4, 0.6]], dtype=torch.float64)
        >>> round(float(pdg_divergence(p, q)), 12)
        0.095411409874

    Claims: beliefs.C6.
    """
    return pooled([p, q], [r, s], units=units)


def renyi(p: Tensor, q: Tensor, order: float, *, units: Units = "nats") -> Tensor:
    """Return the Rényi divergence of p from q.

    1/(a − 1) log Σ_x p(x)^a q(x)^(1−a); order 1 is KL(p‖q), 0 is −log q(p > 0), ∞ is
    max log p/q. Near order 1 rounding leaves an error of about 1e-16/|a − 1| in float64.

    Args:
        p: (*batch, n), probabilities.
        q: (*batch, n), probabilities.
        order: a ≥ 0, or ∞.
        units: "nats" or "bits".

    Returns:
        (*batch,), at least 0; ∞ if a ≥ 1 and p has what q lacks, or if the supports are disjoint.

    Raises:
        DomainError: if the order is negative or NaN, or an entry is negative or NaN.
        ShapeError: if the last axes differ.
        NotNormalizedError: if p or q does not sum to one.

    Example:
        >>> p, q = torch.tensor([[0.5, 0.5], [0.25, 0.75]], dtype=torch.float64)
        >>> float(renyi(p, q, float("inf"), units="bits"))
        1.0

    Claims: beliefs.C6.
    """
    if not order >= 0:
        raise DomainError(f"the order of a Rényi divergence is ≥ 0; given {order}")
    log_p, log_q = _pair(p, q)
    possible = log_p > -math.inf
    if order == 1:
        return in_units(_relative_entropy(log_p, log_q), units)
    if order == math.inf:
        ratio = torch.where(possible, log_p.masked_fill(~possible, 0.0) - log_q, -math.inf)
        return in_units(ratio.amax(-1), units)
    if order > 1:
        mixed = order * log_p.masked_fill(~possible, 0.0) + (1 - order) * log_q
        mixed = torch.where(possible, mixed, -math.inf)
        value = mixed.logsumexp(-1) / (order - 1)
    else:
        powered = order * log_p.masked_fill(~possible, 0.0)
        mixed = torch.where(possible, powered + (1 - order) * log_q, -math.inf)
        value = -_log_sum(mixed) / (1 - order)
    return in_units(value.clamp(min=0.0), units)


def chernoff(p: Tensor, q: Tensor, weight: float | None = None, *, units: Units = "nats") -> Tensor:
    """Return the Chernoff divergence −log Σ_x p(x)^w q(x)^(1−w), or its largest value over w.

    It is the inconsistency of p with confidence w and q with confidence 1 − w. The largest over
    0 < w < 1, Chernoff's information, is the best exponent of the error in telling p from q.

    Args:
        p: (*batch, n), probabilities.
        q: (*batch, n), probabilities.
        weight: w in [0, 1]; ``None`` for the largest value. w = 1/2 is Bhattacharyya's distance.
        units: "nats" or "bits".

    Returns:
        (*batch,), at least 0; ∞ if the supports are disjoint.

    Raises:
        DomainError: if the weight is outside of [0, 1], or an entry is negative or NaN.
        ShapeError: if the last axes differ.
        NotNormalizedError: if p or q does not sum to one.

    Example:
        >>> p, q = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64)
        >>> round(float(chernoff(p, q)), 12) == round(-math.log(0.6), 12)
        True

    Claims: beliefs.C6.
    """
    if weight is not None:
        if not 0 <= weight <= 1:
            raise DomainError(f"the weight is between 0 and 1; given {weight}")
        return pdg_divergence(p, q, weight, 1 - weight, units=units)
    log_p, log_q = _pair(p, q)
    common = (log_p > -math.inf) & (log_q > -math.inf)
    log_p, log_q = log_p.masked_fill(~common, 0.0), log_q.masked_fill(~common, 0.0)

    def mixed(w: Tensor) -> Tensor:
        return (w * log_p + (1 - w) * log_q).masked_fill(~common, -math.inf)

    with torch.no_grad():  # at the best weight the derivative in w is 0
        low = torch.zeros_like((log_p + log_q)[..., :1])
        high = torch.ones_like(low)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            mean = (mixed(middle).softmax(-1) * (log_p - log_q)).sum(-1, keepdim=True)
            low = torch.where(mean < 0, middle, low)
            high = torch.where(mean < 0, high, middle)
    return in_units((-_log_sum(mixed((low + high) / 2))).clamp(min=0.0), units)


def gaussian_inconsistency(
    mean1: Tensor | float,
    sd1: Tensor | float,
    mean2: Tensor | float,
    sd2: Tensor | float,
    confidence1: float = 1.0,
    confidence2: float = 1.0,
    *,
    units: Units = "nats",
) -> Tensor:
    """Return the inconsistency of two Gaussian beliefs about one real variable.

    (b₁ + b₂) log(QM/GM) + b₁b₂/(2(b₁ + b₂)) · ((m₁ − m₂)/QM)², where QM² = w₁s₁² + w₂s₂² and
    GM = s₁^w₁ s₂^w₂ with the weights reversed: w₁ = b₂/(b₁ + b₂), w₂ = b₁/(b₁ + b₂).
    b₁ = ∞ gives b₂ KL(N₁‖N₂).

    Args:
        mean1: m₁, of any shape that broadcasts with the others.
        sd1: s₁ > 0, a standard deviation.
        mean2: m₂.
        sd2: s₂ > 0.
        confidence1: b₁ ≥ 0.
        confidence2: b₂ ≥ 0.
        units: "nats" or "bits".

    Returns:
        The common shape, at least 0; ∞ if both are certain and differ. Gradients flow.

    Raises:
        DomainError: if a standard deviation is not positive and finite, a mean is not finite, or
            a confidence is negative or NaN; and if the square of a deviation is no float.
        ShapeError: if the shapes do not broadcast.

    Example:
        >>> float(gaussian_inconsistency(0.0, 1.0, 2.0, 1.0))
        1.0

    Claims: beliefs.C13.
    """
    given = [
        x if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64)
        for x in (mean1, sd1, mean2, sd2)
    ]
    try:
        m1, s1, m2, s2 = torch.broadcast_tensors(*given)  # type: ignore[no-untyped-call]
    except RuntimeError:
        raise ShapeError(
            f"means and standard deviations have shapes that broadcast; given "
            f"{', '.join(str(tuple(x.shape)) for x in given)}"
        ) from None
    finite = all(bool(torch.isfinite(x).all()) for x in (m1, s1**2, m2, s2**2))
    if not finite or not bool(((s1 > 0) & (s2 > 0) & (s1**2 > 0) & (s2**2 > 0)).all()):
        raise DomainError(
            "means are finite, and standard deviations > 0 with squares that are floats; given "
            "means "
            f"{mean1}, {mean2} and standard deviations {sd1}, {sd2}"
        )
    _check_confidences((confidence1, confidence2))
    value = _gaussian(m1, s1, m2, s2, confidence1, confidence2)
    return in_units(value, units)


def _gaussian(m1: Tensor, s1: Tensor, m2: Tensor, s2: Tensor, b1: float, b2: float) -> Tensor:
    if b2 == math.inf and b1 < math.inf:
        return _gaussian(m2, s2, m1, s1, b2, b1)
    if b2 == math.inf:
        return torch.where((m1 == m2) & (s1 == s2), 0.0 * m1, math.inf)
    if b1 == math.inf:  # b₂ times the relative entropy
        return b2 * ((s2 / s1).log() + ((s1 / s2) ** 2 - 1 + ((m1 - m2) / s2) ** 2) / 2)
    if b1 + b2 == 0:
        return 0.0 * m1
    w1, w2 = b2 / (b1 + b2), b1 / (b1 + b2)
    square = w1 * s1**2 + w2 * s2**2
    log_ratio = square.log() / 2 - w1 * s1.log() - w2 * s2.log()
    apart = b1 * w1 / 2 * (m1 - m2) ** 2 / square
    return ((b1 + b2) * log_ratio).clamp(min=0.0) + apart
