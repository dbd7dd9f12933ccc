"""A best expectation under constraints obeys neither Independence nor Continuity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch

from coset.core.claims import ClaimResult, claim
from coset.decisions.axioms.relations import compare_constrained
from coset.decisions.axioms.violations import (
    IndependenceWitness,
    find_continuity_violation,
    find_independence_violation,
)
from coset.decisions.preferences.lottery import Lottery, mix
from coset.decisions.preferences.outcome_utilities import (
    LexicographicUtility,
    compare_lexicographic,
)

Utilities = Mapping[Any, Sequence[Any]]
Compare = Callable[[Lottery, Lottery, Utilities, Sequence[Any]], int]

HALF = Fraction(1, 2)
# The first example's outcomes, and the second's histories: (objective, constrained).
OUTCOMES: Utilities = {"o1": (4, -2), "o2": (2, 2), "o3": (0, 4)}
HISTORIES: Utilities = {"LL": (1, -1), "LR": (0, -1), "RL": (1, -1), "RR": (0, 1)}

_NUM_SAMPLES = {"smoke": 1000, "cpu": 10_000, "paper": 40_000}


def _expected(p: Lottery, utilities: Utilities) -> list[Any]:
    size = len(utilities[p.outcomes[0]])
    return [p.expect({o: u[k] for o, u in utilities.items()}) for k in range(size)]


def objective_alone(p: Lottery, q: Lottery, utilities: Utilities, bounds: Sequence[Any]) -> int:
    """Compare by the objective, the constraint forgotten."""
    first, second = _expected(p, utilities)[0], _expected(q, utilities)[0]
    return int(first > second) - int(first < second)


def constraint_first(p: Lottery, q: Lottery, utilities: Utilities, bounds: Sequence[Any]) -> int:
    """Compare lexicographically, the constrained expectations first."""
    first, second = (_expected(x, utilities) for x in (p, q))
    return compare_lexicographic([*first[1:], first[0]], [*second[1:], second[0]])


def priced(p: Lottery, q: Lottery, utilities: Utilities, bounds: Sequence[Any]) -> int:
    """Compare by the Lagrangian with the price 1 for each constraint."""
    first, second = (sum(_expected(x, utilities)) for x in (p, q))
    return int(first > second) - int(first < second)


def constrained_outcomes(
    p: Lottery, q: Lottery, utilities: Utilities, bounds: Sequence[Any]
) -> int:
    """Ask every outcome to meet the constraints, and not the expectation."""
    feasible = [
        all(x >= c for o in lottery.outcomes for x, c in zip(utilities[o][1:], bounds, strict=True))
        for lottery in (p, q)
    ]
    if feasible[0] != feasible[1]:
        return 1 if feasible[0] else -1
    return objective_alone(p, q, utilities, bounds) if feasible[0] else 0


def _lottery(*names: str) -> Lottery:
    return Lottery(names, [Fraction(1, len(names))] * len(names))


def examples() -> list[tuple[Utilities, IndependenceWitness]]:
    """Return both published breaches of Independence, with the answers that they state."""
    o1, o2, o3 = (_lottery(name) for name in ("o1", "o2", "o3"))
    risky, steady, happy = _lottery("RL", "RR"), _lottery("LL"), _lottery("RR")
    return [
        (OUTCOMES, IndependenceWitness(o1, o2, o3, HALF, -1, 1)),
        (HISTORIES, IndependenceWitness(risky, steady, happy, HALF, 1, -1)),
    ]


def _breaks_independence(
    compare: Compare, utilities: Utilities, breach: IndependenceWitness
) -> bool:
    answers = (
        compare(breach.first, breach.second, utilities, [0]),
        compare(*breach.mixtures, utilities, [0]),
    )
    return answers == (breach.before, breach.after)


def _jumps(compare: Compare) -> bool:
    """Tell whether the mixtures of o2 and o1 jump over o3: better from α = ½ on, worse below.

    From α = ½ on they are feasible with E[u₁] = 4 − 2α ≥ 2 > 0 = u₁(o3), linear in α; below they
    are not feasible. So the answers at the ends of both pieces decide all between.
    """
    o1, o2, o3 = (_lottery(name) for name in ("o1", "o2", "o3"))
    below = [Fraction(0), Fraction(1, 3), HALF - Fraction(1, 2**60)]
    above = [HALF, HALF + Fraction(1, 2**60), Fraction(2, 3), Fraction(1)]
    answers = {a: compare(mix(a, o2, o1), o3, OUTCOMES, [0]) for a in below + above}
    ordered = compare(o2, o3, OUTCOMES, [0]) > 0 and compare(o3, o1, OUTCOMES, [0]) > 0
    return ordered and all(answers[a] < 0 for a in below) and all(answers[a] > 0 for a in above)


@claim(
    "decisions.C9",
    title="constraints break Independence and Continuity",
    statement="""The order "maximize E[u₁] subject to E[u_i] ≥ c_i" breaks Independence: with
        u(o1) = (4, −2), u(o2) = (2, 2), u(o3) = (0, 4) and E[u₂] ≥ 0, o2 is better than o1, but
        ½o1 + ½o3 better than ½o2 + ½o3. It breaks Continuity: no mixture of o2 and o1 is as good
        as o3, which lies between them. So no utility gives it, scalar or lexicographic. The
        lexicographic order of the same utilities keeps Independence.""",
    hypotheses="""a lottery that meets no constraint is worse than one that does, two such lotteries
        are indifferent (ours); exact fractions""",
    source="[paper] lexicographic, section 8; the second example is from Settling the Reward "
    "Hypothesis, figure 2",
    kind="proved",
    expected="holds",
    mutants={
        "the objective alone": objective_alone,
        "the constraint as a first priority": constraint_first,
        "the constraint as a price": priced,
        "a constraint on every outcome": constrained_outcomes,
    },
    near_misses=lambda: [
        (_lottery("o2"), _lottery("o3"), OUTCOMES, [0]),
        (_lottery("o2"), _lottery("o1"), OUTCOMES, [0]),
    ],
)
def C9(
    compare: Compare = compare_constrained, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge decisions.C9: both examples, a random search that must find a breach, and a control."""

    def oracle(p: Lottery, q: Lottery) -> int:
        return compare(p, q, OUTCOMES, [0])

    for number, (utilities, breach) in enumerate(examples(), 1):
        if not _breaks_independence(compare, utilities, breach):
            return ClaimResult(
                holds=False,
                detail=f"the published example {number} breaks nothing",
                sample_size=number,
                counterexample={"example": breach.explain()},
            )
    num, names = _NUM_SAMPLES[preset], list(OUTCOMES)
    found = find_independence_violation(oracle, names, num, generator=generator)
    jump = find_continuity_violation(oracle, names, 200, generator=generator)
    lexicographic = LexicographicUtility(OUTCOMES)
    control = find_independence_violation(lexicographic, names, num, generator=generator)
    seen = {
        "a search finds a breach of Independence": found is not None and found.replay(oracle),
        "the mixtures of o2 and o1 jump over o3": _jumps(compare),
        "a search finds a jump": jump is not None and jump.replay(oracle),
        "a search finds no breach by the lexicographic order": control is None,
    }
    wrong = [name for name, right in seen.items() if not right]
    return ClaimResult(
        holds=not wrong,
        measured=float(len(wrong)),
        bound=0.0,
        detail=f"found by search: {found.explain()}" if found else "no breach was found",
        sample_size=2 * num,
        counterexample={"failed": wrong} if wrong else None,
    )
