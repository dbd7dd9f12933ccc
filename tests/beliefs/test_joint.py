"""Joints: marginals in any order, conditionals that never divide by zero, products of parts."""

from __future__ import annotations

import pytest
import torch

from coset.beliefs.errors import WidthError
from coset.beliefs.joint import DenseJoint, Joint, ProductJoint
from coset.beliefs.pdg.variable import Variable
from coset.beliefs.solution import InconsistencySolution
from coset.core.errors import DomainError, UnknownNameError
from coset.core.results import Status

A, B, C = Variable("A", 2), Variable("B", 3), Variable("C", 2)


def dense(*shape: int) -> torch.Tensor:
    weights = torch.rand(*shape, generator=torch.Generator().manual_seed(0)).double()
    return weights / weights.sum((-2, -1), keepdim=True)


def test_marginals_come_in_the_order_asked_for():
    table = dense(2, 3)
    joint = DenseJoint((A, B), table)
    assert torch.equal(joint.marginal("B", "A"), table.T)
    assert torch.allclose(joint.marginal("B"), table.sum(0))
    assert joint.marginal().item() == pytest.approx(1.0)
    assert torch.equal(joint.dense(), table)


def test_rows_without_probability_are_zero_and_not_nan():
    joint = DenseJoint((A, C), torch.tensor([[0.25, 0.75], [0.0, 0.0]]))
    assert joint.conditional("C", "A").tolist() == [[0.25, 0.75], [0.0, 0.0]]


def test_a_product_multiplies_its_parts():
    left, right = dense(2, 3), dense(1, 2)[0]
    joint = ProductJoint((A, B, C), (DenseJoint((A, B), left), DenseJoint((C,), right)))
    assert torch.allclose(joint.dense(), left[:, :, None] * right)
    assert torch.allclose(joint.marginal("C", "B"), right[:, None] * left.sum(0))
    assert torch.allclose(joint.marginal("A"), left.sum(1))


def test_batches_lead_in_products_too():
    left, right = dense(5, 2, 3), dense(1, 2)[0]
    joint = ProductJoint((A, B, C), (DenseJoint((A, B), left), DenseJoint((C,), right)))
    assert joint.marginal("C", "A").shape == (5, 2, 2)
    assert torch.allclose(joint.dense().sum((1, 2, 3)), torch.ones(5, dtype=torch.float64))


def test_unknown_names_and_tables_that_do_not_fit_are_refused():
    with pytest.raises(UnknownNameError, match="no variable named 'Z'"):
        DenseJoint((A,), torch.tensor([0.5, 0.5])).marginal("Z")
    wide = tuple(Variable(f"X{i}", 2) for i in range(40))
    half = torch.tensor([0.5, 0.5])
    joint = ProductJoint(wide, tuple(DenseJoint((v,), half) for v in wide))
    assert joint.marginal("X3").tolist() == [0.5, 0.5]
    with pytest.raises(WidthError):
        joint.dense()


def test_a_joint_becomes_json_and_comes_back():
    joint = DenseJoint((A, B), dense(2, 3))
    again = Joint.from_json(joint.to_json())
    assert torch.equal(again.marginal("A", "B"), joint.table)


def test_a_variable_is_asked_for_once():
    joint = DenseJoint((A, B), dense(2, 3))
    for ask in (lambda: joint.marginal("A", "A"), lambda: joint.conditional("B", "B")):
        with pytest.raises(DomainError, match="once"):
            ask()
    with pytest.raises(DomainError, match="one target or more"):
        joint.conditional((), "A")


def test_products_keep_single_precision():
    parts = tuple(DenseJoint((v,), torch.full((v.card,), 1 / v.card)) for v in (A, B))
    assert ProductJoint((A, B), parts).dense().dtype == torch.float32


def test_joints_and_solutions_are_shown_in_a_line():
    joint = DenseJoint((A, B), dense(2, 3))
    assert repr(joint) == "DenseJoint(A: 2, B: 3)"
    solution = InconsistencySolution(
        0.5, Status.SOLVED, error_bound=1e-9, joint=joint, method="cone"
    )
    assert repr(solution) == "InconsistencySolution(0.5 nats, solved by cone, gap 1.0e-09)"
