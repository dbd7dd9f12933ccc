"""Joints on junction trees: marginals, the descent on them, and its certificate."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from tests.beliefs.tree_cases import conflicting_tree, odd_graph, plain_descent, plain_score

from coset.beliefs.errors import (
    NonConvexError,
    NotNormalizedError,
    UnboundedInconsistencyError,
    WidthError,
)
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.solvers.problem import dense_problem
from coset.beliefs.solvers.solve import solve
from coset.beliefs.tree.conflicts import conflicting_arcs
from coset.beliefs.tree.joint import TreeJoint
from coset.beliefs.tree.network import JunctionTree
from coset.beliefs.tree.solver import solve_tree
from coset.core.errors import DomainError, UnknownNameError, UnsupportedError
from coset.core.results import Record, Status


def _table(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# --- products ------------------------------------------------------------------------------------


def test_a_compiled_tree_serves_other_numbers_conditions_and_batches():
    generator = torch.Generator().manual_seed(0)

    def chain(*batch: int) -> PDG:
        pdg = PDG({"A": 2, "B": 3, "C": 2})
        pdg.add("a", "A", cpd=random_table(*batch, 2, generator=generator))
        pdg.add("b", "B", "A", cpd=random_table(*batch, 2, 3, generator=generator))
        pdg.add("c", "C", "B", cpd=random_table(3, 2, generator=generator))
        return pdg

    tree = JunctionTree(chain())
    pdg = chain(5)
    a, b, c = (arc.probabilities() for arc in pdg.arcs.values())
    joint = a[:, :, None, None] * b[..., None] * c
    found = tree.joint(pdg)
    assert torch.allclose(found.marginal("C", "A"), joint.sum(2).transpose(1, 2))
    given = tree.marginals(pdg, {"C": 1})
    evidence = joint[..., 1].sum((1, 2))
    assert torch.allclose(given["A"], joint[..., 1].sum(2) / evidence[:, None])
    assert torch.allclose(given["C"], _table([0.0, 1.0]).expand(5, 2))
    assert torch.allclose(tree.log_partition(pdg, {"C": 1}).exp(), evidence)
    with pytest.raises(UnknownNameError, match="D"):
        tree.marginals(given={"D": 0})


def test_marginals_of_distant_variables_need_no_common_cluster():
    pdg = PDG({f"X{i}": 2 for i in range(40)})
    step = _table([[0.9, 0.1], [0.3, 0.7]])
    pdg.add("start", "X0", cpd=_table([0.5, 0.5]))
    for i in range(1, 40):
        pdg.add(f"p{i}", f"X{i}", f"X{i - 1}", cpd=step)
    joint = JunctionTree(pdg).joint()
    expected = _table([0.5, 0.5])[:, None] * torch.linalg.matrix_power(step, 39)
    assert torch.allclose(joint.marginal("X0", "X39"), expected)
    assert torch.allclose(joint.marginal("X39", "X0"), expected.T)
    three = joint.marginal("X7", "X0", "X30")
    assert torch.allclose(three.sum(1), joint.marginal("X7", "X30"))
    assert joint.marginal().item() == 1.0
    with pytest.raises(WidthError):
        joint.dense()
    with pytest.raises(UnknownNameError, match="Y"):
        joint.marginal("Y")


def test_what_has_no_probability_cannot_be_given():
    pdg = PDG({"A": 2})
    pdg.add("a", "A", cpd=_table([1.0, 0.0]))
    with pytest.raises(DomainError, match="positive probability"):
        JunctionTree(pdg).joint(given={"A": 1})


def test_a_wrong_row_among_many_tables_is_named():
    pdg = conflicting_tree(20)
    pdg.arcs["p7"].cpd[1, 0] += 0.5
    with pytest.raises(NotNormalizedError, match="'p7'") as caught:
        solve_tree(pdg)
    assert caught.value.row == (1,)
    pdg.arcs["p7"].cpd[1] = _table([-1.0, 1.0, 1.0])
    with pytest.raises(DomainError, match="negative"):
        solve_tree(pdg)


# --- the descent ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(48))
def test_the_descent_equals_the_dense_one(seed):
    pdg, gamma = odd_graph(seed)
    try:
        found = solve_tree(pdg, gamma, max_iter=2000)
    except UnsupportedError:
        assert dense_problem(pdg, gamma).constraints
        return
    except NonConvexError:
        assert dense_problem(pdg, gamma).concave
        return
    problem = dense_problem(pdg, gamma)
    if problem.constraints:  # eliminated one by one, where a dense problem has no chain
        assert found.value == pytest.approx(solve(pdg, gamma, method="cone").value, abs=1e-6)
        return
    if found.value == math.inf:
        assert problem.conflicts or not plain_descent(problem, 0)[1].any()
        return
    assert found.status is Status.SOLVED
    names = [v.name for v in problem.variables]
    joint = found.joint.marginal(*names)
    assert plain_score(problem, joint) == pytest.approx(found.value, abs=1e-9)
    value, _ = plain_descent(problem, 400)
    assert found.value - found.gap <= value + 1e-9, "the gap is no bound"
    assert found.value <= value + 1e-9
    assert found.certificate is None or found.certificate.verify()


@pytest.mark.parametrize(
    ("gamma", "value"),
    [
        (0.0, 0.001229613963),
        (0.25, -0.036026343040),
        (0.5, -0.083232607959),
        (1.0, -math.log(1.25)),
    ],
)
def test_worked_values_of_the_two_cycle(gamma, value):
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=_table([[0.8, 0.2], [0.3, 0.7]]))
    pdg.add("q", "A", "B", cpd=_table([[0.6, 0.4], [0.1, 0.9]]))
    found = solve_tree(pdg, gamma)
    assert found.value == pytest.approx(value, abs=1e-11)
    assert (found.iterations == 0) == (gamma == 1)  # there the product is the minimizer


def test_many_variables_in_conflict_are_solved_and_proved():
    pdg = conflicting_tree(400)
    for gamma in (0.0, 0.1):
        found = solve(pdg, gamma)
        assert found.method == "tree"
        assert found.status is Status.SOLVED
        assert found.gap <= 1e-9
    certificate = found.certificate
    assert certificate.verify()
    stored = Record.from_json(json.loads(json.dumps(certificate.to_json())))
    assert stored.verify()
    assert not replace(certificate, value=certificate.value - 1e-6).verify()
    rough = solve_tree(pdg, 0.1, tol=1.0).certificate
    assert rough.verify()
    assert not replace(rough, gap=rough.gap / 2).verify()
    assert not replace(certificate, log_belief=certificate.log_belief + 1e-3).verify()
    moved = certificate.log_conditional.clone()
    moved[:3] = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64).log()
    assert not replace(certificate, log_conditional=moved).verify()
    assert not replace(certificate, log_conditional=moved * 0).verify()
    assert "400 variables" in certificate.explain()


def test_a_chain_of_constraints_is_met_in_its_root():
    generator = torch.Generator().manual_seed(4)
    pdg = conflicting_tree(8, seed=5)
    data, encoder = random_table(3, generator=generator), random_table(3, 3, generator=generator)
    pdg.add("data", "X0", cpd=data, beta=math.inf)
    pdg.add("encoder", "X1", "X0", cpd=encoder, beta=math.inf)
    for gamma in (0.0, 0.2):
        found = solve_tree(pdg, gamma)
        assert found.status is Status.SOLVED
        assert torch.allclose(found.joint.marginal("X0", "X1"), data[:, None] * encoder, atol=1e-12)
        assert found.certificate.verify()
        value, _ = plain_descent(dense_problem(pdg, gamma), 60)
        assert found.value <= value + 1e-9


def test_constraints_at_the_ends_are_eliminated():
    generator = torch.Generator().manual_seed(6)
    pdg = conflicting_tree(5, seed=6)
    pdg.variable("Y", 4)
    pdg.variable("Z", 2)
    first, second = random_table(3, 4, generator=generator), random_table(4, 2, generator=generator)
    pdg.add("y", "Y", "X0", cpd=first, beta=math.inf, alpha=0.3)
    pdg.add("z", "Z", "Y", cpd=second, beta=math.inf, alpha=2.0)
    for gamma in (0.0, 0.4):
        found = solve_tree(pdg, gamma)
        assert torch.allclose(found.joint.conditional("Z", "Y"), second)
        assert torch.allclose(
            found.joint.marginal("X0", "Z"), found.joint.marginal("X0")[:, None] * (first @ second)
        )
        assert found.value == pytest.approx(solve(pdg, gamma, method="cone").value, abs=1e-7)


def test_constraints_elsewhere_are_refused_with_advice():
    pdg = conflicting_tree(6)
    for name in ("X0", "X3"):
        pdg.add(f"sure {name}", name, cpd=_table([0.2, 0.3, 0.5]), beta=math.inf)
    with pytest.raises(UnsupportedError, match="'sure X0', 'sure X3'"):
        solve_tree(pdg)


def test_contradictions_among_many_beliefs_name_the_few():
    pdg = conflicting_tree(200)
    swap = torch.eye(3, dtype=torch.float64).roll(1, 0)
    pdg.add("same", "X8", "X7", cpd=torch.eye(3, dtype=torch.float64), beta=math.inf)
    pdg.add("other", "X8", "X7", cpd=swap)
    pdg.observe("X150", 1)
    found = solve_tree(pdg)
    assert found.value == math.inf
    assert found.status is Status.INFEASIBLE
    assert found.conflicts == ("same", "other")
    assert found.joint is None
    pdg = conflicting_tree(50)
    pdg.add("never", "X9", cpd=_table([0.0, 0.5, 0.5]))
    pdg.observe("X9", 0)
    assert conflicting_arcs(pdg) == ("never", "X9=0")
    pdg.observe("X30", 0)
    pdg.add("X30=1 too", "X30", cpd=_table([0.0, 1.0, 0.0]), beta=math.inf)
    assert set(solve_tree(pdg).conflicts) == {"X30=0", "X30=1 too"}


def test_batches_equal_their_elements():
    generator = torch.Generator().manual_seed(8)
    tables = random_table(3, 2, 2, generator=generator), random_table(2, 2, generator=generator)

    def graph(which) -> PDG:
        pdg = PDG({"A": 2, "B": 2, "C": 2})
        pdg.add("p", "B", "A", cpd=tables[0][which])
        pdg.add("q", "A", "B", cpd=tables[1])
        pdg.add("r", "C", "B", cpd=tables[0][which])
        pdg.add("s", "B", "C", cpd=tables[1])
        return pdg

    found = solve_tree(graph(slice(None)), 0.2)
    assert found.value.shape == (3,)
    for i in range(3):
        alone = solve_tree(graph(i), 0.2)
        assert float(found.value[i]) == pytest.approx(alone.value, abs=1e-9)
        assert torch.allclose(found.joint.dense()[i], alone.joint.dense(), atol=1e-5)


def test_idle_and_observed_variables_belong_to_the_joint():
    pdg = PDG({"A": 2, "B": 3, "idle": 4})
    pdg.add("p", "A", "B", cpd=_table([[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]]))
    pdg.add("q", "A", cpd=_table([0.3, 0.7]))
    pdg.observe("B", 2)
    found = solve_tree(pdg, 0.5)
    assert found.joint.marginal("B").tolist() == [0.0, 0.0, 1.0]
    assert found.joint.marginal("idle").tolist() == [0.25] * 4
    assert found.joint.dense().shape == (2, 3, 4)
    assert found.value == pytest.approx(solve(pdg, 0.5, method="mirror").value, abs=1e-8)
    again = Record.from_json(json.loads(json.dumps(found.joint.to_json())))
    assert isinstance(again, TreeJoint)
    assert torch.equal(again.dense(), found.joint.dense())
    nothing = solve_tree(PDG(), 1.0)
    assert (nothing.value, nothing.joint.marginals(), nothing.joint.marginal().item()) == (0, {}, 1)
    pdg.observe("A", 1)
    certain = solve_tree(pdg.subgraph(["p", "A=1", "B=2"]), 1.0)
    assert certain.value == pytest.approx(-math.log(0.1))
    assert certain.joint.marginals()["A"].tolist() == [0.0, 1.0]
    assert certain.certificate.verify()
    everything = solve_tree(pdg.subgraph(["B=2"]), 1.0)
    assert everything.value == 0.0
    assert everything.joint.marginal("B").tolist() == [0.0, 0.0, 1.0]


def test_float32_tables_are_taken():
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=torch.tensor([[0.8, 0.2], [0.3, 0.7]]))
    pdg.add("q", "A", "B", cpd=torch.tensor([[0.6, 0.4], [0.1, 0.9]]))
    assert solve_tree(pdg).value == pytest.approx(0.001229613963, abs=1e-7)


def test_bad_options_and_scores_are_refused():
    pdg = conflicting_tree(4)
    for options in ({"gamma": -1.0}, {"gamma": math.nan}, {"tol": 0.0}, {"max_iter": 0}):
        with pytest.raises(DomainError, match="gamma is finite"):
            solve_tree(pdg, **options)
    with pytest.raises(NonConvexError) as caught:
        solve_tree(pdg, 1.5)
    assert caught.value.arcs == tuple(pdg.arcs)
    pdg.add("doubt", "X0", cpd=_table([0.0, 0.5, 0.5]), beta=-1.0, alpha=-8.0)
    with pytest.raises(UnboundedInconsistencyError, match="'doubt'"):
        solve_tree(pdg, 0.5)
    slow = solve_tree(conflicting_tree(30), 0.0, 1e-14, 2)
    assert slow.status is Status.MAX_ITERATIONS
    assert slow.gap > 1e-14


def test_memory_limits_the_memory_of_the_method():
    pdg = conflicting_tree(30)
    plan = solve_tree(pdg, 0.1).joint.plan
    little = solve_tree(pdg, 0.1, max_bytes=8 * 8 * plan.num_entries)
    assert little.status is Status.SOLVED
    with pytest.raises(WidthError):
        solve_tree(pdg, 0.1, max_bytes=8 * 8 * plan.num_entries - 1)
