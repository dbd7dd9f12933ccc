"""What local resolution does: worked steps, a flow that falls, and the paper's study."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.attention import Attention
from coset.beliefs.foci.attended_arcs import partial, uniform
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus, Refocus
from coset.beliefs.resolve.lir import lir
from coset.core.claims import ClaimResult, changed_rows, claim

__all__ = ["C22b", "C22c", "C22d", "overall_path", "worked_graph"]

Rows = Sequence[dict[str, Any]]

# W4: the inconsistency in nats after so many unit steps, to the digits given.
WORKED = {10: 7.239e-5, 20: 7.611e-7, 30: 8.034e-9, 40: 8.479e-11}
WORKED_START = 0.008744582514
NUM_STEPS = {"smoke": 20, "cpu": 40, "paper": 40}
# How many random graphs, by preset.
CASES = {"smoke": 4, "cpu": 30, "paper": 200}
TOLERANCE = 1e-8  # of a difference of two values, which are asked for to a gap of 1e-13
# The recipe overstates each mean by more than this share, and "resolves" more than so many percent
# where it only ever looks at one arc.
LEAST_EXCESS = 0.05
LEAST_ARTIFACT = 10.0


def worked_graph() -> PDG:
    """Return the graph of W4: A → B, B ⇄ C, two values each."""
    pdg = PDG({"A": 2, "B": 2, "C": 2})
    tables = {
        "AB": [[0.6707179789, 0.3292820211], [0.3438727489, 0.6561272511]],
        "BC": [[0.3628382079, 0.6371617921], [0.7084304459, 0.2915695541]],
        "CB": [[0.2441053042, 0.7558946958], [0.3961550542, 0.6038449458]],
    }
    for name, table in tables.items():
        cpd = torch.tensor(table, dtype=torch.float64)
        pdg.add(name, name[1], name[0], cpd=cpd, learnable=True)
    return pdg


def overall_path(pdg: PDG, steps: int, substeps: int = 1, refocus: Refocus | None = None) -> Tensor:
    """Return the inconsistency of the whole graph while all of it follows its gradient.

    Args:
        pdg: the graph; a copy of its tables is moved.
        steps: units of time.
        substeps: Euler steps in a unit.
        refocus: foci; everything at rate 1, if none.

    Returns:
        (*batch, steps + 1), in nats.

    Claims: beliefs.C22b, beliefs.C22c.
    """
    copy = PDG(pdg.variables.values())
    for arc in pdg.arcs.values():
        table = arc.probabilities().detach()
        copy.add(arc.name, arc.targets, arc.sources, cpd=table, alpha=0.0, learnable=True)
    trace = lir(copy, refocus or uniform(), steps, substeps=substeps, tol=1e-13)
    return trace.overall


def _path_with(refocus: Callable[[], Refocus]) -> Callable[..., Tensor]:
    def path(pdg: PDG, steps: int, substeps: int = 1) -> Tensor:
        return overall_path(pdg, steps, substeps, refocus())

    return path


def _one_substep(pdg: PDG, steps: int, substeps: int = 1) -> Tensor:
    return overall_path(pdg, steps, 1, uniform(60.0 if substeps > 1 else 1.0))


def _consistent() -> list[tuple[PDG, int]]:
    """Return beliefs that agree: the conditionals of one joint of B and C, and one of B given A."""
    joint = torch.tensor([[0.1, 0.3], [0.4, 0.2]], dtype=torch.float64)
    pdg = PDG({"A": 2, "B": 2, "C": 2})
    given = torch.tensor([[0.4, 0.6], [0.9, 0.1]], dtype=torch.float64)
    pdg.add("AB", "B", "A", cpd=given)
    pdg.add("BC", "C", "B", cpd=joint / joint.sum(1, keepdim=True))
    pdg.add("CB", "B", "C", cpd=(joint / joint.sum(0)).T.contiguous())
    return [(pdg, 3)]


@claim(
    "beliefs.C22b",
    title="unit steps down the envelope gradient, to four digits",
    statement="""From the first graph of the paper's study (A→B, B→C, C→B), unit Euler steps of all
        logits along −∇⟨⟨M⟩⟩_0 = Σ β (μ*(s,t) − μ*(s) p(t|s)) take the inconsistency from
        0.008744582514 nats to 7.239e-5 (10 steps), 7.611e-7 (20), 8.034e-9 (30) and 8.479e-11
        (40).""",
    hypotheses="γ = 0, β = 1; joints with a certified gap of 1e-13",
    source="[derived] values; [code] tables",
    kind="exhaustive",
    expected="holds",
    mutants={
        "steps of three quarters": _path_with(lambda: uniform(0.75)),
        "one arc is attended by 0.9": _path_with(
            lambda: [Focus(Attention({"BC": 0.9}), Control(default=1.0))]
        ),
        "one arc is frozen": _path_with(lambda: [Focus(None, Control({"AB": 0.0}, default=1.0))]),
    },
    near_misses=_consistent,
)
def C22b(
    path: Callable[..., Tensor] = overall_path, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge beliefs.C22b: compare each stored value."""
    steps = NUM_STEPS[preset]
    seen = path(worked_graph(), steps)
    wanted = {0: WORKED_START, **{t: v for t, v in WORKED.items() if t <= steps}}
    off = {t: abs(float(seen[t]) / value - 1) for t, value in wanted.items()}
    worst = max(off.values())
    return ClaimResult(
        holds=worst <= 1e-3,
        measured=worst,
        bound=1e-3,
        detail="inconsistency "
        + ", ".join(f"{float(seen[t]):.4g} after {t} steps" for t in wanted)
        + "; the relative error is beside the stored digits",
        sample_size=len(wanted),
    )


