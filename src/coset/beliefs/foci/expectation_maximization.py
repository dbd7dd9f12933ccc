"""Expectation maximization: look at everything, and move the posterior, then the model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coset.beliefs.attention import Attention
from coset.beliefs.foci.likelihood import add_likelihood
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus
from coset.core.errors import DomainError, ShapeError

__all__ = ["GaussianComponents", "em", "em_graph", "latent_class_graph", "mixture_graph"]

DATA, POSTERIOR = "data", "posterior"


def em_graph(
    model: PDG, data: Tensor, observed: str | Sequence[str], latent: str | Sequence[str]
) -> PDG:
    """Add data and a posterior to a model: D(X) and q(Z|X), both certain.

    If the model is one belief p(X, Z), or a Bayesian network and γ = 1, the inconsistency is

        E_D E_q log [D(x) q(z|x) / p_θ(x, z)] = KL(D q ‖ p_θ).

    Args:
        model: beliefs about X and Z with α = β = 1; those with parameters are learned.
        data: D(X), one axis a variable of `observed`.
        observed: X.
        latent: Z.

    Returns:
        A new graph that shares the model's arcs, with the arcs "data" and "posterior" (uniform).

    Raises:
        DomainError: if an arc of the model is called "data" or "posterior".
        ShapeError: if `data` has another shape.

    Claims: beliefs.C15.
    """
    graph = model.copy()
    graph.add(DATA, observed, cpd=data, alpha=0.0, beta=math.inf)
    graph.add(POSTERIOR, latent, observed, alpha=0.0, beta=math.inf, learnable=True)
    return graph


def em(graph: PDG, *, rate: float = math.inf) -> list[Focus]:
    """Return the foci of EM: the posterior moves (E), then all else that can (M).

    The M step looks at the numbers of the model only (φ_α = 0 on it): the joint is certain there,
    so that what is left out does not depend on the model, and tables are set in closed form.

    Args:
        graph: as `em_graph` makes it.
        rate: χ of the model: ∞ for EM, a finite number for one gradient step (generalized EM).

    Returns:
        Two foci; `lir(graph, em(graph), 2 * t, gamma=1.0)` is t iterations of EM.

    Raises:
        DomainError: if the graph has no posterior, or nothing in the model can move.

    Example:
        >>> from coset.beliefs.resolve.lir import lir
        >>> data = torch.tensor([[0.375, 0.125], [0.125, 0.375]])
        >>> skew = torch.tensor([[0.75, 0.25], [0.375, 0.625]])
        >>> graph = latent_class_graph(data, torch.tensor([0.5, 0.5]), [skew, skew])
        >>> trace = lir(graph, em(graph), steps=60, gamma=1.0)
        >>> bool(trace.overall[-1] < 1e-3 < trace.overall[0])
        True

    Claims: beliefs.C15.
    """
    if POSTERIOR not in graph.arcs:
        raise DomainError(f'EM moves an arc "{POSTERIOR}"; the graph has none: use em_graph')
    model = [name for name in graph.parameters() if name != POSTERIOR]
    if not model:
        raise DomainError("no belief of the model can move; add some with learnable=True")
    numbers_only = Attention(alpha=dict.fromkeys(model, 0.0))
    return [
        Focus(None, Control.only([POSTERIOR]), "E"),
        Focus(numbers_only, Control.only(model, rate), "M"),
    ]


def latent_class_graph(data: Tensor, weights: Tensor, tables: Sequence[Tensor]) -> PDG:
    """Return data and the latent-class model p(x, z) = w(z) ∏_k t_k(x_k | z), to be learned.

    Args:
        data: D(x₁, …, x_K), float64, sums to 1.
        weights: (Z,), positive: where w starts.
        tables: K tables (Z, values of x_k), positive: where t starts.

    Returns:
        The graph, with variables "class", "x0", "x1", … and arcs of the same names.

    Raises:
        ShapeError: if there is not one table an axis of `data`.
    """
    if len(tables) != data.ndim:
        raise ShapeError(f"one table an axis of data ({data.ndim}); given {len(tables)}")
    names = [f"x{k}" for k in range(data.ndim)]
    model = PDG(dict(zip(names, data.shape, strict=True)) | {"class": len(weights)})
    model.add("class", "class", cpd=weights, learnable=True)
    for name, table in zip(names, tables, strict=True):
        model.add(name, name, "class", cpd=table, learnable=True)
    return em_graph(model, data, names, "class")


class GaussianComponents(nn.Module):
    """Gaussians whose parameters are relative to where they start, so that descent is quick.

    With y = Lᵀ_z (x − m_z), where m_z and L_z Lᵀ_z are the means and precisions of the start,
    N(x; z) = N(Bᵀ_z y − b_z; 0, 1) |det B_z L_z|, and log N is concave in (B, b).

    Args:
        means: (Z, D), float64.
        covariances: (Z, D, D), positive definite.

    Attributes:
        factors: B, (Z, D, D), lower triangular with a positive diagonal; starts at 1.
        offsets: b, (Z, D); starts at 0.
    """

    frame: Tensor
    center: Tensor

    def __init__(self, means: Tensor, covariances: Tensor) -> None:
        super().__init__()
        precisions = torch.linalg.inv(covariances)
        self.register_buffer("frame", torch.linalg.cholesky(precisions))
        self.register_buffer("center", means.clone())
        self.factors = nn.Parameter(torch.eye(means.shape[-1]).to(means).repeat(len(means), 1, 1))
        self.offsets = nn.Parameter(torch.zeros_like(means))

    def forward(self, points: Tensor) -> Tensor:
        """Return log N(x_i; m_z, S_z), (N, Z), for points (N, D)."""
        factors = self.factors.tril()
        whole = self.frame @ factors
        away = points[:, None, :] - self.center
        scaled = torch.einsum("nzd,zde->nze", away, whole) - self.offsets
        log_scale = whole.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1)
        size = points.shape[-1] * math.log(2 * math.pi)
        return log_scale - 0.5 * (scaled.square().sum(-1) + size)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return means (Z, D) and covariances (Z, D, D)."""
        inverse = torch.linalg.inv(self.frame @ self.factors.detach().tril())
        shift = (inverse.mT @ self.offsets.detach()[..., None])[..., 0]
        return self.center + shift, inverse.mT @ inverse


def mixture_graph(
    points: Tensor, weights: Tensor, components: GaussianComponents, *, cell: float
) -> PDG:
    """Return a mixture of Gaussians and the points that it is fitted to, one value of I each.

    A point was measured up to a cell of some volume; it is seen with probability cell · N(x; m, S),
    which has to be at most 1. The inconsistency at γ = 1 is −log cell − log N − E log-likelihood
    after an E step.

    Args:
        points: (N, D), float64.
        weights: (Z,), positive: where the weights start.
        components: where the Gaussians start; moved in place.
        cell: the volume of a cell, > 0.

    Returns:
        The graph, with variables "example", "class" and "seen".

    Raises:
        DomainError: when evaluated, if a density exceeds 1 / cell: the Gaussian has collapsed, or
            the cell is too large.
    """
    if not cell > 0:
        raise DomainError(f"the volume of a cell is > 0; given {cell}")
    model = PDG({"class": len(weights)})
    model.variable("example", len(points))
    model.add("class", "class", cpd=weights, learnable=True)
    add_likelihood(
        model,
        "seen",
        ("example", "class"),
        lambda: components(points) + math.log(cell),
        parameters=components.parameters(),
    )
    uniform = torch.full((len(points),), 1.0 / len(points), dtype=torch.float64)
    return em_graph(model, uniform, "example", "class")
