"""Claims C4, C5 and C24: networks and factor graphs as graphs of beliefs, and what width costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.pdg.factor_graph import from_factor_graph
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.solvers.score import score
from coset.beliefs.solvers.solve import solve
from coset.beliefs.tree.network import JunctionTree
from coset.core.claims import ClaimResult, changed_rows, claim

CASES = {"smoke": 6, "cpu": 60, "paper": 600}

Rows = Sequence[dict[str, Any]]
Factors = dict[str, tuple[tuple[str, ...], Tensor]]


def network_joint(pdg: PDG) -> Tensor:
    """Return the joint that a Bayesian network is claimed to have as best one at every γ.

    Args:
        pdg: a network, α = 1.

    Returns:
        ∏ p, one axis a variable.
    """
    return JunctionTree(pdg).joint().dense()


def _by_confidence(pdg: PDG) -> Tensor:
    graph = PDG(pdg.variables.values())
    graph.arcs.update({name: a.weighted(a.beta, a.beta) for name, a in pdg.arcs.items()})
    return network_joint(graph)


def _of_marginals(pdg: PDG) -> Tensor:
    joint = network_joint(pdg)
    result = torch.ones((), dtype=joint.dtype)
    for axis in range(joint.ndim):
        rest = [other for other in range(joint.ndim) if other != axis]
        result = result[..., None] * (joint.sum(rest) if rest else joint)
    return result


def _random_network(generator: torch.Generator) -> PDG:
    """Draw a network of five variables whose confidences differ."""
    pdg = PDG({f"X{i}": 2 + i % 2 for i in range(5)})
    for i in range(5):
        count = int(torch.randint(0, min(i, 2) + 1, (), generator=generator))
        parents = [f"X{j}" for j in torch.randperm(i, generator=generator)[:count].tolist()]
        table = random_table(*pdg.cards((*parents, f"X{i}")), generator=generator)
        beta = 0.5 + 2.5 * float(torch.rand((), generator=generator))
        pdg.add(f"p{i}", f"X{i}", parents, cpd=table, beta=beta)
    return pdg


def literal_joint(pdg: PDG) -> Tensor:
    """Return ∏ p by multiplying tables on all axes.

    Args:
        pdg: a graph of few worlds.

    Returns:
        The product, one axis a variable; not normalized.
    """
    names = list(pdg.variables)
    result = torch.ones(pdg.cards(names), dtype=torch.float64)
    for arc in pdg.arcs.values():
        places = [names.index(v) for v in (*arc.sources, *arc.targets)]
        order = sorted(range(len(places)), key=places.__getitem__)
        shape = [v.card if i in places else 1 for i, v in enumerate(pdg.variables.values())]
        result = result * arc.probabilities().permute(order).reshape(shape)
    return result


def _lonely() -> list[tuple[PDG]]:
    """One variable without parents and β = 1: every reading agrees."""
    pdg = PDG({"A": 3})
    pdg.add("p", "A", cpd=torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64))
    return [(pdg,)]


@claim(
    "beliefs.C4",
    title="a Bayesian network is consistent, and means its distribution",
    statement="""If the arcs are those of a Bayesian network with α = 1 and any β > 0, then for
        every γ > 0 the best joint is its distribution, and ⟨⟨M⟩⟩_γ = 0.""",
    hypotheses="""random networks of 5 variables, β in (0.5, 3); its product against the literal one
        to 1e-12; score 0 there at γ = 0, 0.4, 5 to 1e-12, and no lower score by mirror descent at
        γ = 0.4, whose joint agrees to 1e-6""",
    source="[paper] Richardson and Halpern, AAAI 2021",
    kind="proved",
    expected="holds",
    mutants={
        "the product of p^β": _by_confidence,
        "the product of the marginals": _of_marginals,
    },
    near_misses=_lonely,
)
def C4(
    joint_of: Callable[[PDG], Tensor] = network_joint, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge beliefs.C4: the product is literal, has score 0, and is what mirror descent finds."""
    worst, wrong = 0.0, None
    for _ in range(CASES[preset]):
        pdg = _random_network(generator)
        joint = joint_of(pdg)
        joint = joint / joint.sum()
        scores = [float(score(pdg, joint, gamma)) for gamma in (0.0, 0.4, 5.0)]
        solution = solve(pdg, 0.4, method="mirror")
        assert solution.joint is not None  # tables are positive
        errors = {
            "product": float((joint - literal_joint(pdg)).abs().max()),
            "score": max(map(abs, scores)),
            "value": 1e-4 * abs(solution.value),
            "mirror": 1e-6 * float((joint - solution.joint.dense()).abs().max()),
        }
        worst = max(worst, *errors.values())
        if not max(errors.values()) <= 1e-12 and wrong is None:
            wrong = {"arcs": [str(a) for a in pdg.arcs.values()], **errors}
    return ClaimResult(
        holds=wrong is None,
        measured=worst,
        bound=1e-12,
        detail=f"product and score are off by at most {worst:.2g}",
        sample_size=CASES[preset],
        counterexample=wrong,
    )


