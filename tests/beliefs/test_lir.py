"""The loop of local resolution: foci, rates, warnings, batches, and the worked trace W4."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import pytest
import torch

from coset.beliefs.attention import Attention
from coset.beliefs.claims.resolution import worked_graph
from coset.beliefs.foci.attended_arcs import hub, partial, uniform
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus
from coset.beliefs.resolve.lir import _warn_of_gaps, lir
from coset.beliefs.resolve.trace import Trace
from coset.beliefs.solvers.envelope import inconsistency
from coset.core.claims import find_claim
from coset.core.errors import (
    DomainError,
    DtypeError,
    NotConvergedError,
    ShapeError,
    UnknownNameError,
)
from coset.core.judging import judge


def tensor(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def two_beliefs(learnable: bool = True) -> PDG:
    pdg = PDG({"X": 3})
    pdg.add("p", "X", cpd=tensor([0.7, 0.2, 0.1]), learnable=learnable)
    pdg.add("q", "X", cpd=tensor([0.1, 0.3, 0.6]))
    return pdg


def random_batch(num: int, seed: int = 0) -> PDG:
    generator = torch.Generator().manual_seed(seed)
    pdg = PDG({"A": 2, "B": 3, "C": 2})
    for name in ("AB", "BC", "CB"):
        shape = (num, *pdg.cards((name[0], name[1])))
        table = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.1
        table = table / table.sum(-1, keepdim=True)
        pdg.add(name, name[1], name[0], cpd=table, learnable=True)
    return pdg


def element(pdg: PDG, index: int) -> PDG:
    copy = PDG(pdg.variables.values())
    for arc in pdg.arcs.values():
        table = arc.probabilities().detach()[index]
        copy.add(arc.name, arc.targets, arc.sources, cpd=table, learnable=True)
    return copy


def test_worked_values_w4() -> None:
    pdg = worked_graph()
    trace = lir(pdg, uniform(), 40, tol=1e-13)
    assert float(trace.initial) == pytest.approx(0.008744582514, rel=1e-9)
    values = {10: 7.239e-5, 20: 7.611e-7, 30: 8.034e-9, 40: 8.479e-11}
    moved = {10: 0.1746, 20: 0.1897, 30: 0.1912, 40: 0.1914}
    for step, value in values.items():
        assert float(trace.overall[step]) == pytest.approx(value, rel=1e-3)
        assert float(trace.steps[step - 1].distance) == pytest.approx(moved[step], abs=6e-5)
    assert all(step.gap <= 1e-12 for step in trace.steps)


def test_one_euler_step_is_minus_rate_times_the_gradient() -> None:
    pdg = two_beliefs()
    logits = pdg.arcs["p"].parameters[0]
    (gradient,) = torch.autograd.grad(inconsistency(pdg, tol=1e-13), logits)
    before = logits.detach().clone()
    lir(pdg, [Focus(None, Control({"p": 0.7}))], 1, tol=1e-13)
    assert torch.allclose(logits.detach(), before - 0.7 * gradient, atol=1e-9)


def test_the_gradient_of_a_constraint_is_that_of_the_envelope() -> None:
    pdg = PDG({"X": 3, "Z": 2})
    generator = torch.Generator().manual_seed(1)
    joint = torch.rand(3, 2, generator=generator, dtype=torch.float64)
    pdg.add("p", ("X", "Z"), cpd=joint / joint.sum())
    pdg.add("data", "X", cpd=tensor([0.5, 0.3, 0.2]), beta=math.inf)
    arc = pdg.add("q", "Z", "X", beta=math.inf, learnable=True)
    before = arc.parameters[0].detach().clone()
    (gradient,) = torch.autograd.grad(inconsistency(pdg), arc.parameters)
    lir(pdg, [Focus()], 1)
    assert gradient.abs().max() > 1e-3
    assert torch.allclose(arc.parameters[0].detach(), before - gradient, atol=1e-10)


def test_only_attended_beliefs_pull_and_the_whole_may_get_worse() -> None:
    pdg = PDG({"X": 2})
    pdg.add("mine", "X", cpd=tensor([0.5, 0.5]), learnable=True)
    pdg.add("left", "X", cpd=tensor([0.95, 0.05]))
    pdg.add("right", "X", cpd=tensor([0.3, 0.7]), beta=5.0)
    focus = Focus(Attention.only(["mine", "left"]), Control({"mine": 1.0}), "left")
    trace = lir(pdg, [focus], 10)
    assert bool((trace.attended[:, 1] < trace.attended[:, 0]).all())
    assert float(trace.overall[-1]) > float(trace.overall[0])


def test_a_batch_is_resolved_element_by_element() -> None:
    batch = random_batch(3)
    singles = [element(batch, i) for i in range(3)]
    trace = lir(batch, uniform(), 3, tol=1e-12)
    assert trace.overall.shape == (3, 4)
    for i, single in enumerate(singles):
        alone = lir(single, uniform(), 3, tol=1e-12)
        assert torch.allclose(trace.overall[i], alone.overall, atol=1e-10)
        for name, arc in single.arcs.items():
            moved = batch.arcs[name].probabilities()[i]
            assert torch.allclose(moved, arc.probabilities(), atol=1e-6)


def test_each_element_can_have_a_focus_of_its_own() -> None:
    batch, alone = random_batch(3), random_batch(3)
    chosen = [("AB", "BC"), ("BC", "CB"), ("AB", "BC")]
    foci = [Focus(Attention.only(c), Control.only(c, 1.0), "+".join(c)) for c in chosen]
    trace = lir(batch, [foci], 1, tol=1e-12)
    assert trace.steps[0].focus == ("AB+BC", "BC+CB", "AB+BC")
    for i, focus in enumerate(foci):
        single = element(alone, i)
        lir(single, [focus], 1, tol=1e-12)
        for name, arc in single.arcs.items():
            moved = batch.arcs[name].probabilities()[i]
            assert torch.allclose(moved, arc.probabilities(), atol=1e-6)
    with pytest.raises(ShapeError, match="batch of 2"):
        lir(batch, [foci[:2]], 1)


def test_trap_t8_nothing_controlled_is_attended() -> None:
    pdg = two_beliefs()
    before = pdg.arcs["p"].probabilities().detach().clone()
    focus = Focus(Attention.only(["q"]), Control({"p": 1.0}), "blind")
    with pytest.warns(RuntimeWarning, match="'blind'.*moves nothing"):
        trace = lir(pdg, [focus], 1)
    assert torch.equal(pdg.arcs["p"].probabilities(), before)
    assert float(trace.steps[0].movement) == 0
    with pytest.warns(RuntimeWarning, match="moves nothing"):
        lir(pdg, [Focus(Attention.only(["q"]), Control({"p": math.inf}))], 1)


def test_unconverged_joints_bias_the_steps_trap_t3() -> None:
    exact, rough = worked_graph(), worked_graph()
    fine = lir(exact, uniform(), 1, tol=1e-13)
    coarse = lir(rough, uniform(), 1, inner=1)
    assert fine.steps[0].gap <= 1e-13
    assert coarse.steps[0].gap > 1e-4
    assert float(coarse.steps[0].attended_before) > float(fine.steps[0].attended_before) + 1e-4
    off = [
        float((exact.arcs[n].probabilities() - rough.arcs[n].probabilities()).detach().abs().max())
        for n in exact.arcs
    ]
    assert max(off) > 1e-4


def test_integrators_and_substeps_approach_one_flow() -> None:
    ends = []
    for integrator, substeps in (("rk4", 8), ("adaptive", 1), ("euler", 1), ("euler", 400)):
        pdg = two_beliefs()
        lir(pdg, [Focus()], 1, integrator=integrator, substeps=substeps, tol=1e-13)
        ends.append(pdg.arcs["p"].probabilities().detach())
    assert torch.allclose(ends[0], ends[1], atol=1e-6)
    assert float((ends[0] - ends[2]).abs().max()) > 1e-3
    assert torch.allclose(ends[0], ends[3], atol=1e-3)


def test_parameters_that_are_no_tables_move_too() -> None:
    network = torch.nn.Linear(2, 3, dtype=torch.float64)
    inputs = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0, 1]), 3).double()
    pdg = PDG({"I": 5, "Y": 3})
    pdg.add("index", "I", cpd=torch.full((5,), 0.2, dtype=torch.float64), beta=math.inf)
    pdg.add("labels", "Y", "I", cpd=labels, beta=math.inf)
    pdg.add(
        "network",
        "Y",
        "I",
        cpd=lambda: network(inputs).log_softmax(-1),
        is_log=True,
        parameters=network.parameters(),
    )
    loss = torch.nn.functional.cross_entropy(network(inputs), labels).item()
    trace = lir(pdg, [Focus(None, Control({"network": 0.5}), "train")], 5)
    assert float(trace.initial) == pytest.approx(loss, abs=1e-12)
    after = torch.nn.functional.cross_entropy(network(inputs), labels).item()
    assert after < loss
    assert float(trace.overall[-1]) == pytest.approx(after, abs=1e-12)


def test_frozen_tensors_are_moved_and_stay_frozen() -> None:
    shift = torch.zeros(2, dtype=torch.float64)
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=lambda: shift.log_softmax(-1), is_log=True, parameters=(shift,))
    pdg.add("q", "X", cpd=tensor([0.9, 0.1]))
    lir(pdg, uniform(), 2)
    assert shift[0] > shift[1]
    assert not shift.requires_grad
    assert shift.grad is None


def test_a_table_may_read_what_another_arc_declares() -> None:
    point = torch.zeros(2, dtype=torch.float64)
    pdg = PDG({"X": 2, "Y": 2})
    pdg.add("owner", "Y", cpd=lambda: point.log_softmax(-1), is_log=True, parameters=(point,))
    pdg.add("reader", "X", cpd=lambda: point.log_softmax(-1), is_log=True)
    pdg.add("q", "X", cpd=tensor([0.9, 0.1]))
    focus = Focus(Attention.only(["reader", "q"]), Control({"owner": 1.0}))
    trace = lir(pdg, [focus], 3, integrator="rk4")
    assert bool((trace.attended[:, 1] < trace.attended[:, 0]).all())
    assert float(trace.attended[1, 0]) == pytest.approx(float(trace.attended[0, 1]), abs=1e-12)


def test_a_focus_may_bring_new_data() -> None:
    pdg = two_beliefs()
    fresh = tensor([0.3, 0.3, 0.4])

    def refocus(step: int, graph: PDG) -> Focus:
        graph.arcs["q"] = replace(graph.arcs["q"], cpd=fresh)
        return Focus()

    other = PDG({"X": 3})
    other.add("p", "X", cpd=tensor([0.7, 0.2, 0.1]), learnable=True)
    other.add("q", "X", cpd=fresh)
    wanted = lir(other, uniform(), 1)
    trace = lir(pdg, refocus, 1)
    assert float(trace.initial) != pytest.approx(float(wanted.initial), abs=1e-2)
    assert torch.allclose(trace.attended, wanted.attended, atol=1e-12)
    moved = [graph.arcs["p"].parameters[0].detach() for graph in (pdg, other)]
    assert torch.allclose(*moved, atol=1e-12)


@pytest.mark.parametrize("integrator", ["euler", "rk4"])
def test_a_step_beyond_the_finite_numbers_is_taken_back(integrator: str) -> None:
    pdg = two_beliefs()
    # A confidence that makes the first step overflow.
    pdg.arcs.update({name: arc.weighted(arc.alpha, 1e3) for name, arc in pdg.arcs.items()})
    with pytest.raises(NotConvergedError, match="smaller rates"):
        lir(pdg, uniform(1e308), 5, integrator=integrator)  # type: ignore[arg-type]
    assert bool(pdg.arcs["p"].parameters[0].isfinite().all())


def test_joints_that_miss_the_gap_are_told() -> None:
    with pytest.warns(RuntimeWarning, match="gradients biased"):
        _warn_of_gaps([lir(worked_graph(), uniform(), 1, inner=1).steps[0]], 1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lir(worked_graph(), uniform(), 2, tol=1e-13)
        lir(worked_graph(), uniform(), 1, inner=1)


def test_traces_are_shown_in_one_line() -> None:
    trace = lir(random_batch(3), uniform(), 2)
    assert repr(trace).startswith("Trace(2 steps, overall ")
    assert repr(trace.steps[0]).startswith("TraceStep(0, 'uniform', attended ")
    for text in (repr(trace), repr(trace.steps[0])):
        assert len(text) < 160
        assert "tensor" not in text


def test_what_is_recorded() -> None:
    pdg = two_beliefs()
    stops: list[int] = []

    def callback(step: object) -> bool:
        stops.append(step.step)  # type: ignore[attr-defined]
        return len(stops) == 3

    trace = lir(pdg, uniform(), 10, overall_every=2, callback=callback)
    assert stops == [0, 1, 2]
    assert len(trace.steps) == 3
    assert trace.overall.isnan().tolist() == [False, True, False, True]
    rows = trace.rows()
    assert [row["overall"] is None for row in rows] == [False, True, False, True]
    assert rows[0]["attended_before"] is None
    assert rows[1]["focus"] == "uniform"
    again = Trace.from_json(trace.to_json())
    assert torch.equal(again.attended, trace.attended)
    nothing = lir(pdg, uniform(), 0, overall_every=0)
    assert nothing.attended.shape == (0, 2)
    assert bool(nothing.initial.isnan())


def test_contradictions_and_impossible_worlds_are_recorded() -> None:
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=tensor([0.5, 0.5]), learnable=True)
    pdg.observe("X", 0)
    pdg.add("other", "X", cpd=tensor([0.0, 1.0]), beta=math.inf)
    focus = Focus(Attention.only(["p", "X=0"]), Control({"p": 1.0}))
    trace = lir(pdg, [focus], 2)
    assert trace.overall.tolist() == [math.inf] * 3
    assert trace.rows()[0]["overall"] is None
    assert bool((trace.attended[:, 1] < trace.attended[:, 0]).all())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "steps ≥ 0"),
        ({"inner": 0}, "inner"),
        ({"inner": "rough"}, "inner"),
        ({"inner": 2.5}, "inner"),
        ({"inner": None}, "inner"),
        ({"steps": 2.5}, "integers"),
        ({"overall_every": 1.5}, "integers"),
        ({"substeps": 2.5}, "integer"),
        ({"gamma": "0+"}, "gamma is a number"),
        ({"refocus": Focus()}, "write .focus."),
        ({"refocus": (Focus() for _ in range(2))}, "list of at least one focus"),
        ({"refocus": hub(), "pdg": PDG({})}, "the graph has none"),
        ({"overall_every": -1}, "overall_every"),
        ({"integrator": "leapfrog"}, "integrators"),
        ({"substeps": 0}, "substeps"),
        ({"gamma": -1.0}, "gamma"),
        ({"refocus": []}, "at least one focus"),
        ({"refocus": lambda step, pdg: "p"}, "refocus gives a Focus"),
    ],
)
def test_wrong_use(options: dict[str, object], message: str) -> None:
    given = {"pdg": two_beliefs(), "refocus": uniform(), "steps": 1, **options}
    with pytest.raises(DomainError, match=message):
        lir(**given)  # type: ignore[arg-type]


def test_wrong_control() -> None:
    pdg = two_beliefs()
    with pytest.raises(DomainError, match="≥ 0"):
        Control({"p": -1.0})
    with pytest.raises(DomainError, match="≥ 0"):
        Control(default=math.nan)
    for wrong in ("p", ["p"], {"p": "fast"}, {"p": None}):
        with pytest.raises(DtypeError, match="rate"):
            Control(wrong)  # type: ignore[arg-type]
    assert Control.only("p", 2.0) == Control.only(["p"], 2.0)
    with pytest.raises(UnknownNameError, match="arc"):
        lir(pdg, [Focus(None, Control({"pp": 1.0}))], 1)
    with pytest.raises(DomainError, match="only arcs with parameters"):
        lir(pdg, [Focus(None, Control({"q": 1.0}))], 1)
    table = pdg.arcs["p"].cpd
    pdg.add("r", "X", cpd=table, is_log=True)
    with pytest.raises(DomainError, match="one rate"):
        lir(pdg, [Focus(None, Control({"p": 1.0, "r": 2.0}))], 1)


def test_foci_of_the_study() -> None:
    pdg = random_batch(40)
    source = torch.Generator().manual_seed(0)
    parts = partial(0.7, generator=source)(0, pdg)
    assert isinstance(parts, list)
    assert len(parts) == 40
    for focus in parts:
        assert focus.attention is not None
        assert len(focus.attention.beta) == 2
        assert focus.attention.default == 0
        assert focus.control.arcs.keys() == focus.attention.beta.keys()
    assert len({tuple(f.attention.beta) for f in parts if f.attention}) == 3
    centers = hub(0.1, generator=source)(0, pdg)
    assert isinstance(centers, list)
    touching = {"A": {"AB"}, "B": {"AB", "BC", "CB"}, "C": {"BC", "CB"}}
    for focus in centers:
        assert focus.attention is not None
        assert focus.attention.default == 0.1
        assert set(focus.attention.beta) == touching[focus.name[-1]]
    assert len({focus.name for focus in centers}) == 3
    single = partial(generator=source)(0, two_beliefs())
    assert isinstance(single, Focus)
    assert single.attention is not None
    for bad in (0.0, 1.5, math.nan):
        with pytest.raises(DomainError, match="fraction"):
            partial(bad)
    with pytest.raises(DomainError, match="others"):
        hub(-0.1)


@pytest.mark.parametrize("name", ["C22b", "C22c"])
def test_claims(name: str) -> None:
    judged = judge(find_claim(f"beliefs.{name}"))
    assert judged.as_expected, judged
