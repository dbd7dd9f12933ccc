"""Tests of coset.beliefs.solvers.mirror: worked values, both implementations, batches, limits."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from coset.beliefs.errors import NonConvexError
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_graph, random_table
from coset.beliefs.solvers.mirror import OPERATOR, solve_mirror
from coset.beliefs.solvers.problem import dense_problem, elements
from coset.beliefs.solvers.score import gap_of, gradient_of, score_of
from coset.core.backends import backends, use_backend
from coset.core.errors import DomainError, ShapeError, UnsupportedError


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def two_cycle(alpha=1.0, beta=1.0):
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=tensor([[0.8, 0.2], [0.3, 0.7]]), alpha=alpha, beta=beta)
    pdg.add("q", "A", "B", cpd=tensor([[0.6, 0.4], [0.1, 0.9]]), alpha=alpha, beta=beta)
    return pdg


def pair(r=1.0, s=1.0):
    pdg = PDG({"X": 3})
    pdg.add("p", "X", cpd=tensor([0.7, 0.2, 0.1]), beta=r)
    pdg.add("q", "X", cpd=tensor([0.1, 0.3, 0.6]), beta=s)
    return pdg


def pairs(num=5, arcs=7, batch=(), seed=0, zeros=False):
    """Random p(Y|X) between variables with three values; perhaps some entries are 0."""
    generator = torch.Generator().manual_seed(seed)
    pdg = PDG({f"X{i}": 3 for i in range(num)})
    for a in range(arcs):
        target, source = torch.randperm(num, generator=generator)[:2].tolist()
        table = random_table(*batch, 3, 3, generator=generator)
        if zeros and a % 3 == 0:
            table = table * tensor([0.0, 1.0, 1.0])
            table = table / table.sum(-1, keepdim=True)
        pdg.add(f"p{a}", f"X{target}", f"X{source}", cpd=table, beta=1 + 0.2 * a, alpha=0.8)
    return pdg


@pytest.fixture(params=["numba", "eager"])
def backend(request):
    with use_backend(OPERATOR, request.param):
        yield request.param


def solved(pdg, gamma=0.0, **options):
    result = solve_mirror(dense_problem(pdg, gamma), **{"tol": 1e-12, **options})
    assert result.converged
    return result


@pytest.mark.parametrize(
    ("r", "s", "value", "joint"),
    [
        (1, 1, 0.5634713622301675, (0.35067538, 0.32466231, 0.32466231)),
        (2, 1, 0.7585456808800792, (0.4712045, 0.29480702, 0.23398848)),
        (1, 3, 0.8079550025034137, (0.19906601, 0.33175772, 0.46917627)),
    ],
)
def test_worked_values_of_two_beliefs(backend, r, s, value, joint):
    """W1."""
    result = solved(pair(r, s))
    assert result.value.item() == pytest.approx(value, abs=1e-12)
    assert torch.allclose(result.log_joint.exp(), tensor(joint), atol=1e-8)


def test_worked_values_of_a_coin(backend):
    """W2."""
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=tensor([0.7, 0.3]))
    pdg.add("q", "X", cpd=tensor([0.4, 0.6]))
    assert solved(pdg, 1.0).value.item() == pytest.approx(0.7765287894989964, abs=1e-12)
    assert solved(pdg).value.item() == pytest.approx(0.09541140987375518, abs=1e-12)


@pytest.mark.parametrize(
    ("alpha", "beta", "gamma", "value"),
    [
        (1, 1, 0.0, 0.001229613963),
        (1, 1, 0.25, -0.036026343040),
        (1, 1, 0.5, -0.083232607959),
        (1, 1, 1.0, -0.223143551314),
        (0.5, 1, 0.5, -0.335140437),
        (0, 1, 0.5, -0.617043090),
        (1, 2, 1.0, -0.166465216),
    ],
)
def test_worked_values_of_the_two_cycle(backend, alpha, beta, gamma, value):
    """W3."""
    result = solved(two_cycle(alpha, beta), gamma)
    assert result.value.item() == pytest.approx(value, abs=1.2e-9)
    if gamma == 0:
        wanted = tensor([[0.27316316, 0.05962221], [0.19339391, 0.47382071]])
        assert torch.allclose(result.log_joint.exp(), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("gamma", "value", "idle"),
    [
        (0.0, 0.008744582514, 0.008744582514),
        (0.1, 0.029052558129, -0.080808670738),
        (1.0, -0.046062867027, -1.144675155695),
    ],
)
def test_worked_values_of_a_published_replicate(backend, gamma, value, idle):
    """W4, and trap T5: the isolated variable D."""
    pdg = PDG({"A": 2, "B": 2, "C": 2, "D": 3})
    tables = {
        ("B", "A"): [[0.6707179789, 0.3292820211], [0.3438727489, 0.6561272511]],
        ("C", "B"): [[0.3628382079, 0.6371617921], [0.7084304459, 0.2915695541]],
        ("B", "C"): [[0.2441053042, 0.7558946958], [0.3961550542, 0.6038449458]],
    }
    for (target, source), table in tables.items():
        pdg.add(f"{target}|{source}", target, source, cpd=tensor(table))
    problem = dense_problem(pdg, gamma)
    result = solve_mirror(problem, tol=1e-12)
    assert result.value.item() == pytest.approx(value, abs=1e-9)
    assert result.value.item() + problem.constant == pytest.approx(idle, abs=1e-9)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("gamma", [0.0, 0.1, 1.0])
def test_both_implementations_agree_with_their_certificates(gamma, zeros):
    problem = dense_problem(pairs(batch=(3,), zeros=zeros), gamma)
    results = []
    for name in ("numba", "eager"):
        with use_backend(OPERATOR, name):
            results.append(solve_mirror(problem, tol=1e-10))
    one, two = results
    assert one.converged
    assert two.converged
    assert torch.allclose(one.value, two.value, rtol=0, atol=2e-10)
    for result in results:
        assert torch.allclose(score_of(problem, result.log_joint), result.value, atol=1e-12)
        gap = gap_of(problem, result.log_joint, gradient_of(problem, result.log_joint))
        assert bool((gap <= 2e-10).all())
        if zeros:
            assert problem.allowed is not None
            assert bool((result.log_joint[~problem.allowed] == -math.inf).all())


def test_a_batch_is_a_loop(backend):
    problem = dense_problem(pairs(batch=(2, 9)), 0.2)
    batch = solve_mirror(problem, tol=1e-11)
    assert batch.value.shape == batch.gap.shape == (2, 9)
    assert batch.log_joint.shape == (2, 9, *problem.shape)
    for i, element in enumerate(elements(problem)):
        alone = solve_mirror(element, tol=1e-11)
        assert alone.value.item() == pytest.approx(batch.value.flatten()[i].item(), abs=2e-11)
        off = alone.log_joint.exp() - batch.log_joint.flatten(0, 1)[i].exp()
        assert float(off.abs().sum()) < 1e-4


def test_beliefs_of_one_batch_may_be_shared(backend):
    generator = torch.Generator().manual_seed(1)
    pdg = PDG({"A": 2, "B": 3})
    pdg.add("p", "B", "A", cpd=random_table(20, 2, 3, generator=generator))
    pdg.add("q", "A", "B", cpd=random_table(3, 2, generator=generator))
    pdg.add("r", "A", cpd=random_table(2, generator=generator))
    result = solved(pdg, 0.5)
    assert result.value.shape == (20,)
    single = PDG({"A": 2, "B": 3})
    single.add("p", "B", "A", cpd=pdg.arcs["p"].cpd[7])
    single.arcs.update({name: pdg.arcs[name] for name in "qr"})
    assert solved(single, 0.5).value.item() == pytest.approx(result.value[7].item(), abs=1e-11)


def test_values_never_rise(backend):
    problem = dense_problem(pairs(seed=3), 0.05)
    values = [
        solve_mirror(problem, tol=1e-15, max_iter=steps).value.item() for steps in range(1, 40)
    ]
    assert all(b <= a + 1e-13 for a, b in pairwise(values))
    assert values[-1] < values[0] - 0.01


def test_starts_do_not_matter_where_the_minimizer_is_one(backend):
    """C1, and a start that rules worlds out, which are taken up again."""
    problem = dense_problem(pairs(), 0.3)
    ends = [solve_mirror(problem, tol=1e-14).log_joint.exp()]
    start = torch.full(problem.shape, -math.inf, dtype=torch.float64)
    start[0, 1, 2, 0, 1] = 0.0
    ends.append(solve_mirror(problem, tol=1e-14, start=start).log_joint.exp())
    assert float((ends[0] - ends[1]).abs().sum()) < 1e-6
    warm = solve_mirror(problem, tol=1e-9, start=ends[0].log())
    assert warm.iterations <= 6 < solve_mirror(problem, tol=1e-9).iterations


def test_minimizers_without_entropy_agree_where_they_must(backend):
    """Trap T7 and C3: values and attended conditionals, not the joint."""
    pdg = PDG({"A": 2, "B": 2, "C": 2})
    pdg.add("p", "B", "A", cpd=tensor([[0.8, 0.2], [0.3, 0.7]]))
    pdg.add("q", "C", "A", cpd=tensor([[0.6, 0.4], [0.1, 0.9]]))
    problem = dense_problem(pdg)
    generator = torch.Generator().manual_seed(2)
    starts = [random_table(2, 2, 2, num_targets=3, generator=generator).log() for _ in "12"]
    ends = [solve_mirror(problem, tol=1e-13, start=start) for start in starts]
    joints = [end.log_joint.exp() for end in ends]
    assert float((joints[0] - joints[1]).abs().sum()) > 1e-3
    assert all(end.value.item() == pytest.approx(0.0, abs=1e-12) for end in ends)
    for axis in (1, 2):
        both = [joint.sum(3 - axis) for joint in joints]
        cross = both[0] * both[1].sum(1, keepdim=True) - both[1] * both[0].sum(1, keepdim=True)
        assert float(cross.abs().max()) < 1e-6


def test_minimizers_at_the_boundary_have_small_gaps(backend):
    """At γ = 0 values of sources can get weight 0; what they do to targets still matters."""
    problem = dense_problem(pairs(batch=(12,), seed=0), 0.0)
    result = solve_mirror(problem, tol=1e-9)
    assert result.converged
    joint = result.log_joint.exp()
    rare = min(float(joint.sum([a for a in range(1, 6) if a != axis]).min()) for axis in (1, 2))
    assert rare < 1e-12  # such cases are among them


def test_an_iteration_that_stops_early_says_so(backend):
    """Trap T3."""
    problem = dense_problem(pairs(), 0.01)
    early, late = solve_mirror(problem, max_iter=3), solve_mirror(problem)
    assert not early.converged
    assert early.gap.item() > 1e-6
    assert late.converged
    assert late.gap.item() <= 1e-9
    assert early.value.item() - late.value.item() <= early.gap.item()
    assert early.iterations <= 6
    assert early.value.item() > late.value.item()


def test_hard_beliefs_are_met_in_each_step(backend):
    pdg = PDG({"X": 3, "Z": 2})
    generator = torch.Generator().manual_seed(4)
    truth, model, guess = tensor([0.5, 0.3, 0.2]), random_table(3, 2, num_targets=2), None
    guess = random_table(3, 2, generator=generator)
    pdg.add("data", "X", cpd=truth, beta=math.inf)
    pdg.add("model", ("X", "Z"), cpd=model)
    result = solved(pdg)
    joint = result.log_joint.exp()
    assert torch.allclose(joint.sum(1), truth, atol=1e-14)
    posterior = model / model.sum(1, keepdim=True)
    assert torch.allclose(joint, truth[:, None] * posterior, atol=1e-9)
    pdg.add("guess", "Z", "X", cpd=guess, beta=math.inf)
    pinned = solve_mirror(dense_problem(pdg))
    expected = truth[:, None] * guess
    assert pinned.iterations == 0
    assert torch.allclose(pinned.log_joint.exp(), expected)
    wanted = float((expected * (expected / model).log()).sum())
    assert pinned.value.item() == pytest.approx(wanted, abs=1e-12)


def test_contradictions_are_infinite_and_concern_their_element_only(backend):
    pdg = PDG({"X": 2})
    one, two = tensor([[1.0, 0.0], [0.5, 0.5]]), tensor([[0.0, 1.0], [0.2, 0.8]])
    pdg.add("p", "X", cpd=one)
    pdg.add("q", "X", cpd=two)
    result = solve_mirror(dense_problem(pdg))
    assert result.value[0].item() == math.inf
    assert result.gap[0].item() == 0.0
    assert bool((result.log_joint[0] == -math.inf).all())
    wanted = -2 * math.log(math.sqrt(0.1) + math.sqrt(0.4))
    assert result.value[1].item() == pytest.approx(wanted, abs=1e-9)
    assert result.converged


def test_confidences_that_make_floats_overflow_are_survived(backend):
    pdg = PDG({"X": 2, "Y": 2})
    pdg.add("p", "X", cpd=tensor([1e-300, 1.0]), beta=50.0)
    pdg.add("q", "X", cpd=tensor([1.0, 1e-300]), beta=49.0)
    pdg.add("r", "Y", "X", cpd=tensor([[0.8, 0.2], [0.3, 0.7]]))
    for gamma in (0.0, 1e-3):
        result = solve_mirror(dense_problem(pdg, gamma), tol=1e-7)
        assert result.converged
    beliefs = [arc.log_probabilities() * arc.beta / 99 for n, arc in pdg.arcs.items() if n != "r"]
    closed = -99 * torch.logsumexp(sum(beliefs), 0)
    found = solve_mirror(dense_problem(pdg), tol=1e-7).value.item()
    assert found == pytest.approx(closed.item(), abs=1e-6)


def test_single_precision_tables_give_single_precision_joints(backend):
    pdg = PDG({"A": 2, "B": 2})
    for name, arc in two_cycle().arcs.items():
        pdg.add(name, arc.targets, arc.sources, cpd=arc.cpd.float())
    result = solved(pdg, 0.5, tol=1e-10)
    assert result.log_joint.dtype == torch.float32
    assert result.value.dtype == torch.float64
    assert result.value.item() == pytest.approx(-0.083232607959, abs=1e-5)


def test_problems_with_hardly_anything_in_them(backend):
    nothing = PDG({"A": 2}).condition({"A": 1})
    nothing.add("p", "A", cpd=tensor([0.25, 0.75]))
    assert solved(nothing).value.item() == pytest.approx(-math.log(0.75))
    single = PDG({"A": 1, "B": 3})
    single.add("p", "B", "A", cpd=tensor([[0.2, 0.3, 0.5]]))
    assert solved(single, 1.0).value.item() == pytest.approx(0.0, abs=1e-12)
    weightless = PDG({"A": 2})
    weightless.add("p", "A", cpd=tensor([0.5, 0.5]), beta=0.0, alpha=0.0)
    assert solve_mirror(dense_problem(weightless)).value.item() == 0.0


def test_what_the_method_cannot_do_is_refused(backend):
    with pytest.raises(NonConvexError, match="cccp") as caught:
        solve_mirror(dense_problem(two_cycle(alpha=2.0), 1.0))
    assert caught.value.arcs == ("p", "q")
    cycle = PDG({"A": 2, "B": 2})
    for arc in two_cycle().arcs.values():
        cycle.arcs[arc.name] = arc.weighted(0.0, math.inf)
    with pytest.raises(UnsupportedError, match="cone"):
        solve_mirror(dense_problem(cycle))
    problem = dense_problem(two_cycle())
    for options in ({"tol": 0.0}, {"tol": math.nan}, {"max_iter": 0}):
        with pytest.raises(DomainError, match="tol"):
            solve_mirror(problem, **options)
    with pytest.raises(ShapeError, match="start"):
        solve_mirror(problem, start=torch.zeros(3))
    with pytest.raises(DomainError, match="NaN"):
        solve_mirror(problem, start=torch.full((2, 2), math.nan))


def test_disbelief_that_constraints_pin_is_no_obstacle(backend):
    pdg = PDG({"X": 2})
    pdg.add("data", "X", cpd=tensor([0.5, 0.5]), beta=math.inf)
    pdg.add("p", "X", cpd=tensor([0.9, 0.1]), beta=-1.0)
    wanted = -(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1))
    assert solved(pdg).value.item() == pytest.approx(wanted)


def test_random_graphs_of_any_shape(backend):
    generator = torch.Generator().manual_seed(11)
    for number in range(6):
        drawn = random_graph(5, 6, cards=(1, 3), num_sources=(0, 3), generator=generator)
        gamma = (0.0, 0.5, 1.0)[number % 3]
        result = solve_mirror(dense_problem(drawn, gamma), tol=1e-9)
        assert result.converged


def test_backends_are_listed():
    rows = {(row.name, row.device) for row in backends() if row.op == OPERATOR}
    assert rows == {("numba", "cpu"), ("eager", "cpu"), ("eager", "cuda")}
