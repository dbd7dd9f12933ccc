"""Factor graphs as beliefs: each factor a distribution of all of its variables, at γ = 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike
from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import as_table
from coset.core.errors import DomainError, ShapeError

__all__ = ["from_factor_graph"]


def from_factor_graph(
    variables: Mapping[str, int | Sequence[str]],
    factors: Mapping[str, tuple[str | Sequence[str], Tensor | ArrayLike]],
    exponents: Mapping[str, float] | None = None,
) -> tuple[PDG, Tensor]:
    """Write μ(w) ∝ ∏ φ_a(w)^θ_a as a graph whose best joint at γ = 1 is μ.

    Each factor becomes an unconditional belief p_a = φ_a / Σ φ_a with α = β = θ_a, and

        −log Z = ⟨⟨M⟩⟩_1 − Σ_a θ_a log Σ φ_a.

    Args:
        variables: name → number of values, or their names.
        factors: name → (variables, φ ≥ 0 with one axis each; batch axes lead).
        exponents: θ by name, 1 where nothing is said.

    Returns:
        The graph, and Σ_a θ_a log Σ φ_a, (*batch,): log Z is that less the inconsistency.

    Raises:
        DomainError: if a factor is negative, NaN, infinite or zero throughout.
        ShapeError: if its shape does not fit its variables.
        UnknownNameError: if a variable is unknown.

    Example:
        >>> import torch
        >>> import coset.beliefs as beliefs
        >>> phi = torch.tensor([[4.0, 1.0], [1.0, 4.0]], dtype=torch.float64)
        >>> pdg, log_scale = from_factor_graph({"A": 2, "B": 2}, {"f": (("A", "B"), phi)})
        >>> round(float(log_scale - beliefs.solve(pdg, 1.0).value), 6)  # log Z = log 10
        2.302585

    Claims: beliefs.C5.
    """
    powers = dict(exponents or {})
    pdg = PDG(variables)
    log_scale: Tensor | None = None
    for name, (scope, factor) in factors.items():
        factor, scope = as_table(factor), (scope,) if isinstance(scope, str) else tuple(scope)
        factor = factor if factor.is_floating_point() else factor.double()
        if factor.ndim < len(scope):
            raise ShapeError(
                f"a factor has an axis for each of its variables; {name!r} of "
                f"({', '.join(scope)}) has {tuple(factor.shape)}"
            )
        axes = tuple(range(-len(scope), 0))
        total = factor.sum(axes, keepdim=True)
        if not bool((factor >= 0).all() and (total > 0).all() and total.isfinite().all()):
            raise DomainError(
                f"a factor is ≥ 0, finite and not zero throughout; {name!r} sums to "
                f"{total.flatten()[:3].tolist()}"
            )
        power = powers.pop(name, 1.0)
        pdg.add(name, scope, cpd=factor / total, alpha=power, beta=power)
        added = power * total.reshape(total.shape[: factor.ndim - len(scope)]).log()
        log_scale = added if log_scale is None else log_scale + added
    if powers or log_scale is None:
        raise DomainError(f"there is a factor, and exponents belong to factors; given {powers}")
    return pdg, log_scale