def partition(
    cards: dict[str, int], factors: Factors, exponents: dict[str, float]
) -> tuple[float, Tensor]:
    """Return log Z and the joint of ∏ φ^θ by way of a graph of beliefs, on a junction tree.

    Args:
        cards: the number of values of each variable.
        factors: name → (variables, φ > 0).
        exponents: θ by name, 1 where nothing is said.

    Returns:
        log Z, and the joint with one axis a variable.
    """
    pdg, log_scale = from_factor_graph(cards, factors, exponents)
    solution = solve(pdg, 1.0, method="tree")
    assert solution.joint is not None  # factors are positive
    return float(log_scale - solution.value), solution.joint.marginal(*cards)


def _without_scale(
    cards: dict[str, int], factors: Factors, exponents: dict[str, float]
) -> tuple[float, Tensor]:
    _, log_scale = from_factor_graph(cards, factors, exponents)
    log_z, joint = partition(cards, factors, exponents)
    return log_z - float(log_scale), joint


def _without_exponents(
    cards: dict[str, int], factors: Factors, exponents: dict[str, float]
) -> tuple[float, Tensor]:
    return partition(cards, factors, {})


def _little_structure(
    cards: dict[str, int], factors: Factors, exponents: dict[str, float]
) -> tuple[float, Tensor]:
    pdg, log_scale = from_factor_graph(cards, factors, exponents)
    solution = solve(pdg, 0.5, method="tree")
    assert solution.joint is not None  # factors are positive
    return float(log_scale - solution.value), solution.joint.marginal(*cards)


def _random_factors(generator: torch.Generator) -> tuple[dict[str, int], Factors, dict[str, float]]:
    cards = {"A": 2, "B": 3, "C": 2, "D": 3}
    scopes = (("A", "B"), ("B", "C"), ("C", "D"), ("D", "A"), ("A", "B", "C"))
    factors: Factors = {}
    for i, scope in enumerate(scopes):
        shape = [cards[v] for v in scope]
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
        factors[f"f{i}"] = (scope, 0.01 + 3 * uniform)
    thetas = 0.2 + 2 * torch.rand(2, generator=generator, dtype=torch.float64)
    return cards, factors, {"f0": float(thetas[0]), "f3": float(thetas[1])}


def _one_factor() -> list[tuple[dict[str, int], Factors, dict[str, float]]]:
    """One normalized factor: no scale, no exponent, nothing that γ could weigh."""
    table = torch.tensor([[0.1, 0.2], [0.3, 0.4]], dtype=torch.float64)
    return [({"A": 2, "B": 2}, {"f": (("A", "B"), table)}, {})]


