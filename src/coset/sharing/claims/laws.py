"""Claims about many weights: the law of distinct values, and what training was seen to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.sharing.claims.blocks import block_starts
from coset.sharing.strengths import predicted_unique_fraction


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


def _half_law(density: Any, strength: float, *, support: tuple[float, float]) -> float:
    return predicted_unique_fraction(density, strength / 2, support=support)


def _peak_law(density: Any, strength: float, *, support: tuple[float, float]) -> float:
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
        "the factor 2 is missing": lambda *a, support=(0.0, 1.0): _half_law(*a, support=support),
        "max p instead of ∫p²": lambda *a, support=(0.0, 1.0): _peak_law(*a, support=support),
    },
    near_misses=lambda: [(lambda x: 1.0, 1e-13), (lambda x: 1.0, 0.25)],
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
        gap = mean - predicted
        if abs(gap) >= abs(worst[0]):
            worst = (gap, error, {"distribution": name, "strength": g, "d": d})
    gap, error, case = worst
    refuted = abs(gap) > 10 * error + 20 / math.sqrt(d) / 10
    return ClaimResult(
        holds=False if refuted else None,
        measured=gap,
        bound=0.0,
        detail=f"largest gap to the law {gap:+.4f} ± {error:.4f} at d = {d:,}",
        sample_size=5 * len(seen),
        interval=(gap - 5 * error, gap + 5 * error),
        counterexample=case if refuted else None,
        evidence=seen,
    )


Rows = Sequence[dict[str, Any]]


def _accuracies(rows: Rows, method: str, shuffled: bool) -> list[float]:
    found = [r for r in rows if r["method"] == method and r["shuffled"] is shuffled]
    return [float(r["test_accuracy"]) for r in found]


def _change(name: str, shuffled: bool | None, **values: object) -> Callable[[Rows], Rows]:
    """Return a mutant of rows: the named method's rows get other values."""

    def changed(rows: Rows) -> Rows:
        return [
            {**row, **values}
            if row["method"] == name and shuffled in (None, row["shuffled"])
            else dict(row)
            for row in rows
        ]

    return changed


@claim(
    "sharing.C19",
    title="dense nets with sharing learn convolution-like filters",
    statement="""Fully connected networks trained with the penalty learn convolution-like filters,
        also on shuffled pixels, where convolutional networks fail.""",
    hypotheses="""the torus-digits experiment at our sizes; circulance ≥ 0.9 counts as
        convolution-like; a CNN fails if shuffling costs it 0.1 of accuracy""",
    source="[paper]",
    kind="empirical",
    expected="open",
    experiment="sharing.torus-digits",
    mutants={
        "the CNN does not mind shuffling": _change("cnn", True, test_accuracy=1.0),
        "sharing falls to chance": _change("fc+sharing", None, test_accuracy=0.1),
    },
)
def C19(rows: Rows) -> ClaimResult:
    """Judge sharing.C19 by rows: refuted if the CNN survives, or if sharing ruins the dense net."""
    images = min(int(row["num_test"]) for row in rows)
    plain = _accuracies(rows, "fc", False) + _accuracies(rows, "fc", True)
    tied = _accuracies(rows, "fc+sharing", False) + _accuracies(rows, "fc+sharing", True)
    gain = float(np.mean(tied) - np.mean(plain))
    # Five standard errors of a difference of two accuracies, each at its least certain.
    half = 5 * math.sqrt(0.5 / (images * min(len(tied), len(plain))))
    fall = float(np.mean(_accuracies(rows, "cnn", False)) - np.mean(_accuracies(rows, "cnn", True)))
    circulance = float(np.mean([r["circulance"] for r in rows if r["method"] == "fc+sharing"]))
    refuted = fall < 0.1 or gain + half < 0
    shown = circulance >= 0.9 and fall >= 0.1 and gain > 0
    return ClaimResult(
        holds=False if refuted else True if shown else None,
        measured=gain,
        bound=0.0,
        detail=(
            f"sharing changes accuracy by {gain:+.3f} ± {half:.3f}; shuffling costs the CNN "
            f"{fall:.3f}; circulance of the tied filters {circulance:.2f}"
        ),
        sample_size=len(rows),
        interval=(gain - half, gain + half),
        counterexample={"cnn_fall": fall, "gain": gain} if refuted else None,
        evidence={"gain": gain, "cnn_fall": fall, "circulance": circulance},
    )
