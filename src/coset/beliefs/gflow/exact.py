"""What a policy on the hypergrid does, exactly: dynamic programming over the levels of the grid."""

from __future__ import annotations

import torch
from torch import Tensor

from coset.beliefs.errors import NotNormalizedError
from coset.beliefs.gflow.hypergrid import HyperGrid
from coset.core.errors import DomainError, ShapeError
from coset.core.foreign_files import show

__all__ = [
    "balanced_flows",
    "exact_terminal_distribution",
    "l1_distance",
    "noise_floor",
    "sampled_l1_distance",
]

_MOST_SAMPLES = 10**9  # differences of lgamma lose all digits at 1e15
_ROW_TOLERANCE = 1e-4  # of tables that a network in float32 has made


def exact_terminal_distribution(grid: HyperGrid, log_pf: Tensor) -> Tensor:
    """Return the probability with which a policy stops in each state.

    P(x) = u(x) P_F(stop | x), where u(0) = 1 and u(x) = Σᵢ u(x − eᵢ) P_F(i | x − eᵢ).

    Args:
        grid: the environment; H^D = n states.
        log_pf: (…, n, D + 1) floating, logarithms of the chances of each action; −inf where an
            action would leave the grid; each row sums to 1 within 1e-4. Computed in float64.

    Returns:
        (…, n) float64; differentiable in `log_pf`.

    Raises:
        ShapeError: if the shape is wrong.
        DomainError: if an action that leaves the grid has a chance, or an entry is NaN.
        NotNormalizedError: if a row does not sum to 1.

    Complexity: O(n D) for each table.

    Claims: beliefs.C20c.

    Example:
        >>> import math
        >>> grid = HyperGrid(2, 1)
        >>> table = torch.tensor([[0.25, 0.75], [0.0, 1.0]]).log()
        >>> exact_terminal_distribution(grid, table.double()).float().tolist()
        [0.75, 0.25]
    """
    _check_table(grid, log_pf, grid.num_actions, grid.forward_mask, "P_F")
    chance = log_pf.double().exp()
    visits = torch.ones_like(chance[..., :1, 0])
    found = [visits]
    for (before, _), (_, sources) in zip(grid.levels, grid.levels[1:], strict=False):
        moved = visits[..., None] * chance[..., before, :-1]
        # One zero more, for parents that do not exist.
        moved = torch.nn.functional.pad(moved.flatten(-2), (0, 1))
        visits = moved[..., sources].sum(-1)
        found.append(visits)
    return _in_order(grid, found) * chance[..., -1]


def _in_order(grid: HyperGrid, by_level: list[Tensor]) -> Tensor:
    order = torch.cat([states for states, _ in grid.levels])
    return torch.cat(by_level, dim=-1)[..., order.argsort()]


def _check_table(grid: HyperGrid, table: Tensor, width: int, mask: Tensor, name: str) -> None:
    fits = isinstance(table, Tensor) and table.is_floating_point()
    if not fits or table.shape[-2:] != (grid.num_states, width):
        given = f"{table.dtype} {tuple(table.shape)}" if fits else show(table)
        raise ShapeError(
            f"a table of log {name} must be a floating tensor (…, {grid.num_states}, {width}); "
            f"given {given}"
        )
    chance = table.detach().double().exp()
    if torch.isnan(chance).any() or (chance * ~mask > 0).any():
        raise DomainError(
            f"a table of log {name} must be −inf where the mask forbids the action, and must have "
            f"no NaN"
        )
    sums = chance.sum(-1)
    wrong = ((sums - 1).abs() > _ROW_TOLERANCE) & mask.any(-1)
    if wrong.any():
        row = tuple(wrong.nonzero()[0].tolist())
        raise NotNormalizedError(
            f"each row of {name} must sum to 1; row {row} sums to {float(sums[row]):.6g}; take "
            f"log_softmax over the allowed actions",
            name,
            row,
            float(sums[row]),
        )


def balanced_flows(grid: HyperGrid, log_pb: Tensor) -> tuple[Tensor, Tensor]:
    """Return the flows of the states, and the forward policy in balance with a backward one.

    F(s) = R(s) + Σᵢ F(s + eᵢ) P_B(s | s + eᵢ), P_F(s' | s) = F(s') P_B(s | s') / F(s) and
    P_F(stop | s) = R(s) / F(s): the one zero of every loss of `coset.beliefs.gflow` for this P_B.

    Args:
        grid: the environment; its `log_rewards`, which are finite, are R.
        log_pb: (…, n, D) floating, logarithms of the chances that coordinate i was raised last;
            −inf where xᵢ = 0; the origin's row is not read. Computed in float64.

    Returns:
        log F (…, n), log F(0) being log Z; and log P_F (…, n, D + 1), both float64.

    Raises:
        ShapeError: if the shape is wrong.
        DomainError: if a coordinate that is 0 has a chance, or an entry is NaN.
        NotNormalizedError: if a row, but the origin's, does not sum to 1.

    Claims: beliefs.C20b.

    Example:
        >>> grid = HyperGrid(2, 1)
        >>> flow, policy = balanced_flows(grid, torch.tensor([[-torch.inf], [0.0]]))
        >>> torch.allclose(flow.exp(), torch.tensor([1.2, 0.6]).double())
        True
    """
    _check_table(grid, log_pb, grid.dims, grid.backward_mask, "P_B")
    log_pb = log_pb.double()
    batch, none = log_pb.shape[:-2], torch.full((), -torch.inf, dtype=torch.float64)
    flow = grid.log_rewards.expand(*batch, grid.num_states).clone()
    onward = none.to(flow.device).expand(*batch, grid.num_states, grid.dims).clone()
    for states, _ in reversed(grid.levels):
        after = (states[:, None] + grid.strides[:-1]).clamp(max=grid.num_states - 1)
        axes = torch.arange(grid.dims, device=states.device)
        edges = flow[..., after] + log_pb[..., after, axes]
        edges = edges.masked_fill(~grid.forward_mask[states, :-1], -torch.inf)
        onward[..., states, :] = edges
        total = torch.cat([edges, flow[..., states, None]], dim=-1)
        flow[..., states] = total.logsumexp(-1)
    table = torch.cat([onward, grid.log_rewards.expand_as(flow)[..., None]], dim=-1)
    return flow, table - flow[..., None]


