"""Noisy answers: likelihood, standard errors, and the test of any utility at all."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.decisions.axioms.noisy import choice_counts, fit_noisy, likelihood_ratio_test
from coset.decisions.axioms.preferences import Preferences

DTYPE = torch.float64


def questions(num, size, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(
        rng.dirichlet(np.ones(size), size=num) - rng.dirichlet(np.ones(size), size=num)
    )


def drawn(rows, utility, repeats, generator, people=1):
    share = (rows @ utility).sigmoid().expand(people, -1).contiguous()
    return torch.binomial(torch.full_like(share, repeats), share, generator=generator)


def test_one_question_gives_the_log_odds():
    fit = fit_noisy(torch.tensor([[1.0, -1.0]]), torch.tensor([3.0]), torch.tensor([4.0]))
    gap = float(fit.utility[0, 0] - fit.utility[0, 1])
    assert gap == pytest.approx(math.log(3), abs=1e-9)
    # The variance of log-odds is 1/(n p (1 − p)); each utility moves by half of the gap.
    assert float(fit.standard_error[0, 0]) == pytest.approx(math.sqrt(4 / 3) / 2, rel=1e-6)
    assert bool(fit.converged[0])


def test_sure_outcomes_are_fitted_as_bradley_and_terry_do():
    rng = np.random.default_rng(3)
    pairs = [tuple(rng.permutation(5)[:2].tolist()) for _ in range(300)]
    data = Preferences.from_pairs(pairs)
    fit = fit_noisy(*choice_counts(data))
    winners, losers = np.array(pairs).T

    def cost(u):  # Bradley and Terry, with sum 0
        return np.logaddexp(0, u[losers] - u[winners]).sum() + u.sum() ** 2

    expected = minimize(cost, np.zeros(5), tol=1e-12).x
    assert np.allclose(fit.utility[0], expected, atol=1e-5)


def test_people_are_fitted_together_as_alone(generator):
    rows, truth = questions(40, 4), torch.tensor([3.0, -1.0, 0.0, -2.0], dtype=DTYPE)
    chosen = drawn(rows, truth, 5, generator, people=7)
    together = fit_noisy(rows, chosen, torch.full((40,), 5.0))
    for person in range(7):
        alone = fit_noisy(rows, chosen[person], torch.full((40,), 5.0))
        assert torch.allclose(together.utility[person], alone.utility[0], atol=1e-8)
        assert torch.allclose(together.standard_error[person], alone.standard_error[0], atol=1e-8)


def test_standard_errors_cover_the_truth(generator):
    rows, truth = questions(80, 3), torch.tensor([2.0, -1.0, -1.0], dtype=DTYPE)
    people = 400
    fit = fit_noisy(rows, drawn(rows, truth, 20, generator, people), torch.full((80,), 20.0))
    assert bool(fit.converged.all())
    inside = ((fit.utility - truth).abs() < 1.96 * fit.standard_error).double().mean(dim=0)
    # 400 people: 95 % ± 5 standard deviations of 1.09 %.
    assert bool(((inside > 0.895) & (inside <= 1)).all())
    assert bool((fit.utility.mean(dim=0) - truth).abs().max() < 0.1)


def test_answers_that_never_err_have_no_likeliest_utility():
    rows = torch.tensor([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
    fit = fit_noisy(rows, torch.tensor([[4.0, 4.0], [3.0, 2.0]]), torch.tensor([4.0, 4.0]))
    assert fit.converged.tolist() == [False, True]
    assert bool(fit.standard_error[0].isinf().all())
    tamed = fit_noisy(rows, torch.tensor([4.0, 4.0]), torch.tensor([4.0, 4.0]), ridge=0.1)
    assert bool(tamed.converged[0])
    assert bool(tamed.standard_error.isfinite().all())


def test_what_no_question_touches_is_not_settled():
    rows = torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
    fit = fit_noisy(rows, torch.tensor([3.0, 2.0]), torch.tensor([4.0, 4.0]))
    assert bool(fit.standard_error.isinf().all())  # two islands: no common zero
    none = fit_noisy(torch.zeros((0, 3)), torch.zeros((2, 0)))
    assert none.utility.shape == (2, 3)
    assert not none.utility.any()


@pytest.mark.parametrize("bootstrap", [0, 199])
def test_the_test_keeps_its_rate_of_false_alarms(generator, bootstrap):
    rows, truth = questions(12, 3), torch.tensor([2.0, 0.0, -2.0], dtype=DTYPE)
    asked = torch.full((12,), 60.0)
    num = 40 if bootstrap else 200
    alarms = sum(
        not likelihood_ratio_test(
            rows,
            drawn(rows, truth, 60, generator)[0],
            asked,
            num_bootstrap=bootstrap,
            generator=generator,
        )
        for _ in range(num)
    )
    # At 5 %, more than this many alarms have a probability below 1e-5.
    assert alarms <= (10 if bootstrap else 26)


def test_the_test_sees_choices_that_no_utility_makes():
    # Allais's pattern: the same exchange, judged in two ways by most people.
    rows = torch.tensor([[-0.01, 0.11, -0.10], [0.01, -0.11, 0.10]])
    asked = torch.tensor([100.0, 100.0])
    for options in ({}, {"num_bootstrap": 199, "generator": torch.Generator().manual_seed(1)}):
        test = likelihood_ratio_test(rows, torch.tensor([82.0, 83.0]), asked, **options)
        assert not test
        assert test.degrees_of_freedom == 1
        assert test.p_value < 0.01
    assert likelihood_ratio_test(rows, torch.tensor([82.0, 20.0]), asked)


def test_the_chi_squared_tail_is_right():
    rows = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    test = likelihood_ratio_test(rows, torch.tensor([6.0, 6.0]), torch.tensor([10.0, 10.0]))
    # Together 10 of 20: the statistic is 2·2·(6 ln 1.2 + 4 ln 0.8).
    expected = 4 * (6 * math.log(1.2) + 4 * math.log(0.8))
    assert test.statistic == pytest.approx(expected, abs=1e-9)
    assert test.p_value == pytest.approx(math.erfc(math.sqrt(expected / 2)), abs=1e-12)
    full = likelihood_ratio_test(rows[:1], torch.tensor([6.0]), torch.tensor([10.0]))
    assert full.p_value == 1.0
    assert full.degrees_of_freedom == 0


def test_repeated_answers_are_counted_both_ways_round():
    data = Preferences.from_pairs([("a", "b"), ("b", "a"), ("b", "c"), ("a", "b")])
    rows, chosen, asked = choice_counts(data, [2, 3, 1, 4])
    answers = zip(map(tuple, rows.tolist()), chosen.tolist(), asked.tolist(), strict=True)
    found = {row: (k, n) for row, k, n in answers}
    assert found == {(1.0, -1.0, 0.0): (6.0, 9.0), (0.0, 1.0, -1.0): (1.0, 1.0)}


def test_bad_answers_are_named():
    rows = torch.tensor([[1.0, -1.0]])
    one = torch.tensor([1.0])
    with pytest.raises(DomainError, match="indifferent"):
        choice_counts(Preferences.from_pairs(weak=[("a", "b")]))
    with pytest.raises(ShapeError, match="counts"):
        choice_counts(Preferences.from_pairs([("a", "b")]), [1, 1])
    with pytest.raises(DomainError, match="counts"):
        choice_counts(Preferences.from_pairs([("a", "b")]), [0])
    with pytest.raises(ShapeError, match=r"\(M, n\)"):
        fit_noisy(rows[0], one)
    with pytest.raises(ShapeError, match="chosen"):
        fit_noisy(rows, torch.ones(3))
    with pytest.raises(ShapeError, match="asked"):
        fit_noisy(rows, one, torch.ones((3, 2)))
    with pytest.raises(DtypeError, match="real"):
        fit_noisy(rows.to(torch.complex64), one)
    for chosen in (-1.0, 2.0, math.nan):
        with pytest.raises(DomainError, match="chosen"):
            fit_noisy(rows, torch.tensor([chosen]))
    with pytest.raises(DomainError, match="ridge"):
        fit_noisy(rows, one, ridge=-1.0)
    with pytest.raises(DomainError, match="false_alarm"):
        likelihood_ratio_test(rows, one, one, false_alarm=0)
    with pytest.raises(ShapeError, match="one person"):
        likelihood_ratio_test(rows, torch.ones((2, 1)), one)


def test_questions_that_fit_some_utility_whatever_the_answers_are_not_tested():
    rows = torch.tensor([[1.0, -1.0]])
    many = torch.tensor([999_999_999.0]), torch.tensor([1e9])
    for draws in (0, 99):
        test = likelihood_ratio_test(rows, *many, false_alarm=0.5, num_bootstrap=draws)
        assert test.holds
        assert test.p_value == 1.0
        assert test.degrees_of_freedom == 0


def test_questions_nobody_was_asked_count_for_nothing():
    rows = torch.tensor([[1.0, -1.0, 0.0], [0.5, -0.5, 0.0], [0.0, 1.0, -1.0]])
    chosen, asked = torch.tensor([60.0, 40.0, 0.0]), torch.tensor([100.0, 100.0, 0.0])
    with_it = likelihood_ratio_test(rows, chosen, asked)
    without = likelihood_ratio_test(rows[:2], chosen[:2], asked[:2])
    assert with_it.degrees_of_freedom == without.degrees_of_freedom == 1
    assert with_it.p_value == pytest.approx(without.p_value, rel=1e-9)
    with pytest.raises(DomainError, match="num_bootstrap"):
        likelihood_ratio_test(rows, chosen, asked, num_bootstrap=-1)


def test_no_answers_at_all_and_a_short_repr():
    tables = choice_counts(Preferences.from_pairs())
    assert [t.dtype for t in tables] == [torch.float64] * 3
    assert repr(fit_noisy(*tables)) == "NoisyFit(1 × 0 utilities, 1 fits converged in 0 steps)"
    with pytest.raises(DtypeError, match="counts"):
        choice_counts(Preferences.from_pairs([("a", "b")]), ["many"])
