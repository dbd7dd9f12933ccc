"""Claims about preferences over event sequences: memorylessness and additivity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

import torch

from coset.core.claims import ClaimResult, claim
from coset.decisions.axioms.sequential import (
    AxiomWitness,
    test_additive,
    test_memoryless,
)
from coset.decisions.axioms.sequential_exact import trade_off_share
from coset.decisions.claims.exact_cases import LEXICOGRAPHIC, SIZES, exact_verdict
from coset.decisions.preferences.exact_numbers import Vector, apply, identity
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery, mix
from coset.decisions.preferences.models import AffineModel, EventModel, LexicographicModel
from coset.decisions.preferences.outcome_utilities import compare_lexicographic
from coset.decisions.preferences.random_models import (
    all_sequences,
    random_affine_model,
    random_lexicographic_model,
    random_lottery,
)

_UTILITY = "[paper] utility"
_HALF = Fraction(1, 2)

Recursion = Callable[[EventModel, EventSequence], Vector]


def recursive_utility(model: EventModel, sequence: EventSequence) -> Vector:
    """Return u(e∘τ) = r(e) + Γ(e) u(τ), u(ε) = 0.

    Args:
        model: r and Γ.
        sequence: the events.

    Returns:
        The utility.

    Claims: decisions.C5.
    """
    return model.utility(sequence)


def _other_order(model: EventModel, sequence: EventSequence) -> Vector:
    """Multiply the matrices of the past the other way around."""
    total, past = [Fraction(0)] * model.num_levels, identity(model.num_levels)
    for event in sequence.events:
        total = [x + y for x, y in zip(total, apply(past, model.vector(event)), strict=True)]
        matrix = model.matrix(event)
        columns = list(zip(*past, strict=True))
        past = tuple(tuple(apply(columns, row)) for row in matrix)
    return tuple(total)


def _half_when_repeated(model: EventModel, sequence: EventSequence) -> Vector:
    if not sequence.events:
        return model.utility(sequence)
    event, rest = sequence.events[0], EventSequence(sequence.events[1:])
    value = model.after(event, _half_when_repeated(model, rest))
    if event not in rest.events or not any(map(any, model.matrix(event))):
        return value
    return tuple(x - y / 2 for x, y in zip(value, model.vector(event), strict=True))


def _capped(model: EventModel, sequence: EventSequence) -> Vector:
    value = model.utility(sequence)
    return (*value[:-1], min(value[-1], Fraction(2)))


def _letters(word: str) -> EventSequence:
    return EventSequence(tuple(word))


_NEAR = LexicographicModel({"a": (1, 0), "b": (0, 1)}, {"a": 1, "b": "1/2"})


@claim(
    "decisions.C5",
    title="memoryless preferences are rewards with a multiplier for each event",
    statement="""Preferences over event sequences given by u(ε) = 0, u(e∘τ) = r(e) + Γ(e) u(τ), with
        Γ(e) lower triangular with a positive diagonal, or 0, are complete, transitive, independent
        and memoryless, and e is terminal iff Γ(e) = 0. Conversely, where the futures span all
        levels, such a recursion is memoryless only for these Γ(e). With one level: memoryless iff
        m ≥ 0, terminal iff m = 0.""",
    hypotheses="""finite lexicographic dimension; two events, all sequences of at most four events
        and exact lotteries of them, every other pair tied at its first level""",
    source=LEXICOGRAPHIC.format("Theorem 3") + f"; {_UTILITY}, abstract (one level)",
    kind="proved",
    expected="holds",
    mutants={
        "multipliers of the past in the other order": _other_order,
        "a repeated event earns half": _half_when_repeated,
        "the last level is capped": _capped,
    },
    near_misses=lambda: [(_NEAR, _letters("ab"))],
)
def C5(
    recursion: Recursion = recursive_utility, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge decisions.C5: order before and after each event, and the converse by elimination."""
    cases: list[str | None] = []
    number, pairs = SIZES[preset]
    for at in range(number):
        d = 1 + at % 3
        model = random_lexicographic_model(2, d, num_terminal=at % 2, generator=generator)
        words = all_sequences(model.events, 4)
        value = {word: recursion(model, word) for word in words}
        long = {w.prepend(e): recursion(model, w.prepend(e)) for w in words for e in model.events}
        for p, q in _tied_pairs(value, pairs // 4, generator):
            before = _compare(value, p, q)
            for event in model.events:
                after = _compare(long, p.prepend(event), q.prepend(event))
                wanted = 0 if event in model.terminal_events else before
                cases.append(None if after == wanted else f"{model}: {event}; {p}; {q}")
        cases += _converse(model, generator)
    return exact_verdict(cases, "break memorylessness, or the converse")


def _compare(value: Mapping[EventSequence, Vector], p: Lottery, q: Lottery) -> int:
    return compare_lexicographic(_expect(value, p), _expect(value, q))


def _expect(value: Mapping[EventSequence, Vector], p: Lottery) -> Vector:
    rows = [[Fraction(w) * x for x in value[o]] for o, w in p.items()]
    return tuple(sum(column, Fraction(0)) for column in zip(*rows, strict=True))


def _tied_pairs(
    value: Mapping[EventSequence, Vector], number: int, generator: torch.Generator
) -> Iterator[tuple[Lottery, Lottery]]:
    """Give pairs of lotteries, every other one mixed so that the first level cannot tell them."""
    words = list(value)
    for at in range(number):
        drawn = [random_lottery(words, max_support=3, generator=generator) for _ in range(3)]
        drawn.sort(key=lambda p: _expect(value, p)[0])
        low, middle, high = (_expect(value, p)[0] for p in drawn)
        if at % 2 and high > low:
            yield mix((middle - low) / (high - low), drawn[2], drawn[0]), drawn[1]
        else:
            yield drawn[0], drawn[1]


def _converse(model: LexicographicModel, generator: torch.Generator) -> list[str | None]:
    """Change one entry so that Γ keeps no order any more; a witness must show it."""
    d = model.num_levels
    matrix = [list(row) for row in model.matrix("a")]
    i, j = sorted(int(x) for x in torch.randint(d, (2,), generator=generator))
    matrix[i][j] = Fraction(-1) if i == j else matrix[i][j] + 1
    units = {f"unit{k}": identity(d)[k] for k in range(d)}
    changed = LexicographicModel(
        {**model.reward, **units},
        {**model.multiplier, "a": matrix, **dict.fromkeys(units, 0)},
    )
    kept, verdict = test_memoryless(model), test_memoryless(changed)
    witness = verdict.witness
    right = kept.holds and witness is not None and witness.replay(changed.prefer)
    return [None if right and not verdict.holds else f"not refuted: {changed}"]


def _between_multipliers(first: Fraction, second: Fraction) -> Fraction:
    odds = (first + second) / 2
    return odds / (1 + odds)


def _always_half(first: Fraction, second: Fraction) -> Fraction:
    return _HALF


def _at_the_edge(first: Fraction, second: Fraction) -> Fraction:
    """Take the odds at the smaller reciprocal itself where that is below 1."""
    low = 1 / max(first, second)
    return low / (1 + low) if low < 1 else trade_off_share(first, second)


@claim(
    "decisions.C6c",
    title="additive preferences have multiplier 1, and how to catch any other",
    statement="""Under additivity the multiplier is 1 at each event that is not terminal: u = Σ r.
        If m(h₁) ≠ m(h₂) and A ≻ B, then with p/(1−p) strictly between 1/m(h₁) and 1/m(h₂) the
        choice between p (h∘A) + (1−p) B and p (h∘B) + (1−p) A depends on which past h is. For
        m = 0.9 against the empty past, p = 0.52 gives +0.04 and −0.012.""",
    hypotheses="futures that are not all indifferent; exact fractions",
    source=f"{_UTILITY}, abstract; the axiom is [reconstructed], the witness [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "between the multipliers, not their reciprocals": _between_multipliers,
        "always one half": _always_half,
        "at the edge of the interval": _at_the_edge,
    },
    near_misses=lambda: [
        (Fraction(2), _HALF),
        (Fraction(2), Fraction(2, 3)),
        (Fraction(1), Fraction(9, 10)),
    ],
)
def C6c(
    share_of: Callable[[Fraction, Fraction], Fraction] = trade_off_share,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C6c: the choice after both pasts, and the exact test of additivity."""
    cases: list[str | None] = [_example()]
    for _ in range(SIZES[preset][0] * 4):
        model = random_affine_model(2, generator=generator)
        model = AffineModel({**model.reward, "x": 1}, {**model.multiplier, "x": 0})
        verdict = test_additive(model)
        ones = all(model.multiplier[e] == 1 for e in "ab")
        right = verdict.holds == ones and (ones or _replays(verdict.witness, model))
        cases.append(None if right else f"test_additive is wrong about {model}")
        first, second = (model.multiplier[e] for e in "ab")
        if first == second:
            continue
        share = share_of(first, second)
        answers = [model.prefer(*_trade(e, share)) for e in "ab"]
        opposite = sorted(answers) == [-1, 1]
        cases.append(None if opposite else f"{model}: p = {share} is answered {answers}")
    return exact_verdict(cases, "are answered alike after both pasts, or judged wrongly")


def _replays(witness: AxiomWitness | None, model: EventModel) -> bool:
    return witness is not None and witness.replay(model.prefer)


def _trade(event: str, share: Fraction) -> tuple[Lottery, Lottery]:
    better, worse = Lottery.sure(EventSequence.of("x")), Lottery.sure(EMPTY)
    later = better.prepend(event), worse.prepend(event)
    return mix(share, later[0], worse), mix(share, later[1], better)


def _example() -> str | None:
    share, m = Fraction(52, 100), Fraction(9, 10)
    differences = (share - (1 - share), share * m - (1 - share))
    return None if differences == (Fraction(4, 100), Fraction(-12, 1000)) else "the example"
