"""Claims about the values of the prox: order, isotonic regression, hull, symmetry, semigroup."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.core.numerics import tolerance
from coset.sharing.claims.cases import EXACT, as_json, near_misses, random_cases
from coset.sharing.claims.mutants import (
    Change,
    mutant,
    threshold_first,
    threshold_scaled,
)
from coset.sharing.claims.verdicts import Prox, largest_error, relative_error, scale_of
from coset.sharing.prox import prox_sharing

D_FOR_D_MINUS_1 = {"d instead of d - 1": mutant(Change(dimension_shift=0))}
FORWARD_ONLY = {"no left merges": mutant(Change(left_merges=False))}
UNWEIGHTED = {"pooled means not weighted by mass": mutant(Change(weighted=False))}
FREE_FLIGHT = {"particles pass through each other": mutant(Change(sticky=False))}
ONE_MASS = {"one mass instead of two in the merge rule": mutant(Change(full_mass=False))}
FIRST_VELOCITY = {"a block moves with its first velocity": mutant(Change(mean_velocity=False))}
OFF_CENTER = {"velocities of blocks not centered": mutant(Change(centered=False))}
DESCENDING = {"descending sort": mutant(Change(descending=True))}
FLOAT32 = {"pooling in float32": mutant(Change(dtype=torch.float32))}


@claim(
    "sharing.C1",
    title="the prox keeps the order",
    statement="w_i ≤ w_j implies prox_i ≤ prox_j; equal inputs have equal outputs.",
    hypotheses="any finite w, any strength g ≥ 0",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={**FREE_FLIGHT, **FORWARD_ONLY},
    near_misses=near_misses,
)
def C1(prox: Prox = prox_sharing, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge sharing.C1: differences of outputs in the order of the inputs, and across ties."""
    violations, first, cases = 0, None, 0
    for w, g in random_cases(preset, generator):
        order = w.argsort(stable=True)
        x, y = w[order].diff(), prox(w, g)[order].diff()
        bad = int((y < 0).sum() + (y[x == 0] != 0).sum())
        violations, cases = violations + bad, cases + 1
        if bad and first is None:
            first = as_json(w, g)
    return ClaimResult(
        holds=violations == 0,
        measured=float(violations),
        bound=0.0,
        detail=f"{violations} neighbors out of order or torn apart",
        sample_size=cases,
        counterexample=first,
    )


