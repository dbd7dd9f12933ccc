"""Finitely many preferences never need priorities: one number does, if extreme enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch

from coset.core.claims import ClaimResult, claim
from coset.decisions.axioms.checking import check
from coset.decisions.axioms.explaining import explains
from coset.decisions.axioms.preferences import INDIFFERENT, STRICT, Preferences
from coset.decisions.axioms.scalarization import scalar_weight, scalarize
from coset.decisions.claims.representability import near_priority, stated
from coset.decisions.preferences.random_models import random_lottery, random_utility

Levels = Mapping[Any, Sequence[Any]]
Scalar = Callable[[Preferences, Levels], Mapping[Any, Fraction]]

_NUM_CASES = {"smoke": 30, "cpu": 300, "paper": 2000}


def _weighted(preferences: Preferences, levels: Levels, weight: Fraction) -> dict[Any, Fraction]:
    return {
        o: sum((weight**k * Fraction(x) for k, x in enumerate(levels[o])), Fraction())
        for o in preferences.outcomes
    }


def first_alone(preferences: Preferences, levels: Levels) -> dict[Any, Fraction]:
    """Choose the weight that does for the first preference."""
    p, q, _ = preferences.pair(0)
    strict = [(p, q)] if preferences.relation[0] == STRICT else []
    first = Preferences.from_pairs(strict, outcomes=preferences.outcomes)
    return _weighted(preferences, levels, scalar_weight(first, levels))


def next_level(preferences: Preferences, levels: Levels) -> dict[Any, Fraction]:
    """Let the level after the first difference alone count, and none after it."""
    least = Fraction(1)
    for i in range(preferences.num_pairs):
        p, q, _ = preferences.pair(i)
        size = len(levels[p.outcomes[0]])
        tables = [{o: Fraction(levels[o][k]) for o in levels} for k in range(size)]
        parts = [p.expect(table) - q.expect(table) for table in tables]
        place = next((k for k, part in enumerate(parts) if part), size - 1)
        if parts[place] > 0 and place + 1 < size:
            least = min(least, parts[place] / (parts[place] + abs(parts[place + 1])))
    return _weighted(preferences, levels, least / 2)


def fixed_weight(preferences: Preferences, levels: Levels) -> dict[Any, Fraction]:
    """Take 1/8 for every list of preferences."""
    return _weighted(preferences, levels, Fraction(1, 8))


def two_levels() -> tuple[Preferences, Levels]:
    """Return two preferences of which the first needs ε < 1/4."""
    data = Preferences.from_pairs([("safe", "fast"), ("fast", "slow")])
    return data, {"safe": (1, 0), "fast": (0, 3), "slow": (0, 0)}


def three_levels() -> tuple[Preferences, Levels]:
    """Return preferences in which the third level could outweigh the first."""
    data = Preferences.from_pairs([("safe", "fast"), ("fast", "slow")])
    return data, {"safe": (1, 0, 0), "fast": (0, 0, 99), "slow": (0, 0, 0)}


def _cases(preset: str, generator: torch.Generator) -> Iterator[tuple[Preferences, Levels]]:
    yield two_levels()
    yield three_levels()
    for number in range(_NUM_CASES[preset]):
        utility = random_utility(5, 2 + number % 3, generator=generator)
        kinds: dict[int, list[Any]] = {STRICT: [], INDIFFERENT: []}
        for _ in range(12):
            p, q = (random_lottery(range(5), generator=generator) for _ in range(2))
            answer = utility.prefer(p, q)
            kind = STRICT if answer else INDIFFERENT
            kinds[kind].append((p, q) if answer >= 0 else (q, p))
        data = Preferences.from_pairs(kinds[STRICT], (), kinds[INDIFFERENT], range(5))
        yield data, utility.utility_of


@claim(
    "decisions.C3",
    title="finite preferences never need a lexicographic utility",
    statement="""If a lexicographic utility u explains finitely many preferences, then so does the
        number Σ_k ε^(k−1) u_k for all small ε > 0. What shows the priority is the margin: of
        good ≻ mild ≻ (1 − ε) good + ε dead it is exactly ε, for a utility in [−1, 1].""",
    hypotheses="""finitely many outcomes and preferences, exact probabilities; margins down to 2⁻⁶⁰.
        In floats a margin below 1e-8 is called ambiguous""",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "a weight that does for the first preference": first_alone,
        "only the level after the first difference counts": next_level,
        "one weight for all data": fixed_weight,
    },
    near_misses=lambda: [two_levels()],
)
def C3(scalar: Scalar = scalarize, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge decisions.C3: the number explains the data exactly, and margins are what they are."""
    failures: list[dict[str, Any]] = []
    cases, least = 0, Fraction(2)
    for preferences, levels in _cases(preset, generator):
        report, cases = check(preferences), cases + 1
        least = min(least, Fraction(report.margin or 2))
        if not report or not explains(preferences, scalar(preferences, levels)):
            failures.append(stated(preferences))
    for exponent in (1, 3, 6, 12):
        for epsilon in (Fraction(1, 10**exponent), Fraction(1, 2 ** (5 * exponent))):
            report, cases = check(near_priority(epsilon)), cases + 1
            values = list((report.utility or {}).values())
            if report.margin != epsilon or values != [-1, 1 - epsilon, 1]:
                failures.append({"epsilon": str(epsilon)})
    return ClaimResult(
        holds=not failures,
        measured=float(len(failures)),
        bound=0.0,
        detail=f"{len(failures)} lists of preferences that no such number explains, or whose "
        f"margin is another; the least margin of random ones is {float(least):.3g}",
        sample_size=cases,
        counterexample=failures[0] if failures else None,
    )
