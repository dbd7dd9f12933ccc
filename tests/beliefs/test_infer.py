"""Questions to beliefs: networks by one pass, anything else by its best joint."""

from __future__ import annotations

import math

import pytest
import torch
from tests.beliefs.tree_cases import conflicting_tree

from coset.beliefs.attention import Attention
from coset.beliefs.errors import WidthError
from coset.beliefs.infer import infer
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.solvers.envelope import inconsistency
from coset.beliefs.solvers.solve import solve
from coset.beliefs.tree.envelope import tree_inconsistency
from coset.beliefs.tree.network import ancestors, is_network
from coset.core.errors import (
    DomainError,
    RangeError,
    UnknownNameError,
    UnsupportedError,
)


def _network(*batch: int, beta: float = 1.0) -> PDG:
    generator = torch.Generator().manual_seed(1)
    pdg = PDG({"A": ["no", "yes"], "B": 3, "C": 2, "D": 2, "E": 3})
    parents = {"A": (), "B": ("A",), "C": ("A",), "D": ("B", "C"), "E": ("D",)}
    for name, given in parents.items():
        shape = pdg.cards((*given, name))
        pdg.add(name, name, given, cpd=random_table(*batch, *shape, generator=generator), beta=beta)
    return pdg


def _joint(pdg: PDG) -> torch.Tensor:
    a, b, c, d, e = (arc.probabilities() for arc in pdg.arcs.values())
    return torch.einsum("...a,...ab,...ac,...bcd,...de->...abcde", a, b, c, d, e)


@pytest.mark.parametrize("beta", [0.3, 1.0, math.inf])
def test_a_network_is_asked_for_its_conditionals(beta):
    pdg = _network(beta=beta)
    joint = _joint(pdg)
    expected = joint[:, :, 1, :, 2].sum(2)
    expected = expected / expected.sum()
    assert torch.allclose(infer(pdg, ("A", "B"), {"E": 2, "C": 1}), expected)
    assert torch.allclose(infer(pdg, ("B", "A"), {"E": 2, "C": 1}), expected.T)
    assert torch.allclose(infer(pdg, "C"), joint.sum((0, 1, 3, 4)))
    posterior = joint[..., 0, :].sum((1, 2, 3))
    assert torch.allclose(infer(pdg, "A", {"D": 0}), posterior / posterior.sum())


def test_a_batch_of_networks_is_asked_at_once():
    pdg = _network(4)
    expected = _joint(pdg)[:, 1].sum((2, 3, 4))
    expected = expected / expected.sum(-1, keepdim=True)
    assert torch.allclose(infer(pdg, "B", {"A": 1}), expected)


def test_the_best_joint_at_every_gamma_gives_the_same_answer():
    pdg = _network()
    for gamma in (0.3, 0.9):
        other = infer(pdg, "A", {"E": 2}, gamma=gamma, method="mirror", tol=1e-12)
        assert torch.allclose(infer(pdg, "A", {"E": 2}), other, atol=1e-5)


def test_what_cannot_matter_is_left_out():
    pdg = _network()
    assert set(ancestors(pdg, ["C"]).variables) == {"A", "C"}
    chain = PDG({f"X{i}": 2 for i in range(200)})
    hub = torch.full((2,) * 12, 0.5, dtype=torch.float64)
    for i in range(200):
        given = [f"X{j}" for j in range(i - 11, i)] if i > 100 else ()
        chain.add(f"p{i}", f"X{i}", given, cpd=hub[(0,) * (11 - len(given))])
    assert infer(chain, "X50").tolist() == [0.5, 0.5]
    with pytest.raises(WidthError) as caught:
        infer(chain, "X199", {"X0": 1}, max_bytes=8 * 2**12)
    assert caught.value.width == 11
    assert caught.value.bytes > 8 * 2**12


def test_conflicting_beliefs_answer_by_their_compromise():
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=torch.tensor([[0.8, 0.2], [0.3, 0.7]], dtype=torch.float64))
    pdg.add("q", "A", "B", cpd=torch.tensor([[0.6, 0.4], [0.1, 0.9]], dtype=torch.float64))
    assert not is_network(pdg)
    joint = solve(pdg, 1.0).joint.dense()
    expected = joint[:, 1] / joint[:, 1].sum()
    assert torch.allclose(infer(pdg, "A", {"B": 1}, gamma=1.0), expected)
    # Without q the rest is a network in which A is uniform
    only = Attention.only(["p"])
    expected = torch.tensor([0.2, 0.7], dtype=torch.float64) / 0.9
    assert torch.allclose(infer(pdg, "A", {"B": 1}, attention=only), expected)


