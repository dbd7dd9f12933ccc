"""Solve: worked values by every method, the laws of the score, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from coset.beliefs.attention import Attention
from coset.beliefs.errors import NonConvexError, NotNormalizedError, WidthError
from coset.beliefs.joint import DenseJoint
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_graph
from coset.beliefs.solution import InconsistencySolution
from coset.beliefs.solvers.solve import solve
from coset.core.errors import DomainError, NotConvergedError
from coset.core.results import Status

METHODS = ("auto", "mirror", "interior", "cone")


def table(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def draw(seed: int, *, cards=(2, 3), arcs: int = 4) -> PDG:
    generator = torch.Generator().manual_seed(seed)
    return random_graph(4, arcs, cards=cards, num_sources=(0, 2), generator=generator)


def two_cycle(alpha: float = 1.0, beta: float = 1.0) -> PDG:
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=table([[0.8, 0.2], [0.3, 0.7]]), alpha=alpha, beta=beta)
    pdg.add("q", "A", "B", cpd=table([[0.6, 0.4], [0.1, 0.9]]), alpha=alpha, beta=beta)
    return pdg


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("betas", "value", "joint"),
    [
        ((1, 1), 0.5634713622301675, (0.35067538, 0.32466231, 0.32466231)),
        ((2, 1), 0.7585456808800792, (0.4712045, 0.29480702, 0.23398848)),
        ((1, 3), 0.8079550025034137, (0.19906601, 0.33175772, 0.46917627)),
    ],
)
def test_w1_two_beliefs(method, betas, value, joint):
    pdg = PDG({"X": 3})
    pdg.add("p", "X", cpd=table([0.7, 0.2, 0.1]), beta=betas[0])
    pdg.add("q", "X", cpd=table([0.1, 0.3, 0.6]), beta=betas[1])
    found = solve(pdg, method=method)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert found.joint.marginal("X").tolist() == pytest.approx(joint, abs=3e-5)


@pytest.mark.parametrize("method", METHODS)
def test_w2_structure_counts_with_gamma(method):
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=table([0.7, 0.3]))
    pdg.add("q", "X", cpd=table([0.4, 0.6]))
    assert solve(pdg, 1.0, method=method).value == pytest.approx(-math.log(0.46), abs=2e-9)
    assert solve(pdg, method=method).value == pytest.approx(0.09541140987375518, abs=2e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("alpha", "beta", "gamma", "value"),
    [
        (1, 1, 0.0, 0.001229613963),
        (1, 1, 0.25, -0.036026343040),
        (1, 1, 0.5, -0.083232607959),
        (1, 1, 1.0, -math.log(1.25)),
        (0.5, 1, 0.5, -0.335140437),
        (0, 1, 0.5, -0.617043090),
        (1, 2, 1.0, -0.166465216),
    ],
)
def test_w3_a_cycle_of_two(method, alpha, beta, gamma, value):
    found = solve(two_cycle(alpha, beta), gamma, method=method)
    assert found.value == pytest.approx(value, abs=2e-9)


def test_w3_joints():
    found = solve(two_cycle())
    assert found.joint.dense().flatten().tolist() == pytest.approx(
        [0.27316316, 0.05962221, 0.19339391, 0.47382071], abs=1e-6
    )
    found = solve(two_cycle(), 1.0)
    assert found.joint.dense().flatten().tolist() == pytest.approx(
        [0.384, 0.016, 0.096, 0.504], abs=1e-8
    )


def w4() -> PDG:
    pdg = PDG({"A": 2, "B": 2, "C": 2, "D": 3})
    pdg.add("a", "B", "A", cpd=table([[0.6707179789, 0.3292820211], [0.3438727489, 0.6561272511]]))
    pdg.add("b", "C", "B", cpd=table([[0.3628382079, 0.6371617921], [0.7084304459, 0.2915695541]]))
    pdg.add("c", "B", "C", cpd=table([[0.2441053042, 0.7558946958], [0.3961550542, 0.6038449458]]))
    return pdg


def test_w4_and_t5_an_idle_variable_shifts_the_value_by_its_entropy():
    pdg = w4()
    for gamma, value in ((0.0, 0.008744582514), (0.1, -0.080808670738), (1.0, -1.144675155695)):
        found = solve(pdg, gamma)
        assert found.value == pytest.approx(value, abs=2e-9)
        assert found.joint.marginal("D").tolist() == pytest.approx([1 / 3] * 3)
    # attention drops what it does not touch
    found = solve(pdg, 0.1, Attention())
    assert found.value == pytest.approx(0.029052558129, abs=2e-9)
    assert found.joint.names == ("A", "B", "C")


def test_the_empty_graph_and_graphs_without_arcs():
    assert solve(PDG()).value == 0.0
    found = solve(PDG({"A": 2, "one": 1}), 0.5)
    assert found.value == pytest.approx(-0.5 * math.log(2))
    assert found.joint.dense().tolist() == [[0.5], [0.5]]
    assert found.status is Status.SOLVED
    assert found.gap == 0.0


def test_t2_the_linear_term_is_weighed_by_beta_not_by_alpha():
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=table([0.7, 0.3]), alpha=5.0, beta=2.0)
    pdg.observe("X", 1)
    assert solve(pdg).value == pytest.approx(-2 * math.log(0.3))


def test_what_is_observed_separates_and_is_part_of_the_joint():
    pdg = PDG({"class": 2, "x": 2, "y": 2, "lonely": 2})
    for name in ("x", "y"):
        pdg.add(name, name, "class", cpd=table([[0.9, 0.1], [0.2, 0.8]]))
    pdg.observe("class", 1)
    pdg.observe("x", 0)
    pdg.observe("lonely", 1)
    found = solve(pdg)
    assert found.value == pytest.approx(-math.log(0.2))
    assert found.joint.marginal("x", "y", "class")[0, :, 1].tolist() == pytest.approx([0.2, 0.8])
    assert found.joint.marginal("lonely").tolist() == [0.0, 1.0]
    assert found.joint.names == ("class", "x", "y", "lonely")


def test_parts_add_and_splitting_confidence_changes_nothing():
    one, two = draw(0), draw(1)
    renamed = PDG({f"other {n}": v.card for n, v in two.variables.items()})
    for arc in two.arcs.values():
        sources = tuple(f"other {n}" for n in arc.sources)
        targets = tuple(f"other {n}" for n in arc.targets)
        renamed.add(f"other {arc.name}", targets, sources, cpd=arc.cpd, beta=0.5, alpha=0.0)
        renamed.add(f"copy {arc.name}", targets, sources, cpd=arc.cpd, beta=0.5, alpha=0.0)
    whole = solve(one + renamed)
    assert whole.value == pytest.approx(solve(one).value + solve(two).value, abs=3e-9)
    assert whole.gap <= 3e-9


@pytest.mark.parametrize("seed", range(4))
def test_scale_at_gamma_0_and_least_value_0(seed):
    pdg = draw(seed)
    tripled = Attention(dict.fromkeys(pdg.arcs, 3.0))
    value = solve(pdg).value
    assert value >= -1e-12
    assert solve(pdg, attention=tripled).value == pytest.approx(3 * value, abs=5e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_names_and_orders_do_not_matter(gamma):
    pdg = draw(5)
    flipped = PDG({n: v.card for n, v in reversed(pdg.variables.items())})
    for arc in reversed(pdg.arcs.values()):
        axes = [-1 - i for i in range(len(arc.sources) + len(arc.targets))]
        flipped.add(arc.name, arc.targets, arc.sources, cpd=arc.cpd.flip(axes))
    one, two = solve(pdg, gamma), solve(flipped, gamma)
    assert one.value == pytest.approx(two.value, abs=2e-9)
    if gamma:
        # values in reverse order as well
        turned = two.joint.marginal(*one.joint.names).flip(list(range(len(pdg.variables))))
        assert torch.allclose(one.joint.dense(), turned, atol=2e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gamma", [0.0, 0.2])
def test_a_batch_is_as_its_elements(method, gamma):
    generator = torch.Generator().manual_seed(2)
    p = torch.rand(5, 2, 3, generator=generator, dtype=torch.float64)
    q = torch.rand(3, 2, generator=generator, dtype=torch.float64)
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)

    def graph(p: torch.Tensor) -> PDG:
        pdg = PDG({"A": 2, "B": 3})
        pdg.add("p", "B", "A", cpd=p)
        pdg.add("q", "A", "B", cpd=q)
        return pdg

    batch = solve(graph(p), gamma, method=method, tol=1e-8)
    alone = [solve(graph(row), gamma, method=method, tol=1e-8).value for row in p]
    assert batch.value.tolist() == pytest.approx(alone, abs=2e-8)
    assert batch.joint.dense().shape == (5, 2, 3)


def test_float32_is_within_1e_5():
    wide = draw(7)
    narrow = PDG(wide.variables.values())
    for arc in wide.arcs.values():
        narrow.add(arc.name, arc.targets, arc.sources, cpd=arc.cpd.float())
    for gamma in (0.0, 0.5):
        assert solve(narrow, gamma).value == pytest.approx(solve(wide, gamma).value, abs=1e-5)


def test_a_start_is_taken_and_leads_to_the_same_value():
    pdg = draw(3, cards=(2, 2))
    weights = torch.rand(2, 2, 2, 2, generator=torch.Generator().manual_seed(1)).double()
    start = DenseJoint(tuple(pdg.variables.values()), weights / weights.sum())
    far, near = solve(pdg, method="mirror", start=start), solve(pdg, method="mirror")
    assert far.value == pytest.approx(near.value, abs=2e-9)
    again = solve(pdg, 0.5, method="mirror", start=solve(pdg, 0.5, method="mirror").joint)
    assert again.iterations <= solve(pdg, 0.5, method="mirror").iterations


def test_t7_minimizers_at_gamma_0_may_differ_and_the_limit_does_not():
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=table([[0.9, 0.1], [0.2, 0.8]]))
    weights = table([[0.05, 0.05], [0.7, 0.2]])
    start = DenseJoint(tuple(pdg.variables.values()), weights)
    one, two = solve(pdg, method="mirror"), solve(pdg, method="mirror", start=start)
    assert one.value == pytest.approx(0, abs=1e-9)
    assert two.value == pytest.approx(0, abs=1e-9)
    assert float((one.joint.dense() - two.joint.dense()).abs().max()) > 0.1
    for found in (one, two):
        assert torch.allclose(found.joint.conditional("B", "A"), pdg.arcs["p"].cpd, atol=1e-4)
    assert solve(pdg, "0+").joint.marginal("A").tolist() == pytest.approx([0.5, 0.5], abs=1e-6)


def test_zeros_that_can_be_avoided_are():
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", ("A", "B"), cpd=table([[0.5, 0.0], [0.25, 0.25]]))
    pdg.add("q", "B", cpd=table([0.1, 0.9]))
    for method in METHODS:
        found = solve(pdg, method=method, tol=1e-7)
        assert math.isfinite(found.value)
        assert found.joint.dense()[0, 1] == 0.0
    free = solve(pdg).value
    assert free == pytest.approx(-2 * math.log(math.sqrt(0.075) + math.sqrt(0.225)), abs=2e-9)


def test_t6_rows_that_nothing_reaches_divide_by_nothing():
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("certain", "A", cpd=table([1.0, 0.0]))
    pdg.add("p", "B", "A", cpd=table([[0.5, 0.5], [0.2, 0.8]]))
    pdg.add("q", "B", "A", cpd=table([[0.25, 0.75], [0.9, 0.1]]))
    for gamma in (0.0, 0.5):
        for method in METHODS:
            found = solve(pdg, gamma, method=method, tol=1e-7)
            assert not found.joint.dense().isnan().any()
            assert float(found.joint.marginal("A")[1]) == 0.0


def test_the_tree_and_the_dense_joint_agree_and_auto_takes_the_tree_where_it_must():
    small = w4()
    for gamma in (0.0, 0.5):
        assert solve(small, gamma, method="tree").value == pytest.approx(
            solve(small, gamma).value, abs=3e-9
        )
    wide = PDG({f"X{i}": 2 for i in range(30)})
    for i in range(29):
        wide.add(f"p{i}", f"X{i + 1}", f"X{i}", cpd=table([[0.9, 0.1], [0.3, 0.7]]))
    found = solve(wide, 0.5)
    assert found.method == "tree"
    assert found.value == pytest.approx(-0.5 * math.log(2), abs=1e-9)
    with pytest.raises(WidthError):
        solve(wide, 0.5, method="mirror")


def test_structure_that_outweighs_belief_is_refused_by_name():
    pdg = two_cycle(alpha=1.0, beta=0.5)
    with pytest.raises(NonConvexError, match="p, q") as caught:
        solve(pdg, 1.0)
    assert caught.value.arcs == ("p", "q")


def test_a_solver_that_stops_early_says_so():
    pdg = draw(0)
    found = solve(pdg, 0.1, method="mirror", max_iter=1)
    assert found.status is Status.MAX_ITERATIONS
    assert "max_iter" in found.advice
    assert found.value - solve(pdg, 0.1).value <= found.gap + 1e-9
    with pytest.raises(NotConvergedError):
        solve(pdg, 0.1, method="mirror", max_iter=1, throw=True)


def test_arguments_that_mean_nothing_are_refused():
    pdg = two_cycle()
    for bad in (-0.1, math.nan, math.inf, "0-"):
        with pytest.raises(DomainError, match="gamma"):
            solve(pdg, bad)
    with pytest.raises(DomainError, match="methods are"):
        solve(pdg, method="newton")
    with pytest.raises(DomainError, match="zero_plus"):
        solve(pdg, 0.5, method="zero_plus")
    for kwargs in ({"tol": 0.0}, {"tol": math.nan}, {"max_iter": 0}):
        with pytest.raises(DomainError, match="tol"):
            solve(pdg, **kwargs)


def test_tables_that_become_wrong_later_are_refused_when_solving():
    good = table([0.5, 0.5])
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=good)
    good[0] = 0.6
    with pytest.raises(NotNormalizedError, match="'p'"):
        solve(pdg)
    good[0] = math.nan
    with pytest.raises(DomainError, match="'p'"):
        solve(pdg)


def test_gradients_do_not_pass_through_solve():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=table([0.3, 0.7]), learnable=True)
    pdg.add("q", "A", cpd=table([0.6, 0.4]))
    assert not solve(pdg).joint.dense().requires_grad


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_certificates_of_all_parts_verify_after_a_round_trip(method, gamma):
    pdg = two_cycle()
    pdg.variable("idle", 3)
    pdg.variable("C", 2)
    pdg.add("c", "C", cpd=table([0.9, 0.1]))
    pdg.add("d", "C", cpd=table([0.2, 0.8]))
    found = solve(pdg, gamma, method=method)
    again = InconsistencySolution.from_json(json.loads(json.dumps(found.to_json())))
    assert again.certificate.verify()
    assert len(again.certificate.parts) == 2
    part = again.certificate.parts[0]
    assert not replace(part, value=part.value - 1e-3).verify()
    assert not replace(part, gap=-1e-3).verify()
