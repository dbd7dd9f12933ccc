"""Finite preferences have a utility, or a Dutch book, and never both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from coset.core.claims import ClaimResult, claim
from coset.decisions.axioms.certificate import PreferenceCertificate
from coset.decisions.axioms.checking import Report, check
from coset.decisions.axioms.explaining import explains
from coset.decisions.axioms.fourier_motzkin import utility_reference
from coset.decisions.axioms.margin_guess import guess_margin
from coset.decisions.axioms.order import transitivity
from coset.decisions.axioms.preferences import INDIFFERENT, STRICT, WEAK, Preferences
from coset.decisions.preferences.lottery import Lottery
from coset.decisions.preferences.random_models import random_lottery, random_utility

Decision = tuple[str, tuple[Fraction, ...], tuple[tuple[int, Fraction], ...]]

_NUM_CASES = {"smoke": 40, "cpu": 600, "paper": 4000}


def decide(preferences: Preferences) -> Decision:
    """Return the status, the utility's values, and the contradiction's signed weights."""
    return _decision(preferences, check(preferences))


def _decision(preferences: Preferences, report: Report) -> Decision:
    values = tuple(Fraction(u) for u in (report.utility or {}).values())
    weights = []
    book = report.certificate
    if isinstance(book, PreferenceCertificate):
        for i, p, w in zip(book.support, book.preferred, book.weights, strict=True):
            weights.append((i, Fraction(w) if p == preferences.pair(i)[0] else -Fraction(w)))
    return report.status, values, tuple(weights)


def float_threshold(preferences: Preferences) -> Decision:
    """Believe the margin that a linear program in floats reports."""
    right = decide(preferences)
    if not (preferences.relation == STRICT).any():
        return right
    guess = guess_margin(preferences)
    if guess.margin > 1e-9:
        return "representable", tuple(map(Fraction, guess.utility.tolist())), ()
    total = float(abs(guess.weights).sum())
    pairs = zip(guess.pairs.tolist(), guess.weights.tolist(), strict=True)
    return "refuted", (), tuple((i, Fraction(w / total)) for i, w in sorted(pairs))


def never_turned(preferences: Preferences) -> Decision:
    """Use indifferent pairs as they were stated, and never the other way round."""
    status, utility, weights = decide(preferences)
    return status, utility, tuple((i, abs(w)) for i, w in weights)


def circles_alone(preferences: Preferences) -> Decision:
    """Look for circles of preferences, and for nothing else."""
    if not transitivity(preferences):
        return decide(preferences)
    literal = utility_reference(preferences) or dict.fromkeys(preferences.outcomes, Fraction(0))
    right = decide(preferences)
    return right if right[0] == "representable" else ("representable", tuple(literal.values()), ())


def weak_forgotten(preferences: Preferences) -> Decision:
    """Leave the weak preferences out."""
    kept: dict[int, list[Any]] = {STRICT: [], INDIFFERENT: []}
    for i in np.flatnonzero(preferences.relation != WEAK).tolist():
        kept[int(preferences.relation[i])].append(preferences.pair(i)[:2])
    names = preferences.outcomes
    return decide(Preferences.from_pairs(kept[STRICT], (), kept[INDIFFERENT], names))


def allais() -> tuple[Preferences, Preferences]:
    """Return both patterns of answers to Allais's questions: the usual one, and the other."""
    weights = [(0, 100, 0), (1, 89, 10), (89, 11, 0), (90, 0, 10)]
    a, b, c, d = (
        Lottery(["nothing", "1M", "5M"], [Fraction(w, 100) for w in row]) for row in weights
    )
    return Preferences.from_pairs([(a, b), (d, c)]), Preferences.from_pairs([(a, b), (c, d)])


def near_priority(epsilon: Fraction) -> Preferences:
    """Return preferences whose largest margin is ε: good ≻ mild ≻ (1 − ε) good + ε dead."""
    risk = Lottery.of({"good": 1 - epsilon, "dead": epsilon})
    return Preferences.from_pairs(
        [("good", "mild"), ("mild", risk)], outcomes=["dead", "mild", "good"]
    )


def circle() -> Preferences:
    """Return three preferences in a circle."""
    return Preferences.from_pairs([("a", "b"), ("b", "c"), ("c", "a")])


