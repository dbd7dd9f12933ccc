"""Claims about discounting: swaps of delayed futures that must be indifferent."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction

import torch

from coset.core.claims import ClaimResult, claim
from coset.decisions.axioms.sequential import (
    AxiomWitness,
    test_gamma_indifference,
    test_memoryless,
)
from coset.decisions.axioms.sequential_forms import delayed_swap
from coset.decisions.claims.exact_cases import LEXICOGRAPHIC, SIZES, exact_verdict
from coset.decisions.preferences.exact_numbers import identity
from coset.decisions.preferences.lottery import EMPTY, EventSequence
from coset.decisions.preferences.models import AffineModel, EventModel, LexicographicModel
from coset.decisions.preferences.random_models import (
    all_sequences,
    random_affine_model,
    random_fraction,
    random_lexicographic_model,
)

_BOWLING = "[paper] Settling the Reward Hypothesis (Bowling et al., 2023), Theorems 2 to 4"
_HALF = Fraction(1, 2)

GammaOf = Callable[[EventModel], tuple[Fraction | None, AxiomWitness | None]]


def common_gamma(model: EventModel) -> tuple[Fraction | None, AxiomWitness | None]:
    """Return the γ with which delayed swaps are indifferent, or the witness that there is none.

    Args:
        model: r and Γ.

    Returns:
        (γ, ``None``) or (``None``, witness).

    Claims: decisions.C6.
    """
    verdict = test_gamma_indifference(model)
    if not verdict.holds:
        return None, verdict.witness
    return Fraction(next(iter(verdict.evidence["gamma"].values()), "0")), None


def _only(model: EventModel, keep: Callable[[str, int, int], bool]) -> EventModel:
    """Return a model with γ of the first event wherever `keep` says not to look."""
    gamma = model.matrix(model.events[0])[0][0]
    changed = {
        e: [
            [x if keep(e, i, j) else gamma * (i == j) for j, x in enumerate(row)]
            for i, row in enumerate(model.matrix(e))
        ]
        for e in model.events
    }
    return LexicographicModel({e: model.vector(e) for e in model.events}, changed)


def _diagonal_only(model: EventModel) -> tuple[Fraction | None, AxiomWitness | None]:
    return common_gamma(_only(model, lambda e, i, j: i == j))


def _first_event_only(model: EventModel) -> tuple[Fraction | None, AxiomWitness | None]:
    return common_gamma(_only(model, lambda e, i, j: e == model.events[0]))


def _first_level_only(model: EventModel) -> tuple[Fraction | None, AxiomWitness | None]:
    return common_gamma(_only(model, lambda e, i, j: i == 0))


@claim(
    "decisions.C6",
    title="temporal γ-indifference is a constant discount",
    statement="""1/(γ+1) e∘τ₁ + γ/(γ+1) τ₂ ≈ 1/(γ+1) e∘τ₂ + γ/(γ+1) τ₁ for all events and futures,
        with one γ in [0, 1], iff u(e∘τ) = r(e) + γ u(τ).""",
    hypotheses="""completeness, transitivity and independence: here utilities r(e) + Γ(e) u(τ) of
        two events and one to three levels; futures that span all levels; exact fractions""",
    source=LEXICOGRAPHIC.format("Theorem 4"),
    kind="proved",
    expected="holds",
    mutants={
        "only the diagonals are looked at": _diagonal_only,
        "only the first event is looked at": _first_event_only,
        "only the first level is looked at": _first_level_only,
    },
    near_misses=lambda: [(LexicographicModel({"a": (1, 2), "b": (0, 1)}, {"a": 0.5, "b": 0.5}),)],
)
def C6(gamma_of: GammaOf = common_gamma, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge decisions.C6: all delayed swaps of short futures, for γI and for near misses of it."""
    cases: list[str | None] = []
    for at in range(SIZES[preset][0] * 2):
        d = 1 + at % 3
        gamma = random_fraction(0, 1, generator=generator)
        model = _nearly_discounted(d, gamma, at // 3 % 4, generator)
        swaps = [
            delayed_swap(e, first, second, gamma)
            for e in model.events
            for first in all_sequences(model.events, 1)[1:] + all_sequences("ab", 2)[3:]
            for second in (EMPTY, EventSequence((e,)))
        ]
        indifferent = all(model.prefer(p, q) == 0 for p, q in swaps)
        found, witness = gamma_of(model)
        if indifferent:
            right = found == gamma
        else:
            right = found is None and witness is not None and witness.replay(model.prefer)
        cases.append(None if right else f"{model}: γ = {gamma}, found {found}")
    return exact_verdict(cases, "are judged otherwise than all their swaps say")


def _nearly_discounted(
    d: int, gamma: Fraction, change: int, generator: torch.Generator
) -> LexicographicModel:
    """Return γI for both events, changed in no entry, a diagonal one, one below, or all of b."""
    drawn = random_lexicographic_model(2, d, generator=generator)
    matrices = {e: [[gamma * x for x in row] for row in identity(d)] for e in "ab"}
    if change == 1:
        matrices["b"][d - 1][d - 1] += Fraction(1, 7)
    elif change == 2:
        matrices["b"][d - 1][0] += 1
    elif change == 3:
        matrices["b"] = [[(gamma + 1) / 3 * x for x in row] for row in identity(d)]
    units = {f"unit{k}": identity(d)[k] for k in range(d)}
    reward = {e: drawn.vector(e) for e in "ab"}
    return LexicographicModel({**reward, **units}, {**matrices, **dict.fromkeys(units, gamma)})


Classes = tuple[bool, tuple[Fraction, ...] | None]


def affine_class(model: AffineModel) -> Classes:
    """Return whether a model is memoryless, and its discounts if each event has one in [0, 1].

    Args:
        model: r and m.

    Returns:
        (memoryless, discounts of the events or ``None``).

    Claims: decisions.C6b.
    """
    verdict = test_gamma_indifference(model, per_event=True)
    found = verdict.evidence["gamma"] if verdict.holds else {}
    discounts = tuple(Fraction(found[e]) for e in model.events) if found else None
    return test_memoryless(model).holds, discounts


def _bounded_by_one(model: AffineModel) -> Classes:
    memoryless, discounts = affine_class(model)
    return memoryless and max(model.multiplier.values()) <= 1, discounts


def _reversal_allowed(model: AffineModel) -> Classes:
    return True, affine_class(model)[1]


def _any_discount(model: AffineModel) -> Classes:
    memoryless, _ = affine_class(model)
    return memoryless, tuple(model.multiplier.values()) if memoryless else None


@claim(
    "decisions.C6b",
    title="a discount for each event, and why memorylessness alone bounds nothing",
    statement="""Delayed swaps are indifferent with a γ(e) in [0, 1] of each event's own iff
        u(e∘τ) = r(e) + γ(e) u(τ) with 0 ≤ γ(e) ≤ 1. Memorylessness alone asks for m(e) ≥ 0 only:
        m = 2 satisfies it and no swap with γ ≤ 1 is indifferent, so the two are not equivalent
        without a bound.""",
    hypotheses="""a linear utility: here r(e) + m(e) u(τ) of one level; futures that are not all
        indifferent; exact fractions""",
    source=_BOWLING + "; the remark on m > 1 is [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "memorylessness bounds the multiplier by 1": _bounded_by_one,
        "an event may reverse preferences": _reversal_allowed,
        "a discount may exceed 1": _any_discount,
    },
    near_misses=lambda: [(AffineModel({"a": 1, "b": 2}, {"a": "1/2", "b": "9/10"}),)],
)
def C6b(
    classify: Callable[[AffineModel], Classes] = affine_class,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C6b: every swap and every prefixed pair of short futures, at each m."""
    cases: list[str | None] = []
    for at in range(SIZES[preset][0] * 2):
        lowest, highest = ((-2, 1), (0, 1), (0, 3))[at % 3]
        multiplier = {e: random_fraction(lowest, highest, generator=generator) for e in "ab"}
        drawn = random_affine_model(2, generator=generator)
        # One certain reward, so that not all futures are indifferent.
        model = AffineModel({**drawn.reward, "c": 1}, {**multiplier, "c": _HALF})
        pairs = list(itertools.combinations(all_sequences("abc", 2), 2))
        kept = all(_keeps(model, e, pairs) for e in model.events)
        bounded = all(0 <= m <= 1 for m in model.multiplier.values())
        swapped = bounded and all(
            model.prefer(*delayed_swap(e, p, q, model.multiplier[e])) == 0
            for e in model.events
            for p, q in pairs
        )
        discounts = tuple(model.multiplier.values()) if swapped else None
        right = classify(model) == (kept, discounts)
        cases.append(None if right else f"{model}")
    return exact_verdict(cases, "are classified otherwise than all their comparisons say")


def _keeps(
    model: EventModel, event: str, pairs: Sequence[tuple[EventSequence, EventSequence]]
) -> bool:
    before = [model.prefer(p, q) for p, q in pairs]
    after = [model.prefer(p.prepend(event), q.prepend(event)) for p, q in pairs]
    return before == after or not any(after)
