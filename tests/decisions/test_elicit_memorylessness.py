"""Witnesses that an event changes the order of what follows it."""

from __future__ import annotations

from fractions import Fraction

from tests.decisions.elicit_cases import ABC, PERSON, through_json

from coset.decisions import elicit
from coset.decisions.preferences.models import AffineModel
from coset.decisions.preferences.random_models import random_affine_model


def forgetful(p, q):
    """Additive, but what follows "b" counts by its length instead."""

    def value(sequence):
        total = Fraction(0)
        for place, event in enumerate(sequence.events):
            if event == "b":
                return total + 3 * (len(sequence) - place)
            total += {"a": Fraction(1), "c": Fraction(5, 2)}[event]
        return total

    left, right = p.expect(value), q.expect(value)
    return (left > right) - (left < right)


def test_a_second_pair_reveals_a_failure_of_memorylessness():
    found = elicit.affine(forgetful, ABC, (("a",), ()), max_denominator=50, check=(("c",), ()))
    witness = found.witness
    assert witness is not None
    assert witness.event == "b"
    assert witness.replay(forgetful)
    assert not witness.replay(PERSON)
    p, q = witness.lotteries
    assert forgetful(p, q) == witness.plain != witness.after
    assert forgetful(p.prepend("b"), q.prepend("b")) == witness.after
    assert "after b" in witness.explain()
    assert through_json(found).witness.replay(forgetful)


def test_memoryless_people_are_not_accused(generator):
    for _ in range(8):
        person = random_affine_model(3, num_terminal=1, generator=generator)
        pairs = [e for e in person.events if person.reward[e] > 0]
        if len(pairs) < 2:
            continue
        found = elicit.affine(
            person, person.events, pairs[0], max_denominator=50, check=((pairs[1],), ())
        )
        assert found.witness is None


def ends_and_yet_counts(p, q):
    """After "e" only "c" counts; otherwise both "a" and "c" do."""

    def value(sequence):
        before, _, after = "".join(sequence.events).partition("e")
        return before.count("a") + 2 * before.count("c") + 3 * after.count("c")

    left, right = p.expect(value), q.expect(value)
    return (left > right) - (left < right)


def test_a_witness_accuses_nobody_for_whom_the_event_is_terminal():
    found = elicit.affine(ends_and_yet_counts, ["a", "e"], "a", max_denominator=9, check="c")
    assert found.terminal_events == ("e",)  # as far as the first pair tells
    assert found.structure() == f"not memoryless: {found.witness.explain()}"
    assert found.witness.replay(ends_and_yet_counts)
    assert found.witness.after != 0
    memoryless = AffineModel({"a": 1, "c": 2, "e": 0}, {"a": 1, "c": 1, "e": 0})
    assert not found.witness.replay(memoryless)
    unit, other = ((elicit.as_future(e), elicit.as_future(())) for e in "ac")
    assert elicit.find_reversal(elicit.Interview(memoryless), "e", unit, other) is None
    assert "\n" not in repr(found.witness)
    assert len(repr(found.witness)) < 160


def test_a_check_is_no_finer_than_the_numbers():
    person = AffineModel({"a": 1, "c": "1/3"}, {"a": "1/7", "c": "2/3"})
    for tol, most in ((0.05, 2 * 2 * 11), (1e-3, 2 * 2 * 16)):
        plain, checked = (
            elicit.affine(person, ["a", "c"], "a", tol, check=check) for check in (None, "c")
        )
        assert checked.witness is None
        assert plain.num_queries < checked.num_queries <= plain.num_queries + most + 1
