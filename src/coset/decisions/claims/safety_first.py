"""Claims about safety first: its order, its triangle, and its recursion on event sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import torch

from coset.core.claims import ClaimResult, claim
from coset.decisions.axioms.sequential import test_memoryless
from coset.decisions.claims.exact_cases import LEXICOGRAPHIC, SIZES, axioms_of, exact_verdict
from coset.decisions.preferences.exact_numbers import Matrix, Vector, identity
from coset.decisions.preferences.hausner import (
    SafetyOrder,
    compose_safety,
    safety_utility,
    split_safety,
)
from coset.decisions.preferences.lottery import EventSequence, Lottery, mix
from coset.decisions.preferences.models import LexicographicModel, safety_model
from coset.decisions.preferences.outcome_utilities import LinearUtility, compare_lexicographic
from coset.decisions.preferences.random_models import all_sequences, random_fraction, random_lottery

_UNSAFE = "crash"
_SAFE = {"slow": Fraction(0), "quick": Fraction(1), "fair": Fraction(1, 2)}

Values = Mapping[Any, Any]


def by_safety(p: Lottery, q: Lottery, utility: Values) -> int:
    """Compare two lotteries by the rule of Lemma 1: α first, then the safe parts.

    Args:
        p: a lottery over the outcomes of the utility and "crash".
        q: another.
        utility: u' of the safe outcomes.

    Returns:
        +1, 0 or −1.

    Claims: decisions.C4b.
    """
    return SafetyOrder(LinearUtility(utility), frozenset([_UNSAFE]))(p, q)


def _parts_first(p: Lottery, q: Lottery, utility: Values) -> int:
    (alpha, safe), (beta, other) = split_safety(p, [_UNSAFE]), split_safety(q, [_UNSAFE])
    if safe is None or other is None:
        return by_safety(p, q, utility)
    return LinearUtility(utility)(safe, other) or compare_lexicographic((alpha,), (beta,))


def _slack(p: Lottery, q: Lottery, utility: Values) -> int:
    (alpha, safe), (beta, other) = split_safety(p, [_UNSAFE]), split_safety(q, [_UNSAFE])
    if safe is None or other is None or abs(Fraction(alpha) - Fraction(beta)) * 50 > 1:
        return by_safety(p, q, utility)
    return LinearUtility(utility)(safe, other)


def _penalty(p: Lottery, q: Lottery, utility: Values) -> int:
    penalized: dict[Any, Any] = {**utility, _UNSAFE: -1000}
    return LinearUtility(penalized)(p, q)


@claim(
    "decisions.C4b",
    title="an unsafe outcome makes the chance of safety the first level",
    statement="""Write [α, p] = (1 − α) o† + α p, p over safe outcomes. Under completeness,
        transitivity, independence and safety first (ε o† + (1 − ε) p ≺ q for all safe p, q, ε > 0):
        [α, p] ≿ [β, q] ⇔ α > β, or α = β and p ≿ q. At α = 0 every p gives the same lottery, and
        they are indifferent.""",
    hypotheses="the rule is checked to satisfy the axioms, and to be what they force, exactly",
    source=LEXICOGRAPHIC.format("Lemma 1"),
    kind="proved",
    expected="holds",
    mutants={
        "the safe parts first": _parts_first,
        "chances within 1/50 count as equal": _slack,
        "a penalty of 1,000 instead of a level": _penalty,
    },
    near_misses=lambda: [
        (
            compose_safety(Fraction(2, 3), Lottery.sure("quick"), _UNSAFE),
            compose_safety(Fraction(1, 3), Lottery.sure("slow"), _UNSAFE),
            _SAFE,
        )
    ],
)
def C4b(
    prefer: Callable[[Lottery, Lottery, Values], int] = by_safety,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C4b: the axioms, and the two comparisons that the axioms decide."""
    cases: list[str | None] = []
    number, pairs = SIZES[preset]
    for _ in range(number):
        utility = {o: random_fraction(-2, 2, generator=generator) for o in _SAFE}
        scale = LinearUtility(utility)

        def asked(x: Lottery, y: Lottery, utility: Values = utility) -> int:
            return prefer(x, y, utility)

        for _ in range(pairs // 5):
            p, q, r = (random_lottery([*_SAFE, _UNSAFE], generator=generator) for _ in range(3))
            share = Fraction(1, 1 + int(torch.randint(1, 6, (), generator=generator)))
            checks = [*axioms_of(asked, p, q, r, share), *_safety_of(asked, scale, generator)]
            cases += [None if ok else f"{name}: {p}; {q}; {r}; {utility}" for name, ok in checks]
    return exact_verdict(cases, "break an axiom, or what the axioms force")


def _safety_of(
    asked: Callable[[Lottery, Lottery], int], scale: LinearUtility, generator: torch.Generator
) -> Iterator[tuple[str, bool]]:
    p, q = (random_lottery(list(_SAFE), generator=generator) for _ in range(2))
    k = int(torch.randint(1, 61, (), generator=generator))
    risky = compose_safety(1 - Fraction(1, 2**k), p, _UNSAFE)
    yield f"safety first at 2^-{k}", asked(risky, q) == -1
    # α > β by independence from safety first: mix both sides of it with o†.
    beta = random_fraction(0, 1, generator=generator)
    less = compose_safety(beta * (1 - Fraction(1, 2**k)), p, _UNSAFE)
    more = compose_safety(beta, q, _UNSAFE)
    yield "the larger chance wins", asked(more, less) == int(beta > 0)
    equal = asked(more, compose_safety(beta, p, _UNSAFE))
    yield "among equal chances the safe parts decide", equal == (scale(q, p) if beta else 0)


def image_of(lottery: Lottery, utility: Values) -> Vector:
    """Return the two-level utility of a lottery over safe outcomes and "crash".

    Args:
        lottery: the lottery.
        utility: u' of the safe outcomes.

    Returns:
        (P(safe) − 1, P(safe) E[u' | safe]).

    Claims: decisions.C4c.
    """
    return safety_utility(utility, [_UNSAFE]).utility(lottery)


def _conditional(lottery: Lottery, utility: Values) -> Vector:
    alpha, safe = split_safety(lottery, [_UNSAFE])
    first, second = image_of(lottery, utility)
    return (first, second / Fraction(alpha) if safe is not None else second)


def _no_small_risk(lottery: Lottery, utility: Values) -> Vector:
    first, second = image_of(lottery, utility)
    return (Fraction(0) if first > -Fraction(1, 1000) else first, second)


def _penalized(lottery: Lottery, utility: Values) -> Vector:
    first, second = image_of(lottery, utility)
    return (Fraction(0), second + 1000 * first)


@claim(
    "decisions.C4c",
    title="safety first is a lexicographic utility of two levels, on a triangle",
    statement="""With u(o) = (0, u'(o)) for safe outcomes and (−1, 0) for unsafe ones, the expected
        utility is (P(safe) − 1, P(safe) E[u' | safe]); it represents the order of Lemma 1, and the
        images of all lotteries fill the triangle with apex (−1, 0) and base {0} × [min u', max u'].
        For instance ⅓ o† + ½ x + ⅙ y = [⅔, ¾ x + ¼ y].""",
    hypotheses="""finitely many safe outcomes; exact fractions; the triangle is full because the
        expectation is linear and its corners are outcomes""",
    source=LEXICOGRAPHIC.format("Theorem 5, Figure 2 and Example 2"),
    kind="proved",
    expected="holds",
    mutants={
        "the expectation given safety, not times its chance": _conditional,
        "risks below 1/1000 are dropped": _no_small_risk,
        "a penalty of 1,000 on one level": _penalized,
    },
    near_misses=lambda: [(Lottery.sure("quick"), _SAFE)],
)
def C4c(
    image: Callable[[Lottery, Values], Vector] = image_of,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C4c: the formula, the order of Lemma 1, and the triangle."""
    third = Fraction(1, 3)
    example = Lottery.of({_UNSAFE: third, "quick": third * 3 / 2, "slow": third / 2})
    parts = Lottery.of({"quick": Fraction(3, 4), "slow": Fraction(1, 4)})
    right = split_safety(example, [_UNSAFE]) == (2 * third, parts)
    cases: list[str | None] = [None if right else "example 2"]
    number, pairs = SIZES[preset]
    for _ in range(number):
        utility = {o: random_fraction(-2, 2, generator=generator) for o in _SAFE}
        for _ in range(pairs // 4):
            p, q = (random_lottery([*_SAFE, _UNSAFE], generator=generator) for _ in range(2))
            k = int(torch.randint(1, 61, (), generator=generator))
            near = mix(1 - Fraction(1, 2**k), p, q)
            checks = _image_checks(image, utility, p, near, Fraction(1, 2**k), q)
            cases += [None if ok else f"{name}: {p}; {q}; {utility}" for name, ok in checks]
    return exact_verdict(cases, "miss the formula, the order or the triangle")


def _image_checks(
    image: Callable[[Lottery, Values], Vector],
    utility: Values,
    p: Lottery,
    near: Lottery,
    share: Fraction,
    q: Lottery,
) -> Iterator[tuple[str, bool]]:
    at_p, at_q, between = image(p, utility), image(q, utility), image(near, utility)
    mixed = tuple((1 - share) * x + share * y for x, y in zip(at_p, at_q, strict=True))
    earned = sum((w * utility[o] for o, w in p.items() if o != _UNSAFE), Fraction(0))
    yield "the formula", between == mixed and at_p == (-p.probability(_UNSAFE), earned)
    answer = (at_p > between) - (at_p < between)
    yield "the order", answer == by_safety(p, near, utility)
    low, high = min(utility.values()), max(utility.values())
    first, second = at_p
    yield "the triangle", first >= -1 and (1 + first) * low <= second <= (1 + first) * high


Rewards = Mapping[str, Fraction]
# In each model: two events, the safe end "s", and "x", which must not happen.
_EVENTS = "absx"


def safety_value(reward: Rewards, discount: Rewards, sequence: EventSequence) -> Vector:
    """Return u of a sequence over a, b, the safe end s and the unsafe event x.

    Args:
        reward: r of a, b and s.
        discount: γ of a and b.
        sequence: the events.

    Returns:
        Two numbers, by r(e) = (0, r), Γ(e) = [[1, 0], [r, γ]]; (0, r) at the end; (−1, 0) at x.

    Claims: decisions.C7.
    """
    return safety_model(reward, discount, ["x"], ["s"]).utility(sequence)


def _with_changed(
    reward: Rewards, discount: Rewards, change: Callable[[str, Matrix], Matrix]
) -> LexicographicModel:
    model = safety_model(reward, discount, ["x"], ["s"])
    changed = {e: change(e, model.matrix(e)) for e in model.events}
    return LexicographicModel(model.reward, changed)


def _keeps_earnings(reward: Rewards, discount: Rewards, sequence: EventSequence) -> Vector:
    def diagonal(event: str, rows: Matrix) -> Matrix:
        return (rows[0], (Fraction(0), rows[1][1]))

    return _with_changed(reward, discount, diagonal).utility(sequence)


def _discounted_safety(reward: Rewards, discount: Rewards, sequence: EventSequence) -> Vector:
    def discounted(event: str, rows: Matrix) -> Matrix:
        return ((rows[1][1], Fraction(0)), rows[1])

    return _with_changed(reward, discount, discounted).utility(sequence)


def _goes_on(reward: Rewards, discount: Rewards, sequence: EventSequence) -> Vector:
    def on(event: str, rows: Matrix) -> Matrix:
        return identity(2) if event == "s" else rows

    return _with_changed(reward, discount, on).utility(sequence)


_REWARD = {"a": Fraction(2), "b": Fraction(1), "s": Fraction(3)}
_DISCOUNT = {"a": Fraction(9, 10), "b": Fraction(1, 2)}


@claim(
    "decisions.C7",
    title="safety first, step by step",
    statement="""Safety first with memorylessness is u(ε) = 0 and u(e∘τ) = (0, r(e)) if e ends
        safely, (−1, 0) if e is unsafe, (u₁(τ), (1 + u₁(τ)) r(e) + γ(e) u₂(τ)) otherwise: r(e) =
        (0, r(e)), Γ(e) = [[1, 0], [r(e), γ(e)]]. Trajectories that end unsafe earn nothing. With
        a (r = 2, γ = 0.9), b (1, 0.5), the end s (3) and x unsafe: u(ab) = (0, 29/10),
        u(abs) = (0, 17/4), u(abx) = (−1, 0), u(as) = (0, 47/10), u(sx) = (0, 3), and
        ⅔ abs + ⅓ abx is worth (−⅓, 17/6).""",
    hypotheses="γ > 0; all sequences of up to four events; exact fractions",
    source=LEXICOGRAPHIC.format("Theorem 6"),
    kind="proved",
    expected="holds",
    mutants={
        "unsafe trajectories keep what they earned": _keeps_earnings,
        "the chance of safety is discounted": _discounted_safety,
        "events count after the safe end": _goes_on,
    },
    near_misses=lambda: [(_REWARD, _DISCOUNT, EventSequence.of("a", "b", "b"))],
)
def C7(
    value: Callable[[Rewards, Rewards, EventSequence], Vector] = safety_value,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C7: the exact sequences, what trajectories earn, and the axioms."""
    cases: list[str | None] = [_exact_sequences(value)]
    words = all_sequences(_EVENTS, 4)
    for _ in range(max(2, SIZES[preset][0] // 5)):
        reward = {e: random_fraction(-2, 2, generator=generator) for e in "abs"}
        discount = {e: random_fraction(0, 1, generator=generator) + Fraction(1, 9) for e in "ab"}
        found = {word: value(reward, discount, word) for word in words}
        for word in words:
            right = found[word] == _earned(reward, discount, word)
            cases.append(None if right else f"{word}: {reward}, {discount}")
        memoryless = test_memoryless(safety_model(reward, discount, ["x"], ["s"])).holds
        cases.append(None if memoryless else f"not memoryless: {reward}, {discount}")
        cases += _safety_cases(found, generator)
    return exact_verdict(cases, "are worth something else, or break an axiom")


def _exact_sequences(
    value: Callable[[Rewards, Rewards, EventSequence], Vector],
) -> str | None:
    wanted: dict[str, tuple[Any, Any]] = {
        "ab": (0, Fraction(29, 10)),
        "abs": (0, Fraction(17, 4)),
        "abx": (-1, 0),
        "as": (0, Fraction(47, 10)),
        "sx": (0, 3),
    }
    for word, right in wanted.items():
        if value(_REWARD, _DISCOUNT, EventSequence(tuple(word))) != right:
            return f"the value of {word}"
    safe, unsafe = (value(_REWARD, _DISCOUNT, EventSequence.of(*w)) for w in ("abs", "abx"))
    mixed = tuple((2 * x + y) / 3 for x, y in zip(safe, unsafe, strict=True))
    return None if mixed == (Fraction(-1, 3), Fraction(17, 6)) else "the value of the lottery"


def _earned(reward: Rewards, discount: Rewards, word: EventSequence) -> Vector:
    """Add up discounted rewards until the end; an unsafe one forfeits all."""
    total, weight = Fraction(0), Fraction(1)
    for event in word.events:
        if event == "x":
            return (Fraction(-1), Fraction(0))
        total += weight * reward[event]
        if event == "s":
            break
        weight *= discount[event]
    return (Fraction(0), total)


def _safety_cases(
    found: Mapping[EventSequence, Vector], generator: torch.Generator
) -> Iterator[str | None]:
    """Check safety first on lotteries of sequences: no chance of the unsafe one is acceptable."""
    unsafe = [word for word, value in found.items() if value[0] == -1]
    safe = [word for word, value in found.items() if value[0] == 0]
    yield None if unsafe else "no sequence is unsafe"
    for _ in range(20):
        p, q = (random_lottery(safe, generator=generator) for _ in range(2))
        bad = unsafe[int(torch.randint(len(unsafe), (), generator=generator))] if unsafe else None
        k = int(torch.randint(1, 61, (), generator=generator))
        if bad is not None:
            risky = mix(Fraction(1, 2**k), Lottery.sure(bad), p)
            values = [_mean(found, x) for x in (risky, q)]
            yield None if values[0] < values[1] else f"a chance of 2^-{k} of {bad} is accepted"


def _mean(found: Mapping[EventSequence, Vector], lottery: Lottery) -> Vector:
    return tuple(lottery.expect({o: v[level] for o, v in found.items()}) for level in range(2))
