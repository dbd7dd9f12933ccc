"""Expectation maximization and variational autoencoders are one loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.classics.em import latent_class_em, latent_class_log_likelihood
from coset.beliefs.classics.variational import negative_elbo
from coset.beliefs.foci.autoencoder import vae
from coset.beliefs.foci.expectation_maximization import em, latent_class_graph
from coset.beliefs.losses import variational_graph
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.resolve.focus import Focus
from coset.beliefs.resolve.lir import lir
from coset.core.claims import ClaimResult, changed_rows, claim

__all__ = [
    "C15",
    "C15b",
    "C15c",
    "em_by_resolution",
    "vae_by_resolution",
    "within",
    "worst_of",
]

Rows = Sequence[dict[str, Any]]

# How many random cases, by preset.
CASES = {"smoke": 2, "cpu": 20, "paper": 100}
ITERATIONS = 10
TOLERANCE = 1e-8
EXACT = 1e-10


def worst_of(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Return the largest difference of two entries over pairs of tensors."""
    return max(float((a - b).abs().max()) for a, b in pairs)


def within(errors: Sequence[float], bound: float, what: str, case: Any = None) -> ClaimResult:
    """Judge by the largest error.

    Args:
        errors: one a case.
        bound: the largest that is rounding.
        what: what differs.
        case: what replays a failure.

    Returns:
        The result.
    """
    worst = max(errors)
    return ClaimResult(
        holds=worst <= bound,
        measured=worst,
        bound=bound,
        detail=f"{what} by at most {worst:.2g} in {len(errors)} cases",
        sample_size=len(errors),
        counterexample=None if worst <= bound else {"case": case, "difference": worst},
    )


def em_by_resolution(
    data: Tensor,
    weights: Tensor,
    tables: Sequence[Tensor],
    steps: int,
    *,
    gamma: float = 1.0,
    first_m: slice = slice(None),
) -> list[Tensor]:
    """Return class weights and tables after some iterations of `em` by `lir`.

    Args:
        data: D, one axis a variable.
        weights: where class weights start.
        tables: where tables start.
        steps: iterations of EM, two foci each.
        gamma: γ.
        first_m: which arcs of the model move (a mutant moves fewer).

    Returns:
        (Z,), then (Z, values) for each variable.
    """
    graph = latent_class_graph(data, weights, tables)
    expect, maximize = em(graph)
    moved = dict(list(maximize.control.arcs.items())[first_m])
    control = type(maximize.control)(moved)
    foci = [expect, Focus(maximize.attention, control, "M")]
    lir(graph, foci, 2 * steps, gamma=gamma, overall_every=0)
    names = ["class", *(f"x{k}" for k in range(data.ndim))]
    return [graph.arcs[name].probabilities().detach() for name in names]


def without_structure(*case: Any) -> list[Tensor]:
    """Resolve at γ = 0, where the beliefs of a network do not multiply."""
    return em_by_resolution(*case, gamma=0.0)


def class_weights_kept(*case: Any) -> list[Tensor]:
    """Move the tables only in the M step."""
    return em_by_resolution(*case, first_m=slice(1, None))


def _latent_case(cards: Sequence[int], generator: torch.Generator) -> tuple[Any, ...]:
    data = random_table(*cards, num_targets=len(cards), generator=generator)
    weights = random_table(2, generator=generator)
    tables = [random_table(2, card, generator=generator) for card in cards]
    return data, weights, tables, ITERATIONS


def em_near_misses() -> list[tuple[Any, ...]]:
    """Return one visible variable, and data on which EM stands still."""
    generator = torch.Generator().manual_seed(0)
    single = _latent_case([3], generator)
    _, weights, tables, _ = _latent_case([2, 2], generator)
    model = torch.einsum("z,za,zb->ab", weights, *tables)
    return [single, (model, weights, tables, 2)]


