"""Identities ⟨⟨M⟩⟩_γ = a familiar quantity: the graph, the formula by loops, and random cases."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.classics.variational import negative_elbo
from coset.beliefs.losses import (
    accuracy_graph,
    classifier_graph,
    dataset_graph,
    expected_cost_graph,
    regularized_graph,
    surprisal_graph,
    variational_graph,
)
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.solvers.solve import solve

__all__ = ["IDENTITIES", "Identity", "gaussian_table", "pool_graph"]

Case = tuple[Any, ...]


@dataclass(frozen=True)
class Identity:
    """One identity between an inconsistency at γ = 0 and a formula.

    Attributes:
        claim: the id of its claim.
        name: what the formula is called.
        formula: the formula, as text.
        graph: makes the beliefs from a case.
        closed: the formula by plain loops, in nats.
        draw: makes the case of a number from a generator.
    """

    claim: str
    name: str
    formula: str
    graph: Callable[..., PDG]
    closed: Callable[..., float]
    draw: Callable[[int, torch.Generator], Case]

    def value(self, *case: Any) -> float:
        """Return the inconsistency of the case's graph, by the general solver."""
        return float(solve(self.graph(*case)).value)

    def cases(self, num: int, generator: torch.Generator) -> list[Case]:
        """Draw the first `num` cases."""
        return [self.draw(number, generator) for number in range(num)]

    def changed(self, graph: Callable[..., PDG]) -> Callable[..., float]:
        """Return `value` of another graph: a mutant."""
        return replace(self, graph=graph).value


def pool_graph(beliefs: list[Tensor], confidences: list[float]) -> PDG:
    """Return several beliefs about one variable X."""
    pdg = PDG({"X": beliefs[0].shape[-1]})
    for number, (belief, weight) in enumerate(zip(beliefs, confidences, strict=True)):
        pdg.add(f"p{number}", "X", cpd=belief, beta=weight)
    return pdg


def gaussian_table(mean: float, sd: float, cells: Tensor) -> Tensor:
    """Return a Gaussian density at evenly spaced points, as a distribution over them."""
    return (-(((cells - mean) / sd) ** 2) / 2).softmax(-1)


def _pick(number: int, *choices: float) -> float:
    return choices[number % len(choices)]


def _pool_literal(beliefs: list[Tensor], confidences: list[float]) -> float:
    certain = [p for p, b in zip(beliefs, confidences, strict=True) if b == math.inf]
    if certain:
        return sum(
            b * _relative_entropy(certain[0], p)
            for p, b in zip(beliefs, confidences, strict=True)
            if 0 < b < math.inf
        )
    total = math.fsum(confidences)
    weights = [b / total for b in confidences]
    mixed = math.fsum(
        math.prod(math.pow(float(p[x]), w) for p, w in zip(beliefs, weights, strict=True))
        for x in range(len(beliefs[0]))
    )
    return -total * math.log(mixed)


def _relative_entropy(p: Tensor, q: Tensor) -> float:
    return math.fsum(a * math.log(a / b) for a, b in zip(p.tolist(), q.tolist(), strict=True) if a)


def _draw_pair(number: int, generator: torch.Generator) -> Case:
    beliefs = [random_table(2 + number % 4, generator=generator) for _ in range(2)]
    if number % 5 == 3:  # a value that one of them rules out
        beliefs[0] = torch.cat((beliefs[0], beliefs[0].new_zeros(1)))
        beliefs[1] = random_table(beliefs[0].shape[0], generator=generator)
    r = _pick(number, 1.0, 2.0, 0.5, 1.0, math.inf)
    return (beliefs, [r, _pick(number, 1.0, 1.0, 3.0, 0.25)])


def _draw_pool(number: int, generator: torch.Generator) -> Case:
    num = 3 + number % 3
    weights = [_pick(number + j, 1.0, 0.3, 2.5, 4.0) for j in range(num)]
    return ([random_table(4, generator=generator) for _ in range(num)], weights)


def _surprisal(joint: Tensor, value: int) -> float:
    return -math.log(math.fsum(joint[value].flatten().tolist()))


def _draw_surprisal(number: int, generator: torch.Generator) -> Case:
    shape = (3,) if number % 3 == 0 else (3, 2 + number % 3)
    return random_table(*shape, num_targets=len(shape), generator=generator), number % 3


def _draw_dataset(number: int, generator: torch.Generator) -> Case:
    data = random_table(4, generator=generator)
    if number % 3 == 2:  # values that the data do not have
        data = torch.tensor([0.0, 0.25, 0.75, 0.0], dtype=torch.float64)
    return random_table(4, generator=generator), data


def _draw_classifier(number: int, generator: torch.Generator) -> Case:
    return random_table(3, 4, generator=generator), number % 3, number % 4


