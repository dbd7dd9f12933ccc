"""Memorylessness on stated preferences: what models say is accepted, contradictions are shown."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from tests.decisions.elicit_cases import through_json

from coset.core.errors import DomainError, DtypeError
from coset.decisions.axioms.sequential_data import check_memoryless
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery, mix
from coset.decisions.preferences.models import AffineModel
from coset.decisions.preferences.random_models import (
    all_sequences,
    random_affine_model,
    random_lottery,
)

HALF = Fraction(1, 2)


def word(letters):
    return EventSequence(tuple(letters))


def answers(model, number, generator):
    """Return random comparisons of a model, and some of them after an event."""
    words = all_sequences(model.events, 2)
    told = {1: [], 0: []}
    for at in range(number):
        p, q = (random_lottery(words, max_support=3, generator=generator) for _ in range(2))
        pairs = [(p, q)]
        if at % 2:
            event = model.events[at // 2 % len(model.events)]
            pairs.append((p.prepend(event), q.prepend(event)))
        for one, two in pairs:
            answer = model.prefer(one, two)
            told[abs(answer)].append((one, two) if answer >= 0 else (two, one))
    return told[1], told[0]


def test_what_memoryless_models_say_is_accepted():
    generator = torch.Generator().manual_seed(0)
    for at in range(8):
        model = random_affine_model(2, num_terminal=at % 2, generator=generator)
        strict, even = answers(model, 12, generator)
        report = check_memoryless(strict, indifferent=even)
        assert report.holds, report.explain()
        assert set(report.evidence["events"]) <= {"a", "b"}


def test_a_reversal_is_found_with_both_dutch_books():
    model = AffineModel({"a": 1, "b": 2, "flip": 0}, {"a": 1, "b": 1, "flip": -1})
    generator = torch.Generator().manual_seed(1)
    strict, even = answers(model, 24, generator)
    report = check_memoryless(strict, indifferent=even)
    assert not report
    assert report.event == "flip"
    assert len(report.certificates) == 2
    assert all(certificate.verify() for certificate in report.certificates)
    assert any("flip" in origin for origin in report.origins[0])
    assert "flip is terminal" in report.origins[1]


def test_the_shortest_contradiction_explains_itself():
    a, b = word("a"), word("b")
    report = check_memoryless([(a, b), (b.prepend("e"), a.prepend("e"))])
    assert report.event == "e"
    text = report.explain()
    assert "e can neither keep the order of what follows it nor be terminal" in text
    assert "stated 2 without e" in text or "stated 1 after e" in text
    assert "e is terminal" in text


def test_common_parts_cancel():
    # The pair differs in sequences that begin with e only; the rest is the same on both sides.
    a, b, c = (Lottery.sure(word(x)) for x in "abc")
    left, right = mix(HALF, b.prepend("e"), c), mix(HALF, a.prepend("e"), c)
    assert not check_memoryless([(a, b), (left, right)])
    assert check_memoryless([(b, a), (left, right)])


def test_repeated_events_are_taken_off_one_by_one():
    a, b = word("a"), word("b")
    deep = (b.prepend("e").prepend("e"), a.prepend("e").prepend("e"))
    assert not check_memoryless([(a, b), deep])
    assert check_memoryless([(a, b), deep[::-1]])


def test_a_terminal_event_is_allowed():
    a, b = word("a"), word("b")
    even = [(a.prepend("end"), b.prepend("end"))]
    assert check_memoryless([(a, b)], indifferent=even).holds
    # It must then be terminal for all that follows.
    report = check_memoryless([(a, b), (word(["end", "c"]), word(["end"]))], indifferent=even)
    assert report.event == "end"


def test_data_without_any_utility_are_told_apart():
    report = check_memoryless([(word("a"), word("b")), (word("b"), word("a"))])
    assert not report
    assert report.event == ""
    assert report.reason.startswith("no utility explains")
    assert report.origins == (("stated 1", "stated 2"),)


def test_events_that_clash_only_together():
    # After e, x is better; after f, y is: each by itself can be memoryless.
    told = [(word("ex"), word("ey")), (word("fy"), word("fx"))]
    report = check_memoryless(told)
    assert not report
    assert report.event == ""
    assert report.reason == "each event can be memoryless by itself, but not all of them together"
    assert report.certificates[0].verify()
    assert "without e" in " ".join(report.origins[0])
    assert "without f" in " ".join(report.origins[0])
    # An event that may be terminal as well counts against none of the others.
    assert check_memoryless([told[0]], weak=[told[1]]).holds


def test_reports_become_json():
    report = check_memoryless([(word("a"), word("b")), (word("eb"), word("ea"))])
    found = through_json(report)
    assert found.event == "e"
    assert found.certificates[0].verify()


def test_nothing_stated_and_floats():
    assert check_memoryless().holds
    p = Lottery([word("a"), EMPTY], [0.1, 0.9])
    assert check_memoryless([(p, EMPTY)], weak=[(word("ea"), word("e"))]).holds
    assert not check_memoryless([(p, EMPTY), (word("e"), word("ea"))])


def test_other_outcomes_are_refused():
    with pytest.raises(DtypeError, match="preference 1 has the outcome 'tea'"):
        check_memoryless([("tea", "mud")])
    with pytest.raises(DtypeError, match=r"strict\[0\] must be a pair"):
        check_memoryless([1])
    with pytest.raises(DomainError):
        check_memoryless([(Lottery([EMPTY], [0.5]), EMPTY)])
