"""The limit of minimizers for γ → 0, and claims C2, C3 and C14."""

from __future__ import annotations

import math

import pytest
import torch

import coset.beliefs.claims.convexity
import coset.beliefs.claims.limits  # noqa: F401
from coset.beliefs.errors import NonConvexError
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_graph, random_table
from coset.beliefs.solvers.components import independent_parts
from coset.beliefs.solvers.convexity import convexity_probe
from coset.beliefs.solvers.score import structural_deficiency
from coset.beliefs.solvers.solve import solve
from coset.core.claims import find_claim
from coset.core.errors import DomainError, ShapeError
from coset.core.judging import judge


def table(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("id", ["C2", "C3", "C14", "C14b", "C14c", "C14d"])
def test_claims(id):
    judged = judge(find_claim(f"beliefs.{id}"))
    assert judged.as_expected, judged


def loose(seed: int, arcs: int = 3) -> PDG:
    generator = torch.Generator().manual_seed(seed)
    return random_graph(
        4, arcs, cards=(2, 3), num_sources=(1, 2), num_targets=(1, 1), generator=generator
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_limit_is_of_least_deficiency_among_minimizers(seed):
    pdg = loose(seed)
    limit, other = solve(pdg, "0+"), solve(pdg, method="interior", tol=1e-11)
    assert limit.method == "zero_plus"
    assert limit.gap <= 1e-9
    assert limit.value == pytest.approx(other.value, abs=2e-9)
    least = float(structural_deficiency(pdg, limit.joint))
    assert least <= float(structural_deficiency(pdg, other.joint)) + 1e-6
    near = solve(pdg, 1e-4, tol=1e-12, method="interior")
    assert torch.allclose(near.joint.dense(), limit.joint.dense(), atol=1e-3)


def test_a_bayesian_network_is_its_own_limit():
    generator = torch.Generator().manual_seed(0)
    pdg = PDG({"A": 2, "B": 3, "C": 2})
    pdg.add("a", "A", cpd=table([0.2, 0.8]))
    pdg.add("b", "B", "A", cpd=random_table(2, 3, generator=generator))
    pdg.add("c", "C", "A", cpd=random_table(2, 2, generator=generator))
    a, b, c = (pdg.arcs[n].cpd for n in "abc")
    expected = a[:, None, None] * b[:, :, None] * c[:, None, :]
    assert torch.allclose(solve(pdg, "0+").joint.dense(), expected, atol=1e-7)


def test_the_limit_where_minimizers_avoid_worlds_and_constraints_hold():
    pdg = PDG({"A": 2, "B": 2, "C": 2})
    pdg.add("certain", "A", cpd=table([0.25, 0.75]), beta=math.inf)
    pdg.add("p", "B", "A", cpd=table([[0.9, 0.1], [0.5, 0.5]]))
    pdg.add("never", "C", "B", cpd=table([[1.0, 0.0], [0.5, 0.5]]))
    joint = solve(pdg, "0+").joint
    assert joint.marginal("A").tolist() == pytest.approx([0.25, 0.75])
    assert float(joint.marginal("B", "C")[0, 1]) == 0.0
    assert torch.allclose(joint.conditional("B", "A"), pdg.arcs["p"].cpd, atol=1e-6)


def test_a_batch_of_limits_is_as_its_elements():
    generator = torch.Generator().manual_seed(3)
    tables = random_table(3, 2, 2, generator=generator)

    def graph(p: torch.Tensor) -> PDG:
        pdg = PDG({"A": 2, "B": 2, "C": 2})
        pdg.add("p", "B", "A", cpd=p)
        pdg.add("q", "C", "B", cpd=tables[0])
        return pdg

    batch = solve(graph(tables), "0+").joint.dense()
    for i, p in enumerate(tables):
        assert torch.allclose(batch[i], solve(graph(p), "0+").joint.dense(), atol=1e-9)


def test_structure_without_belief_has_no_limit():
    pdg = loose(0)
    pdg.add("structure", "X0", cpd=torch.full((pdg.variables["X0"].card,), 1.0).double().softmax(0))
    pdg.arcs["structure"] = pdg.arcs["structure"].weighted(1.0, 0.0)
    with pytest.raises(NonConvexError, match="structure"):
        solve(pdg, "0+")


def test_parts_are_what_free_variables_connect():
    pdg = PDG({"A": 2, "B": 2, "C": 2, "D": 2})
    same = table([[0.9, 0.1], [0.1, 0.9]])
    pdg.add("ab", "B", "A", cpd=same)
    pdg.add("bc", "C", "B", cpd=same)
    assert [set(p.arcs) for p in independent_parts(pdg)] == [{"ab", "bc"}]
    seen = pdg.condition({"B": 0})
    assert [set(p.arcs) for p in independent_parts(seen)] == [{"ab", "B=0"}, {"bc", "B=0"}]
    everything = pdg.condition({"A": 0, "B": 0, "C": 1, "D": 1})
    (part,) = independent_parts(everything)
    assert set(part.arcs) == set(everything.arcs)
    assert solve(everything).value == pytest.approx(-math.log(0.9) - math.log(0.1))


def quadratic(theta: torch.Tensor) -> PDG:
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=theta)
    pdg.add("q", "X", cpd=table([0.5, 0.5]))
    return pdg


def test_the_probe_finds_no_violation_where_there_is_none_and_proves_one_where_there_is():
    assert convexity_probe(quadratic, table([0.9, 0.1]), table([0.3, 0.7]))

    def logits(theta: torch.Tensor) -> PDG:
        return quadratic(theta.softmax(-1))

    verdict = convexity_probe(logits, table([9.0, 0.0]), table([0.0, 0.0]))
    assert not verdict
    assert verdict.evidence["excess"] > 0.05
    assert "exceeds the chord" in verdict.reason
    assert convexity_probe(logits, table([9.0, 0.0]), table([0.0, 0.0]), quasi=True)


def test_the_probe_refuses_what_is_no_segment():
    with pytest.raises(ShapeError, match="one shape"):
        convexity_probe(quadratic, table([0.5, 0.5]), table([0.2, 0.3, 0.5]))
    for weights in ((), (0.0,), (0.5, 1.0)):
        with pytest.raises(DomainError, match="weights"):
            convexity_probe(quadratic, table([0.5, 0.5]), table([0.4, 0.6]), weights=weights)
