"""Representable, refuted, ambiguous: the verdicts on preferences and what proves them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from tests.decisions.axiom_cases import A, B, C, D, floats, money
from tests.decisions.elicit_cases import through_json

from coset.core.errors import DomainError
from coset.decisions.axioms.certificate import PreferenceCertificate
from coset.decisions.axioms.checking import Report, check
from coset.decisions.axioms.exact_simplex import Hint, largest_margin
from coset.decisions.axioms.explaining import explains
from coset.decisions.axioms.fourier_motzkin import utility_reference
from coset.decisions.axioms.margin_guess import guess_margin
from coset.decisions.axioms.preferences import Preferences
from coset.decisions.errors import PreferenceContradictionError, UndecidedError
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery

F = Fraction


def random_data(seed, num_outcomes=4, num_pairs=6, flips=0.2):
    """Return pairs by kind, mostly from a utility with few values, some turned round."""
    rng = np.random.default_rng(seed)
    names = [f"o{j}" for j in range(num_outcomes)]
    utility = rng.integers(0, 4, num_outcomes).tolist()
    kinds = ([], [], [])
    for _ in range(num_pairs):
        p, q = (
            Lottery(
                names, [F(int(w), 6) for w in rng.multinomial(6, [1 / num_outcomes] * num_outcomes)]
            )
            for _ in range(2)
        )
        gap = sum(
            (p.probability(o) - q.probability(o)) * u for o, u in zip(names, utility, strict=True)
        )
        if rng.random() < flips:
            gap = -gap
        pair = (p, q) if gap >= 0 else (q, p)
        kinds[2 if gap == 0 else int(rng.random() < 0.25)].append(pair)
    return kinds


def test_allais_is_refuted_by_two_preferences():
    report = check(strict=[(A, B), (D, C)])
    assert report.status == "refuted"
    assert not report
    assert report.named == "independence violation"
    book = report.certificate
    assert book.weights == (F(1, 2), F(1, 2))
    assert book.support == (0, 1)
    assert book.P == book.Q == money("9/20", "1/2", "1/20")
    assert book.verify()
    assert book.residual == 0
    assert report.margin == 0
    assert report.exact
    with pytest.raises(PreferenceContradictionError, match="Independence") as caught:
        report.throw()
    assert caught.value.certificate is book


def test_the_other_answers_to_allais_have_a_utility():
    report = check(strict=[(A, B), (C, D)])
    assert report.status == "representable"
    assert report.throw() is report
    assert report.margin == F(11, 50)
    assert report.resolution == F(100, 11)
    assert explains(Preferences.from_pairs([(A, B), (C, D)]), report.utility)
    assert report.certificate.verify()
    assert report.certificate.bound == F(11, 50)


def test_a_circle_of_three():
    book = check(strict=[("a", "b"), ("b", "c"), ("c", "a")]).certificate
    assert book.weights == (F(1, 3),) * 3
    assert book.name == "transitivity cycle"
    assert book.P == book.Q


@pytest.mark.parametrize("epsilon", [F(1, 10), F(1, 1000), F(1, 10**6), F(1, 10**12), F(1, 2**60)])
def test_the_margin_of_a_near_priority_is_epsilon(epsilon):
    risk = {"good": 1 - epsilon, "dead": epsilon}
    report = check([("good", "mild"), ("mild", risk)], outcomes=["dead", "mild", "good"])
    assert report.margin == epsilon
    assert list(report.utility.values()) == [-1, 1 - epsilon, 1]
    assert report.resolution == 2 / epsilon
    u = report.utility
    ratio = (u["mild"] - u["dead"]) / (u["good"] - u["mild"])
    assert ratio == (2 - epsilon) / epsilon > (1 - epsilon) / epsilon
    assert report.certificate.verify()


def test_nothing_at_all_and_nothing_strict():
    empty = check()
    assert empty.status == "representable"
    assert empty.margin is None
    assert empty.utility == {}
    assert set(check(outcomes=["a", "b"]).utility.values()) == {0}
    lax = check(weak=[("a", "b"), ("b", "a")], indifferent=[("b", "c")])
    assert set(lax.utility.values()) == {0}


def test_one_outcome_has_no_strict_preference():
    report = check(strict=[("a", "a")])
    assert report.named == "self-preference"
    assert report.certificate.weights == (1,)


@pytest.mark.parametrize(
    ("kinds", "name", "size"),
    [
        (([("a", "b"), ("b", "a")], [], []), "weak-order violation", 2),
        (([("a", "b")], [("b", "a")], []), "weak-order violation", 2),
        (([("a", "b")], [], [("a", "b")]), "indifference clash", 2),
        (([("a", "b")], [], [("b", "a")]), "indifference clash", 2),
        (([("a", "b")], [("b", "c")], [("a", "c")]), "transitivity cycle", 3),
        (([(A, B)], [(D, C)], []), "independence violation", 2),
        (([(A, B)], [], [(C, D)]), "independence violation", 2),
        (([("a", {"b": F(1, 2), "c": F(1, 2)}), ("b", "a"), ("c", "a")], [], []), "Dutch book", 3),
        (([("a", {"b": F(1, 3), "c": F(2, 3)})], [], [("b", "a"), ("c", "a")]), "Dutch book", 3),
    ],
)
def test_each_kind_of_contradiction_has_a_name_and_a_proof(kinds, name, size):
    report = check(*kinds)
    assert report.named == name
    assert len(report.certificate.support) == size
    assert report.certificate.verify()
    assert report.certificate.belongs_to(Preferences.from_pairs(*kinds))
    assert sum(report.certificate.weights) == 1


def test_every_preference_of_a_contradiction_is_needed():
    refuted = 0
    for seed in range(60):
        kinds = random_data(seed, num_outcomes=5, num_pairs=9)
        report = check(*kinds)
        if report.status != "refuted":
            continue
        refuted += 1
        data = Preferences.from_pairs(*kinds)
        used = [data.pair(i) for i in report.certificate.support]
        assert check_triples(used).status == "refuted"
        for left_out in range(len(used)):
            rest = used[:left_out] + used[left_out + 1 :]
            assert check_triples(rest).status == "representable"
    assert refuted > 20


def check_triples(triples):
    kinds = [[(p, q) for p, q, r in triples if r == k] for k in ("strict", "weak", "indifferent")]
    return check(*kinds)


def test_verdicts_agree_with_fourier_and_motzkin():
    seen = {"representable": 0, "refuted": 0}
    for seed in range(150):
        kinds = random_data(seed)
        data = Preferences.from_pairs(*kinds)
        report, literal = check(data), utility_reference(data)
        assert (report.status == "representable") == (literal is not None)
        seen[report.status] += 1
        if literal is not None:
            assert explains(data, literal)
            assert explains(data, report.utility)
        else:
            assert report.certificate.verify()
            assert report.certificate.belongs_to(data)
    assert min(seen.values()) > 30


def test_the_order_of_the_outcomes_does_not_matter():
    for seed in range(40):
        kinds = random_data(seed, num_outcomes=5, num_pairs=9, flips=0.1)
        names = [f"o{j}" for j in np.random.default_rng(seed).permutation(5)]
        report, turned = check(*kinds), check(*kinds, outcomes=names)
        assert report.status == turned.status
        assert report.margin == turned.margin
        assert turned.certificate is None or turned.certificate.verify()
        data = Preferences.from_pairs(*kinds, outcomes=names)
        for i in range(data.num_pairs):
            p, q, _ = data.pair(i)
            columns, numerators, scale = data.rows.integers(i)
            exact = {names[j]: F(v, scale) for j, v in zip(columns, numerators, strict=True)}
            gaps = {o: p.probability(o) - q.probability(o) for o in names}
            assert exact == {o: gap for o, gap in gaps.items() if gap}
            assert data.differences[[i]].toarray()[0] == pytest.approx(
                [float(gaps[o]) for o in names], abs=1e-15
            )


def test_the_margin_is_the_largest_with_and_without_a_guess():
    for seed in range(60):
        data = Preferences.from_pairs(*random_data(seed, num_outcomes=5, num_pairs=8, flips=0.05))
        if not (data.relation == 0).any():
            continue
        guess = guess_margin(data)
        bare = largest_margin(data)
        assert float(bare.margin) == pytest.approx(guess.margin, abs=1e-9)
        wrong = Hint(tuple((i, 1) for i in reversed(range(data.num_pairs))), frozenset({0, 2}))
        assert largest_margin(data, wrong).margin == bare.margin
        assert check(data).margin == (bare.margin if bare.margin else 0)


def test_pivots_that_run_out_say_so():
    data = Preferences.from_pairs([("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")])
    with pytest.raises(UndecidedError, match="max_pivots") as caught:
        largest_margin(data, max_pivots=1)
    assert caught.value.low == 0.0
    assert caught.value.high >= 0.5


def test_floats_are_judged_up_to_rounding():
    refuted = check([(floats(A), floats(B)), (floats(D), floats(C))])
    assert refuted.status == "refuted"
    assert not refuted.exact
    assert 0 <= refuted.certificate.residual < 1e-15
    assert refuted.certificate.verify()
    fine = check([(floats(A), floats(B)), (floats(C), floats(D))])
    assert fine.status == "representable"
    assert fine.margin == pytest.approx(0.22, abs=1e-12)
    assert fine.certificate.verify()


def test_floats_that_cannot_tell_are_ambiguous_and_decimals_decide():
    risk = {"good": 1 - 1e-10, "dead": 1e-10}
    data = [("good", "mild"), ("mild", risk)]
    report = check(data)
    assert report.status == "ambiguous"
    assert report.certificate is None
    low, high = report.evidence["margin_interval"]
    assert low <= 1e-10 <= high * (1 + 1e-6)
    with pytest.raises(PreferenceContradictionError, match="fractions"):
        report.throw()
    decided = check(data, exact=True)
    assert decided.margin == F(1, 10**10)
    assert decided.exact
    with pytest.raises(DomainError, match="sum to 1"):
        check([("a", {"b": 1 / 3, "c": 2 / 3})], exact=True)


def test_a_float_dutch_book_of_many():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(6), size=(2, 400))
    report = check(Preferences.from_arrays(p, q))
    assert report.status == "refuted"
    assert report.named == "Dutch book"
    assert report.certificate.verify()
    assert len(report.certificate.support) <= 6


def test_reports_and_certificates_survive_json():
    sequences = [(EMPTY, EventSequence.of("a")), (EventSequence.of("a"), EMPTY)]
    for report in (
        check([(A, B), (D, C)]),
        check([(A, B), (C, D)]),
        check([(floats(A), floats(B))]),
        check(sequences),
    ):
        again = through_json(report)
        assert isinstance(again, Report)
        assert again.utility == report.utility
        assert again.margin == report.margin
        assert again.certificate.verify()
        assert again.certificate.weights == report.certificate.weights
    pump = check(sequences).certificate.money_pump(1)
    assert through_json(pump) == pump


def test_a_certificate_that_proves_nothing_does_not_verify():
    right = check([(A, B), (D, C)]).certificate
    assert not replace(right, weights=(F(1, 3), F(2, 3))).verify()
    assert not replace(right, weights=(F(1), F(1))).verify()
    assert not replace(right, weights=(F(-1, 2), F(3, 2))).verify()
    assert not replace(right, weights=(float("nan"), 0.5)).verify()
    assert not replace(right, relations=("weak", "weak")).verify()
    assert not replace(right, relations=("strict",)).verify()
    assert not replace(right, relations=("strict", "better")).verify()
    assert not replace(right, preferred=(A, C), other=(B, D)).verify()
    assert not replace(right, support=()).verify()
    other = Preferences.from_pairs([(A, B), (C, D)])
    assert not right.belongs_to(other)
    assert not right.belongs_to(Preferences.from_pairs([(A, B)]))
    with pytest.raises(DomainError, match="weights"):
        PreferenceCertificate.of(other, {0: 0})


def test_a_bound_that_proves_nothing_does_not_verify():
    right = check([(A, B), (C, D)]).certificate
    assert not replace(right, margin=F(1, 5)).verify()
    assert not replace(right, weights=(F(1, 2),)).verify()
    assert not replace(right, weights=(F(-1),)).verify()
    assert not replace(right, support=()).verify()
    assert not replace(right, relations=("best",)).verify()
    assert "11/50" in right.explain()


def test_the_explanation_names_the_preferences_and_the_compound_lottery():
    text = check([("x", "y"), (A, B), (D, C)]).certificate.explain()
    assert "[2]" in text
    assert "[3]" in text
    assert "[1]" not in text
    assert text.count("9/20 0 + 1/2 1M + 1/20 5M") == 2


def test_the_money_pump_charges_and_changes_nothing():
    book = check([("a", "b"), ("b", "c")], weak=[("c", "d")], indifferent=[("a", "d")]).certificate
    pump = book.money_pump(F(1, 10))
    assert pump.before == pump.after
    assert pump.expected_loss == F(1, 20)  # two strict preferences of weight 1/4
    assert [step.fee for step in pump.steps] == [F(1, 10), F(1, 10), 0, 0]
    assert sum(step.probability for step in pump.steps) == 1
    text = str(pump)
    assert "for nothing" in text
    assert "3/20 after 3 rounds" in text
    for fee in (0, -1, float("nan"), float("inf")):
        with pytest.raises(DomainError, match="fee"):
            book.money_pump(fee)


def sparse_data(seed, num_pairs, num_outcomes, denominator=100):
    """Return exact arrays of lotteries with three outcomes, ordered by a random utility."""
    rng = np.random.default_rng(seed)
    utility = rng.integers(0, 10**6, num_outcomes)
    sides = []
    for _ in range(2):
        table = np.zeros((num_pairs, num_outcomes), dtype=np.int64)
        columns = np.argsort(rng.random((num_pairs, num_outcomes)), axis=1)[:, :3]
        weights = rng.multinomial(denominator - 3, [1 / 3] * 3, size=num_pairs) + 1
        np.put_along_axis(table, columns, weights, axis=1)
        sides.append(table)
    p, q = sides
    turned = (p - q) @ utility < 0
    p[turned], q[turned] = q[turned], p[turned].copy()
    same = (p - q) @ utility == 0
    return p, q, np.where(same, 2, 0)


@pytest.mark.parametrize("spoiled", [False, True])
def test_thousands_of_preferences_are_decided_exactly(spoiled):
    p, q, relation = sparse_data(3, 6000, 25)
    if spoiled:
        p[4321], q[4321] = q[4321].copy(), p[4321].copy()
        relation[4321] = 0
    data = Preferences.from_arrays(p, q, relation, denominator=100)
    report = check(data)
    assert report.exact
    if spoiled:
        assert report.status == "refuted"
        assert 4321 in report.certificate.support
        assert report.certificate.verify()
        assert report.certificate.belongs_to(data)
    else:
        assert report.status == "representable"
        assert explains(data, report.utility)
        assert report.certificate.verify()
        assert report.certificate.bound == report.margin
