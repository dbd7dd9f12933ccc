"""Familiar losses as inconsistencies: graphs whose value at γ = 0 is the loss.

Each function returns the beliefs that, held together, are as inconsistent as the loss is large.
Add beliefs to them, lower a confidence, or make a table learnable, and the loss changes with it.
"""

from __future__ import annotations

import math

from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import as_table
from coset.core.errors import DomainError, ShapeError

__all__ = [
    "accuracy_graph",
    "classifier_graph",
    "dataset_graph",
    "expected_cost_graph",
    "regularized_graph",
    "surprisal_graph",
    "variational_graph",
]


def _with_axes(name: str, table: Tensor, axes: int) -> Tensor:
    table = as_table(table)
    if table.ndim != axes:
        raise ShapeError(f"{name} has {axes} axes; given {tuple(table.shape)}")
    return table


def surprisal_graph(joint: Tensor, value: int) -> PDG:
    """Return p(X) or p(X, Z), and X = x: the surprisal −log p(x).

    Args:
        joint: (X,), or (X, Z) with a latent variable that nobody sees.
        value: x.

    Returns:
        The graph of X (and Z), with the arcs "model" and "X=x".

    Raises:
        ShapeError: if there are more axes.
        RangeError: if there is no such x.

    Example:
        >>> import torch
        >>> import coset.beliefs as beliefs
        >>> graph = surprisal_graph(
        ...     torch.tensor([[0.1, 0.15], [0.5, 0.25]], dtype=torch.float64), 0
        ... )
        >>> round(beliefs.solve(graph).value, 4)  # log 4
        1.3863

    Claims: beliefs.C7.
    """
    joint = as_table(joint)
    names = ("X", "Z")[: joint.ndim]
    if len(names) != max(joint.ndim, 1):
        raise ShapeError(f"a distribution is of X, or of X and Z; given {tuple(joint.shape)}")
    pdg = PDG(dict(zip(names, joint.shape, strict=True)))
    pdg.add("model", names, cpd=joint)
    pdg.observe("X", value)
    return pdg


def dataset_graph(model: Tensor, data: Tensor) -> PDG:
    """Return p(X), and certainty of the data's frequencies: KL(data ‖ p).

    That is the cross-entropy of p on the data less the entropy of the data, which no p changes.

    Args:
        model: p, (X,).
        data: frequencies, (X,), that sum to 1.

    Returns:
        The graph of X, with the arcs "model" and "data".

    Raises:
        ShapeError: if either is no vector, or lengths differ.

    Claims: beliefs.C7b.
    """
    data = _with_axes("a distribution of X", data, 1)
    pdg = PDG({"X": data.shape[0]})
    pdg.add("model", "X", cpd=model)
    pdg.add("data", "X", cpd=data, alpha=0.0, beta=math.inf)
    return pdg


def classifier_graph(classifier: Tensor, value: int, label: int) -> PDG:
    """Return p(Y | X), X = x and Y = y: the log loss −log p(y | x).

    Args:
        classifier: (X, Y), rows sum to 1.
        value: x.
        label: y.

    Returns:
        The graph of X and Y, with the arcs "classifier", "X=x" and "Y=y".

    Raises:
        ShapeError: if the classifier is no matrix.
        RangeError: if there is no such value.

    Claims: beliefs.C8.
    """
    classifier = _with_axes("a classifier p(Y | X)", classifier, 2)
    pdg = PDG({"X": classifier.shape[0], "Y": classifier.shape[1]})
    pdg.add("classifier", "Y", "X", cpd=classifier)
    pdg.observe("X", value)
    pdg.observe("Y", label)
    return pdg


def variational_graph(
    prior: Tensor,
    decoder: Tensor,
    encoder: Tensor,
    value: int,
    weight: float = 1.0,
    *,
    learnable: bool = False,
) -> PDG:
    """Return p(Z), d(X | Z), X = x, and certainty of e(Z | X): the negative ELBO at x.

    With a weight b of the prior it is that of a β-VAE, b KL(e(Z|x) ‖ p(Z)) − E_e log d(x | Z).
    Without the encoder the value would be −log p(x), and an arc more never makes it less: hence
    the bound.

    Args:
        prior: p, (Z,).
        decoder: d, (Z, X).
        encoder: e, (X, Z).
        value: x.
        weight: b > 0, the confidence in the prior.
        learnable: whether decoder and encoder, then positive, can move; see `foci.vae`.

    Returns:
        The graph of X and Z, with the arcs "prior", "decoder", "encoder" and "X=x".

    Raises:
        ShapeError: if shapes do not fit.
        RangeError: if there is no such x.

    Claims: beliefs.C9.
    """
    decoder = _with_axes("a decoder d(X | Z)", decoder, 2)
    pdg = PDG({"Z": decoder.shape[0], "X": decoder.shape[1]})
    pdg.add("prior", "Z", cpd=prior, beta=weight)
    pdg.add("decoder", "X", "Z", cpd=decoder, learnable=learnable)
    pdg.add("encoder", "Z", "X", cpd=encoder, alpha=0.0, beta=math.inf, learnable=learnable)
    pdg.observe("X", value)
    return pdg