def test_what_is_a_network():
    pdg = _network()
    assert is_network(pdg)
    for change in ({"alpha": 0.5}, {"beta": -1.0}, {"beta": 0.0}):
        arc = pdg.arcs["D"]
        other = pdg.copy()
        other.arcs["D"] = arc.weighted(change.get("alpha", 1.0), change.get("beta", 1.0))
        assert not is_network(other)
    pdg.add("again", "D", cpd=torch.tensor([0.5, 0.5], dtype=torch.float64))
    assert not is_network(pdg)
    cycle = PDG({"A": 2, "B": 2})
    table = torch.full((2, 2), 0.5, dtype=torch.float64)
    cycle.add("p", "B", "A", cpd=table)
    cycle.add("q", "A", "B", cpd=table)
    assert not is_network(cycle)


def test_variables_without_a_belief_are_uniform_causes():
    pdg = PDG({"A": 4, "B": 2, "idle": 5})
    pdg.add("p", "B", "A", cpd=torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]], dtype=torch.float64))
    assert infer(pdg, "A", {"B": 0}).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert infer(pdg, "idle").tolist() == pytest.approx([0.2] * 5)
    assert solve(pdg, 0.5, method="tree").value == pytest.approx(-0.5 * math.log(20))


def test_bad_questions_are_refused():
    pdg = _network()
    for query, given in (((), {}), (("A", "A"), {}), ("A", {"A": 0})):
        with pytest.raises(DomainError, match="ask for one variable or more"):
            infer(pdg, query, given)
    with pytest.raises(UnknownNameError, match="'X'"):
        infer(pdg, "X")
    with pytest.raises(UnknownNameError, match="'Y'"):
        infer(pdg, "A", {"Y": 0})
    with pytest.raises(RangeError, match="maybe"):
        infer(pdg, "B", {"A": "maybe"})
    sure = PDG({"A": 2, "B": 2})
    sure.add("a", "A", cpd=torch.tensor([1.0, 0.0], dtype=torch.float64))
    with pytest.raises(DomainError, match="positive probability"):
        infer(sure, "B", {"A": 1})
    with pytest.raises(DomainError, match="positive probability"):
        infer(sure, "B", {"A": 1}, gamma=0.5, method="mirror")
    sure.observe("A", 1)
    with pytest.raises(DomainError, match="'a'"):
        infer(sure, "A")


# --- gradients -----------------------------------------------------------------------------------


def test_gradients_on_a_tree_equal_those_of_the_dense_joint():
    pdg = conflicting_tree(6)
    for name in ("p2", "q3"):
        arc = pdg.arcs.pop(name)
        pdg.add(name, arc.targets, arc.sources, cpd=arc.cpd, learnable=True)
    for gamma in (0.0, 0.3):
        logits = [own for (own,) in pdg.parameters().values()]
        found = torch.autograd.grad(tree_inconsistency(pdg, gamma, tol=1e-13), logits)
        expected = torch.autograd.grad(inconsistency(pdg, gamma, tol=1e-13), logits)
        for one, other in zip(found, expected, strict=True):
            assert other.abs().max() > 1e-4
            assert torch.allclose(one, other, atol=1e-7)


def test_descent_of_the_gradient_resolves_many_beliefs():
    pdg = conflicting_tree(60)
    learned = pdg.copy()
    for name in [n for n in pdg.arcs if n.startswith("q")]:
        arc = learned.arcs.pop(name)
        learned.add(name, arc.targets, arc.sources, cpd=arc.cpd, learnable=True)
    values = []
    for _ in range(5):
        value = tree_inconsistency(learned)
        value.backward()
        values.append(float(value.detach()))
        with torch.no_grad():
            for (logits,) in learned.parameters().values():
                logits -= logits.grad
                logits.grad = None
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.8 * values[0]


def test_gradients_say_what_they_cannot_do():
    pdg = conflicting_tree(6)
    pdg.add("sure", "X0", cpd=torch.full((3,), 1 / 3, dtype=torch.float64), beta=math.inf)
    hard = pdg.copy()
    hard.arcs["sure"] = PDG({"X0": 3}).add("sure", "X0", learnable=True, beta=math.inf)
    with pytest.raises(UnsupportedError, match="'sure'"):
        tree_inconsistency(hard)
    with pytest.warns(RuntimeWarning, match="above its infimum"):
        tree_inconsistency(conflicting_tree(30), tol=1e-14, max_iter=1)
    pdg.add("never", "X0", cpd=torch.tensor([0.0, 0.5, 0.5], dtype=torch.float64))
    pdg.observe("X0", 0)
    assert tree_inconsistency(pdg).item() == math.inf
