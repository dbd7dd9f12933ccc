"""A constraint in place of a priority: mixing both sides alike turns the preference around."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.errors import ConfigError
from coset.decisions.axioms.relations import constrained_relation
from coset.decisions.preferences.lottery import Lottery
from coset.decisions.preferences.outcome_utilities import LexicographicUtility
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["ConstraintConfig", "constraint"]


@dataclass(frozen=True)
class ConstraintConfig:
    """One run of `decisions.constraint`: to maximize E[u₁] subject to E[u₂] ≥ bound.

    Attributes:
        first: (u₁, u₂) of the outcome that alone breaks the constraint.
        second: of the one that it is compared with.
        third: of the one that is mixed into both.
        bound: the constraint.
        num_shares: how many shares of the third are tried, from none to nearly all.
    """

    first: tuple[int, int] = (4, -2)
    second: tuple[int, int] = (2, 2)
    third: tuple[int, int] = (0, 4)
    bound: int = 0
    num_shares: int = 24


@experiment(
    "decisions.constraint",
    title="Does a constraint keep the order when both sides are mixed alike?",
    presets={
        "smoke": Preset(ConstraintConfig()),
        "cpu": Preset(ConstraintConfig(num_shares=120)),
        "paper": Preset(ConstraintConfig(num_shares=1200)),
    },
    figures=("coset.decisions.figures:independence_reversal",),
)
def constraint(config: ConstraintConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Mix a third outcome into both sides of a comparison, in exact numbers.

    Args:
        config: the settings.
        run: not used; nothing is drawn at random.

    Yields:
        Three rows of kind "outcome": outcome, u_1, u_2. For each share of the third outcome a row
        of kind "mixture": share, of A (with the first) and B (with the second) a_1, a_2, b_1, b_2
        and whether they meet the constraint, a_feasible and b_feasible; constrained and
        lexicographic: +1 if A is better, −1 if B is (lexicographic: u₂ first, then u₁). All carry
        bound.

    Raises:
        ConfigError: if there are not at least two shares.

    Claims: decisions.C9.
    """
    del run
    if not 2 <= config.num_shares <= 100_000:
        raise ConfigError(f"num_shares must be 2 to 100,000; given {config.num_shares}")
    utilities: dict[Hashable, tuple[int, int]] = {
        "o1": config.first,
        "o2": config.second,
        "o3": config.third,
    }
    for name, (u1, u2) in utilities.items():
        yield {"kind": "outcome", "bound": config.bound, "outcome": name, "u_1": u1, "u_2": u2}
    prefer = constrained_relation(utilities, [config.bound])
    ordered = LexicographicUtility({name: (u2, u1) for name, (u1, u2) in utilities.items()})
    for step in range(config.num_shares):
        share = Fraction(step, config.num_shares)
        sides = [Lottery.of({name: 1 - share, "o3": share}) for name in ("o1", "o2")]
        means = [
            [float(side.expect({o: u[i] for o, u in utilities.items()})) for i in range(2)]
            for side in sides
        ]
        yield {
            "kind": "mixture",
            "bound": config.bound,
            "share": float(share),
            "a_1": means[0][0],
            "a_2": means[0][1],
            "b_1": means[1][0],
            "b_2": means[1][1],
            "a_feasible": prefer.is_feasible(sides[0]),
            "b_feasible": prefer.is_feasible(sides[1]),
            "constrained": prefer(*sides),
            "lexicographic": ordered.prefer(*sides),
        }
