"""Claims about many weights: the law of distinct values, and the macroscopic cluster."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.integrate import quad
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.sharing.claims.blocks import block_starts
from coset.sharing.strengths import (
    critical_strength,
    predicted_largest_fraction,
    predicted_unique_fraction,
)


def _normal(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _density_cases() -> list[tuple[str, Callable[[float], float], float, tuple[float, float]]]:
    return [
        ("normal", _normal, 0.5, (-40.0, 40.0)),
        ("normal", _normal, 1.0, (-40.0, 40.0)),
        ("uniform", lambda x: 1.0, 0.3, (0.0, 1.0)),
        ("Laplace", lambda x: math.exp(-abs(x)) / 2, 0.9, (-60.0, 60.0)),
    ]


def _draw(name: str, d: int, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(d, generator=generator, dtype=torch.float64)
    if name == "uniform":
        return uniform
    if name == "normal":
        return torch.randn(d, generator=generator, dtype=torch.float64)
    centered = uniform - 0.5
    return -centered.sign() * torch.log1p(-2 * centered.abs())


def _no_tails(density: Any, strength: float, *, support: tuple[float, float]) -> float:
    """Leave out what lies beyond one."""
    inside, _ = quad(lambda x: density(x) ** 2, max(-1.0, support[0]), min(1.0, support[1]))
    return 1 - 2 * strength * float(inside)


def _peak_law(density: Any, strength: float, *, support: tuple[float, float]) -> float:
    """Take the largest density for its mean."""
    middle = min(max(0.0, support[0]), support[1])
    return 1 - 2 * strength * float(density(middle))


@claim(
    "sharing.C16",
    title="the law of distinct values",
    statement="(number of distinct values)/d → 1 − 2 g ∫ p(x)² dx as d → ∞.",
    hypotheses="w independent with density p, 2 g max p < 1; a heuristic argument, no proof",
    source="[derived]",
    kind="conjecture",
    expected="open",
    mutants={
        "tails beyond one are left out": lambda *a, support=(0.0, 1.0): _no_tails(
            *a, support=support
        ),
        "max p instead of ∫p²": lambda *a, support=(0.0, 1.0): _peak_law(*a, support=support),
    },
    near_misses=lambda: [(lambda x: 1.0, 0.25)],
)
def C16(
    law: Callable[..., float] = lambda *a, support=(0.0, 1.0): predicted_unique_fraction(
        *a, support=support
    ),
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge sharing.C16: measured fractions against the law; agreement leaves it open."""
    d = {"smoke": 40_000, "cpu": 400_000, "paper": 4_000_000}[preset]
    seen: dict[str, Any] = {}
    worst: tuple[float, float, dict[str, Any]] = (0.0, 0.0, {})
    for name, density, g, support in _density_cases():
        predicted = law(density, g, support=support)
        counts = [len(block_starts(_draw(name, d, generator), g)) / d for _ in range(5)]
        mean = float(np.mean(counts))
        error = float(np.std(counts, ddof=1)) / math.sqrt(len(counts))
        seen[f"{name}, g = {g}"] = {"law": predicted, "measured": mean, "standard_error": error}
        case = {"distribution": name, "strength": g, "d": d}
        worst = max(worst, (mean - predicted, error, case), key=_size)
    # The law is a limit: at finite d a gap of the order of 1/√d is no contradiction.
    return _gap_to_law(worst, 2 / math.sqrt(d), 5 * len(seen), seen)


def _size(gap: tuple[float, float, dict[str, Any]]) -> float:
    return abs(gap[0]) if math.isfinite(gap[0]) else math.inf


def _gap_to_law(
    worst: tuple[float, float, dict[str, Any]], slack: float, num: int, seen: dict[str, Any]
) -> ClaimResult:
    """Leave a law open unless its largest gap exceeds ten standard errors and the slack."""
    gap, error, case = worst
    bound = 10 * error + slack
    refuted = not abs(gap) <= bound  # a gap that is not a number refutes
    return ClaimResult(
        holds=False if refuted else None,
        measured=abs(gap),
        bound=bound,
        detail=(
            f"largest gap to the law {gap:+.4f} (5 standard errors: ± {5 * error:.4f}); "
            f"refuted beyond {bound:.4f}"
        ),
        sample_size=num,
        interval=(abs(gap) - 5 * error, abs(gap) + 5 * error),
        counterexample=case if refuted else None,
        evidence=seen,
    )


def _late_cluster(strength: float) -> float:
    """Let the cluster appear at 1.6 standard deviations."""
    return predicted_largest_fraction(strength) if strength > 1.6 else 0.0


def _no_attraction(strength: float) -> float:
    """Let the cluster hold what lies within g of it."""
    return math.erf(strength / math.sqrt(2))


@claim(
    "sharing.C17",
    title="a macroscopic cluster above the critical strength",
    statement="""At g_c = 1/(2 max p) a macroscopic cluster appears. Standard normal weights,
        g > g_c = √(π/2): the largest cluster holds a/g of them, a > 0 solving
        a = g (2Φ(a) − 1).""",
    hypotheses="w independent and normal, d → ∞; a mean-field argument, no proof",
    source="[derived]",
    kind="conjecture",
    expected="open",
    mutants={
        "the cluster appears at 1.6 σ": _late_cluster,
        "the weights within g": _no_attraction,
    },
    near_misses=lambda: [(2.0,), (6.0,)],
)
def C17(
    law: Callable[[float], float] = predicted_largest_fraction,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge sharing.C17: the largest cluster of samples against the law, above and below g_c."""
    d = {"smoke": 40_000, "cpu": 400_000, "paper": 4_000_000}[preset]
    seen: dict[str, Any] = {}
    worst: tuple[float, float, dict[str, Any]] = (0.0, 0.0, {})
    for g in (0.8, 1.5, 2.0, 3.0):
        shares = [_largest_share(_draw("normal", d, generator), g) for _ in range(5)]
        mean, error = float(np.mean(shares)), float(np.std(shares, ddof=1)) / math.sqrt(5)
        seen[f"g = {g}"] = {"law": law(g), "measured": mean, "standard_error": error}
        worst = max(worst, (mean - law(g), error, {"strength": g, "d": d}), key=_size)
    wrong = _appearance(d, generator, seen)
    if wrong is not None:
        return replace(_gap_to_law(worst, 0.0, 24, seen), holds=False, counterexample=wrong)
    # Near g_c a sample fluctuates more than its five copies show, by some multiple of 1/√d.
    return _gap_to_law(worst, 6 / math.sqrt(d), 24, seen)


def _appearance(d: int, generator: torch.Generator, seen: dict[str, Any]) -> dict[str, Any] | None:
    """Look for a macroscopic cluster on both sides of g_c; return a case that is not as stated."""
    for name, peak in (("normal", _normal(0.0)), ("uniform", 1.0)):
        for factor in (0.8, 1.3):
            g = factor * critical_strength(peak)
            share = _largest_share(_draw(name, d, generator), g)
            seen[f"{name}, {factor} g_c"] = {"largest_share": share}
            if (share > 0.1) != (factor > 1):
                return {"distribution": name, "strength": g, "d": d, "largest_share": share}
    return None


def _largest_share(w: Tensor, strength: float) -> float:
    starts = [*block_starts(w, strength), w.numel()]
    return float(np.diff(starts).max()) / w.numel()
