"""Data that are no values of finite variables: a binary variable that is observed to be true."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.core.errors import DomainError

__all__ = ["add_examples", "add_likelihood"]


def add_likelihood(
    pdg: PDG,
    name: str,
    given: str | Sequence[str],
    log_likelihood: Callable[[], Tensor],
    *,
    beta: float = 1.0,
    parameters: Iterable[Tensor] = (),
) -> Arc:
    """Add what was seen, by its likelihood: a variable that is true with that probability, and is.

    The score grows by −β E log p. Unlike `PDG.cost`, the likelihood may move as parameters do.

    Args:
        pdg: the graph.
        name: the name of the arc and of its variable; the observation is ``"name=true"``.
        given: the variables on which the likelihood depends; without any it is one number.
        log_likelihood: returns log p ≤ 0, one axis a variable of `given`.
        beta: how much it counts, > 0.
        parameters: what gradients may move.

    Returns:
        The arc.

    Example:
        >>> from coset.beliefs.solvers.solve import solve
        >>> pdg = PDG({"coin": 2})
        >>> arc = add_likelihood(pdg, "seen", "coin", lambda: torch.tensor([0.2, 0.5]).log())
        >>> round(solve(pdg).value, 4)
        0.6931
    """

    def table() -> Tensor:
        log_p = log_likelihood()
        if not bool((log_p.detach() <= 0).all()):
            raise DomainError(
                f"a likelihood is a probability; the largest log p of {name!r} is "
                f"{float(log_p.detach().max()):.6g}: multiply densities by the volume of a cell"
            )
        # No gradient through log(1 − p): the variable is never false, and at p = 1 it is −∞
        other = torch.log(-torch.expm1(log_p.detach()))
        return torch.stack([other, log_p], -1)

    pdg.variable(name, ("false", "true"))
    arc = pdg.add(
        name, name, given, cpd=table, alpha=0.0, beta=beta, is_log=True, parameters=parameters
    )
    pdg.observe(name, "true")
    return arc


def add_examples(
    pdg: PDG, name: str, num_examples: int, *, arc: str = "", parameters: Iterable[Tensor] = ()
) -> Arc:
    """Add an index variable: which of the examples at hand, uniform and certain.

    Args:
        pdg: the graph.
        name: the name of the variable.
        num_examples: N ≥ 1.
        arc: the name of the arc, `name` by default.
        parameters: what moves that the values of the variable stand for.

    Returns:
        The arc, with β = ∞.
    """
    pdg.variable(name, num_examples)
    uniform = torch.full((num_examples,), 1.0 / num_examples, dtype=torch.float64)
    return pdg.add(arc or name, name, cpd=uniform, alpha=0.0, beta=math.inf, parameters=parameters)