def regularized_graph(
    model: Tensor, prior: Tensor, data: Tensor, parameter: int, weight: float = 1.0
) -> PDG:
    """Return p(Y | Θ), a prior of Θ, Θ = θ, and certainty of the data: a regularized loss.

    KL(data ‖ p(Y|θ)) + b log 1/prior(θ): a Gaussian prior is a squared penalty, a Laplace prior an
    absolute one, and the confidence b their strength.

    Args:
        model: p, (Θ, Y): a row for each parameter value that may be tried.
        prior: (Θ,).
        data: frequencies of Y, (Y,).
        parameter: θ, a row of the model.
        weight: b > 0, the confidence in the prior.

    Returns:
        The graph of Theta and Y, with the arcs "model", "prior", "data" and "Theta=θ".

    Raises:
        ShapeError: if shapes do not fit.
        RangeError: if there is no such θ.

    Claims: beliefs.C10.
    """
    model = _with_axes("a model p(Y | Θ)", model, 2)
    pdg = PDG({"Theta": model.shape[0], "Y": model.shape[1]})
    pdg.add("model", "Y", "Theta", cpd=model)
    pdg.add("prior", "Theta", cpd=prior, beta=weight)
    pdg.add("data", "Y", cpd=data, alpha=0.0, beta=math.inf)
    pdg.observe("Theta", parameter)
    return pdg


def accuracy_graph(
    first: Tensor,
    second: Tensor,
    data: Tensor,
    weight: float = 1.0,
    confidences: tuple[float, float] = (1.0, 1.0),
) -> PDG:
    """Return two rules Y = f(X) and Y = h(X), and a belief in data: −b log Pr(f(X) = h(X)).

    How much the rules are trusted does not matter, only how much the data are.

    Args:
        first: f, (X, Y), rows with a single 1.
        second: h, likewise.
        data: (X,).
        weight: b > 0, the confidence in the data.
        confidences: in f and h, > 0.

    Returns:
        The graph of X and Y, with the arcs "first", "second" and "data".

    Raises:
        ShapeError: if shapes do not fit.
        DomainError: if a rule is not deterministic.

    Claims: beliefs.C11.
    """
    first, second = (_with_axes("a rule Y = f(X)", rule, 2) for rule in (first, second))
    if not all(bool(((rule == 0) | (rule == 1)).all()) for rule in (first, second)):
        raise DomainError(
            "a rule has one 1 in each row and else 0; given other numbers: for rules that are "
            "uncertain there is no accuracy"
        )
    pdg = PDG({"X": first.shape[0], "Y": first.shape[1]})
    pdg.add("first", "Y", "X", cpd=first, beta=confidences[0])
    pdg.add("second", "Y", "X", cpd=second, beta=confidences[1])
    pdg.add("data", "X", cpd=data, beta=weight)
    return pdg


def expected_cost_graph(costs: Tensor, model: Tensor, weight: float = math.inf) -> PDG:
    """Return p(X) and a cost of X: the expected cost if p is certain, else a softer one.

    −b log E_p exp(−cost/b) for confidence b in p: optimistic, since X may give way.

    Args:
        costs: (X,), ≥ 0.
        model: p, (X,).
        weight: b > 0.

    Returns:
        The graph of X and of the binary variable cost, with the arcs "model", "cost" and
        "cost=true".

    Raises:
        ShapeError: if either is no vector, or lengths differ.
        DomainError: if a cost is negative.

    Claims: beliefs.C12, beliefs.C12b.
    """
    costs = _with_axes("costs of X", costs, 1)
    pdg = PDG({"X": costs.shape[0]})
    pdg.add("model", "X", cpd=model, beta=weight)
    pdg.cost("cost", "X", costs)
    return pdg
