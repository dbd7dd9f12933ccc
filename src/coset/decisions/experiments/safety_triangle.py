"""Lotteries under safety first, as points of the triangle that their two-level utilities fill."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.errors import ConfigError
from coset.decisions.preferences.hausner import safety_utility, split_safety
from coset.decisions.preferences.lottery import Lottery
from coset.decisions.preferences.random_models import random_lottery
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["SafetyTriangleConfig", "safety_triangle"]

_UNSAFE = "o†"


@dataclass(frozen=True)
class SafetyTriangleConfig:
    """One run of `decisions.safety-triangle`.

    Attributes:
        best: u' of the safe outcome x, the best one.
        middle: u' of y.
        worst: u' of z, the worst one.
        num_lotteries: how many random lotteries are placed, ≥ 0.
        seed: decides the lotteries.
    """

    best: int = 3
    middle: int = 1
    worst: int = -1
    num_lotteries: int = 60
    seed: int = 0


@experiment(
    "decisions.safety-triangle",
    title="Lotteries with an unsafe outcome, in the triangle of their utilities",
    presets={
        "smoke": Preset(SafetyTriangleConfig()),
        "cpu": Preset(SafetyTriangleConfig(num_lotteries=150)),
        "paper": Preset(SafetyTriangleConfig(num_lotteries=600)),
    },
    claims=("decisions.C4b", "decisions.C4c"),
    figures=("coset.decisions.figures.triangle:hausner_triangle",),
    cost={"smoke": 0.5, "cpu": 0.5},
)
def safety_triangle(config: SafetyTriangleConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Place lotteries over x, y, z and the unsafe outcome by their exact utilities.

    Args:
        config: the settings.
        run: source of randomness.

    Yields:
        A row of kind "corner" for each outcome, then rows of kind "lottery": the paper's example
        ⅓ o† + ½ x + ⅙ y first, then random ones. All have name, first and second (the utility),
        alpha (the chance of safety), safe_value (u' if safe, ``None`` for o†) and rank, 1 for the
        best of all; equal lotteries share it.

    Raises:
        ConfigError: if the number of lotteries is negative or u' is not in decreasing order.
    """
    if config.num_lotteries < 0 or not config.best > config.middle > config.worst:
        raise ConfigError(
            f"num_lotteries must be at least 0 and best > middle > worst; given "
            f"{config.num_lotteries}, {config.best}, {config.middle}, {config.worst}"
        )
    safe = {"x": config.best, "y": config.middle, "z": config.worst}
    utility = safety_utility(safe, [_UNSAFE])
    outcomes = [*safe, _UNSAFE]
    example = Lottery([_UNSAFE, "x", "y"], [Fraction(1, 3), Fraction(1, 2), Fraction(1, 6)])
    generator = run.generator("lotteries", without=("best", "middle", "worst"))
    drawn = [random_lottery(outcomes, generator=generator) for _ in range(config.num_lotteries)]
    corners = [Lottery.sure(o) for o in outcomes]
    placed = [*corners, example, *drawn]
    ordered = sorted(placed, key=functools.cmp_to_key(utility.prefer), reverse=True)
    ranks: dict[Lottery, int] = {}
    for place, lottery in enumerate(ordered, 1):
        tied = place > 1 and utility.prefer(ordered[place - 2], lottery) == 0
        ranks[lottery] = ranks[ordered[place - 2]] if tied else place
    for number, lottery in enumerate(placed):
        alpha, kept = split_safety(lottery, [_UNSAFE])
        first, second = utility.utility(lottery)
        yield {
            "kind": "corner" if number < len(corners) else "lottery",
            "name": str(lottery),
            "first": float(first),
            "second": float(second),
            "alpha": float(alpha),
            "safe_value": None if kept is None else float(kept.expect(safe)),
            "rank": ranks[lottery],
        }
