"""Tests of coset.beliefs.solvers.certificate: proofs hold, survive files, and cannot be bent."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_graph, random_table
from coset.beliefs.solvers.certificate import InconsistencyCertificate, certify
from coset.beliefs.solvers.mirror import solve_mirror
from coset.beliefs.solvers.problem import dense_problem
from coset.beliefs.solvers.solve import solve
from coset.core.results import Record


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def graph(seed=0):
    return random_graph(4, 5, num_sources=(0, 2), generator=torch.Generator().manual_seed(seed))


def constrained():
    generator = torch.Generator().manual_seed(3)
    pdg = PDG({"X": 3, "Z": 2, "Y": 2})
    pdg.add("p", ("X", "Z"), cpd=random_table(3, 2, num_targets=2, generator=generator))
    pdg.add("data", "X", cpd=tensor([0.5, 0.3, 0.2]), beta=math.inf)
    pdg.add("q", "Z", "X", cpd=random_table(3, 2, generator=generator), beta=2.0)
    pdg.add("r", "Y", "Z", cpd=tensor([[1.0, 0.0], [0.3, 0.7]]))
    return pdg


def certificate_of(pdg, gamma, method="auto"):
    solution = solve(pdg, gamma, method=method)
    assert isinstance(solution.certificate, InconsistencyCertificate)
    assert solution.certificate.value == pytest.approx(solution.value, abs=1e-12)
    return solution.certificate


@pytest.mark.parametrize("method", ["mirror", "interior", "cone"])
@pytest.mark.parametrize("gamma", [0.0, 0.4])
def test_every_method_gives_a_proof_that_files_keep(gamma, method):
    for pdg in (graph(), constrained()):
        certificate = certificate_of(pdg, gamma, method)
        assert certificate.verify()
        again = Record.from_json(json.loads(json.dumps(certificate.to_json())))
        assert again.verify()
        assert again.explain() == certificate.explain()


@pytest.mark.parametrize("gamma", [0.0, 0.4])
def test_what_was_bent_is_seen(gamma):
    certificate = certificate_of(constrained(), gamma)
    joint, problem = certificate.log_joint.exp(), certificate.problem
    other = random_table(*joint.shape, num_targets=3).log()
    lighter = replace(problem, cost=problem.cost - 0.1)
    concave = replace(
        problem, terms=tuple(replace(t, weight=-abs(t.weight)) for t in problem.terms)
    )
    for change in (
        {"value": certificate.value - 1e-6},
        {"value": certificate.value + 1e-6},
        {"gap": -1e-6},
        {"log_joint": other},
        {"log_joint": certificate.log_joint - 0.01},
        {"log_joint": other, "value": 5.0, "gap": 5.0},
        {"problem": lighter},
        {"problem": concave},
    ):
        assert not replace(certificate, **change).verify()


def test_a_loose_gap_is_proved_as_such():
    problem = dense_problem(graph(), 0.05)
    result = solve_mirror(problem, max_iter=2)
    certificate = certify(problem, result)
    assert certificate is not None
    assert certificate.verify()
    assert certificate.gap > 1e-6
    assert not replace(certificate, gap=1e-9).verify()
    assert "has the score" in certificate.explain()


def test_worlds_that_are_forbidden_have_no_weight():
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=tensor([1.0, 0.0]))
    certificate = certificate_of(pdg, 0.0)
    assert certificate.verify()
    moved = tensor([0.999, 0.001]).log()
    assert replace(certificate, log_joint=moved).broken_constraints() == pytest.approx(0.001)


def test_single_precision_is_certified_in_double():
    generator = torch.Generator().manual_seed(0)
    tables = [random_table(3, 2, generator=generator).float() for _ in range(2)]
    pdg = PDG({"X": 3, "Y": 2})
    pdg.add("p", "Y", "X", cpd=tables[0])
    pdg.add("q", "Y", "X", cpd=tables[1])
    for hard in (False, True):
        if hard:
            pdg.add("data", "X", cpd=torch.tensor([0.2, 0.7, 0.1]), beta=math.inf)
        solution = solve(pdg, 0.3)
        assert solution.joint.dense().dtype == torch.float32
        assert solution.certificate.verify()
        assert solution.certificate.value == pytest.approx(solution.value, abs=1e-6)
        assert solution.certificate.gap < 1e-6


def test_batches_contradictions_and_large_joints_have_none():
    batch = PDG({"X": 2})
    batch.add("p", "X", cpd=tensor([[0.5, 0.5], [0.2, 0.8]]))
    problem = dense_problem(batch)
    assert certify(problem, solve_mirror(problem)) is None
    never = PDG({"X": 2})
    never.add("p", "X", cpd=tensor([1.0, 0.0]))
    never.add("q", "X", cpd=tensor([0.0, 1.0]))
    assert solve(never).certificate is None
    large = PDG({f"X{i}": 2 for i in range(20)})
    for i in range(20):
        large.add(f"p{i}", f"X{i}", f"X{(i + 1) % 20}", cpd=tensor([[0.9, 0.1], [0.2, 0.8]]))
    problem = dense_problem(large, 1.0)
    assert certify(problem, solve_mirror(problem)) is None
