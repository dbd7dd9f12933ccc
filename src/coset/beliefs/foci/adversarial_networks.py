"""Generative adversarial networks: two foci, each of which disbelieves what the other needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor

from coset.beliefs.attention import Attention
from coset.beliefs.foci.likelihood import add_examples
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import LogitTable
from coset.beliefs.pdg.variable import Variable
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus
from coset.core.errors import DomainError, ShapeError

__all__ = ["gan", "gan_graph", "gan_samples_graph"]


def gan_graph(data: Tensor, generator: Tensor, discriminator: Tensor) -> PDG:
    """Return the beliefs of the game on a finite space, as distributions.

    A fair coin C decides whether X is drawn from the data or by the generator; both are certain.
    That the coin follows the discriminator D(C|X), and that it cannot be guessed from X, are
    beliefs. (With separate variables for a real and a generated point, and beliefs without sources
    about them, the three could depend on each other as suits the score, which is then lower than
    any divergence [derived]: so X is stated given C.)

    Args:
        data: (X,).
        generator: (X,), positive; it can move.
        discriminator: (X,), the probability of "real", inside (0, 1); it can move.

    Returns:
        The graph, with variables "C" and "X", and arcs "coin", "generator" (X|C, of which the row
        of the data is fixed), "discriminator" and "guess".

    Raises:
        ShapeError: if the shapes are not one and the same (X,).

    Claims: beliefs.C18.
    """
    if not data.shape == generator.shape == discriminator.shape or data.ndim != 1:
        raise ShapeError(
            f"data, generator and discriminator have one shape (X,); given {tuple(data.shape)}, "
            f"{tuple(generator.shape)} and {tuple(discriminator.shape)}"
        )
    graph = PDG([Variable("C", 2, ("real", "fake")), Variable("X", len(data))])
    fair = torch.full((2,), 0.5, dtype=torch.float64)
    graph.add("coin", "C", cpd=fair, alpha=0.0, beta=math.inf)
    drawn = LogitTable(generator, 1)
    graph.add(
        "generator",
        "X",
        "C",
        cpd=lambda: torch.stack([data, drawn().exp()]),
        alpha=0.0,
        beta=math.inf,
        parameters=drawn.parameters(),
    )
    both = torch.stack([discriminator, 1 - discriminator], -1)
    graph.add("discriminator", "C", "X", cpd=both, alpha=0.0, learnable=True)
    graph.add("guess", "C", "X", cpd=fair.expand(len(data), 2), alpha=0.0)
    return graph


def gan_samples_graph(
    num_each: int,
    real_logits: Callable[[], Tensor],
    *,
    generator_parameters: Iterable[Tensor],
    discriminator_parameters: Iterable[Tensor],
) -> PDG:
    """Return the beliefs of the game about samples: as many real points as generated ones.

    An index I says which point is shown; the first half are real, and the last are what the
    generator makes of noise. That which of them is shown does not depend on it is the arc
    "generator": its table is constant, and what its values stand for moves.

    Args:
        num_each: N.
        real_logits: returns log D/(1 − D) at the 2N points, (2N,).
        generator_parameters: what moves the generated points.
        discriminator_parameters: what moves D.

    Returns:
        The graph, with variables "point" and "C", and arcs "generator", "origin", "discriminator"
        and "guess".

    Claims: beliefs.C18.
    """

    def log_table() -> Tensor:
        logits = real_logits()
        return torch.stack([logits, torch.zeros_like(logits)], -1).log_softmax(-1)

    graph = PDG({"C": ("real", "fake")})
    add_examples(graph, "point", 2 * num_each, arc="generator", parameters=generator_parameters)
    origin = torch.eye(2, dtype=torch.float64).repeat_interleave(num_each, 0)
    graph.add("origin", "C", "point", cpd=origin, alpha=0.0, beta=math.inf)
    graph.add(
        "discriminator",
        "C",
        "point",
        cpd=log_table,
        alpha=0.0,
        is_log=True,
        parameters=discriminator_parameters,
    )
    half = torch.full((2 * num_each, 2), 0.5, dtype=torch.float64)
    graph.add("guess", "C", "point", cpd=half, alpha=0.0)
    return graph


def gan(
    *,
    generator_rate: float,
    discriminator_rate: float,
    discriminator_steps: int = 1,
    game: Literal["adversarial", "divergence"] = "adversarial",
) -> list[Focus]:
    """Return the foci of the game: the discriminator's, then the generator's.

    With L = E_data log D + E_G log(1 − D), the attended inconsistencies at γ = 0 are, in
    "adversarial" games, −L/2 − log 2 for the discriminator, which disbelieves the guess, and
    L/2 + log 2 for the generator, which disbelieves the discriminator [derived]. In "divergence"
    games nobody disbelieves: E_X KL(p(C|X) ‖ D) and, without the discriminator, the Jensen–Shannon
    divergence of data and generator (which needs their probabilities, so not samples).

    Args:
        generator_rate: χ of the generator, small.
        discriminator_rate: χ of the discriminator, larger.
        discriminator_steps: steps of the discriminator for each of the generator.
        game: as above.

    Returns:
        The foci, `discriminator_steps` + 1 of them.

    Raises:
        DomainError: if the game is unknown, or `discriminator_steps` < 1.

    Example:
        >>> from coset.beliefs.solvers.solve import solve
        >>> half = torch.tensor([0.5, 0.5])
        >>> graph = gan_graph(half, torch.tensor([0.25, 0.75]), half)
        >>> foci = gan(generator_rate=0.1, discriminator_rate=1.0, game="divergence")
        >>> round(solve(graph, attention=foci[-1].attention).value, 4)
        0.0338

    Claims: beliefs.C18.
    """
    if game not in ("adversarial", "divergence"):
        raise DomainError(f'games are "adversarial" and "divergence"; given {game!r}')
    if discriminator_steps < 1:
        raise DomainError(f"discriminator_steps ≥ 1; given {discriminator_steps}")
    other = -1.0 if game == "adversarial" else 0.0
    discriminate = Focus(
        Attention({"guess": other}), Control({"discriminator": discriminator_rate}), "discriminate"
    )
    generate = Focus(
        Attention({"discriminator": other}), Control({"generator": generator_rate}), "generate"
    )
    return [discriminate] * discriminator_steps + [generate]
