"""Foci that move networks: VAE, adversarial training and GANs equal plain gradient steps."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from coset.beliefs.classics.adversarial import (
    attack_loss,
    gradient_attack,
    gradient_patch,
    patch_loss,
)
from coset.beliefs.classics.gan import best_discriminator, gan_value, jensen_shannon
from coset.beliefs.classics.variational import negative_elbo
from coset.beliefs.foci.adversarial_networks import gan, gan_graph, gan_samples_graph
from coset.beliefs.foci.adversarial_training import AttackedExamples, adversarial, adversarial_graph
from coset.beliefs.foci.autoencoder import vae, vae_examples_graph
from coset.beliefs.foci.likelihood import add_likelihood
from coset.beliefs.losses import variational_graph
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.resolve.lir import lir
from coset.beliefs.solvers.solve import solve
from coset.core.errors import DomainError, ShapeError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def near(found, wanted, tolerance=1e-10):
    return all(
        torch.allclose(a, b, rtol=0, atol=tolerance) for a, b in zip(found, wanted, strict=True)
    )


class Autoencoder(nn.Module):
    """Codes 0 … 3 of points in [0, 1]³, each coordinate a coin."""

    def __init__(self, generator):
        super().__init__()
        self.encode = nn.Parameter(torch.randn(3, 4, generator=generator, dtype=torch.float64))
        self.decode = nn.Parameter(torch.randn(4, 3, generator=generator, dtype=torch.float64))

    def log_encoder(self, points):
        return (points @ self.encode).log_softmax(-1)

    def log_likelihood(self, points):
        logits = self.decode[None]
        fit = nn.functional.logsigmoid(logits) * points[:, None]
        return (fit + nn.functional.logsigmoid(-logits) * (1 - points[:, None])).sum(-1)


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_a_vae_on_examples_takes_gradient_steps_on_its_elbo(beta):
    points = torch.bernoulli(torch.full((7, 3), 0.5).double(), generator=seeded())
    model = Autoencoder(seeded(1))
    classic = copy.deepcopy(model)
    prior = random_table(4, generator=seeded(2))
    graph = vae_examples_graph(
        prior,
        lambda: model.log_likelihood(points),
        lambda: model.log_encoder(points),
        decoder_parameters=[model.decode],
        encoder_parameters=[model.encode],
        beta=beta,
    )

    def loss():
        rows = classic.log_encoder(points)
        terms = beta * (rows - prior.log()) - classic.log_likelihood(points)
        return (rows.exp() * terms).sum(-1).mean()

    assert solve(graph).value == pytest.approx(float(loss().detach()), abs=1e-12)
    for _ in range(3):
        gradients = torch.autograd.grad(loss(), [classic.encode, classic.decode])
        with torch.no_grad():
            classic.encode -= 0.4 * gradients[0]
            classic.decode -= 0.4 * gradients[1]
    trace = lir(graph, vae(0.4), 3)
    assert near([model.encode, model.decode], [classic.encode, classic.decode])
    assert float(trace.overall[-1]) == pytest.approx(float(loss().detach()), abs=1e-12)


def test_an_encoder_alone_is_variational_inference_and_finds_the_posterior():
    prior, decoder = random_table(3, generator=seeded()), random_table(3, 4, generator=seeded(1))
    graph = variational_graph(
        prior, decoder, random_table(4, 3, generator=seeded(2)), 2, learnable=True
    )
    lir(graph, vae(math.inf, learn=["encoder"]), 1)
    posterior = prior * decoder[:, 2] / (prior @ decoder[:, 2])
    found = graph.arcs["encoder"].probabilities().detach()
    assert near([found[2]], [posterior], 1e-9)
    bound = negative_elbo(prior, decoder, found, 2)
    assert bound == pytest.approx(-math.log(float(prior @ decoder[:, 2])), abs=1e-10)


def small_game(dtype=torch.float64):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).to(dtype)
    inputs = torch.rand(8, 4, generator=seeded(), dtype=dtype)
    labels = torch.randint(3, (8,), generator=seeded(1))
    return network, inputs, labels, (labels + 1) % 3


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_attack_and_patch_are_gradient_steps_on_their_losses(dtype, tolerance):
    network, inputs, labels, targets = small_game(dtype)
    classic = copy.deepcopy(network)
    examples = AttackedExamples(inputs, labels, targets)
    graph = adversarial_graph(network, examples, num_classes=3, closeness=2.0, decay=0.1)
    foci = adversarial(8, attack_rate=0.2, patch_rate=0.5, attack_steps=3)
    trace = lir(graph, foci, 4, overall_every=0)
    moved = gradient_attack(classic, inputs, targets, closeness=2.0, rate=0.2, steps=3)
    losses = [
        attack_loss(classic, inputs, inputs, targets, 2.0),
        patch_loss(classic, moved, labels, 0.1),
    ]
    gradient_patch(classic, moved, labels, decay=0.1, rate=0.5)
    assert near([examples.moved], [moved], tolerance)
    assert near(network.parameters(), classic.parameters(), tolerance)
    for step, loss in zip((0, 3), losses, strict=True):
        before = float(trace.steps[step].attended_before)
        assert before == pytest.approx(float(loss.detach()), abs=10 * tolerance)


def test_the_next_minibatch_starts_from_its_inputs():
    network, inputs, labels, targets = small_game()
    examples = AttackedExamples(inputs, labels, targets)
    graph = adversarial_graph(network, examples, num_classes=3)
    attack = adversarial(8, attack_rate=0.2, patch_rate=0.1)[:1]
    lir(graph, attack, 2, overall_every=0)
    assert float(examples.distance().min()) > 0
    examples.load(1 - inputs, targets, labels)
    assert float(examples.distance().max()) == 0
    trace = lir(graph, attack, 1, overall_every=0)
    wanted = attack_loss(network, 1 - inputs, 1 - inputs, labels, 1.0)
    assert float(trace.steps[0].attended_before) == pytest.approx(float(wanted), abs=1e-12)


def test_adversarial_mistakes_are_named():
    network, inputs, labels, targets = small_game()
    with pytest.raises(DomainError, match="targets differ from labels"):
        AttackedExamples(inputs, labels, labels)
    examples = AttackedExamples(inputs, labels, targets)
    with pytest.raises(ShapeError, match="inputs are"):
        examples.load(inputs[:3], labels[:3], targets[:3])
    with pytest.raises(DomainError, match="closeness and decay"):
        adversarial_graph(network, examples, num_classes=3, closeness=-1.0)
    with pytest.raises(DomainError, match="attack_steps"):
        adversarial(8, attack_rate=0.1, patch_rate=0.1, attack_steps=-1)


def gan_case(size=5):
    data, made = random_table(size, generator=seeded()), random_table(size, generator=seeded(1))
    return data, made, 0.1 + 0.8 * torch.rand(size, generator=seeded(2), dtype=torch.float64)


def test_all_foci_of_the_game_have_the_values_of_the_formulas():
    data, made, believed = gan_case()
    graph = gan_graph(data, made, believed)
    loss, divergence = gan_value(data, made, believed), jensen_shannon(data, made)
    values = [
        solve(graph, attention=focus.attention).value
        for game in ("adversarial", "divergence")
        for focus in gan(generator_rate=1.0, discriminator_rate=1.0, game=game)
    ]
    half = loss / 2 + math.log(2)
    assert values == pytest.approx([-half, half, divergence - half, divergence], abs=1e-10)
    best = gan_graph(data, made, best_discriminator(data, made))
    focus = gan(generator_rate=1.0, discriminator_rate=1.0, game="divergence")[0]
    assert solve(best, attention=focus.attention).value == pytest.approx(0.0, abs=1e-12)


def test_a_discriminator_with_an_infinite_rate_is_the_best_one():
    data, made, believed = gan_case()
    graph = gan_graph(data, made, believed)
    foci = gan(generator_rate=0.1, discriminator_rate=math.inf, game="divergence")
    lir(graph, foci[:1], 1, overall_every=0)
    found = graph.arcs["discriminator"].probabilities().detach()[:, 0]
    assert near([found], [best_discriminator(data, made)], 1e-9)


def test_generators_that_follow_the_divergence_reach_the_data():
    data, made, believed = gan_case()
    graph = gan_graph(data, made, believed)
    foci = gan(generator_rate=20.0, discriminator_rate=1.0, game="divergence")[1:]
    trace = lir(graph, foci, 60, overall_every=0)
    assert float(trace.steps[-1].attended_after) < 1e-6 < float(trace.steps[0].attended_before)
    assert near([graph.arcs["generator"].probabilities().detach()[1]], [data], 1e-2)


def test_without_the_coin_as_a_condition_the_score_is_below_any_divergence():
    """Beliefs without sources about both points leave their dependence free."""
    data, made, _ = gan_case(2)
    pdg = PDG({"C": 2, "R": 2, "F": 2, "X": 2})
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    same = torch.eye(2, dtype=torch.float64)
    for name, variable, cpd in (("coin", "C", half), ("data", "R", data), ("made", "F", made)):
        pdg.add(name, variable, cpd=cpd, alpha=0.0, beta=math.inf)
    shown = torch.stack([same[:, None, :].expand(2, 2, 2), same.expand(2, 2, 2)])
    pdg.add("shown", "X", ("C", "R", "F"), cpd=shown, alpha=0.0, beta=math.inf)
    pdg.add("guess", "C", "X", cpd=half.expand(2, 2), alpha=0.0)
    solution = solve(pdg)
    assert solution.value < 1e-6 < jensen_shannon(data, made)


def test_players_on_samples_take_gradient_steps():
    torch.manual_seed(0)
    made, judged = nn.Linear(2, 2).double(), nn.Linear(2, 1).double()
    real = torch.randn(6, 2, generator=seeded(), dtype=torch.float64)
    noise = torch.randn(6, 2, generator=seeded(1), dtype=torch.float64)
    classic = copy.deepcopy(made), copy.deepcopy(judged)
    graph = gan_samples_graph(
        6,
        lambda: judged(torch.cat([real, made(noise)]))[:, 0],
        generator_parameters=made.parameters(),
        discriminator_parameters=judged.parameters(),
    )
    lir(graph, gan(generator_rate=0.3, discriminator_rate=0.7), 2, overall_every=0)

    def value():
        logits = [classic[1](points)[:, 0] for points in (real, classic[0](noise))]
        log_sigmoid = nn.functional.logsigmoid
        return log_sigmoid(logits[0]).mean() + log_sigmoid(-logits[1]).mean()

    for player, rate in ((classic[1], 0.7), (classic[0], -0.3)):
        parameters = list(player.parameters())
        gradients = torch.autograd.grad(value() / 2, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter += rate * gradient
    assert near(judged.parameters(), classic[1].parameters(), 1e-12)
    assert near(made.parameters(), classic[0].parameters(), 1e-12)


def test_gan_mistakes_are_named():
    data, made, believed = gan_case()
    with pytest.raises(ShapeError, match="one shape"):
        gan_graph(data, made, believed[:3])
    with pytest.raises(DomainError, match="games are"):
        gan(generator_rate=1.0, discriminator_rate=1.0, game="cooperative")
    with pytest.raises(DomainError, match="discriminator_steps"):
        gan(generator_rate=1.0, discriminator_rate=1.0, discriminator_steps=0)


def test_likelihoods_are_probabilities_and_certain_ones_have_gradients():
    pdg = PDG({"x": 2})
    shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
    add_likelihood(pdg, "seen", "x", lambda: shift.expand(2), parameters=[shift])
    log_p = pdg.arcs["seen"].log_probabilities()
    assert log_p[:, 1].tolist() == [0.0, 0.0]
    (gradient,) = torch.autograd.grad(log_p[:, 1].sum(), shift)
    assert float(gradient) == 2.0
    with torch.no_grad():
        shift += 0.5
    with pytest.raises(DomainError, match="a likelihood is a probability"):
        solve(pdg)
