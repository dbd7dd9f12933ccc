"""Factor graphs: the best joint at γ = 1 is the product of factors, and log Z comes out."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.pdg.factor_graph import from_factor_graph
from coset.beliefs.solvers.problem import dense_problem
from coset.core.errors import DomainError, ShapeError, UnknownNameError


def factors(seed: int) -> dict[str, tuple[tuple[str, ...], torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "f": (("A", "B"), torch.rand(2, 3, generator=generator, dtype=torch.float64) * 5),
        "g": (("C", "B"), torch.rand(2, 3, generator=generator, dtype=torch.float64) + 0.1),
    }


def test_one_step_of_mirror_descent_gives_the_product_and_log_z():
    given = factors(0)
    power = {"g": 0.5}
    pdg, log_scale = from_factor_graph({"A": 2, "B": 3, "C": 2}, given, power)
    problem = dense_problem(pdg, 1.0)
    assert all(term.weight == 0 for term in problem.terms)
    log_joint, log_sum = problem.chain.project(-problem.cost)
    product = given["f"][1][:, :, None] * given["g"][1].T[None] ** 0.5
    assert torch.allclose(log_joint.exp(), product / product.sum())
    assert (log_scale + log_sum).item() == pytest.approx(product.sum().log().item(), abs=1e-12)


def test_factors_may_be_batched():
    phi = torch.rand(4, 2, 2, dtype=torch.float64) + 0.1
    pdg, log_scale = from_factor_graph({"A": 2, "B": 2}, {"f": (("A", "B"), phi)})
    assert pdg.batch_shape() == (4,)
    assert torch.allclose(log_scale, phi.sum((1, 2)).log())


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, 0.0])
def test_factors_that_are_no_weights_are_refused(bad):
    with pytest.raises(DomainError, match="'f'"):
        from_factor_graph({"A": 2}, {"f": (("A",), torch.tensor([bad, 0.0]))})


def test_scopes_and_exponents_must_fit():
    with pytest.raises(ShapeError):
        from_factor_graph({"A": 2}, {"f": (("A",), torch.ones(3))})
    with pytest.raises(UnknownNameError):
        from_factor_graph({"A": 2}, {"f": (("B",), torch.ones(2))})
    with pytest.raises(DomainError, match="exponents"):
        from_factor_graph({"A": 2}, {"f": (("A",), torch.ones(2))}, {"g": 2.0})
    with pytest.raises(DomainError, match="there is a factor"):
        from_factor_graph({"A": 2}, {})


def test_lists_whole_numbers_and_single_names_are_taken():
    pdg, log_scale = from_factor_graph({"AB": 2}, {"f": ("AB", [1, 3])})
    assert pdg.arcs["f"].probabilities().tolist() == [0.25, 0.75]
    assert log_scale.item() == pytest.approx(math.log(4), rel=1e-15)
    with pytest.raises(ShapeError, match="an axis for each"):
        from_factor_graph({"A": 2, "B": 2}, {"f": (("A", "B"), [1.0, 3.0])})
