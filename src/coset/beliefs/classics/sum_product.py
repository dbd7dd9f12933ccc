"""Belief propagation as textbooks write it: messages between the variables and factors of a graph.

A factor graph is a dictionary of variables (name → number of values) and one of factors
(name → (names of its variables, table ≥ 0 with one axis a variable)).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from coset.beliefs.pdg.random_graphs import random_table

__all__ = [
    "Messages",
    "brute_force_marginals",
    "random_factor_graph",
    "sum_product",
    "sum_product_marginals",
]

Factors = Mapping[str, tuple[tuple[str, ...], Tensor]]
# (from, to) → a distribution over the values of whichever of the two is a variable.
Messages = dict[tuple[str, str], list[float]]


def random_factor_graph(
    num_variables: int, *, extra: int = 0, generator: torch.Generator | None = None
) -> tuple[dict[str, int], dict[str, tuple[tuple[str, ...], Tensor]]]:
    """Draw a tree of two- and three-valued variables with factors on nodes and edges.

    Args:
        num_variables: how many.
        extra: further edges, which close cycles.
        generator: the source of randomness.

    Returns:
        Variables and factors.
    """

    def below(bound: int) -> int:
        return int(torch.randint(bound, (), generator=generator))

    names = [f"v{i}" for i in range(num_variables)]
    cards = {x: 2 + below(2) for x in names}
    edges = [(names[below(i)], names[i]) for i in range(1, num_variables)]
    others = [e for e in itertools.combinations(names, 2) if e not in edges]
    picked = torch.randperm(len(others), generator=generator)[:extra].tolist()
    scopes = [*((x,) for x in names), *edges, *(others[k] for k in picked)]
    return cards, {
        f"f-{'-'.join(scope)}": (
            scope,
            random_table(*(cards[x] for x in scope), num_targets=len(scope), generator=generator),
        )
        for scope in scopes
    }


def _normalized(weights: list[float]) -> list[float]:
    total = sum(weights)
    return [w / total for w in weights]


def _to_factor(cards: Mapping[str, int], messages: Messages, x: str, a: str) -> list[float]:
    product = [1.0] * cards[x]
    for (source, target), message in messages.items():
        if target == x and source != a:
            product = [p * m for p, m in zip(product, message, strict=True)]
    return _normalized(product)


def _to_variable(
    cards: Mapping[str, int], factors: Factors, messages: Messages, a: str, x: str
) -> list[float]:
    scope, table = factors[a]
    total = [0.0] * cards[x]
    for values in itertools.product(*(range(cards[v]) for v in scope)):
        term = float(table[values])
        for y, value in zip(scope, values, strict=True):
            if y != x:
                term *= messages[y, a][value]
        total[values[scope.index(x)]] += term
    return _normalized(total)


def sum_product(cards: Mapping[str, int], factors: Factors) -> Iterator[Messages]:
    """Yield all messages after each sweep of flooding, from uniform messages, normalized.

    m(x → a) ∝ ∏_{b ≠ a} m(b → x);  m(a → x) ∝ Σ_{others} φ_a ∏_{y ≠ x} m(y → a).

    Args:
        cards: numbers of values by name.
        factors: the factors; their names differ from those of variables.

    Yields:
        The messages after 1, 2, … sweeps: first all to factors, then all to variables.

    Claims: beliefs.C16.
    """
    edges = [(x, a) for a, (scope, _) in factors.items() for x in scope]
    messages: Messages = {}
    for x, a in edges:
        messages[x, a] = [1.0 / cards[x]] * cards[x]
        messages[a, x] = [1.0 / cards[x]] * cards[x]
    while True:
        messages |= {(x, a): _to_factor(cards, messages, x, a) for x, a in edges}
        messages |= {(a, x): _to_variable(cards, factors, messages, a, x) for x, a in edges}
        yield dict(messages)


def sum_product_marginals(cards: Mapping[str, int], messages: Messages) -> dict[str, Tensor]:
    """Return b(x) ∝ ∏_a m(a → x).

    Args:
        cards: numbers of values by name.
        messages: as `sum_product` yields them.

    Returns:
        By name, (values,), float64.
    """
    return {x: torch.tensor(_to_factor(cards, messages, x, ""), dtype=torch.float64) for x in cards}


def brute_force_marginals(cards: Mapping[str, int], factors: Factors) -> dict[str, Tensor]:
    """Return the marginals of ∏ φ_a / Z by the whole joint.

    Args:
        cards: numbers of values by name.
        factors: the factors.

    Returns:
        By name, (values,), float64.

    Complexity: time and memory ∏ cards.
    """
    names = list(cards)
    joint = torch.ones(*cards.values(), dtype=torch.float64)
    for scope, table in factors.values():
        order = sorted(range(len(scope)), key=lambda i: names.index(scope[i]))
        shape = [cards[name] if name in scope else 1 for name in names]
        joint = joint * table.double().permute(order).reshape(shape)
    joint = joint / joint.sum()
    away = {x: [i for i, y in enumerate(names) if y != x] for x in names}
    return {x: joint.sum(axes) if axes else joint for x, axes in away.items()}
