"""The claim of elicitation from noisy answers: how often an interval misses."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from coset.core.claims import ClaimResult, claim
from coset.decisions import elicit
from coset.decisions.claims import flawed_elicitation as flawed
from coset.decisions.elicit.question import UNIT, Scale

__all__ = ["C14"]


@dataclass(frozen=True)
class NoisyQuestion:
    """A number in [0, 1] asked about through noisy answers, without the lotteries.

    Attributes:
        root: the number.
        slope: width of the curve; P(above) − ½ has the sign of the difference for each curve.
        curve: "logistic", "step" (0.6 or 0.4, however near) or "lopsided" (0.55 above, surer
            below).
        draw: uniform numbers.
    """

    root: float
    slope: float
    curve: str
    draw: Callable[[], float]
    scale: Scale = UNIT

    def probability(self, s: float) -> float:
        """Return the probability of the answer "above" at a trial value."""
        gap = max(-500.0, min(500.0, (self.root - s) / self.slope))
        if self.curve == "logistic":
            return 1 / (1 + math.exp(-gap))
        if self.curve == "step":
            return 0.5 + 0.1 * ((gap > 0) - (gap < 0))
        return 0.55 if gap > 0 else 0.5 + 0.4 * math.tanh(gap)

    def repeatedly(self, s: float) -> Callable[[], int]:
        """Return a function that asks about one trial value."""
        chance, draw = self.probability(s), self.draw
        return lambda: 1 if draw() < chance else -1


def noisy_interval(
    root: float, slope: float, curve: str, tol: float, delta: float, seed: int
) -> tuple[float, float]:
    """Narrow a number by trisection of noisy answers.

    Args:
        root: the number, in (0, 1).
        slope: width of the curve.
        curve: see `NoisyQuestion`.
        tol: width of the interval.
        delta: permitted probability of a miss.
        seed: of the noise.

    Returns:
        The interval.

    Claims: decisions.C14.
    """
    question: Any = NoisyQuestion(root, slope, curve, random.Random(seed).random)
    found = elicit.trisect(question, tol, delta)
    return float(found.low), float(found.high)


_DELTA = 0.05
# Curve, slope and tolerance, by which a run costs hundreds to thousands of answers.
_NOISE = (
    ("logistic", 0.1, 0.1),
    ("logistic", 0.05, 0.05),
    ("step", 1.0, 0.03),
    ("lopsided", 0.1, 0.05),
)
_NUM_RUNS = {"smoke": 400, "cpu": 2000, "paper": 20_000}


@claim(
    "decisions.C14",
    title="noisy answers: the interval misses with probability at most δ",
    statement="""If each answer is right with probability above ½, however little, trisection with
        the mixture test 2ᵗ B(s + 1, t − s + 1) > π²k²/(3δ) at step k keeps the number in its
        interval at all times with probability at least 1 − δ.""",
    hypotheses="""δ = 0.05; logistic, step and lopsided curves; roots random, and on the trial
        points themselves; intervals are nested, so that the last one tells of all""",
    source="[derived]",
    kind="statistical",
    expected="holds",
    mutants={
        "a 5 % test, looked at after every answer": flawed.peeking_interval,
        "the majority of nine answers": flawed.majority_interval,
        "the best coin instead of the mixture, without its price": flawed.best_coin_interval,
    },
    near_misses=lambda: [(0.37, 1e-9, "logistic", 0.05, 0.05, seed) for seed in range(3)],
)
def C14(
    narrow: Callable[..., tuple[float, float]] = noisy_interval,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C14: count the misses, and compare with a binomial of probability δ."""
    from scipy.stats import binom, binomtest

    num_runs = _NUM_RUNS[preset]
    misses, first, widest = 0, None, 0.0
    for number in range(num_runs):
        curve, slope, tol = _NOISE[number % len(_NOISE)]
        drawn = float(torch.rand((), generator=generator, dtype=torch.float64))
        root = (1 / 3, 2 / 3, 4 / 9)[number % 3] if number % 10 == 9 else drawn
        seed = int(torch.randint(2**31, (), generator=generator))
        low, high = narrow(root, slope, curve, tol, _DELTA, seed)
        widest = max(widest, (high - low) / tol)
        if not low <= root <= high:
            misses += 1
            first = first or {"root": root, "curve": curve, "slope": slope, "seed": seed}
    limit = int(binom.isf(1e-6, num_runs, _DELTA))
    held = (num_runs - misses) / num_runs
    ends = binomtest(misses, num_runs).proportion_ci(1 - 1e-6)
    return ClaimResult(
        holds=misses <= limit and widest <= 1 + 1e-9,
        measured=misses / num_runs,
        bound=limit / num_runs,
        detail=f"{misses} of {num_runs:,} intervals miss; at δ = {_DELTA} more than {limit} would "
        f"be a chance of 1e-6",
        sample_size=num_runs,
        interval=(float(ends.low), float(ends.high)),
        false_alarm=1e-6,
        counterexample=None if misses <= limit else first,
        evidence={"coverage": held, "delta": _DELTA},
    )
