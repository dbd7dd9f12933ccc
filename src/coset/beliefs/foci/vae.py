"""Variational inference and autoencoders: a prior, a decoder, a certain encoder, and data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from torch import Tensor

from coset.beliefs.foci.likelihood import add_examples, add_likelihood
from coset.beliefs.pdg.arc import Table
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus
from coset.core.errors import ShapeError

__all__ = ["vae", "vae_examples_graph", "vae_graph"]


def _evaluated(table: Table) -> Tensor:
    return table if isinstance(table, Tensor) else table()


def vae_graph(
    prior: Table,
    decoder: Table,
    encoder: Table,
    value: int,
    *,
    beta: float = 1.0,
    learnable: bool = True,
) -> PDG:
    """Return p(Z) with confidence β, d(X|Z), e(Z|X) as a constraint, and X = x.

    The inconsistency at γ = 0 is the negative evidence lower bound of a β-VAE,
    β KL(e(Z|x) ‖ p(Z)) − E_e log d(x|Z).

    Args:
        prior: (Z,) probabilities, or a module or function that returns log-probabilities.
        decoder: (Z, X), likewise.
        encoder: (X, Z), likewise.
        value: x.
        beta: confidence of the prior.
        learnable: whether tensors of decoder and encoder, which must then be positive, can move.

    Returns:
        The graph, with variables "X" and "Z", and arcs "prior", "decoder", "encoder" and "X=x".

    Raises:
        ShapeError: if the shapes do not fit each other.
        RangeError: if there is no such x.

    Example:
        >>> import torch
        >>> from coset.beliefs.solvers.solve import solve
        >>> half = torch.tensor([0.5, 0.5])
        >>> graph = vae_graph(half, half.repeat(2, 1), half.repeat(2, 1), 0)
        >>> round(solve(graph).value, 4)
        0.6931

    Claims: beliefs.C15b.
    """
    sizes = _evaluated(decoder).shape
    if len(sizes) != 2:
        raise ShapeError(f"the decoder is (values of Z, values of X); given {tuple(sizes)}")
    graph = PDG({"X": sizes[1], "Z": sizes[0]})
    for name, target, given, table, weight in (
        ("prior", "Z", (), prior, beta),
        ("decoder", "X", "Z", decoder, 1.0),
        ("encoder", "Z", "X", encoder, math.inf),
    ):
        fixed = isinstance(table, Tensor)
        graph.add(
            name,
            target,
            given,
            cpd=table,
            alpha=0.0,
            beta=weight,
            learnable=learnable and fixed and name != "prior",
            is_log=not fixed,
        )
    graph.observe("X", value)
    return graph


def vae_examples_graph(
    prior: Tensor,
    log_likelihood: Callable[[], Tensor],
    log_encoder: Callable[[], Tensor],
    *,
    decoder_parameters: Iterable[Tensor],
    encoder_parameters: Iterable[Tensor],
    beta: float = 1.0,
) -> PDG:
    """Return the beliefs of a VAE about a minibatch, whose values need not be enumerable.

    An index I says which example is looked at. Prior and likelihood are stated for each example, so
    that the inconsistency at γ = 0 is the mean over examples of
    β KL(e(Z|x_i) ‖ p(Z)) − E_e log d(x_i|Z). (A prior of Z alone would be compared with the
    average of the encoder over examples instead.)

    Args:
        prior: (Z,).
        log_likelihood: returns log d(x_i | z) ≤ 0, (N, Z).
        log_encoder: returns log e(z | x_i), (N, Z).
        decoder_parameters: what can move in the first.
        encoder_parameters: what can move in the second.
        beta: confidence of the prior.

    Returns:
        The graph, with variables "example", "Z" and "seen", and arcs of the names "prior",
        "encoder" and "decoder".

    Claims: beliefs.C15b.
    """
    num_examples, num_codes = log_encoder().shape
    graph = PDG({"Z": num_codes})
    add_examples(graph, "example", num_examples)
    repeated = prior.expand(num_examples, num_codes)
    graph.add("prior", "Z", "example", cpd=repeated, alpha=0.0, beta=beta)
    graph.add(
        "encoder",
        "Z",
        "example",
        cpd=log_encoder,
        alpha=0.0,
        beta=math.inf,
        is_log=True,
        parameters=encoder_parameters,
    )
    add_likelihood(
        graph, "decoder", ("example", "Z"), log_likelihood, parameters=decoder_parameters
    )
    return graph


def vae(rate: float, *, learn: Iterable[str] = ("encoder", "decoder")) -> list[Focus]:
    """Return the one focus of a VAE: look at everything, and move encoder and decoder a little.

    With the encoder alone it is variational inference. One Euler step of `lir` is one step of
    gradient descent on the negative evidence lower bound.

    Args:
        rate: the learning rate.
        learn: the arcs that move.

    Returns:
        One focus.

    Claims: beliefs.C15b.
    """
    return [Focus(None, Control.only(learn, rate), "elbo")]
