"""χ = ∞: closed forms, L-BFGS, and what stays as it is."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.attention import Attention
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.argmin import register_full_table
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus
from coset.beliefs.resolve.lir import lir
from coset.beliefs.solvers.solve import solve


def random_table(*shape: int, seed: int = 0, targets: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    table = torch.rand(*shape, generator=generator, dtype=torch.float64) + 0.1
    return table / table.sum(tuple(range(-targets, 0)), keepdim=True)


def least(*names: str) -> Control:
    return Control.only(names)


def test_a_message_of_belief_propagation_is_one_focus() -> None:
    pdg = PDG({"X": 2, "Y": 3})
    factor, message = random_table(2, 3, targets=2), random_table(3, seed=1)
    pdg.add("factor", ("X", "Y"), cpd=factor)
    pdg.add("to factor", "Y", cpd=message)
    arc = pdg.add("from factor", "X", alpha=0.0, learnable=True)
    lir(pdg, [Focus(None, least("from factor"))], 1, gamma=1.0)
    expected = factor @ message
    assert torch.allclose(arc.probabilities(), expected / expected.sum(), atol=1e-14)


def test_a_leaf_without_factors_is_uniform_for_positive_gamma_and_stays_for_zero() -> None:
    for gamma, expected in ((1.0, [0.5, 0.5]), (0.0, [0.9, 0.1])):
        pdg = PDG({"X": 2})
        cpd = torch.tensor([0.9, 0.1], dtype=torch.float64)
        arc = pdg.add("message", "X", cpd=cpd, alpha=0.0, learnable=True)
        lir(pdg, [Focus(None, least("message"))], 1, gamma=gamma)
        assert arc.probabilities().tolist() == pytest.approx(expected)


def test_both_steps_of_em_on_full_tables() -> None:
    pdg = PDG({"X": 3, "Z": 2})
    joint, data = random_table(3, 2, targets=2), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    p = pdg.add("p", ("X", "Z"), cpd=joint, learnable=True)
    pdg.add("data", "X", cpd=data, beta=math.inf)
    q = pdg.add("q", "Z", "X", beta=math.inf, learnable=True)
    first, second = Focus(None, least("q")), Focus(None, least("p"))
    trace = lir(pdg, [first, second], 1)
    posterior = joint / joint.sum(1, keepdim=True)
    assert torch.allclose(q.probabilities(), posterior, atol=1e-9)
    divergence = (data * (data / joint.sum(1)).log()).sum()
    assert float(trace.overall[1]) == pytest.approx(float(divergence), abs=1e-12)
    lir(pdg, [second], 1)
    assert torch.allclose(p.probabilities(), data[:, None] * posterior, atol=1e-8)


def test_several_tables_go_to_their_common_minimizer() -> None:
    pdg = PDG({"A": 2, "B": 3, "C": 2})
    pdg.add("AB", "B", "A", cpd=random_table(2, 3, seed=1))
    pdg.add("CB", "B", "C", cpd=random_table(2, 3, seed=2))
    pdg.add("B", "B", cpd=random_table(3, seed=3), learnable=True)
    pdg.add("BC", "C", "B", cpd=random_table(3, 2, seed=4), learnable=True)
    rest = solve(pdg.subgraph(["AB", "CB"])).value
    trace = lir(pdg, [Focus(None, least("B", "BC"))], 1, tol=1e-11)
    assert float(trace.initial) > rest + 0.05
    assert float(trace.overall[-1]) == pytest.approx(rest, abs=1e-9)


def test_variables_that_nothing_else_attends_keep_their_conditionals() -> None:
    pdg = PDG({"X": 2, "Y": 2})
    old = random_table(2, 2, targets=2)
    arc = pdg.add("joint", ("X", "Y"), cpd=old, learnable=True)
    pdg.add("X", "X", cpd=torch.tensor([0.8, 0.2], dtype=torch.float64))
    trace = lir(pdg, [Focus(None, least("joint"))], 1)
    new = arc.probabilities()
    assert new.sum(1).tolist() == pytest.approx([0.8, 0.2])
    assert torch.allclose(new / new.sum(1, keepdim=True), old / old.sum(1, keepdim=True))
    assert float(trace.overall[-1]) == pytest.approx(0.0, abs=1e-12)


def test_rows_without_probability_stay_trap_t6() -> None:
    pdg = PDG({"X": 2, "Y": 2})
    pdg.observe("X", 1)
    pdg.add("Y", "Y", cpd=torch.tensor([0.3, 0.7], dtype=torch.float64))
    old = random_table(2, 2)
    arc = pdg.add("YX", "Y", "X", cpd=old, learnable=True)
    lir(pdg, [Focus(None, least("YX"))], 1)
    assert torch.allclose(arc.probabilities()[0], old[0])
    assert arc.probabilities()[1].tolist() == pytest.approx([0.3, 0.7])


def test_where_alpha_counts_the_minimizer_is_found_by_descent() -> None:
    pdg = PDG({"X": 2})
    arc = pdg.add("p", "X", alpha=1.0, beta=2.0, learnable=True)
    pdg.add("q", "X", cpd=torch.tensor([0.8, 0.2], dtype=torch.float64), alpha=0.0)
    lir(pdg, [Focus(None, least("p"))], 1, gamma=0.5, tol=1e-13)
    best = float(solve(pdg, 0.5).value)
    logit = arc.parameters[0].detach()
    for shift in (-0.05, 0.05):
        nearby = pdg.copy()
        del nearby.arcs["p"]
        cpd = torch.softmax(logit + torch.tensor([shift, 0.0], dtype=torch.float64), 0)
        nearby.add("p", "X", cpd=cpd, alpha=1.0, beta=2.0)
        assert float(solve(nearby, 0.5).value) > best + 1e-6


def test_descent_on_what_is_no_table() -> None:
    slope = torch.zeros(1, dtype=torch.float64)
    values = torch.arange(4, dtype=torch.float64)
    pdg = PDG({"X": 4})
    data = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    pdg.add("data", "X", cpd=data, beta=math.inf)
    pdg.add(
        "model",
        "X",
        cpd=lambda: (slope * values).log_softmax(-1),
        is_log=True,
        parameters=(slope,),
    )
    lir(pdg, [Focus(None, least("model"))], 1)
    model = (slope * values).softmax(-1)
    assert float(model @ values) == pytest.approx(float(data @ values), abs=1e-8)
    assert slope.grad is None


def test_tables_at_the_minimizer_while_others_follow() -> None:
    pdg = PDG({"X": 2})
    fast = pdg.add("fast", "X", learnable=True)
    slow = pdg.add("slow", "X", cpd=torch.tensor([0.6, 0.4], dtype=torch.float64), learnable=True)
    pdg.add("fixed", "X", cpd=torch.tensor([0.2, 0.8], dtype=torch.float64))
    control = Control({"fast": math.inf, "slow": 1.0})
    trace = lir(pdg, [Focus(None, control)], 30, substeps=4, tol=1e-13)
    assert float(trace.overall[-1]) < 1e-5
    assert slow.probabilities()[0].item() == pytest.approx(0.2, abs=1e-2)
    best = solve(pdg.subgraph(["slow", "fixed"])).joint
    assert best is not None
    assert torch.allclose(fast.probabilities(), best.marginal("X"), atol=1e-6)


def test_a_batch_and_an_element_of_it() -> None:
    tables = torch.stack([random_table(3, seed=i) for i in range(4)])
    pdg = PDG({"X": 3})
    arc = pdg.add("p", "X", cpd=torch.full((4, 3), 1 / 3, dtype=torch.float64), learnable=True)
    pdg.add("q", "X", cpd=tables)
    move = Focus(None, least("p"), "move")
    stay = Focus(Attention.only(["q"]), Control(), "stay")
    with pytest.warns(RuntimeWarning, match="'stay'"):
        lir(pdg, [[move, stay, move, stay]], 1)
    assert torch.allclose(arc.probabilities()[[0, 2]], tables[[0, 2]])
    assert torch.allclose(arc.probabilities()[[1, 3]], torch.full((2, 3), 1 / 3).double())


def test_a_table_that_a_batch_shares_serves_all_elements() -> None:
    tables = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]], dtype=torch.float64)
    pdg = PDG({"X": 2})
    arc = pdg.add("shared", "X", cpd=torch.tensor([0.8, 0.2], dtype=torch.float64), learnable=True)
    pdg.add("own", "X", cpd=tables, beta=math.inf)
    lir(pdg, [Focus(None, least("shared"))], 1)
    assert arc.probabilities().tolist() == pytest.approx(tables.mean(0).tolist(), abs=1e-8)


def test_own_tables_can_be_registered() -> None:
    class Weights(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))

        def forward(self) -> torch.Tensor:
            return self.weights / self.weights.sum()

    calls: list[torch.Tensor] = []

    def assign(table: Weights, probabilities: torch.Tensor) -> None:
        calls.append(probabilities)
        table.weights.copy_(probabilities)

    register_full_table(Weights, assign)
    pdg = PDG({"X": 2})
    arc = pdg.add("p", "X", cpd=Weights())
    pdg.add("q", "X", cpd=torch.tensor([0.25, 0.75], dtype=torch.float64))
    lir(pdg, [Focus(None, least("p"))], 1)
    assert len(calls) == 1
    assert arc.probabilities().tolist() == pytest.approx([0.25, 0.75])


def test_a_value_without_a_minimizer_is_told() -> None:
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=torch.tensor([0.7, 0.3], dtype=torch.float64), learnable=True)
    pdg.add("q", "X", cpd=torch.tensor([0.4, 0.6], dtype=torch.float64))
    disbelief = Focus(Attention({"p": -0.5}), least("p"))  # −½ log Σ q²/p has no least value
    with pytest.warns(RuntimeWarning, match="no minimizer"):
        lir(pdg, [disbelief], 1)
