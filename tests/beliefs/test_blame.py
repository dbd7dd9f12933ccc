"""Blame adds up to the score, points at the right row, and has an answer to every input."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.attention import Attention
from coset.beliefs.blame import Blame, blame
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.score import incompatibility, score
from coset.beliefs.solvers.solve import solve
from coset.core.errors import DomainError, DtypeError, UnsupportedError


def tensor(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def weather() -> PDG:
    pdg = PDG({"sky": ["clear", "cloudy"], "ground": ["dry", "damp", "wet"]})
    pdg.add("forecast", "sky", cpd=tensor([0.9, 0.1]), beta=2.0)
    rain = tensor([[0.8, 0.1, 0.1], [0.1, 0.3, 0.6]])
    pdg.add("rain", "ground", "sky", cpd=rain)
    pdg.add("boots", "ground", cpd=tensor([0.1, 0.2, 0.7]), alpha=0.0, beta=3.0)
    return pdg


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
def test_parts_add_up_to_the_score(gamma):
    pdg = weather()
    solution = solve(pdg, gamma)
    found = blame(pdg, solution, gamma)
    assert solution.joint is not None
    entropy = -float(torch.xlogy(solution.joint.dense(), solution.joint.dense()).sum())
    assert found.entropy == pytest.approx(-gamma * entropy, abs=1e-12)
    parts = sum(a.conflict + a.structure for a in found.arcs) + found.entropy
    assert parts == pytest.approx(float(score(pdg, solution.joint, gamma)), abs=1e-12)
    conflicts = sum(a.conflict for a in found.arcs)
    assert conflicts == pytest.approx(float(incompatibility(pdg, solution.joint)), abs=1e-12)
    assert sum(a.share for a in found.arcs) == pytest.approx(1.0, abs=1e-12)
    assert [a.conflict for a in found.arcs] == sorted(a.conflict for a in found.arcs)[::-1]


def test_each_part_is_its_definition():
    pdg = weather()
    solution = solve(pdg, 0.5)
    assert solution.joint is not None
    by_name = {a.arc: a for a in blame(pdg, solution, 0.5).arcs}
    mu = solution.joint.marginal("sky", "ground")
    conditional = mu / mu.sum(1, keepdim=True)
    p = pdg.arcs["rain"].probabilities()
    assert by_name["rain"].conflict == pytest.approx(
        float((mu * (conditional / p).log()).sum()), abs=1e-13
    )
    assert by_name["rain"].structure == pytest.approx(
        -0.5 * float((mu * conditional.log()).sum()), abs=1e-13
    )
    assert by_name["boots"].structure == 0.0
    assert by_name["rain"].belief == "p(ground | sky)"


def test_the_worst_row_is_named_with_its_values():
    pdg = PDG({"A": ["a0", "a1"], "B": 3})
    wrong = tensor([[0.2, 0.3, 0.5], [0.98, 0.01, 0.01]])
    right = tensor([[0.2, 0.3, 0.5], [0.01, 0.01, 0.98]])
    pdg.add("A", "A", cpd=tensor([0.5, 0.5]), beta=math.inf)
    pdg.add("right", "B", "A", cpd=right, beta=math.inf)
    pdg.add("wrong", "B", "A", cpd=wrong)
    first = blame(pdg).arcs[0]
    assert first.arc == "wrong"
    assert first.worst is not None
    assert dict(first.worst.given) == {"A": "a1"}
    assert dict(first.worst.outcome) == {"B": "2"}
    assert first.worst.part == pytest.approx(1.0)
    assert (first.worst.believed, first.worst.compromise) == pytest.approx((0.01, 0.98))
    assert str(first.worst) == "p(B=2 | A=a1) is 0.01, all together 0.98"


def test_targets_and_sources_of_several_variables_are_named_in_order():
    pdg = PDG({"A": 2, "B": 3, "C": 2, "D": 2})
    table = torch.full((2, 3, 2, 2), 0.25, dtype=torch.float64)
    table[1, 2] = tensor([[0.97, 0.01], [0.01, 0.01]])
    pdg.add("p", ("C", "D"), ("B", "A"), cpd=table.permute(1, 0, 2, 3).contiguous())
    for name, value in (("A", 1), ("B", 2), ("C", 0), ("D", 1)):
        pdg.observe(name, value)
    worst = blame(pdg).arcs[0].worst
    assert worst is not None
    assert list(worst.given.items()) == [("B", "2"), ("A", "1")]
    assert list(worst.outcome.items()) == [("C", "0"), ("D", "1")]
    assert (worst.believed, worst.compromise) == pytest.approx((0.01, 1.0))


def test_constraints_and_beliefs_without_confidence_disagree_with_nothing():
    pdg = weather()
    pdg.observe("ground", "wet")
    pdg.add("guess", "sky", cpd=tensor([0.5, 0.5]), beta=0.0)
    by_name = {a.arc: a for a in blame(pdg, gamma=0.0).arcs}
    for name in ("ground=wet", "guess"):
        assert by_name[name].conflict == 0.0
        assert by_name[name].worst is None


def test_beliefs_that_agree_share_nothing():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=tensor([0.3, 0.7]))
    found = blame(pdg)
    assert found.value == pytest.approx(0.0, abs=1e-9)
    assert found.arcs[0].conflict == pytest.approx(0.0, abs=1e-9)
    assert blame(PDG({"A": 2})).arcs == ()


def test_contradictions_are_named_instead():
    pdg = PDG({"A": 2})
    pdg.observe("A", 0)
    pdg.observe("A", 1)
    found = blame(pdg)
    assert found.value == math.inf
    assert found.arcs == ()
    assert set(found.conflicts) == {"A=0", "A=1"}


def test_attention_weighs_and_drops():
    pdg = weather()
    attention = Attention({"forecast": 0.5, "boots": 1.0}, default=0.0)
    found = blame(pdg, attention=attention)
    assert {a.arc: a.beta for a in found.arcs} == {"forecast": 1.0, "boots": 3.0}
    assert found.value == pytest.approx(0.0, abs=1e-9)


def test_disbelief_has_a_negative_part_and_takes_no_share():
    pdg = weather()
    pdg.add("doubt", "sky", cpd=tensor([0.5, 0.5]), alpha=0.0)
    attention = Attention({"doubt": -0.5})
    solution = solve(pdg, 0.0, attention, method="cccp")
    found = blame(pdg, solution, attention=attention)
    assert found.arcs[-1].arc == "doubt"
    assert found.arcs[-1].conflict < 0
    assert sum(a.share for a in found.arcs if a.beta > 0) == pytest.approx(1.0)


def test_bits_rows_and_json():
    pdg = weather()
    nats, bits = blame(pdg, gamma=0.5), blame(pdg, gamma=0.5, units="bits")
    for name in ("value", "entropy"):
        assert getattr(bits, name) == pytest.approx(getattr(nats, name) / math.log(2))
    for a, b in zip(bits.rows(), nats.rows(), strict=True):
        assert a["conflict"] == pytest.approx(b["conflict"] / math.log(2))
        assert a["structure"] == pytest.approx(b["structure"] / math.log(2))
        assert a["share"] == b["share"]
        assert a["worst"].startswith("p(")
    again = Blame.from_json(nats.to_json())
    assert again.rows() == nats.rows()


def test_limit_inference_is_accepted():
    pdg = weather()
    assert blame(pdg, gamma="0+").value == pytest.approx(blame(pdg).value, abs=1e-6)


def test_single_precision_is_summed_in_double():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=torch.tensor([0.7, 0.3]))
    pdg.add("q", "A", cpd=torch.tensor([0.4, 0.6]))
    found = blame(pdg)
    assert sum(a.conflict for a in found.arcs) == pytest.approx(0.09541140987375518, abs=1e-6)


def test_batches_and_unknown_units_are_refused():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=torch.full((3, 2), 0.5, dtype=torch.float64))
    with pytest.raises(UnsupportedError, match=r"one graph; this is a batch of shape \(3,\)"):
        blame(pdg)
    one = PDG({"A": 2})
    one.add("p", "A", cpd=tensor([0.5, 0.5]))
    with pytest.raises(UnsupportedError, match="one solution"):
        blame(one, solve(pdg))
    with pytest.raises(DomainError, match="nats"):
        blame(one, units="nits")  # type: ignore[arg-type]


def test_a_solution_of_another_weight_or_graph_is_refused():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=tensor([0.7, 0.3]))
    pdg.add("q", "A", cpd=tensor([0.4, 0.6]))
    solution = solve(pdg, 1.0)
    assert blame(pdg, solution, 1.0).value == pytest.approx(0.7765287894989964)
    for call in (
        lambda: blame(pdg, solution),
        lambda: blame(pdg, solve(pdg), 1.0),
        lambda: blame(pdg, solve(pdg), attention=Attention({"p": 0.5})),
    ):
        with pytest.raises(DomainError, match="the same graph, γ and attention"):
            call()


def test_a_number_in_place_of_a_solution_is_refused():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=[0.5, 0.5])
    with pytest.raises(DtypeError, match="write gamma="):
        blame(pdg, 0.5)