@claim(
    "sharing.C2",
    title="the prox is an isotonic regression",
    statement="""sort(prox_{gR}(w)) = isotonic (non-decreasing, least-squares) regression of
        z_r = x_r + g (d−1−2r)/(d−1), x = sort(w); the same permutation brings it back.""",
    hypotheses="any finite w, any strength g ≥ 0",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        **D_FOR_D_MINUS_1,
        **FORWARD_ONLY,
        **UNWEIGHTED,
        **ONE_MASS,
        **FLOAT32,
        **OFF_CENTER,
        **DESCENDING,
    },
    near_misses=near_misses,
)
def C2(prox: Prox = prox_sharing, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge sharing.C2 against SciPy's isotonic regression, and on values computed by hand."""
    errors = []
    for values, g, expected in EXACT:
        w = torch.tensor(values, dtype=torch.float64)
        found = prox(w, float(g))
        errors.append(
            (relative_error(found, torch.tensor(expected, dtype=torch.float64), w), as_json(w, g))
        )
    for w, g in random_cases(preset, generator):
        x = w.numpy()
        order = np.argsort(x, kind="stable")
        d = len(x)
        # Centered, so that the oracle's own rounding does not grow with an offset.
        center = float(x.mean())
        velocity = (d - 1 - 2.0 * np.arange(d)) / max(1, d - 1)
        right = np.empty(d)
        right[order] = isotonic_regression(x[order] - center + g * velocity).x + center
        errors.append((relative_error(prox(w, g), torch.from_numpy(right), w), as_json(w, g)))
    return largest_error(errors, "against isotonic regression and hand-computed values")


def _hull_slopes(z: np.ndarray) -> np.ndarray:
    """Return the left slopes of the greatest convex minorant of (r, z_0 + … + z_{r−1})."""
    height = np.concatenate([[0.0], np.cumsum(z)])
    hull = [0]
    for r in range(1, len(height)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (height[b] - height[a]) * (r - b) < (height[r] - height[b]) * (b - a):
                break
            hull.pop()
        hull.append(r)
    slopes = np.empty(len(z))
    for a, b in itertools.pairwise(hull):
        slopes[a:b] = (height[b] - height[a]) / (b - a)
    return slopes


@claim(
    "sharing.C3",
    title="the prox is a convex hull",
    statement="""sort(prox_{gR}(w)) are the left slopes of the greatest convex minorant of the
        points (r, S_r), S = prefix sums of z.""",
    hypotheses="any finite w, any strength g ≥ 0",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={**FORWARD_ONLY, **FREE_FLIGHT, **ONE_MASS},
    near_misses=near_misses,
)
def C3(prox: Prox = prox_sharing, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge sharing.C3 against a monotone-chain hull."""
    errors = []
    for w, g in random_cases(preset, generator):
        x = w.sort().values.numpy()
        d = len(x)
        center = float(x.mean())
        velocity = (d - 1 - 2.0 * np.arange(d)) / max(1, d - 1)
        right = torch.from_numpy(_hull_slopes(x - center + g * velocity) + center)
        # Prefix sums grow with d, so the hull's own rounding does.
        allowed = max(1.0, math.sqrt(d))
        errors.append((relative_error(prox(w, g).sort().values, right, w) / allowed, as_json(w, g)))
    return largest_error(errors, "against the planar hull")


def _symmetry_errors(
    prox: Prox, w: Tensor, g: float, generator: torch.Generator
) -> list[tuple[float, str]]:
    """Return error ÷ tolerance of each conservation law and symmetry, with its name."""
    out = prox(w, g)
    permutation = torch.randperm(w.numel(), generator=generator)
    other = w + torch.randn(w.numel(), generator=generator, dtype=w.dtype)
    moved = (prox(other, g) - out).norm() - (other - w).norm()
    moved_most = (prox(other, g) - out).abs().max() - (other - w).abs().max()
    bound = tolerance(torch.float64, w.numel(), "mean", scale=4 * scale_of(w))
    return [
        (float((out.mean() - w.mean()).abs()) / bound, "mean"),
        (float((prox(w + 0.75, g) - out - 0.75).abs().max()) / bound, "translation"),
        (float((prox(2 * w, 2 * g) - 2 * out).abs().max()) / bound, "scaling"),
        (float((prox(-w, g) + out).abs().max()) / bound, "reflection"),
        (float((prox(w[permutation], g) - out[permutation]).abs().max()) / bound, "permutation"),
        (float(moved) / bound, "1-Lipschitz in the Euclidean norm"),
        (float(moved_most) / bound, "1-Lipschitz in the maximum norm"),
    ]


@claim(
    "sharing.C6",
    title="conservation and symmetry",
    statement="""mean(prox(w)) = mean(w); prox(w + c) = prox(w) + c; prox_{ag}(aw) = a prox_g(w)
        for a > 0; prox(−w) = −prox(w); permuting commutes; 1-Lipschitz in L2 and L∞.""",
    hypotheses="any finite w, any strength g ≥ 0",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={**UNWEIGHTED, **FIRST_VELOCITY, **OFF_CENTER},
    near_misses=near_misses,
)
def C6(prox: Prox = prox_sharing, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge sharing.C6: seven identities on every case."""
    errors = []
    for w, g in random_cases(preset, generator):
        found = _symmetry_errors(prox, w, g, generator)
        errors += [(error, as_json(w, g, law=name)) for error, name in found]
    return largest_error(errors, "seven conservation laws and symmetries")


@claim(
    "sharing.C7",
    title="strengths add up",
    statement="prox_s(prox_t(w)) = prox_{s+t}(w).",
    hypotheses="any finite w, s, t ≥ 0; false for most penalties",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={**FORWARD_ONLY, **UNWEIGHTED, **FIRST_VELOCITY, **ONE_MASS},
    near_misses=near_misses,
)
def C7(prox: Prox = prox_sharing, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge sharing.C7 at a random split of the strength."""
    errors = []
    for w, g in random_cases(preset, generator):
        part = g * float(torch.rand((), generator=generator, dtype=torch.float64))
        twice = prox(prox(w, part), g - part)
        errors.append((relative_error(twice, prox(w, g), w), as_json(w, g, first=part)))
    return largest_error(errors, "two steps against one")


def _objective(u: Tensor, w: Tensor, strength: float, l1: float) -> float:
    """Return ½‖u − w‖² + g R(u) + l‖u‖₁ from the definitions, pair by pair."""
    pairs = (u[:, None] - u[None, :]).abs().sum() / 2
    penalty = strength * pairs / max(1, u.numel() - 1)
    return float(0.5 * ((u - w) ** 2).sum() + penalty + l1 * u.abs().sum())


def _exhaustive(w: Tensor, strength: float, l1: float) -> Tensor:
    """Return the best of all ordered partitions into blocks; one of them is the minimizer."""
    x, order = w.sort()
    d = x.numel()
    best, least = x, math.inf
    for cuts in range(2 ** (d - 1)):
        ends = [k + 1 for k in range(d - 1) if cuts >> k & 1] + [d]
        values, start = torch.empty_like(x), 0
        for end in ends:
            moved = x[start:end].mean() + strength * (d - start - end) / max(1, d - 1)
            values[start:end] = moved - moved.clamp(-l1, l1)
            start = end
        cost = _objective(values, x, strength, l1)
        if cost < least:
            best, least = values, cost
    out = torch.empty_like(x)
    out[order] = best
    return out


def _prox_l1(w: Tensor, strength: float, l1: float) -> Tensor:
    return prox_sharing(w, strength, l1=l1)


@claim(
    "sharing.C11",
    title="with L1: share first, then threshold",
    statement="prox_{gR + l‖·‖₁}(w) = soft_l(prox_{gR}(w)).",
    hypotheses="any finite w, any g, l ≥ 0",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "the threshold comes first": threshold_first,
        "the threshold times the strength": threshold_scaled,
    },
    near_misses=lambda: [
        (torch.tensor([5.0, 10.0, 30.0], dtype=torch.float64), 0.5, 0.1),
        (torch.tensor([1.0, 2.0], dtype=torch.float64), 1.0, 0.25),
    ],
)
def C11(
    prox: Callable[[Tensor, float, float], Tensor] = _prox_l1,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge sharing.C11 against the best of all partitions, for up to 7 weights."""
    errors = []
    for number in range({"smoke": 40, "cpu": 400, "paper": 2000}[preset]):
        w = torch.randn(1 + number % 7, generator=generator, dtype=torch.float64)
        g, l1 = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        error = (prox(w, g, l1) - _exhaustive(w, g, l1)).abs().max()
        # A minimum is as flat as a parabola: its place is known to the root of the rounding.
        errors.append((float(error) / 1e-7, as_json(w, g, l1=l1)))
    return largest_error(errors, "against all partitions into blocks")
