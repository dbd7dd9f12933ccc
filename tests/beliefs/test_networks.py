"""The 24 networks of pgmpy, the claims about networks, and their study, picture and benchmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from coset.beliefs.benchmarks.tree import (
    NETWORKS,
    network_file,
    networks_case,
    to_pgmpy,
    tree_case,
)
from coset.beliefs.claims import networks as claims
from coset.beliefs.errors import WidthError
from coset.beliefs.experiments.tree import TreeScalingConfig, banded_graph, tree_scaling
from coset.beliefs.figures.tree import tree_scaling as draw
from coset.beliefs.infer import infer
from coset.beliefs.pdg.bayes_net import read_bif
from coset.beliefs.solvers.solve import solve
from coset.beliefs.tree.network import JunctionTree
from coset.beliefs.tree.solver import solve_tree
from coset.core.claims import find_claim
from coset.core.errors import ConfigError
from coset.core.judging import judge

# Name → (variables, the width and the largest number of entries that are accepted).
LIMITS = {
    "alarm": (37, 4, 2e3),
    "andes": (223, 17, 1e6),
    "asia": (8, 2, 64),
    "barley": (48, 7, 3e7),
    "cancer": (5, 2, 32),
    "child": (20, 3, 1e3),
    "diabetes": (413, 6, 2e7),
    "earthquake": (5, 2, 32),
    "hailfinder": (56, 4, 2e4),
    "hepar2": (70, 6, 4e3),
    "insurance": (27, 8, 1e5),
    "link": (724, 16, 6e7),
    "mildew": (35, 6, 1e7),
    "munin": (1041, 8, 2e7),
    "munin1": (186, 12, 1.2e8),
    "munin2": (1003, 8, 6e6),
    "munin3": (1041, 8, 5e6),
    "munin4": (1038, 8, 2e7),
    "pathfinder": (109, 6, 3e5),
    "pigs": (441, 10, 1e6),
    "sachs": (11, 3, 300),
    "survey": (6, 2, 64),
    "water": (32, 11, 6e6),
    "win95pts": (76, 8, 5e3),
}
SMALL = ("alarm", "asia", "cancer", "child", "earthquake", "insurance", "sachs", "survey")


@pytest.mark.parametrize("name", SMALL)
def test_marginals_and_posteriors_equal_variable_elimination(name):
    pytest.importorskip("pgmpy")
    from pgmpy.inference import VariableElimination

    pdg = read_bif(network_file(name))
    peer, tree = VariableElimination(to_pgmpy(pdg)), JunctionTree(pdg)
    marginals, names = tree.marginals(), list(pdg.variables)
    for query in names[:3]:
        found = peer.query([query], show_progress=False).values
        assert np.abs(marginals[query].numpy() - found).max() < 1e-12
    for query, given in ((names[0], names[-1]), (names[-1], names[0])):
        found = peer.query([query], evidence={given: 1}, show_progress=False).values
        ours = infer(pdg, query, {given: 1})
        assert np.abs(ours.numpy() - found).max() < 1e-12
        assert torch.allclose(tree.marginals(given={given: 1})[query], ours, atol=1e-12)


@pytest.mark.parametrize("name", ["asia", "alarm", "win95pts"])
def test_published_networks_are_consistent_and_observations_cost_their_surprise(name):
    pytest.importorskip("pgmpy")
    pdg = read_bif(network_file(name))
    assert solve(pdg, 0.5, method="tree").value == 0
    last = next(reversed(pdg.variables))
    surprise = -float(JunctionTree(pdg).log_partition(given={last: 0}))
    seen = solve_tree(pdg.condition({last: 0}), 1.0)
    assert seen.value == pytest.approx(surprise, abs=1e-9)
    assert seen.certificate.verify()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_all_published_networks_load_and_have_known_widths(name):
    pytest.importorskip("pgmpy")
    num, width, entries = LIMITS[name]
    pdg = read_bif(network_file(name))
    assert len(pdg.variables) == num
    tree = JunctionTree(pdg)
    assert tree.plan.width <= width
    assert tree.plan.num_entries <= entries
    needed = 16 * tree.plan.num_entries
    with pytest.raises(WidthError, match=f"width {tree.plan.width}") as caught:
        JunctionTree(pdg, max_bytes=needed - 1)
    assert caught.value.bytes == needed
    if entries <= 2e6:
        assert float(tree.log_partition()) == pytest.approx(0.0, abs=1e-10)
        marginals = tree.marginals()
        assert all(abs(float(m.sum()) - 1) < 1e-10 for m in marginals.values())


def test_observations_that_empty_rows_are_certified_too():
    pdg = read_bif(network_file("alarm")).condition({"HR": "HIGH"})
    found = solve(pdg)
    assert found.gap <= 1e-9
    assert found.certificate.verify()


@pytest.mark.parametrize("id", ["beliefs.C4", "beliefs.C5"])
def test_claims_hold_and_their_mutants_fail(id):
    judged = judge(find_claim(id))
    assert judged.seen == "holds", judged.problem
    assert judged.as_expected, judged.mutants


class _Run:
    def progress(self, done: int, total: int, what: str) -> None:
        assert 0 <= done < total

    def generator(self, name: str, without: tuple[str, ...] = ()) -> torch.Generator:
        return torch.Generator().manual_seed(len(name))


@pytest.fixture(scope="module")
def rows():
    config = TreeScalingConfig(widths=(1, 2))
    found = []
    for num in (10, 30, 100):
        found += tree_scaling(replace(config, num_variables=num), _Run())
    return found


def test_work_is_measured_and_left_open(rows):
    assert len(rows) == 12
    assert all(row["gap"] <= row["tol"] for row in rows)
    assert all(row["work"] == row["entries"] * (row["iterations"] + 1) for row in rows)
    judged = judge(find_claim("beliefs.C24"), rows=rows)
    assert judged.seen == "open"
    assert judged.as_expected, judged.mutants
    assert 0.8 < judged.result.measured < 2


def test_the_slope_of_a_power_is_found():
    points = [(n, 5 * n**3) for n in (1, 2, 4, 8)]
    assert claims.slope(points) == pytest.approx((3.0, 0.0), abs=1e-7)


def test_the_picture_shows_a_line_for_each_width_and_gamma(rows):
    axes = draw(rows, []).axes[0]
    labels = [line.get_label() for line in axes.lines]
    assert labels == [f"width {w}, γ = {g}" for w in (1, 2) for g in ("0", "0.1")] + ["slope 1"]
    first = axes.lines[0]
    assert list(first.get_xdata()) == [10, 30, 100]
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_banded_graphs_have_their_width():
    assert JunctionTree(banded_graph(20, 3)).plan.width == 3
    with pytest.raises(ConfigError, match="width"):
        banded_graph(3, 3)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_contestants_of_the_benchmarks_agree(size):
    pytest.importorskip("pgmpy")
    for case, variant in ((tree_case(), None), (networks_case(), "asia")):
        inputs = case.prepare(size, variant, torch.Generator().manual_seed(size))
        expected = case.reference(inputs)
        assert len(expected) == size
        for contestant in case.applicable(variant).values():
            output = contestant.run(contestant.setup(inputs) if contestant.setup else inputs)
            judge_of = contestant.verify or (lambda i, o, e=expected, c=case: c.compare(i, o, e))
            assert judge_of(inputs, output) is None
        wrong = {name: table.flip(-1) for name, table in expected.items()}
        assert "off by" in case.compare(inputs, wrong, expected)
        assert all(limit.amount(inputs) > 0 for limit in case.limits.values())