def _random_cycles(num: int, generator: torch.Generator) -> PDG:
    """Return a batch of graphs A→B, B→C, C→A, A→C of cards 2, 3, 2 with random tables."""
    pdg = PDG({"A": 2, "B": 3, "C": 2})
    for name in ("AB", "BC", "CA", "AC"):
        shape = (num, *pdg.cards((name[0], name[1])))
        table = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.05
        pdg.add(name, name[1], name[0], cpd=table / table.sum(-1, keepdim=True))
    return pdg


@claim(
    "beliefs.C22c",
    title="under the uniform focus the inconsistency only falls",
    statement="""If all arcs are attended and all tables follow θ' = −χ ∇⟨⟨M(θ)⟩⟩, the inconsistency
        of the whole graph never rises, since its derivative is −χ ‖∇⟨⟨M⟩⟩‖²; neither with a focus
        on a part, nor with large steps, is that so.""",
    hypotheses="γ = 0, exact joints, four Euler steps a unit of time at χ = 1; random cycles",
    source="[derived] from gradient flow, [paper]",
    kind="proved",
    expected="holds",
    mutants={
        "a random half is attended": _path_with(
            lambda: partial(rate=4.0, generator=torch.Generator().manual_seed(3))
        ),
        "one step of size 60": _one_substep,
    },
    near_misses=_consistent,
)
def C22c(
    path: Callable[..., Tensor] = overall_path, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge beliefs.C22c: the largest rise from a step to the next."""
    graphs = _random_cycles(CASES[preset], generator)
    values = path(graphs, 6, 4)
    rises = values.diff(dim=-1)
    worst = float(rises.max())
    place = int(rises.amax(-1).argmax())
    return ClaimResult(
        holds=worst <= TOLERANCE,
        measured=worst,
        bound=TOLERANCE,
        detail=f"the largest change of a step is {worst:+.3g} nats; the means fall from "
        f"{float(values[:, 0].mean()):.4f} to {float(values[:, -1].mean()):.4f}",
        sample_size=rises.numel(),
        counterexample=None if worst <= TOLERANCE else {"values": values[place].tolist()},
    )


def _means(rows: Rows, column: str, **fixed: str) -> float:
    chosen = [r for r in rows if all(r.get(k) == v for k, v in fixed.items())]
    return statistics.fmean(r[column] for r in chosen) if chosen else math.nan


def _is_recipe(row: dict[str, Any]) -> bool:
    return bool(row["kind"] == "replicate" and row["solver"] == "adam")


def _is_single_arc(row: dict[str, Any]) -> bool:
    return bool(
        row["kind"] == "replicate" and row["structure"] == "4v" and row["focus"] == "partial"
    )


@claim(
    "beliefs.C22d",
    title="unconverged joints overstate inconsistency, and resolve what has no gradient",
    statement="""In the paper's study of attention the recipe's fifty steps of Adam overstate the
        mean initial inconsistency of each structure by more than 5 % (the repository's own tables
        give 14 to 37 %). With three arcs, "a random half" is one arc, which is always consistent
        with itself: with exact joints nothing moves, while the recipe reports that more than 10 %
        are resolved (published: 54.70 %). With both solvers the random half resolves less than
        uniform and hub do, in each structure.""",
    hypotheses="γ = 0, α = 0; random tables; both solvers begin alike and follow the same foci",
    source="[code] study, [derived] exact values",
    kind="empirical",
    expected="holds",
    experiment="beliefs.attention-study",
    mutants={
        "the recipe is exact at the start": lambda rows: [
            {**r, "initial_bits": r["true_initial_bits"]} if _is_recipe(r) else r for r in rows
        ],
        "one arc moves with exact joints": changed_rows(
            lambda r: _is_single_arc(r) and r["solver"] == "exact", resolution_percent=54.7
        ),
        "the recipe does not move one arc": changed_rows(
            lambda r: _is_single_arc(r) and r["solver"] == "adam", resolution_percent=0.0
        ),
        "a random half resolves everything": changed_rows(
            lambda r: (
                r["kind"] == "replicate" and r["focus"] == "partial" and r["structure"] != "4v"
            ),
            resolution_percent=100.0,
        ),
    },
)
def C22d(rows: Rows) -> ClaimResult:
    """Judge beliefs.C22d: the excess of each structure, the single arc, the order of foci."""
    table = [row for row in rows if row["kind"] == "replicate"]
    names = sorted({row["structure"] for row in table})
    excess = {
        name: _means(table, "initial_bits", structure=name, solver="adam")
        / _means(table, "true_initial_bits", structure=name, solver="adam")
        - 1
        for name in names
    }
    single = {
        solver: _means(table, "resolution_percent", structure="4v", focus="partial", solver=solver)
        for solver in ("exact", "adam")
    }
    ordered = [
        _means(table, "resolution_percent", structure=name, focus="partial", solver=solver)
        < _means(table, "resolution_percent", structure=name, focus=other, solver=solver)
        for name in names
        for solver in ("exact", "adam")
        for other in ("uniform", "hub")
    ]
    least = min(excess.values(), default=0.0)
    holds = (
        least > LEAST_EXCESS
        and abs(single["exact"]) < 1e-3
        and single["adam"] > LEAST_ARTIFACT
        and bool(ordered)
        and all(ordered)
    )
    return ClaimResult(
        holds=holds,
        measured=least,
        bound=LEAST_EXCESS,
        detail="the recipe overstates by "
        + ", ".join(f"{100 * share:.0f} % ({name})" for name, share in excess.items())
        + f"; of three arcs a single one resolves {single['adam']:.1f} % by the recipe and "
        f"{abs(single['exact']):.3f} % with exact joints; the random half resolves least in "
        f"{sum(ordered)} of {len(ordered)} comparisons",
        sample_size=len(table),
        evidence={"excess": excess, "single_arc": single},
    )
