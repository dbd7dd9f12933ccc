"""An attention layer: each position resolves what all others believe it to be."""

from __future__ import annotations

import math
from functools import partial

from torch import Tensor

from coset.beliefs.foci.likelihood import add_likelihood
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus
from coset.core.errors import DomainError, ShapeError

__all__ = ["attention_graph", "attention_layer"]


def attention_graph(queries: Tensor, keys: Tensor, values: Tensor, start: Tensor) -> PDG:
    """Return the beliefs x_j ~ N(v_i, 1), up to a constant, with confidences exp⟨k_i, q_j⟩.

    Args:
        queries: q, (M, D).
        keys: k, (N, D).
        values: v, (N, E).
        start: x, (M, E), float64; moved in place.

    Returns:
        The graph, with an observed variable and an arc "j <- i" for each pair; the arcs "j <- i"
        for all i move row j of `start`.

    Raises:
        ShapeError: if the shapes do not fit each other.
        DomainError: if a confidence overflows.

    Complexity: N M arcs.

    Claims: beliefs.C19.
    """
    fits = queries.shape[1:] == keys.shape[1:] and len(keys) == len(values)
    if not fits or start.shape != (len(queries), values.shape[1]):
        raise ShapeError(
            f"queries (M, D), keys (N, D), values (N, E), start (M, E); given "
            f"{tuple(queries.shape)}, {tuple(keys.shape)}, {tuple(values.shape)}, "
            f"{tuple(start.shape)}"
        )
    confidence = (queries.double() @ keys.double().T).exp()
    if not bool(confidence.isfinite().all() and (confidence > 0).all()):
        raise DomainError(
            f"confidences exp⟨k, q⟩ lie in (0, ∞); the largest ⟨k, q⟩ is "
            f"{float((queries.double() @ keys.double().T).max()):.4g}: scale queries"
        )
    graph = PDG()
    for j, row in enumerate(start):
        for i, value in enumerate(values.double()):
            near = partial(_log_normal, row, value)
            weight = float(confidence[j, i])
            add_likelihood(graph, f"{j} <- {i}", (), near, beta=weight, parameters=(row,))
    return graph


def _log_normal(position: Tensor, mean: Tensor) -> Tensor:
    return -0.5 * (position - mean).square().sum()


def attention_layer(num_queries: int, num_keys: int, *, rate: float = math.inf) -> list[Focus]:
    """Return the one focus of the layer: look at everything, and move each position.

    With χ = ∞ the positions become x_j = Σ_i softmax_i(⟨k_i, q_j⟩) v_i.

    Args:
        num_queries: M.
        num_keys: N.
        rate: χ of each position; a finite one leaves a part of where it was (a residual layer).

    Returns:
        One focus.

    Claims: beliefs.C19.
    """
    arcs = [f"{j} <- {i}" for j in range(num_queries) for i in range(num_keys)]
    return [Focus(None, Control.only(arcs, rate), "attend")]
