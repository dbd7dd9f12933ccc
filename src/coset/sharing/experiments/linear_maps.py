"""Learning a linear map between labeled positions: fits along a path of strengths, and measures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from coset.core.files import write_atomic
from coset.sharing.proximal_gradient import largest_alpha, shared_least_squares

__all__ = [
    "ARRAYS_FILE",
    "Fit",
    "Pairs",
    "circulance_of_map",
    "convolution_fits",
    "cyclic_positions",
    "map_of_taps",
    "number_ties",
    "relative_squared_error",
    "ridge_fits",
    "shared_fits",
    "store_ties",
    "tie_agreement",
]

ARRAYS_FILE = "arrays.safetensors"

# How far below its largest sensible strength each kind of penalty is tried, in decades.
_RIDGE_DECADES, _SHARED_DECADES = 5.0, 4.5


@dataclass(frozen=True)
class Pairs:
    """Inputs and outputs of a hidden linear map, one pair a line, all float64.

    Attributes:
        x: (n, p): inputs to fit with.
        y: (n, q): their outputs, with noise.
        validation_x: (m, p): inputs to choose with.
        validation_y: (m, q): their outputs, with noise.
        test_x: (t, p): inputs to report on.
        test_y: (t, q): their outputs, without noise.
        truth: (q, p): the hidden map.
    """

    x: Tensor
    y: Tensor
    validation_x: Tensor
    validation_y: Tensor
    test_x: Tensor
    test_y: Tensor
    truth: Tensor

    def permuted(self, order: Tensor) -> Pairs:
        """Return the same pairs with positions relabeled: place i shows what was at order[i].

        Args:
            order: (p,) int64: a permutation; inputs and outputs have the same positions.

        Returns:
            The pairs.
        """
        return Pairs(
            self.x[:, order],
            self.y[:, order],
            self.validation_x[:, order],
            self.validation_y[:, order],
            self.test_x[:, order],
            self.test_y[:, order],
            self.truth[order][:, order],
        )

    def validation_error(self, weights: Tensor) -> float:
        """Return the relative squared error on the pairs to choose with.

        Args:
            weights: (q, p): a map.

        Returns:
            The error; 1 for the map 0.
        """
        return relative_squared_error(self.validation_x @ weights.T, self.validation_y)

    def test_error(self, weights: Tensor) -> float:
        """Return the relative squared error on the pairs to report on, which hold no noise.

        Args:
            weights: (q, p): a map.

        Returns:
            The error; 1 for the map 0.
        """
        return relative_squared_error(self.test_x @ weights.T, self.test_y)


@dataclass(frozen=True)
class Fit:
    """One fitted map.

    Attributes:
        strength: of its penalty.
        weights: (q, p) float64.
        iterations: steps of the solver; 0 if solved directly.
        relative_gap: proved bound on the distance to the least objective, ÷ the objective at 0.
    """

    strength: float
    weights: Tensor
    iterations: int = 0
    relative_gap: float = 0.0


def relative_squared_error(found: Tensor, wanted: Tensor) -> float:
    """Return ‖found − wanted‖² / ‖wanted‖².

    Args:
        found: any shape.
        wanted: the same shape, not all 0.

    Returns:
        The error.
    """
    return float((found - wanted).square().sum() / wanted.square().sum())


def _strengths(top: float, decades: float, num: int) -> list[float]:
    return (top * torch.logspace(0, -decades, num, dtype=torch.float64)).tolist()


def ridge_fits(x: Tensor, y: Tensor, num_strengths: int) -> list[Fit]:
    """Fit min_W 1/(2n) ‖Y − X Wᵀ‖² + λ/2 ‖W‖² for strengths λ downwards.

    Args:
        x: (n, p) float64.
        y: (n, q) float64.
        num_strengths: how many, evenly spaced in log λ, from the largest eigenvalue of XᵀX/n over
            five decades.

    Returns:
        One fit a strength.
    """
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    cross = y.T @ x / len(x) @ vectors
    return [
        Fit(strength, cross / (values + strength) @ vectors.T)
        for strength in _strengths(float(values[-1]), _RIDGE_DECADES, num_strengths)
    ]


def shared_fits(
    x: Tensor,
    y: Tensor,
    num_strengths: int,
    *,
    l1_ratio: float,
    max_iter: int,
    tol: float,
    report: Callable[[], None] = lambda: None,
) -> list[Fit]:
    """Fit with the sharing penalty, L1 or a mix for strengths downwards, each from the last.

    Args:
        x: (n, p) float64.
        y: (n, q) float64.
        num_strengths: how many, evenly spaced in log α, from the smallest one with a trivial fit
            over four and a half decades.
        l1_ratio: 0 sharing, 1 lasso.
        max_iter: steps of the solver at most for each.
        tol: of the duality gap.
        report: called after each fit.

    Returns:
        One fit a strength.
    """
    top, start, fits = largest_alpha(x, y, l1_ratio=l1_ratio), None, []
    zero = float(y.square().sum()) / (2 * len(y))
    for alpha in _strengths(top, _SHARED_DECADES, num_strengths):
        found = shared_least_squares(
            x, y, alpha, l1_ratio=l1_ratio, start=start, max_iter=max_iter, tol=tol
        )
        start = found.value
        gap = (found.error_bound or 0.0) / zero
        fits.append(Fit(alpha, found.value, found.iterations, gap))
        report()
    return fits


def cyclic_positions(sides: Sequence[int]) -> Tensor:
    """Return which position lies where a shift leads, on a torus of any dimension.

    Args:
        sides: length of each axis; p is their product.

    Returns:
        (p, p) int64: entry [q, s] is position q moved by shift s; positions and shifts are counted
        in row-major order.

    Example:
        >>> cyclic_positions([3]).tolist()
        [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    """
    points = torch.tensor(list(itertools.product(*(range(side) for side in sides))))
    lengths = torch.tensor(list(sides))
    moved = (points[:, None, :] + points[None, :, :]) % lengths
    weight = torch.tensor([int(lengths[i + 1 :].prod()) for i in range(len(sides))])
    found: Tensor = (moved * weight).sum(-1)
    return found


def map_of_taps(taps: Tensor, positions: Tensor) -> Tensor:
    """Return the convolution W[q, q + s] = taps[s] as a matrix.

    Args:
        taps: (p,) float.
        positions: (p, p) int64, from `cyclic_positions`.

    Returns:
        (p, p) float.
    """
    return torch.empty(positions.shape, dtype=taps.dtype).scatter_(
        1, positions, taps.expand(positions.shape)
    )


def convolution_fits(x: Tensor, y: Tensor, num_strengths: int, positions: Tensor) -> list[Fit]:
    """Fit a convolution with all its taps free, by ridge regression of the taps.

    Args:
        x: (n, p) float64.
        y: (n, p) float64.
        num_strengths: as in `ridge_fits`.
        positions: (p, p) int64: the geometry it believes in.

    Returns:
        One fit a strength.
    """
    seen = x[:, positions].flatten(0, 1)
    fits = ridge_fits(seen, y.reshape(-1, 1), num_strengths)
    return [Fit(fit.strength, map_of_taps(fit.weights[0], positions)) for fit in fits]


def circulance_of_map(weights: Tensor, positions: Tensor) -> float:
    """Return 1 − ‖W − C‖ / ‖W‖, C the nearest convolution, W centered.

    Positions of inputs and outputs are known here, so that C is exact: the mean of W over all
    positions for each shift (`circulance` has to match units to positions first).

    Args:
        weights: (p, p) float.
        positions: (p, p) int64, from `cyclic_positions`.

    Returns:
        A number in [0, 1]; 0 if all weights are equal.
    """
    wide = weights.double()
    centered = wide - wide.mean()
    norm = float(centered.norm())
    if norm <= 1e-12 * float(wide.norm()) or norm == 0:
        return 0.0
    taps = centered.gather(1, positions).mean(0)
    return max(0.0, 1 - float((centered - map_of_taps(taps, positions)).norm()) / norm)


def number_ties(weights: Tensor) -> Tensor:
    """Return for each weight the rank of its value among the distinct values.

    Args:
        weights: any shape; −0.0 and 0.0 are one value.

    Returns:
        int32, of the same shape.
    """
    ids: Tensor = torch.unique(weights, return_inverse=True)[1].to(torch.int32)
    return ids


def tie_agreement(weights: Tensor, truth: Tensor) -> float:
    """Return the adjusted Rand index of the ties found and the true ones.

    Args:
        weights: a map.
        truth: the hidden map, of the same shape.

    Returns:
        1 if exactly the right weights are tied; near 0 for ties at random, for none, or for all.
    """
    from sklearn.metrics import adjusted_rand_score

    ids = [number_ties(w).reshape(-1).numpy() for w in (truth, weights)]
    return float(adjusted_rand_score(*ids))


def store_ties(folder: Path, ties: Mapping[str, Tensor]) -> None:
    """Write which weights of some maps are tied, for pictures.

    Args:
        folder: the run folder.
        ties: name to (q, p) int32, from `number_ties`.

    Raises:
        StorageError: if the file cannot be written.
    """
    from safetensors.torch import save

    arrays = {name: ids.contiguous() for name, ids in ties.items()}
    write_atomic(folder / ARRAYS_FILE, save(arrays))
