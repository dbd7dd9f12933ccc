"""Plans of junction trees: clusters, orders of elimination, passes, and what is too wide."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from coset.beliefs.errors import WidthError
from coset.beliefs.tree.elimination import best_clusters, eliminate
from coset.beliefs.tree.plan import TreePlan


def _random_plan(seed: int):
    source = random.Random(seed)
    cards = [source.randint(1, 3) for _ in range(source.randint(1, 6))]
    n = len(cards)
    scopes = [
        tuple(source.sample(range(n), source.randint(1, min(3, n))))
        for _ in range(source.randint(1, 7))
    ]
    roots = [source.choice(scopes)] if seed % 2 else []
    return cards, scopes, TreePlan.of(cards, scopes, roots=roots), roots


def _dense(cards, scopes, tables):
    total = np.zeros(cards)
    for scope, table in zip(scopes, tables, strict=True):
        shape = [cards[v] if v in scope else 1 for v in range(len(cards))]
        total = total + table.transpose(np.argsort(scope)).reshape(shape)
    return total


@pytest.mark.parametrize("seed", range(60))
def test_passes_equal_sums_and_minima_over_all_worlds(seed):
    cards, scopes, plan, roots = _random_plan(seed)
    source = np.random.default_rng(seed)
    tables = [source.normal(size=[cards[v] for v in scope]) for scope in scopes]
    for table in tables:
        table[source.random(table.shape) < 0.1] = -np.inf
    dense, attached = _dense(cards, scopes, tables), plan.attach(scopes)
    weights = plan.zeros()
    attached.add(weights, np.concatenate([t.ravel() for t in tables]))
    assert plan.least(-weights) == pytest.approx(float((-dense).min()))
    for root in roots:
        assert plan.parents[plan.host(root)] == -1
    total = np.exp(dense).sum()
    found = plan.collect(weights)
    assert math.exp(found) == pytest.approx(total)
    if total == 0:
        return
    mass = plan.distribute(weights)
    small, joint = attached.sum_out(mass), np.exp(dense) / total
    for i, scope in enumerate(scopes):
        rest = tuple(v for v in range(len(cards)) if v not in scope)
        marginal = joint.sum(rest).transpose([sorted(scope).index(v) for v in scope])
        assert small[attached.at[i] : attached.at[i + 1]] == pytest.approx(marginal.ravel())


def test_a_ring_has_width_two_and_a_tree_width_one():
    ring = [(i, (i + 1) % 12) for i in range(12)]
    assert TreePlan.of([2] * 12, ring).width == 2
    assert TreePlan.of([2] * 12, ring[:-1]).width == 1
    assert TreePlan.of([2], []).width == 0
    assert TreePlan.of([], []).num_entries == 0


def test_clusters_are_maximal_and_join_in_a_tree():
    cards = [2] * 30
    source = random.Random(0)
    scopes = [tuple(source.sample(range(30), 2)) for _ in range(50)]
    plan = TreePlan.of(cards, scopes)
    sets = [set(c) for c in plan.clusters]
    for i, one in enumerate(sets):
        assert not any(one <= other for j, other in enumerate(sets) if j != i)
    for v in range(30):
        holders = [c for c, own in enumerate(sets) if v in own]
        tops = [c for c in holders if plan.parents[c] not in holders]
        assert len(tops) == 1, "the clusters of a variable hang together"


def test_other_orders_are_tried_where_tables_are_large():
    source = random.Random(3)
    cards = [source.randint(2, 20) for _ in range(40)]
    scopes = [tuple(source.sample(range(40), 3)) for _ in range(30)]

    greedy, total = eliminate(cards, scopes)
    assert total == sum(cards[v] * math.prod(cards[u] for u in around) for v, around in greedy)
    order, fewer = best_clusters(cards, scopes, total)
    assert fewer < total
    assert sorted(v for v, _ in order) == list(range(40))
    assert best_clusters(cards, scopes, total) == (order, fewer)
    hopeless, so_far = best_clusters(cards, scopes, total // 2000)
    assert greedy[: len(hopeless)] == hopeless
    assert so_far > 1024 * (total // 2000)


def test_too_wide_graphs_are_refused_with_width_and_bytes():
    clique = [(i, j) for i in range(40) for j in range(i)]
    with pytest.raises(WidthError, match="width 39") as caught:
        TreePlan.of([2] * 40, clique)
    assert caught.value.width == 39
    assert caught.value.bytes == 2 * 8 * 2**40
    assert TreePlan.of([2] * 10, clique[:45], max_bytes=2 * 8 * 2**10).num_entries == 2**10
    with pytest.raises(WidthError, match=r"10\^"):
        TreePlan.of([100] * 160, [tuple(range(160))])