def random_preferences(generator: torch.Generator, flips: float = 0.15) -> Preferences:
    """Return a few preferences over four outcomes, mostly those of a utility, some turned round."""
    names = range(4)
    utility = random_utility(4, 1, generator=generator)
    kinds: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for _ in range(int(torch.randint(3, 8, (), generator=generator))):
        p, q = (random_lottery(names, denominator=6, generator=generator) for _ in range(2))
        answer = utility.prefer(p, q)
        draw = torch.rand(2, generator=generator).tolist()
        if draw[0] < flips:
            answer = -answer
        kinds[2 if answer == 0 else int(draw[1] < 0.25)].append((p, q) if answer >= 0 else (q, p))
    return Preferences.from_pairs(*kinds, outcomes=names)


def _cases(preset: str, generator: torch.Generator) -> Iterator[Preferences]:
    yield from allais()
    yield circle()
    yield Preferences.from_pairs()
    yield Preferences.from_pairs([("a", "a")])
    yield Preferences.from_pairs([("a", "b")], [("b", "c")], [("a", "c")])
    yield Preferences.from_pairs(
        [("a", {"b": Fraction(1, 3), "c": Fraction(2, 3)})], indifferent=[("b", "a"), ("a", "c")]
    )
    for exponent in (3, 20, 60):
        yield near_priority(Fraction(1, 2**exponent))
    for _ in range(_NUM_CASES[preset]):
        yield random_preferences(generator)


def _is_right(preferences: Preferences, decision: Decision) -> bool:
    """Check a decision literally, and against elimination."""
    status, utility, weights = decision
    if (status == "representable") != (utility_reference(preferences) is not None):
        return False
    if status == "representable":
        named = dict(zip(preferences.outcomes, utility, strict=True))
        return bool(explains(preferences, named))
    return _is_book(preferences, weights)


def _is_book(preferences: Preferences, weights: tuple[tuple[int, Fraction], ...]) -> bool:
    total: dict[Any, Fraction] = {}
    strict = Fraction(0)
    for i, w in weights:
        p, q, relation = preferences.pair(i)
        if w < 0 and relation != "indifferent":
            return False
        strict += w if relation == "strict" else 0
        for sign, lottery in ((w, p), (-w, q)):
            for outcome, probability in lottery.items():
                total[outcome] = total.get(outcome, Fraction(0)) + sign * Fraction(probability)
    return strict > 0 and not any(total.values())


def stated(preferences: Preferences) -> dict[str, Any]:
    """Return preferences in words, as JSON values."""
    pairs = [preferences.pair(i) for i in range(preferences.num_pairs)]
    return {"preferences": [f"{p} {relation} {q}" for p, q, relation in pairs]}


@claim(
    "decisions.C1b",
    title="a utility, or a Dutch book, and never both",
    statement="""Finitely many preferences p ≻ q, p ≿ q, p ≈ q have a linear utility iff no weights
        λ ≥ 0, μ ≥ 0, ν, with λ ≠ 0, give Σ λ d + Σ μ d + Σ ν d = 0, d = p − q: then the compound
        lotteries Σ w p and Σ w q are the same, though Independence puts one before the other.""",
    hypotheses="finitely many outcomes and preferences, rational probabilities; checked exactly",
    source="[paper] utility, the axioms; the alternative is Motzkin's",
    kind="proved",
    expected="holds",
    mutants={
        "a float threshold instead of the exact check": float_threshold,
        "indifferent pairs are never turned round": never_turned,
        "only circles are looked for": circles_alone,
        "weak preferences are left out": weak_forgotten,
    },
    near_misses=lambda: [(allais()[1],), (circle(),), (near_priority(Fraction(1, 4)),)],
)
def C1b(
    decided: Callable[[Preferences], Decision] = decide,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C1b: each decision is proved literally, and agrees with elimination."""
    wrong, first, counts = 0, None, {"representable": 0, "refuted": 0}
    for preferences in _cases(preset, generator):
        decision = decided(preferences)
        counts[decision[0]] += 1
        if not _is_right(preferences, decision):
            wrong += 1
            first = first or stated(preferences)
    return ClaimResult(
        holds=wrong == 0,
        measured=float(wrong),
        bound=0.0,
        detail=f"{wrong} wrong decisions; {counts['representable']} lists of preferences have a "
        f"utility, {counts['refuted']} a Dutch book",
        sample_size=sum(counts.values()),
        counterexample=first,
        evidence=counts,
    )
