"""Adversarial training: one focus moves the inputs towards wrong labels, another the network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from coset.beliefs.attention import Attention
from coset.beliefs.foci.likelihood import add_examples, add_likelihood
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus
from coset.core.errors import DomainError, ShapeError

__all__ = ["AttackedExamples", "adversarial", "adversarial_graph"]


class AttackedExamples:
    """N examples x with labels y, wanted labels y′, and inputs x′ that an attack moves.

    Args:
        inputs: x, (N, …), floating.
        labels: y, (N,), classes from 0.
        targets: y′, (N,), what the attacker wants; nowhere y.

    Attributes:
        inputs: x.
        labels: y.
        targets: y′.
        moved: x′, which starts at x.
    """

    def __init__(self, inputs: Tensor, labels: Tensor, targets: Tensor) -> None:
        self.moved = inputs.clone()
        self.load(inputs, labels, targets)

    def load(self, inputs: Tensor, labels: Tensor, targets: Tensor) -> None:
        """Take the next minibatch, as many examples as there are, and start from x′ = x.

        Raises:
            ShapeError: if shapes differ from those of the first minibatch.
            DomainError: if an attacker wants the true label.
        """
        if (
            inputs.shape != self.moved.shape
            or not labels.shape == targets.shape == inputs.shape[:1]
        ):
            raise ShapeError(
                f"inputs are {tuple(self.moved.shape)}, with as many labels and targets; given "
                f"{tuple(inputs.shape)}, {tuple(labels.shape)}, {tuple(targets.shape)}"
            )
        if bool((labels == targets).any()):
            where = int((labels == targets).nonzero()[0])
            raise DomainError(f"targets differ from labels; both are {labels[where]} at {where}")
        self.inputs, self.labels, self.targets = inputs, labels, targets
        with torch.no_grad():
            self.moved.copy_(inputs)

    def distance(self) -> Tensor:
        """Return |x′ − x|², (N,)."""
        return (self.moved - self.inputs).flatten(1).square().sum(1)


def adversarial_graph(
    network: nn.Module,
    examples: AttackedExamples,
    *,
    num_classes: int,
    closeness: float = 1.0,
    decay: float = 0.0,
) -> PDG:
    """Return a classifier p_θ(Y|x′), the belief that x′ is near x, two opinions on Y, a prior on θ.

    Args:
        network: from inputs to logits (N, num_classes).
        examples: x, y, y′ and x′; loading others changes the graph.
        num_classes: C ≥ 2.
        closeness: c of x′ ~ N(x, 1/c) (up to a constant).
        decay: c of θ ~ N(0, 1/c), likewise.

    Returns:
        The graph, with the index "example", the label "Y", and arcs "network", "near", "prior",
        "labels" and "targets" (the last two certain).

    Raises:
        DomainError: if `closeness` or `decay` is negative.

    Claims: beliefs.C17.
    """
    if not (0 <= closeness < math.inf and 0 <= decay < math.inf):
        raise DomainError(f"closeness and decay are finite and ≥ 0; given {closeness} and {decay}")

    def certain(name: str) -> Tensor:
        return nn.functional.one_hot(getattr(examples, name), num_classes).double()

    def log_prior() -> Tensor:
        total = sum(p.double().square().sum() for p in network.parameters())
        return -0.5 * decay * torch.as_tensor(total)

    graph = PDG({"Y": num_classes})
    add_examples(graph, "example", len(examples.inputs))
    for name in ("labels", "targets"):
        graph.add(name, "Y", "example", cpd=lambda n=name: certain(n), alpha=0.0, beta=math.inf)
    graph.add(
        "network",
        "Y",
        "example",
        cpd=lambda: network(examples.moved).double().log_softmax(-1),
        alpha=0.0,
        is_log=True,
        parameters=network.parameters(),
    )
    add_likelihood(
        graph,
        "near",
        "example",
        lambda: -0.5 * closeness * examples.distance().double(),
        parameters=(examples.moved,),
    )
    add_likelihood(graph, "prior", (), log_prior, parameters=network.parameters())
    return graph


def adversarial(
    num_examples: int, *, attack_rate: float, patch_rate: float, attack_steps: int = 1
) -> list[Focus]:
    """Return the foci of adversarial training: attack the inputs, then patch the network.

    The attack attends to the network, closeness and the wanted labels, and moves x′ down
    −log p(y′|x′) + ½c|x′ − x|²; the patch attends to the network, the prior and the true labels,
    and moves θ down the mean of −log p(y|x′), plus ½c|θ|².

    Args:
        num_examples: N, by which the attended mean divides: each example has the rate
            `attack_rate`.
        attack_rate: the step of x′.
        patch_rate: the step of θ (the learning rate).
        attack_steps: how many attacks before each patch.

    Returns:
        The foci, `attack_steps` + 1 of them.

    Raises:
        DomainError: if `attack_steps` < 0.

    Claims: beliefs.C17.
    """
    if attack_steps < 0:
        raise DomainError(f"attack_steps ≥ 0; given {attack_steps}")
    attack = Focus(
        Attention.only(["example", "network", "near", "near=true", "targets"]),
        Control({"near": attack_rate * num_examples}),
        "attack",
    )
    patch = Focus(
        Attention.only(["example", "network", "prior", "prior=true", "labels"]),
        Control({"network": patch_rate, "prior": patch_rate}),
        "patch",
    )
    return [attack] * attack_steps + [patch]