def _draw_variational(number: int, generator: torch.Generator) -> Case:
    prior, decoder = random_table(3, generator=generator), random_table(3, 4, generator=generator)
    encoder = random_table(4, 3, generator=generator)
    return prior, decoder, encoder, number % 4, _pick(number, 1.0, 4.0, 0.25)


def _regularized(
    model: Tensor, prior: Tensor, data: Tensor, parameter: int, weight: float = 1.0
) -> float:
    penalty = -weight * math.log(float(prior[parameter]))
    return _relative_entropy(data, model[parameter]) + penalty


def _draw_regularized(number: int, generator: torch.Generator) -> Case:
    thetas = torch.linspace(-2.0, 2.0, 9, dtype=torch.float64)
    heads = thetas.sigmoid()
    model = torch.stack((1 - heads, heads), -1)
    prior = (
        gaussian_table(0.0, 0.8, thetas),
        (-thetas.abs() / 0.6).softmax(-1),
        random_table(9, generator=generator),
    )[number % 3]
    data = random_table(2, generator=generator)
    return model, prior, data, number % 9, _pick(number, 1.0, 0.1, 3.0)


def _accuracy(
    first: Tensor, second: Tensor, data: Tensor, weight: float, confidences: tuple[float, float]
) -> float:
    del confidences  # they do not matter
    shares = zip(data.tolist(), first.argmax(1).tolist(), second.argmax(1).tolist(), strict=True)
    agreement = math.fsum(share for share, f, h in shares if f == h)
    return math.inf if agreement == 0 else -weight * math.log(agreement)


def _draw_accuracy(number: int, generator: torch.Generator) -> Case:
    labels = torch.randint(0, 3, (2, 6), generator=generator)
    labels[1, 0] = labels[0, 0]  # agree somewhere
    first, second = torch.eye(3, dtype=torch.float64)[labels]
    weights = (_pick(number, 1.0, 0.5), _pick(number, 1.0, 7.0, 0.2))
    return first, second, random_table(6, generator=generator), _pick(number, 1.0, 2.5), weights


def _expected_cost(costs: Tensor, model: Tensor) -> float:
    return math.fsum(c * p for c, p in zip(costs.tolist(), model.tolist(), strict=True))


def _soft_cost(costs: Tensor, model: Tensor, weight: float) -> float:
    pairs = zip(costs.tolist(), model.tolist(), strict=True)
    return -weight * math.log(math.fsum(p * math.exp(-c / weight) for c, p in pairs))


def _draw_cost(number: int, generator: torch.Generator) -> Case:
    del number
    costs = 3 * torch.rand(4, generator=generator, dtype=torch.float64)
    return costs, random_table(4, generator=generator)


def _draw_soft_cost(number: int, generator: torch.Generator) -> Case:
    return (*_draw_cost(number, generator), _pick(number, 1.0, 0.5, 4.0))


IDENTITIES = {
    identity.name: identity
    for identity in (
        Identity(
            "beliefs.C6",
            "two beliefs",
            "−(r+s) log Σ p^(r/(r+s)) q^(s/(r+s))",
            pool_graph,
            _pool_literal,
            _draw_pair,
        ),
        Identity(
            "beliefs.C6b",
            "several beliefs",
            "−B log Σ ∏ p_j^(b_j/B)",
            pool_graph,
            _pool_literal,
            _draw_pool,
        ),
        Identity(
            "beliefs.C7", "surprisal", "−log p(x)", surprisal_graph, _surprisal, _draw_surprisal
        ),
        Identity(
            "beliefs.C7b",
            "data",
            "KL(D ‖ p)",
            dataset_graph,
            lambda model, data: _relative_entropy(data, model),
            _draw_dataset,
        ),
        Identity(
            "beliefs.C8",
            "log loss",
            "−log p(y | x)",
            classifier_graph,
            lambda p, x, y: -math.log(float(p[x, y])),
            _draw_classifier,
        ),
        Identity(
            "beliefs.C9",
            "negative ELBO",
            "b KL(e(Z|x) ‖ p(Z)) − E_e log d(x | Z)",
            variational_graph,
            negative_elbo,
            _draw_variational,
        ),
        Identity(
            "beliefs.C10",
            "regularized loss",
            "KL(D ‖ p(Y|θ)) + b log 1/q(θ)",
            regularized_graph,
            _regularized,
            _draw_regularized,
        ),
        Identity(
            "beliefs.C11",
            "accuracy",
            "−b log Pr(f = h)",
            accuracy_graph,
            _accuracy,
            _draw_accuracy,
        ),
        Identity(
            "beliefs.C12",
            "expected cost",
            "E_p c",
            expected_cost_graph,
            _expected_cost,
            _draw_cost,
        ),
        Identity(
            "beliefs.C12b",
            "soft cost",
            "−b log E_p exp(−c/b)",
            expected_cost_graph,
            _soft_cost,
            _draw_soft_cost,
        ),
    )
}
