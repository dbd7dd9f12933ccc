"""What beliefs say about some variables, given values of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from coset.beliefs.attention import Attention, attend
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.solve import solve
from coset.beliefs.tree.network import ancestors, is_network, query_network
from coset.beliefs.tree.plan import MAX_BYTES
from coset.core.errors import DomainError, UnknownNameError

__all__ = ["infer"]


def infer(
    pdg: PDG,
    query: str | Sequence[str],
    given: Mapping[str, int | str] | None = None,
    *,
    gamma: float | str = "0+",
    attention: Attention | None = None,
    method: str = "auto",
    tol: float = 1e-9,
    max_bytes: int = MAX_BYTES,
) -> Tensor:
    """Return μ*(query | given) for the best joint μ* of the beliefs.

    What is given is a condition on μ*, no belief: to add it as one, use `PDG.condition`. In a
    Bayesian network (α = 1) μ* is its distribution for every γ, and is never solved for: what no
    ancestor of query and condition is, is left out, values given are sliced away, and one pass over
    a junction tree sums the rest out.

    Args:
        pdg: the beliefs.
        query: a variable or more.
        given: values of other variables, by their names or positions.
        gamma: as in `solve`; by default the limit γ → 0, which is unique.
        attention: factors of the confidences.
        method: as in `solve`.
        tol: the gap at which the solver stops.
        max_bytes: how much the tables of a Bayesian network may take.

    Returns:
        (*batch, *cards of the query), float64 for a Bayesian network.

    Raises:
        DomainError: if what is given has probability 0, a variable is both asked for and given, or
            the beliefs contradict each other.
        UnknownNameError: if there is no such variable.
        RangeError: if it has no such value.
        WidthError: if the tables take too much.
        NotConvergedError: if the solver does not reach the gap.

    Example:
        >>> import torch
        >>> pdg = PDG({"rain": ["no", "yes"], "wet": ["no", "yes"]})
        >>> double = torch.float64
        >>> arc = pdg.add("rain", "rain", cpd=torch.tensor([0.8, 0.2], dtype=double))
        >>> table = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=double)
        >>> arc = pdg.add("wet", "wet", "rain", cpd=table)
        >>> infer(pdg, "rain", {"wet": "yes"}).numpy().round(4)
        array([0.3333, 0.6667])

    Claims: beliefs.C4.
    """
    names = (query,) if isinstance(query, str) else tuple(query)
    attended = attend(pdg, attention)
    values = _checked(attended, names, given or {})
    if method in ("auto", "tree") and is_network(attended):
        return query_network(
            ancestors(attended, [*names, *values]), names, values, max_bytes=max_bytes
        )
    solution = solve(attended, gamma, method=method, tol=tol, throw=True)
    assert solution.joint is not None  # the value is finite, or `throw` has raised
    table = solution.joint.marginal(*values, *names)
    index: tuple[Any, ...] = (..., *values.values(), *(slice(None),) * len(names))
    table = table[index]
    total = table.sum(tuple(range(-len(names), 0)), keepdim=True)
    if not bool((total > 0).all()):
        raise DomainError(
            f"what is given must have a positive probability; {dict(given or {})} has none under "
            f"the best joint"
        )
    return table / total


def _checked(pdg: PDG, names: tuple[str, ...], given: Mapping[str, int | str]) -> dict[str, int]:
    for name in (*names, *given):
        if name not in pdg.variables:
            raise UnknownNameError.of("variable", name, pdg.variables)
    if not names or len({*names, *given}) < len(names) + len(given):
        raise DomainError(
            f"ask for one variable or more, each once, and none that is given; asked for "
            f"{', '.join(names) or 'none'}, given {', '.join(given) or 'none'}"
        )
    return {name: pdg.variables[name].index(value) for name, value in given.items()}
