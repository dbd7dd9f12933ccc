"""Claims about the dual of the prox: what the prox takes off, and what keeps clusters tied."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.core.numerics import tolerance
from coset.sharing.claims.cases import as_json, near_misses, random_cases, tied_case
from coset.sharing.claims.mutants import raw_stress, single_stress, wide_stress
from coset.sharing.claims.proximal import D_FOR_D_MINUS_1, FORWARD_ONLY, FREE_FLIGHT, OFF_CENTER
from coset.sharing.claims.verdicts import Prox, largest_error, scale_of
from coset.sharing.prox import prox_sharing
from coset.sharing.reference import sharing_blocks_reference
from coset.sharing.stress import cluster_stress


def _dual_errors(out: Tensor, w: Tensor, g: float) -> list[tuple[float, str]]:
    """Return by how much w − out misses being the projection of w onto gP, with its name.

    y is that projection iff y ∈ gP and ⟨out, p − y⟩ ≤ 0 for all p ∈ gP; the largest ⟨out, p⟩ is
    reached at p sorted as out is, and equals g R(out).
    """
    d = w.numel()
    taken = w - out
    velocity = (d - 1 - 2.0 * torch.arange(d, dtype=w.dtype)) / max(1, d - 1)
    slack = taken.sort(descending=True).values.cumsum(0) - g * velocity.cumsum(0)
    value = (out - out.mean()).sort(descending=True).values
    gap = g * float(value @ velocity) - float((out - out.mean()) @ taken)
    return [
        (float(slack.max()), "partial sums"),
        (abs(float(taken.sum())), "total"),
        (abs(gap), "optimality"),
    ]


@claim(
    "sharing.C9",
    title="the prox is what a projection leaves",
    statement="""prox_{gR}(w) = w − Proj_{gP}(w), P the permutahedron of
        ((d−1), (d−3), …, −(d−1))/(d−1): sorted downwards, every partial sum of w − prox is at most
        that of g v, the totals are 0, and no point of gP is nearer to w.""",
    hypotheses="any finite w, any strength g ≥ 0",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={**D_FOR_D_MINUS_1, **FORWARD_ONLY, **FREE_FLIGHT, **OFF_CENTER},
    near_misses=near_misses,
)
def C9(prox: Prox = prox_sharing, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge sharing.C9: membership in the permutahedron, and the projection's optimality."""
    errors = []
    for w, g in random_cases(preset, generator):
        # The gap multiplies d numbers by d more, of the size of w's spread and of g.
        spread = max(1.0, float(w.max() - w.min()), g)
        bound = tolerance(torch.float64, w.numel(), "sum", scale=scale_of(w) * spread)
        found = _dual_errors(prox(w, g), w, g)
        errors += [(e / bound, as_json(w, g, law=name)) for e, name in found]
    return largest_error(errors, "projection onto the permutahedron")


def stress_of(w: Tensor, delta: Tensor, strength: float) -> list[float]:
    """Return the stress of each cluster of equal weights, in increasing order of value.

    Args:
        w: (d,) float64, with ties.
        delta: (d,) float64: the perturbation.
        strength: g > 0.

    Returns:
        One number a cluster.

    Claims: sharing.C10.
    """
    stress: list[float] = cluster_stress(w, delta, strength).stress.tolist()
    return stress


def _is_one_block(x: list[float], a: int, b: int, strength: float) -> bool:
    """Tell whether the ranks [a, b) of sorted weights are one block of the prox."""
    return (a, b) in sharing_blocks_reference(x, strength)


@claim(
    "sharing.C10",
    title="which clusters a step tears",
    statement="""A tied cluster of mass m, perturbed by δ, is made one again by the prox of strength
        g iff δ, centered and sorted downwards, satisfies δ_1 + … + δ_k ≤ g k(m−k)/(d−1) for every
        k.""",
    hypotheses="the other clusters are far away; any finite δ, any g > 0",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "m instead of d in the right side": wide_stress,
        "the largest step alone": single_stress,
        "steps not centered": raw_stress,
    },
    near_misses=lambda: [
        (
            torch.tensor([1.0, 1.0], dtype=torch.float64),
            torch.tensor([0.25, -0.25], dtype=torch.float64),
            0.5,
        )
    ],
)
def C10(
    stress: Callable[[Tensor, Tensor, float], list[float]] = stress_of,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge sharing.C10: the literal prox just below and above each cluster's own strength."""
    failures, first, cases = 0, None, 0
    for number in range({"smoke": 40, "cpu": 600, "paper": 4000}[preset]):
        w, delta, masses = tied_case(number, generator)
        start, x = 0, (w + delta).sort().values.tolist()
        # The stress falls as 1/g: at strength 1 it is the strength that the cluster needs.
        for mass, needed in zip(masses, stress(w, delta, 1.0), strict=True):
            a, b = start, start + mass
            start = b
            for g in (needed * (1 - 1e-6), needed * (1 + 1e-6), 0.3 * needed, 3 * needed):
                if not g > 0:
                    right = g == 0 and bool((delta[a:b] == delta[a]).all())
                else:
                    right = math.isfinite(g) and _is_one_block(x, a, b, g) == (g >= needed)
                cases += 1
                failures += not right
                if not right and first is None:
                    first = as_json(w, g, delta=delta.tolist(), ranks=[a, b])
    return ClaimResult(
        holds=failures == 0,
        measured=float(failures),
        bound=0.0,
        detail=f"{failures} clusters that are torn or re-formed at another strength",
        sample_size=cases,
        counterexample=first,
    )
