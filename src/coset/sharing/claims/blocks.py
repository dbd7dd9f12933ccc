"""Claims about blocks: particles, the merge rule, the all-merge strength, the Jacobian."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.core.numerics import tolerance
from coset.sharing.claims.cases import as_json, near_misses, random_cases
from coset.sharing.claims.mutants import (
    Change,
    first_gap_strength,
    identity_jacobian,
    median_split_strength,
    mutant_blocks,
    no_strength_gradient,
    summed_jacobian,
)
from coset.sharing.claims.proximal import FIRST_VELOCITY, FREE_FLIGHT, UNWEIGHTED
from coset.sharing.claims.verdicts import Prox, largest_error, relative_error, scale_of
from coset.sharing.particles import simulate_particles
from coset.sharing.prox import prox_sharing
from coset.sharing.strengths import all_merge_strength


def final_positions(w: Tensor, strength: float) -> Tensor:
    """Return where sticky particles released at `w` are at time `strength`, in the order of `w`.

    Args:
        w: (d,) float64: initial positions.
        strength: the time, ≥ 0.

    Returns:
        (d,) float64.

    Claims: sharing.C4.
    """
    return simulate_particles(w, [strength]).positions[0].to(w.dtype)


@claim(
    "sharing.C4",
    title="sticky particles end at the prox",
    statement="""Release unit masses at x_r with velocities (d−1−2r)/(d−1); on contact they stick,
        conserving mass and momentum. Their positions at time g are prox_{gR}(w), and clusters
        never split.""",
    hypotheses="any finite w, any strength g ≥ 0",
    source="[paper] for the idea, [derived] for the dynamics",
    kind="proved",
    expected="holds",
    mutants={**UNWEIGHTED, **FIRST_VELOCITY, **FREE_FLIGHT},
    near_misses=near_misses,
)
def C4(
    positions: Prox = final_positions, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge sharing.C4: the event simulation against the prox, and no cluster that splits."""
    errors = []
    for w, g in random_cases(preset, generator):
        end = positions(w, g)
        errors.append((relative_error(end, prox_sharing(w, g), w), as_json(w, g)))
        half = positions(w, g / 2)[w.argsort(stable=True)].diff()
        split = bool((end[w.argsort(stable=True)].diff()[half == 0] != 0).any())
        errors.append((math.inf if split else 0.0, as_json(w, g, split=True)))
    return largest_error(errors, "event simulation against the prox")


def block_starts(w: Tensor, strength: float) -> list[int]:
    """Return the first ranks of the blocks that the prox forms, in sorted order.

    Args:
        w: (d,) float64.
        strength: g > 0.

    Returns:
        Increasing ranks, the first of them 0.

    Claims: sharing.C5.
    """
    _, info = prox_sharing(w, strength, return_info=True)
    return [int(start) for start in info.starts]


def _rule_violation(x: Tensor, starts: list[int], step: float) -> float:
    """Return by how much the merge rule is violated between blocks or inside them (≤ 0: not)."""
    d = x.numel()
    sums = torch.cat([torch.zeros(1, dtype=x.dtype), (x - x.mean()).cumsum(0)])
    ends = [*starts[1:], d]
    worst = -math.inf
    means = [float(sums[b] - sums[a]) / (b - a) for a, b in zip(starts, ends, strict=True)]
    for i in range(len(starts) - 1):
        worst = max(worst, step * (ends[i + 1] - starts[i]) - (means[i + 1] - means[i]))
    for a, b in zip(starts, ends, strict=True):
        if b - a > 1:
            k = torch.arange(a + 1, b)
            left = (sums[k] - sums[a]) / (k - a)
            right = (sums[b] - sums[k]) / (b - k)
            worst = max(worst, float((right - left).max()) - step * (b - a))
    return worst


