"""Inputs on which the claims of this subject are checked: exact, tied, bad, far away."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from coset.sharing.plow import plow

__all__ = [
    "EXACT",
    "NUM_CASES",
    "as_json",
    "near_misses",
    "plow",
    "random_cases",
    "sized_cases",
    "tied_case",
    "touching_cases",
]

# (w, strength, prox): computed by hand in rational arithmetic.
EXACT: tuple[tuple[list[float], float, list[float]], ...] = (
    ([1, 2], 0.5, [1.5, 1.5]),
    ([3, 1, 2], 0.25, [2.75, 1.25, 2]),
    ([0, 0, 3], 1, [0.5, 0.5, 2]),
    ([0, 1, 10, 11], 0.75, [0.75, 1.25, 9.75, 10.25]),
    ([5, -1, 0, 0, 2], 1, [4, 0, 0.25, 0.25, 1.5]),
    ([0, 1, 2, 3], 1.5, [1.5, 1.5, 1.5, 1.5]),
    ([2, 2, 2], 7, [2, 2, 2]),
    ([-3, 0, 0, 0, 4], 2, [-1, 0, 0, 0, 2]),
    ([0, 0, 0, 0, 2.5, 5], 5, [1.25] * 6),
    ([0, 1, 1, 1, 1], 1.6, [0.8] * 5),
)

NUM_CASES = {"smoke": 60, "cpu": 1000, "paper": 5000}


def random_cases(preset: str, generator: torch.Generator) -> Iterator[tuple[Tensor, float]]:
    """Yield float64 weights and strengths: random, rich in ties, bad for parallel rounds, far away.

    Args:
        preset: a key of `NUM_CASES`.
        generator: the source of randomness.

    Yields:
        (w, strength) with w (d,) float64, 1 ≤ d ≤ 120, and 0.01 ≤ strength ≤ 3.2.
    """
    for number in range(NUM_CASES[preset]):
        d = int(torch.randint(1, 121, (), generator=generator))
        uniform = float(torch.rand((), generator=generator))
        strength = 0.01 * 320.0**uniform
        w = torch.randn(d, generator=generator, dtype=torch.float64)
        if number % 4 == 1:
            w = (w * 2).round() / 2
        if number % 4 == 2 and d > 1:
            w = plow(d, strength)[torch.randperm(d, generator=generator)]
        if number % 4 == 3:
            w = w * 1e-3 + 1000
        yield w, strength


def near_misses() -> list[tuple[Tensor, float]]:
    """Return stored inputs on which wrong terms do not show.

    Nothing collides; two particles meet; pairs meet from the left; everything merges at once.

    Returns:
        Argument tuples of a prox.
    """
    inputs = [
        ([0.0, 10.0, 30.0], 0.5),
        ([1.0, 2.0], 0.5),
        ([0.0, 1.0, 10.0, 11.0], 0.75),
        ([0.0, 1.0, 2.0, 3.0], 2.5),
        ([0.0, 1.0, 2.0, 10.0], 0.25),
    ]
    return [(torch.tensor(w, dtype=torch.float64), g) for w, g in inputs]


def as_json(w: Tensor, strength: float, **more: object) -> dict[str, object]:
    """Return a failing input as JSON values that replay it exactly.

    Args:
        w: the weights.
        strength: the strength.
        **more: further JSON values.

    Returns:
        The dictionary.
    """
    return {"w": w.tolist(), "strength": strength, **more}


def tied_case(number: int, generator: torch.Generator) -> tuple[Tensor, Tensor, list[int]]:
    """Return tied weights, far from each other, and a step that pulls them apart.

    Args:
        number: picks the kind of step: normal, with ties, one-sided, or with a common part.
        generator: the source of randomness.

    Returns:
        (w, delta, masses): (d,) float64 sorted weights, (d,) float64 steps, and the masses of the
        clusters from the smallest weight on; the clusters lie so far apart that none meets another
        at three times the strength that any of them needs to re-form.
    """
    count = int(torch.randint(1, 6, (), generator=generator))
    masses = torch.randint(1, 20, (count,), generator=generator).tolist()
    d = sum(masses)
    delta = torch.randn(d, generator=generator, dtype=torch.float64)
    if number % 4 == 1:
        delta = (2 * delta).round() / 2
    if number % 4 == 2:
        delta = delta.exp()
    if number % 4 == 3:
        delta = delta + 3
    delta = (delta * 2.0**20).round() * 2.0**-20  # so that adding it to a place is exact
    # A cluster needs g of at most its steps' spread times d; it then moves by no more than 3 g.
    apart = math.ceil(16.0 * d * float(delta.max() - delta.min() + 1))
    places = torch.arange(count, dtype=torch.float64) * apart
    return places.repeat_interleave(torch.tensor(masses)), delta, masses


def touching_cases(preset: str, generator: torch.Generator) -> Iterator[tuple[Tensor, float]]:
    """Yield integer weights at strengths where blocks touch exactly, neither short nor beyond.

    Args:
        preset: a key of `NUM_CASES`.
        generator: the source of randomness.

    Yields:
        (w, strength) with w (d,) float64 integers, 2 ≤ d ≤ 65, and 2 g/(d−1) a multiple of ½, so
        that every comparison is exact in float64.
    """
    for _ in range(NUM_CASES[preset]):
        d, quarters = (
            int(torch.randint(low, high, (), generator=generator))
            for low, high in ((2, 66), (1, 5))
        )
        w = torch.randint(-d, d + 1, (d,), generator=generator).to(torch.float64)
        yield w, quarters * (d - 1) / 4


def sized_cases(
    d: int, generator: torch.Generator
) -> Iterator[tuple[dict[str, object], Tensor, float]]:
    """Yield inputs of one size: few merges, large clusters, half of the weights 0, one by one.

    Args:
        d: number of weights, ≥ 4.
        generator: the source of randomness.

    Yields:
        What it is, for a counterexample; w (d,) float64; strength.
    """
    normal = torch.randn(d, generator=generator, dtype=torch.float64)
    half = 0.02 * normal * (torch.rand(d, generator=generator) < 0.5)
    named = (
        ("normal", normal, 0.5),
        ("normal", normal, 1.5),
        ("half zero", half, 1e-3),
        ("plow", plow(d, 1.0), 1.0),
    )
    for name, w, strength in named:
        yield {"input": name, "d": d, "strength": strength}, w, strength
