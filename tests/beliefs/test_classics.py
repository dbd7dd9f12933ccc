"""The classics agree with values known by other means."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from coset.beliefs.classics.em import latent_class_em, latent_class_log_likelihood
from coset.beliefs.classics.expected_utility import soft_regret
from coset.beliefs.classics.gan import best_discriminator, gan_value, jensen_shannon
from coset.beliefs.classics.sum_product import (
    brute_force_marginals,
    random_factor_graph,
    sum_product,
    sum_product_marginals,
)
from coset.beliefs.classics.variational import negative_elbo
from coset.beliefs.pdg.random_graphs import random_table


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_em_climbs_and_stands_still_at_the_truth():
    data = random_table(3, 3, num_targets=2, generator=seeded())
    start = random_table(2, generator=seeded(1)), [random_table(2, 3, generator=seeded(2))] * 2
    iterates = [start, *itertools.islice(latent_class_em(data, *start), 20)]
    likelihoods = [latent_class_log_likelihood(data, *step) for step in iterates]
    assert all(b >= a - 1e-12 for a, b in itertools.pairwise(likelihoods))
    truth = torch.einsum("z,za,zb->ab", start[0], *start[1])
    weights, tables = next(latent_class_em(truth, *start))
    assert torch.allclose(weights, start[0])
    assert torch.allclose(tables[0], start[1][0])


def test_sum_product_is_exact_on_trees():
    cards, factors = random_factor_graph(6, generator=seeded())
    messages = next(itertools.islice(sum_product(cards, factors), 5, None))
    exact = brute_force_marginals(cards, factors)
    for name, belief in sum_product_marginals(cards, messages).items():
        assert torch.allclose(belief, exact[name], rtol=0, atol=1e-12)


def test_the_bound_is_tight_at_the_posterior_only():
    prior, decoder = random_table(3, generator=seeded()), random_table(3, 2, generator=seeded(1))
    joint = prior[:, None] * decoder
    posterior = (joint / joint.sum(0)).T
    surprise = -math.log(float(joint[:, 1].sum()))
    assert negative_elbo(prior, decoder, posterior, 1) == pytest.approx(surprise, abs=1e-14)
    assert negative_elbo(prior, decoder, posterior.flip(-1), 1) > surprise
    certain = torch.tensor([[1.0, 0.0, 0.0]] * 2)
    impossible = torch.tensor([0.0, 0.5, 0.5])
    assert negative_elbo(impossible, decoder, certain, 0) == math.inf


def test_the_best_discriminator_reaches_the_divergence():
    data, made = random_table(4, generator=seeded()), random_table(4, generator=seeded(1))
    best = gan_value(data, made, best_discriminator(data, made))
    assert best == pytest.approx(2 * jensen_shannon(data, made) - 2 * math.log(2), abs=1e-14)
    assert gan_value(data, made, torch.full((4,), 0.5)) < best


@pytest.mark.parametrize(
    ("belief", "desire", "wanted"),
    [
        (1.0, 1.0, (-1.7362905037, -1.5224822036)),
        (4.0, 1.0, (-1.2458269432, -1.2455799928)),
        (1.0, 4.0, (-10.3914096012, -7.3177846892)),
        (math.inf, 2.0, (-2.2, -2.2)),
    ],
)
def test_worked_decisions(belief, desire, wanted):
    rows = ([1.0, 0.0, 3.0], [2.0, 1.0, -1.0])
    found = [soft_regret([0.5, 0.3, 0.2], row, belief, desire) for row in rows]
    assert found == pytest.approx(wanted, abs=5e-11)