@claim(
    "sharing.C5",
    title="the merge rule",
    statement="""Neighboring blocks A, B are one block iff mean(B) − mean(A) ≤ g (m_A + m_B)/(d−1):
        the blocks of the prox are those that the rule neither merges nor splits.""",
    hypotheses="means of the initial positions; any finite w, g > 0; equality merges",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "d instead of d - 1": mutant_blocks(Change(dimension_shift=0)),
        "one mass instead of two in the merge rule": mutant_blocks(Change(full_mass=False)),
        "no left merges": mutant_blocks(Change(left_merges=False)),
    },
    near_misses=near_misses,
)
def C5(
    starts: Callable[[Tensor, float], list[int]] = block_starts,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge sharing.C5: between blocks the rule says no, at every split of a block it says yes."""
    errors = []
    for w, g in random_cases(preset, generator):
        d = w.numel()
        if d < 2:
            continue
        violation = _rule_violation(w.sort().values, starts(w, g), g / (d - 1))
        allowed = tolerance(torch.float64, d, "sum", scale=scale_of(w))
        errors.append((max(0.0, violation) / allowed, as_json(w, g)))
    return largest_error(errors, "the rule between blocks and at every split of a block")


@claim(
    "sharing.C8",
    title="when everything merges",
    statement="""All outputs are equal iff g ≥ g_all = max over 1 ≤ k < d of (d−1)/d ·
        (mean(x_k … x_{d−1}) − mean(x_0 … x_{k−1})).""",
    hypotheses="d ≥ 2, not all weights equal",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "the middle split only": median_split_strength,
        "the first split only": first_gap_strength,
    },
    near_misses=lambda: [(torch.tensor([0.0, 3.0], dtype=torch.float64),)],
)
def C8(
    strength_of: Callable[[Tensor], float] = all_merge_strength,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge sharing.C8: one block just above the strength, several just below."""
    failures, first, cases = 0, None, 0
    for w, _ in random_cases(preset, generator):
        if w.numel() < 2 or bool((w == w[0]).all()):
            continue
        g = strength_of(w)
        slack = 1e-9 * scale_of(w)
        counts = [len(block_starts(w, g + slack)), len(block_starts(w, max(0.0, g - slack)))]
        cases += 1
        if counts[0] != 1 or counts[1] == 1:
            failures += 1
            first = first or as_json(w, g, blocks_above_and_below=counts)
    return ClaimResult(
        holds=failures == 0,
        measured=float(failures),
        bound=0.0,
        detail=f"{failures} inputs merge at another strength",
        sample_size=cases,
        counterexample=first,
    )


def _touches(w: Tensor, g: float, margin: float) -> bool:
    """Tell whether a slightly different strength gives other blocks (no derivative there)."""
    blocks = block_starts(w, g)
    return blocks != block_starts(w, g * (1 + margin)) or blocks != block_starts(
        w, g * (1 - margin)
    )


@claim(
    "sharing.C12",
    title="the Jacobian averages over blocks",
    statement="""∂prox/∂w is block averaging (1/m on each cluster), a symmetric projection, and
        ∂prox/∂g on cluster C is its velocity (d − a − b)/(d−1).""",
    hypotheses="no two blocks just touch",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "the identity as Jacobian": identity_jacobian,
        "block sums instead of means": summed_jacobian,
        "no gradient in the strength": no_strength_gradient,
    },
    near_misses=near_misses,
)
def C12(prox: Prox = prox_sharing, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge sharing.C12: backward against the blocks, and both against central differences."""
    errors: list[tuple[float, dict[str, object]]] = []
    for w, g in random_cases(preset, generator):
        if w.numel() < 2 or scale_of(w) > 100 or _touches(w, g, 1e-4):
            continue
        direction = torch.randn(w.numel(), generator=generator, dtype=w.dtype)
        upstream = torch.randn(w.numel(), generator=generator, dtype=w.dtype)
        exact, numeric = _jacobian_errors(prox, w, g, _tie_preserving(direction, w), upstream)
        bound = tolerance(torch.float64, w.numel(), "sum", scale=float(upstream.norm()) + 1)
        errors.append((exact / bound, as_json(w, g, against="blocks")))
        errors.append((numeric / 1e-6, as_json(w, g, against="differences")))
    return largest_error(errors, "backward against blocks and central differences")


def _jacobian_errors(
    prox: Prox, w: Tensor, g: float, direction: Tensor, upstream: Tensor
) -> tuple[float, float]:
    """Return how far backward is from block averages, and from differences along a direction."""
    leaf = w.clone().requires_grad_(True)
    strength = torch.tensor(g, dtype=w.dtype, requires_grad=True)
    out = prox(leaf, strength)  # type: ignore[arg-type]
    found = torch.autograd.grad(out, (leaf, strength), upstream, allow_unused=True)
    by_w = torch.zeros_like(w) if found[0] is None else found[0]
    by_g = 0.0 if found[1] is None else float(found[1])
    right_w, right_g = _block_jacobian(w, g, upstream)
    exact = max(float((by_w - right_w).abs().max()), abs(by_g - right_g))
    step = 1e-6
    ahead, behind = prox(w + step * direction, g + step), prox(w - step * direction, g - step)
    numeric = float(((ahead - behind) / (2 * step)) @ upstream)
    scale = max(1.0, float(upstream.norm() * direction.norm()))
    return exact, abs(float(by_w @ direction) + by_g - numeric) / scale


def _block_jacobian(w: Tensor, g: float, upstream: Tensor) -> tuple[Tensor, float]:
    """Return the statement's own vector-Jacobian products, block by block."""
    d, order = w.numel(), w.argsort(stable=True)
    starts = block_starts(w, g)
    right, along = torch.empty_like(w), 0.0
    for a, b in zip(starts, [*starts[1:], d], strict=True):
        members = order[a:b]
        right[members] = upstream[members].mean()
        along += float(upstream[members].sum()) * (d - a - b) / (d - 1)
    return right, along


def _tie_preserving(direction: Tensor, w: Tensor) -> Tensor:
    """Move tied weights together, so that the difference quotient sees one block."""
    _, index = torch.unique(w, return_inverse=True)
    sums = torch.zeros(int(index.max()) + 1, dtype=w.dtype).index_add_(0, index, direction)
    means: Tensor = (sums / index.bincount())[index]
    return means