@claim(
    "beliefs.C15",
    title="expectation maximization is resolution with two foci",
    statement="""For a latent-class model p_θ(x, z) = w(z) ∏_k t_k(x_k|z) and data D(x), the
        iterates of LIR that takes the posterior q(Z|X) to its minimizer, then the model, are those
        of closed-form EM: θ_EM(t) = θ_LIR(2t) to 1e-8 over 10 iterations; and E_D log p_θ(x)
        never falls.""",
    hypotheses="""D and q are certain (β = ∞), beliefs of the model have α = β = 1, γ = 1; two
        classes, two or three visible variables, which a latent class does not fit exactly""",
    source="[paper] Local Inconsistency Resolution, section 4; the network at γ = 1 is [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "γ = 0, where a network does not multiply": without_structure,
        "class weights do not move": class_weights_kept,
    },
    near_misses=em_near_misses,
)
def C15(
    iterate: Callable[..., list[Tensor]] = em_by_resolution,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge beliefs.C15: random data and models against the loops of EM."""
    errors, falls = [], 0
    for number in range(CASES[preset]):
        cards = [2, 3] if number % 2 else [2, 2, 3]
        data, weights, tables, steps = case = _latent_case(cards, generator)
        classic = list(itertools.islice(latent_class_em(data, weights, tables), steps))
        found = iterate(*case)
        errors.append(worst_of(zip(found, [classic[-1][0], *classic[-1][1]], strict=True)))
        likelihoods = [latent_class_log_likelihood(data, *step) for step in classic]
        falls += any(b < a - 1e-10 for a, b in itertools.pairwise(likelihoods))
    result = within(errors, TOLERANCE, f"iterate {ITERATIONS} differs from closed-form EM")
    if falls:
        return ClaimResult(holds=False, detail="the likelihood fell", sample_size=len(errors))
    return result


def vae_by_resolution(
    prior: Tensor, decoder: Tensor, encoder: Tensor, value: int, rate: float, weight: float = 1.0
) -> list[Any]:
    """Return the inconsistency of a discrete VAE, and its tables after one step of `vae`.

    Args:
        prior: (Z,).
        decoder: (Z, X).
        encoder: (X, Z).
        value: x.
        rate: the learning rate.
        weight: confidence in the prior.

    Returns:
        The attended inconsistency, decoder, encoder.
    """
    graph = variational_graph(prior, decoder, encoder, value, weight, learnable=True)
    trace = lir(graph, vae(rate), 1, overall_every=0)
    tables = [graph.arcs[name].probabilities().detach() for name in ("decoder", "encoder")]
    return [float(trace.steps[0].attended_before), *tables]


def decoder_alone(
    prior: Tensor, decoder: Tensor, encoder: Tensor, value: int, rate: float, weight: float = 1.0
) -> list[Any]:
    """Move the decoder and not the encoder."""
    graph = variational_graph(prior, decoder, encoder, value, weight, learnable=True)
    trace = lir(graph, vae(rate, learn=["decoder"]), 1, overall_every=0)
    tables = [graph.arcs[name].probabilities().detach() for name in ("decoder", "encoder")]
    return [float(trace.steps[0].attended_before), *tables]


def prior_weighed_once(*case: Any) -> list[Any]:
    """Forget that the prior has a confidence."""
    return vae_by_resolution(*case[:5])


def _gradient_step(
    prior: Tensor, decoder: Tensor, encoder: Tensor, value: int, rate: float, weight: float
) -> list[Any]:
    """Return −ELBO by loops, and tables after one step of gradient descent on it by autograd."""
    logits = [decoder.log().requires_grad_(), encoder.log().requires_grad_()]
    d, e = (table.log_softmax(-1) for table in logits)
    row = e[value]
    loss = (row.exp() * (weight * (row - prior.log()) - d[:, value])).sum()
    gradients = torch.autograd.grad(loss, logits)
    moved = [a.detach() - rate * g for a, g in zip(logits, gradients, strict=True)]
    return [negative_elbo(prior, decoder, encoder, value, weight), *(m.softmax(-1) for m in moved)]


def _vae_case(number: int, generator: torch.Generator) -> tuple[Any, ...]:
    codes, values = 2 + number % 3, 3
    prior = random_table(codes, generator=generator)
    decoder = random_table(codes, values, generator=generator)
    encoder = random_table(values, codes, generator=generator)
    return prior, decoder, encoder, number % values, 0.3, (1.0, 4.0, 0.5)[number % 3]


def vae_near_misses() -> list[tuple[Any, ...]]:
    """Return a case whose prior has the weight 1, and one whose encoder is the posterior."""
    first = _vae_case(0, torch.Generator().manual_seed(0))
    prior, decoder, _, *rest = first
    posterior = (prior[:, None] * decoder).T
    return [first, (prior, decoder, posterior / posterior.sum(-1, keepdim=True), *rest)]


@claim(
    "beliefs.C15b",
    title="a step on the evidence lower bound is a step of resolution",
    statement="""On finite spaces the attended inconsistency of {prior with confidence b, decoder,
        certain encoder, X = x} is −ELBO of a b-VAE, and one Euler step of LIR that controls
        encoder and decoder at the rate χ is one step of gradient descent on it with that learning
        rate; both to 1e-10.""",
    hypotheses="γ = 0; softmax logits; b in {½, 1, 4}; the ELBO by loops, its gradient by autograd",
    source="[paper] Local Inconsistency Resolution, section 4; Loss as Inconsistency, section 5",
    kind="proved",
    expected="holds",
    mutants={"the encoder stays": decoder_alone, "the prior's weight is 1": prior_weighed_once},
    near_misses=vae_near_misses,
)
def C15b(
    step: Callable[..., list[Any]] = vae_by_resolution, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge beliefs.C15b: values and moved tables of random models."""
    errors = []
    for number in range(6 * CASES[preset]):
        case = _vae_case(number, generator)
        (value, *tables), (wanted, *classic) = step(*case), _gradient_step(*case)
        errors.append(max(abs(value - wanted), worst_of(zip(tables, classic, strict=True))))
    return within(errors, EXACT, "value and tables differ")


@claim(
    "beliefs.C15c",
    title="mixtures of Gaussians on iris, by foci and in closed form",
    statement="""A mixture of three Gaussians fitted to iris by the foci of EM, the M step by a
        generic minimizer, has the iterates of closed-form EM to 1e-8 over 10 iterations, and its
        likelihood never falls (to 1e-10).""",
    hypotheses="""points enter as the values of an index variable, measured up to a cell of volume
        1e-4; full covariances; γ = 1; float64""",
    source="[derived]; measured by us",
    kind="empirical",
    expected="holds",
    experiment="beliefs.em",
    mutants={
        "one iterate is off by 1e-6": changed_rows(
            lambda row: row["model"] == "mixture" and row["iteration"] == 2, difference=1e-6
        ),
        "the likelihood falls once": changed_rows(
            lambda row: row["model"] == "mixture" and row["iteration"] == 2, log_likelihood=-9.0
        ),
    },
)
def C15c(rows: Rows) -> ClaimResult:
    """Judge beliefs.C15c: the largest difference, and falls of the likelihood."""
    table = [r for r in rows if r["model"] == "mixture" and r["focus"] == "M"]
    runs = {row["seed"] for row in table}
    worst = max((row["difference"] for row in table), default=float("inf"))
    falls = [
        b
        for seed in runs
        for a, b in itertools.pairwise(r for r in table if r["seed"] == seed)
        if b["log_likelihood"] < a["log_likelihood"] - 1e-10
    ]
    holds = bool(table) and worst <= TOLERANCE and not falls
    return ClaimResult(
        holds=holds,
        measured=worst,
        bound=TOLERANCE,
        detail=(
            f"over {len(table)} iterations of {len(runs)} starts means, covariances and weights "
            f"differ by at most {worst:.2g}; the likelihood fell {len(falls)} times"
        ),
        sample_size=len(table),
        counterexample=None if holds else (falls or table or [{}])[0],
    )