@claim(
    "beliefs.C5",
    title="a factor graph's log partition function is an inconsistency",
    statement="""Factors φ_a^θ_a as beliefs p_a ∝ φ_a with α = β = θ_a: at γ = 1 the best joint is
        their product, normalized, and ⟨⟨M⟩⟩_1 = −log Z + Σ θ_a log Σ φ_a.""",
    hypotheses="5 random factors on 4 variables, two exponents in (0.2, 2.2); brute force, 1e-10",
    source="[paper] Richardson and Halpern, AAAI 2021; the scale of raw factors: [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "the scale of the factors left out": _without_scale,
        "all exponents 1": _without_exponents,
        "γ = 1/2": _little_structure,
    },
    near_misses=_one_factor,
)
def C5(
    partition_of: Callable[..., tuple[float, Tensor]] = partition,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge beliefs.C5: log Z and the joint against sums over all worlds."""
    worst, wrong = 0.0, None
    for _ in range(CASES[preset]):
        cards, factors, exponents = _random_factors(generator)
        log_z, joint = partition_of(cards, factors, exponents)
        letters = {name: chr(ord("a") + i) for i, name in enumerate(cards)}
        subscripts = ",".join("".join(letters[v] for v in scope) for scope, _ in factors.values())
        raised = [t ** exponents.get(name, 1.0) for name, (_, t) in factors.items()]
        product = torch.einsum(f"{subscripts}->{''.join(letters.values())}", *raised)
        error = max(
            abs(log_z - math.log(product.sum())),
            float((joint - product / product.sum()).abs().max()),
        )
        worst = max(worst, error)
        if not error <= 1e-10 and wrong is None:
            wrong = {"exponents": exponents, "error": error, "log_z": log_z}
    return ClaimResult(
        holds=wrong is None,
        measured=worst,
        bound=1e-10,
        detail=f"log Z and the joint are off by at most {worst:.2g}",
        sample_size=CASES[preset],
        counterexample=wrong,
    )


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope of log y over log x by least squares, and its standard error.

    Args:
        points: pairs (x, y), all positive, at least three, with two different x.

    Returns:
        The slope and its standard error.
    """
    x = torch.tensor([math.log(a) for a, _ in points], dtype=torch.float64)
    y = torch.tensor([math.log(b) for _, b in points], dtype=torch.float64)
    centered = x - x.mean()
    found = float(centered @ y / (centered @ centered))
    left = y - y.mean() - found * centered
    error = math.sqrt(float(left @ left) / (len(points) - 2) / float(centered @ centered))
    return found, error


@claim(
    "beliefs.C24",
    title="cost of an ε-solution by number of variables and width",
    statement="""A graph of N variables with V values, A arcs and width T has an ε-solution in
        Õ(k² (N + A)⁴ V^{4(T+1)} log 1/ε) operations on k bits.""",
    hypotheses="""a bound for another algorithm (interior points), not tight; here the work of
        mirror descent, entries of clusters times iterations, which has no such bound at γ = 0""",
    source="[paper] Richardson, Halpern and De Sa, UAI 2023, main theorem",
    kind="empirical",
    expected="open",
    mutants={
        "a gap above ε": changed_rows(lambda row: row["width"] == 1, gap=1.0),
        "work that grows with N⁵": lambda rows: [
            {**row, "work": row["work"] * (row["num_variables"] / rows[0]["num_variables"]) ** 5}
            for row in rows
        ],
    },
    experiment="beliefs.tree-scaling",
)
def C24(rows: Rows) -> ClaimResult:
    """Judge beliefs.C24: exponents of the work in N and in V^(T+1); they leave the bound open."""
    unsolved = [row for row in rows if not row["gap"] <= row["tol"]]
    exponents = {}
    for gamma in sorted({row["gamma"] for row in rows}):
        for width in sorted({row["width"] for row in rows}):
            own = [r for r in rows if r["width"] == width and r["gamma"] == gamma]
            points = [(r["num_variables"], r["work"]) for r in own]
            exponents[f"N at width {width}, γ = {gamma:g}"] = slope(points)
    steepest, error = max(exponents.values())
    refuted = bool(unsolved) or steepest - 3 * error > 4
    return ClaimResult(
        holds=False if refuted else None,
        measured=steepest,
        bound=4.0,
        detail=f"work grows with N to the power {steepest:.2f} at most; {len(unsolved)} unsolved",
        sample_size=len(rows),
        interval=(steepest - 3 * error, steepest + 3 * error),
        counterexample=dict(unsolved[0]) if unsolved else dict(rows[-1]) if refuted else None,
        evidence={name: found for name, (found, _) in exponents.items()},
    )
