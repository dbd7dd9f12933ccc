"""Tests of coset.beliefs.solvers.kernels: elementary functions, plans, marginals, fallbacks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from numba import njit

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.solvers.kernels import descent, elementary
from coset.beliefs.solvers.kernels.launch import LEAST_BATCH, solve_compiled
from coset.beliefs.solvers.kernels.plan import elimination_plan, positions
from coset.beliefs.solvers.mirror import solve_mirror
from coset.beliefs.solvers.problem import dense_problem, elements


@njit
def _apply(x, out, kind):
    for i in range(len(x)):
        out[i] = elementary.exponential(x[i]) if kind == 0 else elementary.logarithm(x[i])


def applied(x, kind):
    out = np.empty_like(x)
    _apply(x, out, kind)
    return out


def test_exponential_is_exact_to_two_units():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-708, 709, 20_000), rng.normal(size=20_000), [0.0, -0.0]])
    assert float(np.abs(applied(x, 0) / np.exp(x) - 1).max()) < 5e-16
    edge = np.array([-708.5, -1e30, -np.inf, 709.5, 1e30, np.inf])
    assert applied(edge, 0).tolist() == [0.0, 0.0, 0.0, math.inf, math.inf, math.inf]
    assert math.isnan(applied(np.array([np.nan]), 0)[0])


def test_logarithm_is_exact_to_two_units():
    rng = np.random.default_rng(0)
    x = np.concatenate([np.exp(rng.uniform(-700, 700, 20_000)), rng.uniform(0.5, 2, 20_000)])
    assert float(np.abs(applied(x, 1) - np.log(x)).max()) < 3e-13
    near = 1 + rng.normal(size=1000) * 1e-3
    assert float(np.abs(applied(near, 1) / np.log(near) - 1).max()) < 1e-12
    assert applied(np.array([1.0]), 1)[0] == 0.0


CASES = [
    ((2, 3), ((0, 1),)),
    ((3,), ((0,),)),
    ((2, 3, 2, 2), ((0, 1), (1, 2), (2, 3))),
    ((2, 2, 3, 2, 2), ((0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (1, 3))),
    ((2, 3, 2), ((0, 1, 2), (1,), (0, 2))),
    ((2, 3, 2, 2), ((0, 1), (2, 3))),
    ((1, 3, 2), ((0, 1), (1, 2), (0,))),
]


def dense_sum(cards, scopes, tables):
    total = np.zeros(cards)
    for scope, table in zip(scopes, tables, strict=True):
        own = [card if axis in scope else 1 for axis, card in enumerate(cards)]
        total = total + table.reshape(own)
    return total


def eliminated(plan, tables, lanes, gamma):
    rows = np.zeros((plan.num_rows, len(lanes)))
    rows[: plan.num_leaf_rows] = np.concatenate([t.reshape(-1) for t in tables])[:, None]
    entries = np.zeros((len(plan.into), len(lanes)))
    peaks, totals, marginal = (np.zeros_like(rows) for _ in range(3))
    descent._eliminate(plan.arrays(), rows, entries, peaks, totals, gamma, lanes)
    if gamma > 0:
        descent._marginals(plan.arrays(), marginal, entries, totals, lanes)
    return rows[plan.roots].sum(0), marginal


@pytest.mark.parametrize(("cards", "scopes"), CASES)
def test_marginals_and_maxima_are_those_of_the_dense_joint(cards, scopes):
    rng = np.random.default_rng(len(cards))
    plan = elimination_plan(cards, scopes)
    tables = [rng.normal(size=math.prod(cards[v] for v in scope)) * 30 for scope in scopes]
    total = dense_sum(cards, scopes, tables)
    for lanes in ((0,), (0, 0, 0)):
        log_sum, marginal = eliminated(plan, tables, lanes, 1.0)
        wanted = np.logaddexp.reduce(total.reshape(-1))
        assert np.allclose(log_sum, wanted, rtol=0, atol=1e-11)
        joint = np.exp(total - wanted)
        for i, scope in enumerate(scopes):
            gone = tuple(v for v in range(len(cards)) if v not in scope)
            own = marginal[plan.leaf_first[i] : plan.leaf_first[i + 1]]
            assert np.allclose(own, joint.sum(gone).reshape(-1, 1), rtol=0, atol=1e-12)
        largest, _ = eliminated(plan, tables, lanes, 0.0)
        assert np.allclose(largest, total.max(), rtol=0, atol=1e-12)


def test_tables_are_eliminated_by_their_width_not_by_all_worlds():
    cards = (3,) * 12
    plan = elimination_plan(cards, tuple((i, i + 1) for i in range(11)))
    assert plan.steps[:, 1].max() == 9
    assert len(plan.into) <= 11 * 9


@pytest.mark.parametrize(("cards", "scopes"), CASES)
def test_moving_the_gauge_keeps_the_sum(cards, scopes):
    rng = np.random.default_rng(0)
    plan = elimination_plan(cards, scopes)
    rows = plan.num_leaf_rows
    tables = [rng.normal(size=math.prod(cards[v] for v in scope)) for scope in scopes]
    joint = np.exp(dense_sum(cards, scopes, tables))
    joint /= joint.sum()
    gone = [tuple(v for v in range(len(cards)) if v not in scope) for scope in scopes]
    mass = np.concatenate([joint.sum(axes).reshape(-1) for axes in gone])[:, None]
    gradient, gauge = rng.normal(size=(rows, 1)), np.zeros((rows, 1))
    before = gradient.copy()
    scratch = np.zeros((2, plan.num_rows, 1))
    descent.move_gauge(plan.links, plan.shared, mass, gradient, gauge, *scratch, (0,))
    assert np.allclose(gradient + gauge, before)

    def summed(column):
        cuts = itertools.pairwise(plan.leaf_first)
        return dense_sum(cards, scopes, [column[a:b, 0] for a, b in cuts])

    assert np.allclose(summed(gauge), 0.0, atol=1e-12)
    if len(scopes) > 1:
        assert np.abs(gradient - before).max() > 0.01


def test_positions_name_the_entry_that_a_world_lies_in():
    found = positions((2, 3, 2), (0, 1, 2), (0, 2)).reshape(2, 3, 2)
    for a, b, c in itertools.product(range(2), range(3), range(2)):
        assert found[a, b, c] == 2 * a + c


def test_side_by_side_is_one_by_one():
    generator = torch.Generator().manual_seed(0)
    pdg = PDG({f"X{i}": 2 + i % 2 for i in range(4)})
    num = LEAST_BATCH + 20
    for i in range(4):
        names = [f"X{i}", f"X{(i + 1) % 4}"]
        table = random_table(num, *pdg.cards(names), generator=generator)
        pdg.add(f"p{i}", names[1], names[0], cpd=table)
    for gamma in (0.0, 0.2):
        problem = dense_problem(pdg, gamma)
        together = solve_compiled(problem, 1e-10, 5_000, None)
        assert together.converged
        alone = [solve_compiled(p, 1e-10, 5_000, None) for p in elements(problem)]
        values = torch.cat([result.value for result in alone])
        assert torch.allclose(values, together.value, rtol=0, atol=2e-10)
        assert bool((together.gap >= -1e-12).all())


def test_contradictions_among_many_leave_the_others_alone():
    num = LEAST_BATCH + 2
    one = random_table(num, 2, generator=torch.Generator().manual_seed(1))
    one[5], one[20] = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0])
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=one)
    pdg.add("q", "X", cpd=torch.tensor([[0.0, 1.0]] * num, dtype=torch.float64))
    result = solve_mirror(dense_problem(pdg))
    assert torch.isinf(result.value).nonzero().flatten().tolist() == [5, 20]
    wanted = -one[:, 1].log()
    finite = torch.isfinite(wanted)
    assert torch.allclose(result.value[finite], wanted[finite])


def test_threads_share_a_batch():
    threads = torch.get_num_threads()
    table = random_table(600, 3, 3, generator=torch.Generator().manual_seed(2))
    pdg = PDG({"A": 3, "B": 3})
    pdg.add("p", "B", "A", cpd=table)
    pdg.add("q", "A", "B", cpd=table.flip(0))
    problem = dense_problem(pdg, 0.3)
    try:
        torch.set_num_threads(1)
        one = solve_mirror(problem)
        torch.set_num_threads(2)
        two = solve_mirror(problem)
    finally:
        torch.set_num_threads(threads)
    assert torch.allclose(one.value, two.value, rtol=0, atol=1e-9)
