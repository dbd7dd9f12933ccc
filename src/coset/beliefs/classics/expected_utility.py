"""Expected utility, and its form that is soft in two confidences, literally."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["soft_regret"]


def soft_regret(
    prior: Sequence[float], utility: Sequence[float], belief: float, desire: float
) -> float:
    """Return −b_p log Σ_s p(s) exp((b_u / b_p) u(s)) in nats.

    As b_p → ∞ it is −b_u E_p[u] (to minimize it is to maximize expected utility); as b_u → ∞,
    divided by b_u, it is −max_s u(s) over states with p(s) > 0.

    Args:
        prior: p(s).
        utility: expected utility of the action in each state.
        belief: b_p, the confidence in p; may be +∞.
        desire: b_u, the confidence that the outcome is wanted.

    Returns:
        The value of the action.

    Example:
        >>> round(soft_regret([0.5, 0.3, 0.2], [1.0, 0.0, 3.0], 4.0, 1.0), 10)
        -1.2458269432

    Claims: beliefs.C21.
    """
    if belief == math.inf:
        return -desire * sum(p * u for p, u in zip(prior, utility, strict=True))
    shift = max(utility)
    total = sum(
        p * math.exp(desire / belief * (u - shift)) for p, u in zip(prior, utility, strict=True)
    )
    return -desire * shift - belief * math.log(total)
