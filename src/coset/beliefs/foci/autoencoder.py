"""Variational inference and autoencoders: a prior, a decoder, a certain encoder, and data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from torch import Tensor

from coset.beliefs.foci.likelihood import add_examples, add_likelihood
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus

__all__ = ["vae", "vae_examples_graph"]


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
        One focus, for `vae_examples_graph` or a `variational_graph` that is learnable.

    Claims: beliefs.C15b.
    """
    return [Focus(None, Control.only(learn, rate), "elbo")]