def l1_distance(found: Tensor, target: Tensor) -> Tensor:
    """Return Σₓ |p(x) − q(x)|, between 0 and 2 for distributions.

    Args:
        found: (…, n) floating.
        target: (…, n) floating.

    Returns:
        (…) of the wider dtype.

    Raises:
        ShapeError: if the two do not broadcast.

    Example:
        >>> float(l1_distance(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])))
        1.0
    """
    fits = found.dim() > 0 and found.shape[-1:] == target.shape[-1:]
    # Batches broadcast from the right: axes fit that are equal, or 1 of one of the two.
    pairs = zip(found.shape[::-1], target.shape[::-1], strict=False)
    if not fits or any(a != b and 1 not in (a, b) for a, b in pairs):
        raise ShapeError(
            f"both distributions must be over the same states, and their batches broadcast; given "
            f"{tuple(found.shape)} and {tuple(target.shape)}"
        )
    return (found - target).abs().sum(-1)


def sampled_l1_distance(
    distribution: Tensor,
    target: Tensor,
    num_samples: int,
    *,
    generator: torch.Generator | None = None,
) -> float:
    """Return the L1 distance to the target of the frequencies in a sample.

    It is what a study sees that samples its policy: terminal states of trajectories are draws from
    `exact_terminal_distribution`. Of the target itself its mean is `noise_floor`.

    Args:
        distribution: (n,) the distribution that is drawn from, n at most 2**24.
        target: (n,) what it is compared with.
        num_samples: N in 1 … 1e9.
        generator: source of randomness.

    Returns:
        Σₓ |count(x)/N − target(x)|.

    Raises:
        DomainError: if N is no such integer, or either is no distribution.
        ShapeError: if the two are not of one shape (n,), or n is larger.

    Example:
        >>> sure = torch.tensor([0.0, 1.0])
        >>> sampled_l1_distance(sure, sure, 10)
        0.0
    """
    fits = distribution.dim() == 1 and distribution.shape == target.shape
    if not fits or len(target) > 2**24:  # what torch can draw from
        raise ShapeError(
            f"both distributions must be (n,), n at most 2**24; given "
            f"{tuple(distribution.shape)} and {tuple(target.shape)}"
        )
    _check_sample(distribution, num_samples)
    _check_sample(target, num_samples)
    drawn = torch.multinomial(
        distribution.double(), num_samples, replacement=True, generator=generator
    )
    count = torch.bincount(drawn, minlength=len(distribution)).double()
    return float(l1_distance(count / num_samples, target.double()))


def noise_floor(target: Tensor, num_samples: int) -> float:
    """Return the mean L1 distance to a distribution of the frequencies in a sample of itself.

    Σₓ E|Xₓ − N pₓ| / N with Xₓ binomial; by De Moivre E|X − Np| = 2 (m+1) C(N, m+1) pᵐ⁺¹ (1−p)ᴺ⁻ᵐ,
    m = ⌊Np⌋. Near √(2k/(πN)) for k equally likely states and large N/k. A study that samples N
    trajectories sees nothing below it.

    Args:
        target: (n,) the distribution.
        num_samples: N in 1 … 1e9.

    Returns:
        The mean, to a relative error near N ln N · 2e-16.

    Raises:
        DomainError: if N is no such integer, or `target` is no distribution.
        ShapeError: if `target` is not (n,).

    Claims: beliefs.C20d.

    Example:
        >>> round(noise_floor(torch.tensor([0.5, 0.5]), 1), 9)
        1.0
        >>> round(noise_floor(HyperGrid(24, 4).target, 1_000_000), 5)
        0.43787
    """
    _check_sample(target, num_samples)
    chance = target[target > 0].double()
    below = (num_samples * chance).floor()
    total = torch.tensor(num_samples + 1.0, dtype=torch.float64, device=chance.device)
    logs = torch.lgamma(total) - torch.lgamma(below + 1) - torch.lgamma(num_samples - below)
    logs = logs + (below + 1) * chance.log()
    logs = logs + torch.special.xlog1py(num_samples - below, -chance)
    return float(2 * logs.exp().sum() / num_samples)


def _check_sample(distribution: Tensor, num_samples: int) -> None:
    if not isinstance(num_samples, int) or not 1 <= num_samples <= _MOST_SAMPLES:
        raise DomainError(
            f"num_samples must be an integer in 1 … {_MOST_SAMPLES:,}; given {num_samples}"
        )
    if distribution.dim() != 1:
        raise ShapeError(f"a distribution must be (n,); given {tuple(distribution.shape)}")
    total = float(distribution.sum())
    if not abs(total - 1) <= _ROW_TOLERANCE or not bool((distribution >= 0).all()):
        raise DomainError(f"a distribution must be ≥ 0 and sum to 1; given a sum of {total:.6g}")
