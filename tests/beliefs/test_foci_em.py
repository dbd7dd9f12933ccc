"""EM by foci: iterates of the closed form, monotone likelihood, partial steps, what is refused."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from coset.beliefs.classics.em import (
    gaussian_log_density,
    gaussian_mixture_em,
    latent_class_em,
    latent_class_log_likelihood,
)
from coset.beliefs.foci.expectation_maximization import (
    GaussianComponents,
    em,
    em_graph,
    latent_class_graph,
    mixture_graph,
)
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.resolve.lir import lir
from coset.core.errors import DomainError, ShapeError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def latent_case(cards=(2, 3, 2), classes=2, seed=0):
    generator = seeded(seed)
    data = random_table(*cards, num_targets=len(cards), generator=generator)
    tables = [random_table(classes, card, generator=generator) for card in cards]
    return data, random_table(classes, generator=generator), tables


def parameters_of(graph, num):
    names = ["class", *(f"x{k}" for k in range(num))]
    return [graph.arcs[name].probabilities().detach() for name in names]


def largest(found, wanted):
    return max(float((a - b).detach().abs().max()) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_every_iterate_is_that_of_closed_form_em(classes):
    data, weights, tables = latent_case(classes=classes)
    graph = latent_class_graph(data, weights, tables)
    for new_weights, new_tables in itertools.islice(latent_class_em(data, weights, tables), 10):
        lir(graph, em(graph), 2, gamma=1.0, overall_every=0)
        assert largest(parameters_of(graph, 3), [new_weights, *new_tables]) <= 1e-12


def test_the_inconsistency_is_the_divergence_from_the_data():
    data, weights, tables = latent_case()
    graph = latent_class_graph(data, weights, tables)
    trace = lir(graph, em(graph), 1, gamma=1.0)  # the posterior is exact now
    entropy = -float((data * data.log()).sum())
    expected = -entropy - latent_class_log_likelihood(data, weights, tables)
    assert float(trace.overall[-1]) == pytest.approx(expected, abs=1e-9)
    assert float(trace.overall[-1]) < float(trace.overall[0])


def test_values_that_never_occur_keep_a_posterior():
    data = torch.tensor([[0.5, 0.0], [0.0, 0.5]], dtype=torch.float64)
    skew = torch.tensor([[0.7, 0.3], [0.4, 0.6]], dtype=torch.float64)
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    graph = latent_class_graph(data, half, [skew, skew])
    lir(graph, em(graph), 6, gamma=1.0, overall_every=0)
    classic = next(itertools.islice(latent_class_em(data, half, [skew, skew]), 2, None))
    assert largest(parameters_of(graph, 2), [classic[0], *classic[1]]) <= 1e-12
    rows = graph.arcs["posterior"].probabilities().sum(-1)
    assert torch.allclose(rows, torch.ones_like(rows))


class Restricted(torch.nn.Module):
    """p(x, z) with shared parameters: each class is a power of one exponential family."""

    def __init__(self):
        super().__init__()
        self.tilt = torch.nn.Parameter(torch.tensor([0.4, -0.7], dtype=torch.float64))
        self.weight = torch.nn.Parameter(torch.tensor([0.1, -0.2], dtype=torch.float64))

    def forward(self):
        x = torch.arange(4, dtype=torch.float64)
        per_class = (self.tilt[:, None] * x).log_softmax(-1) + self.weight.log_softmax(-1)[:, None]
        return per_class.T


def test_a_restricted_joint_belief_is_fitted_by_descent_at_gamma_0():
    data = random_table(4, generator=seeded(3))
    module = Restricted()
    model = PDG({"x": 4, "z": 2})
    model.add("model", ("x", "z"), cpd=module, is_log=True)
    graph = em_graph(model, data, "x", "z")
    posterior = module().detach().softmax(-1)
    lir(graph, em(graph), 1, overall_every=0)
    assert largest([graph.arcs["posterior"].probabilities()], [posterior]) <= 1e-9
    lir(graph, em(graph)[1:], 1, overall_every=0)
    counts = data[:, None] * posterior
    mean = (torch.arange(4, dtype=torch.float64)[:, None] * counts).sum(0) / counts.sum(0)
    table = module().detach().exp()
    own = (torch.arange(4, dtype=torch.float64)[:, None] * table).sum(0) / table.sum(0)
    assert largest([table.sum(0), own], [counts.sum(0), mean]) <= 1e-8


def test_a_partial_m_step_is_generalized_em():
    data, weights, tables = latent_case(seed=5)
    graph = latent_class_graph(data, weights, tables)
    likelihoods = [latent_class_log_likelihood(data, weights, tables)]
    for _ in range(6):
        lir(graph, em(graph, rate=0.3), 2, gamma=1.0, overall_every=0)
        first, *rest = parameters_of(graph, 3)
        likelihoods.append(latent_class_log_likelihood(data, first, rest))
    assert all(a < b for a, b in itertools.pairwise(likelihoods))


def test_components_are_the_gaussians_they_start_from():
    generator = seeded()
    factor = torch.randn(3, 2, 2, generator=generator, dtype=torch.float64)
    covariances = factor @ factor.mT + 0.1 * torch.eye(2, dtype=torch.float64)
    means = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    points = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    components = GaussianComponents(means, covariances)
    wanted = gaussian_log_density(points, means, covariances)
    assert torch.allclose(components(points), wanted, atol=1e-10)
    with torch.no_grad():
        components.factors += 0.1 * torch.randn(3, 2, 2, generator=generator).double().tril()
        components.offsets += 0.3
    found = gaussian_log_density(points, *components.moments())
    assert torch.allclose(components(points), found, atol=1e-10)


def test_a_mixture_on_iris_agrees_with_closed_form_and_scikit_learn():
    from sklearn.datasets import load_iris
    from sklearn.mixture import GaussianMixture

    points = torch.tensor(load_iris().data, dtype=torch.float64)
    weights = torch.full((2,), 0.5, dtype=torch.float64)
    means, spread = points[[0, 100]], torch.cov(points.T).expand(2, 4, 4)
    components = GaussianComponents(means, spread)
    graph = mixture_graph(points, weights, components, cell=1e-4)
    steps = 2
    trace = lir(graph, em(graph), 2 * steps, gamma=1.0)
    assert bool((trace.overall[1:] <= trace.overall[:-1] + 1e-9).all())
    iterates = gaussian_mixture_em(points, weights, means, spread)
    classic = next(itertools.islice(iterates, steps - 1, None))
    found = [graph.arcs["class"].probabilities().detach(), *components.moments()]
    assert largest(found, classic) <= 1e-8
    peer = GaussianMixture(
        2,
        reg_covar=0.0,
        tol=0.0,
        max_iter=steps,
        weights_init=weights.numpy(),
        means_init=means.numpy(),
        precisions_init=torch.linalg.inv(spread).numpy(),
    )
    with pytest.warns(UserWarning, match="did not converge"):
        peer.fit(points.numpy())
    assert largest(found[1:], [torch.tensor(peer.means_), torch.tensor(peer.covariances_)]) <= 1e-8


def test_what_is_refused():
    data, weights, tables = latent_case()
    with pytest.raises(ShapeError, match="one table an axis"):
        latent_class_graph(data, weights, tables[:2])
    with pytest.raises(DomainError, match="use em_graph"):
        em(PDG({"x": 2}))
    fixed = PDG({"x": 2, "z": 2})
    fixed.add("model", ("x", "z"), cpd=random_table(2, 2, num_targets=2, generator=seeded()))
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    with pytest.raises(DomainError, match="no belief of the model can move"):
        em(em_graph(fixed, half, "x", "z"))
    taken = PDG({"x": 2, "z": 2})
    taken.add("data", "x", cpd=half)
    with pytest.raises(DomainError, match="unique"):
        em_graph(taken, half, "x", "z")
    points = torch.zeros(3, 1, dtype=torch.float64)
    narrow = GaussianComponents(points[:1], torch.full((1, 1, 1), 1e-6, dtype=torch.float64))
    one = torch.ones(1, dtype=torch.float64)
    with pytest.raises(DomainError, match="volume of a cell is > 0"):
        mixture_graph(points, one, narrow, cell=0.0)
    crowded = mixture_graph(points, one, narrow, cell=0.1)
    with pytest.raises(DomainError, match="volume of a cell"):
        lir(crowded, em(crowded), 1, gamma=1.0)
    assert math.isfinite(float(narrow(points).detach().max()))
