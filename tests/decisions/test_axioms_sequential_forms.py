"""Witnesses against sequential axioms: what is none is refused, also where it was changed."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from coset.core.errors import DomainError, DtypeError
from coset.core.results import Record
from coset.decisions.axioms.sequential import AxiomWitness
from coset.decisions.axioms.sequential import test_additive as check_additive
from coset.decisions.axioms.sequential import test_gamma_indifference as check_gamma
from coset.decisions.axioms.sequential import test_memoryless as check_memoryless
from coset.decisions.axioms.sequential import test_path_independent as check_paths
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery, mix
from coset.decisions.preferences.models import AffineModel, LexicographicModel

HALF = Fraction(1, 2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_witness_must_break_its_axiom():
    p, q = Lottery.sure(EMPTY), Lottery.sure(EventSequence.of("a"))
    pair = ((p, q), (p.prepend("a"), q.prepend("a")))
    for answers in ((1, 1), (1,), (1, -2), (float("nan"), 1)):
        with pytest.raises(DomainError, match=r"one answer, \+1, 0 or −1, for each"):
            AxiomWitness("memorylessness", pair, answers, "a")
    with pytest.raises(DomainError, match="an axiom is one of"):
        AxiomWitness("tidiness", pair, (1, -1))
    witness = AxiomWitness("memorylessness", pair, (1, -1), "a")
    assert repr(witness) == "AxiomWitness(memorylessness at a: 2 comparisons)"
    stored = witness.to_json()
    for wrong, message in (
        ([[[["a"]], []]], "a stored lottery must be a list"),
        ([5], "a comparison is a pair of lotteries; given 5"),
        ([[1, 2, 3]], "a comparison is a pair"),
    ):
        stored["fields"]["comparisons"] = wrong
        with pytest.raises(DomainError, match=message):
            Record.from_json(stored)
    with pytest.raises(DtypeError, match="over event sequences; given tea"):
        AxiomWitness("memorylessness", [[Lottery.sure("tea")] * 2], (1,), "a")


def tampered(witness):
    """Return the fields of a witness with one comparison, or the event, replaced."""
    comparisons, other = witness.comparisons, Lottery.sure(EventSequence.of("c", "a"))
    for i, (p, q) in enumerate(comparisons):
        yield (*comparisons[:i], (other, q), *comparisons[i + 1 :]), witness.event
        yield (*comparisons[:i], (mix(HALF, p, other), q), *comparisons[i + 1 :]), witness.event
        yield (*comparisons[:i], *comparisons[i + 1 :]), witness.event
    yield (*comparisons, comparisons[0]), witness.event
    yield (), witness.event
    yield comparisons, "b" if witness.event == "a" else "a"


def test_comparisons_that_do_not_test_the_axiom_are_no_witness():
    # Unrelated comparisons may be answered as if they broke it, by people who keep it.
    model = AffineModel({"a": 1, "b": 2}, {"a": "1/2", "b": -1})
    two = AffineModel({"a": 1, "b": 2}, {"a": "1/2", "b": "1/3"})
    flat = LexicographicModel({"a": (1, 0), "b": (0, 1)}, {"a": [[1, 0], [0, 0]], "b": 1})
    found = [check_memoryless(model), check_memoryless(flat), check_additive(two)]
    found += [check_gamma(two), check_gamma(two, HALF), check_gamma(model.prefer, events=["b"])]
    found += [check_gamma(two.prefer, events=["a", "b"], generator=seeded())]
    axioms = {verdict.witness.axiom for verdict in found}
    assert axioms == {"memorylessness", "additivity", "gamma-indifference", "one gamma"}
    for verdict in found:
        witness = verdict.witness
        for comparisons, event in tampered(witness):
            answers = [*witness.answers, 1][: len(comparisons)]
            with pytest.raises(DomainError, match="must be those of the axiom"):
                AxiomWitness(witness.axiom, comparisons, answers, event)
    path = check_paths(AffineModel({"a": 1}, {"a": 1})).witness
    half = mix(HALF, *path.comparisons[0])
    with pytest.raises(DomainError, match="must be those of the axiom"):
        AxiomWitness("path independence", [(half, path.comparisons[0][1])], path.answers)


def test_a_longer_past_and_merged_futures_are_recognized():
    # e∘τ₁ = τ₂: the two sides of the swap share an outcome; so do A, C and what follows e.
    model = AffineModel({"a": 1}, {"a": 2})
    swap = check_gamma(model, HALF).witness
    assert swap.replay(model)
    a, b, c = (EventSequence(("a",) * n) for n in (1, 2, 3))
    share = Fraction(1, 3)
    past = Lottery.of({a: HALF, b: HALF}), Lottery.sure(EMPTY)
    rest = Lottery.of({b: HALF, c: HALF}), Lottery.of({EMPTY: share, c: 1 - share})
    now = [mix(share, p, q) for p, q in zip(past, rest, strict=True)]
    later = [mix(share, p.prepend("a"), q) for p, q in zip(past, rest, strict=True)]
    alive = (Lottery.sure(a), Lottery.sure(b))
    found = AxiomWitness("additivity", (tuple(later), tuple(now), alive), (1, -1, -1), "a")
    assert found.event == "a"
    now[0] = mix(HALF, past[0], rest[0])
    with pytest.raises(DomainError, match="must be those of the axiom"):
        AxiomWitness("additivity", (tuple(later), tuple(now), alive), (1, -1, -1), "a")
