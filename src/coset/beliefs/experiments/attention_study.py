"""Which focus resolves most? The paper's study of attention, exactly and by its own recipe."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from coset.beliefs.experiments.unconverged import AdamRecipe
from coset.beliefs.foci.attended_arcs import hub, partial, uniform
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.focus import Foci, Focus, Refocus, foci_of
from coset.beliefs.resolve.lir import lir
from coset.beliefs.resolve.movement import movement, tables_of
from coset.beliefs.resolve.trace import Trace
from coset.beliefs.solvers.solve import solve
from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["STRUCTURES", "AttentionStudyConfig", "attention_study", "random_graphs"]

# Arcs, each from a source to a target, and the numbers of values of A, B, C, …
STRUCTURES = {
    "4v": ("AB BC CB", (2, 2, 2, 3)),
    "5v": ("AB BC CB DC", (3, 2, 2, 3, 3)),
    "6v": ("AB BC DC FC FB", (3, 2, 3, 2, 3, 2)),
    "7v": ("AB BC CD EA GD EC", (2, 3, 3, 3, 2, 3, 2)),
}


@dataclass(frozen=True)
class AttentionStudyConfig:
    """One run of `beliefs.attention-study`.

    Attributes:
        structure: which arcs; see `STRUCTURES`.
        focus: what is attended in each step.
        num_replicates: sets of random tables.
        num_steps: foci in a row.
        rate: χ of the exact solver: the size of its one gradient step a focus.
        tol: the gap of its joints in nats.
        seed: decides tables and foci.
    """

    structure: Literal["4v", "5v", "6v", "7v"] = "4v"
    focus: Literal["uniform", "partial", "hub"] = "uniform"
    num_replicates: int = 50
    num_steps: int = 20
    rate: float = 1.0
    tol: float = 1e-8
    seed: int = 0


_ALL: dict[str, Sequence[Any]] = {
    "structure": tuple(STRUCTURES),
    "focus": ("uniform", "partial", "hub"),
}


def random_graphs(
    structure: str, num: int, generator: torch.Generator, *, learnable: bool = True
) -> PDG:
    """Return a batch of graphs of one structure, with rows of uniform numbers divided by their sum.

    Args:
        structure: a key of `STRUCTURES`.
        num: how many.
        generator: the source of randomness.
        learnable: whether the tables may move.

    Returns:
        The batch; α = 0 throughout, as in the study.
    """
    arcs, cards = STRUCTURES[structure]
    pdg = PDG({chr(ord("A") + i): card for i, card in enumerate(cards)})
    for name in arcs.split():
        source, target = name[0], name[1]
        shape = (num, *pdg.cards((source, target)))
        table = torch.rand(shape, generator=generator, dtype=torch.float64)
        table = table / table.sum(-1, keepdim=True)
        pdg.add(name, target, source, cpd=table, alpha=0.0, learnable=learnable)
    return pdg


@experiment(
    "beliefs.attention-study",
    title="Attention to all, to a random half, or to a hub: what is resolved and distorted",
    presets={
        "smoke": Preset(
            AttentionStudyConfig(num_replicates=3, num_steps=3),
            {"structure": ("4v", "5v"), "focus": _ALL["focus"]},
        ),
        "cpu": Preset(AttentionStudyConfig(), _ALL),
        "paper": Preset(AttentionStudyConfig(num_replicates=200), _ALL),
    },
    claims=("beliefs.C22d",),
    figures=(
        "coset.beliefs.figures:resolution_trace",
        "coset.beliefs.figures:parameter_paths",
        "coset.beliefs.figures:resolution_heatmap",
        "coset.beliefs.figures:resolution_scatter",
    ),
)
def attention_study(config: AttentionStudyConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Resolve random graphs with exact joints, and by the paper's recipe of a few steps of Adam.

    Both begin at the same tables and follow the same foci. "exact" takes one gradient step of size
    `rate` a focus (an Euler step for the unit of time). "adam" is the recipe; see `AdamRecipe`.

    Args:
        config: the settings.
        run: source of randomness, and for progress.

    Yields:
        Rows of kind "replicate", one a solver and replicate: initial_bits, final_bits and
        resolution_percent as the solver sees them, true_initial_bits and true_final_bits as they
        are, distortion (total variation between the first joint and the last; for "exact" between
        the limits γ → 0), movement (total variation of all rows), gap_bits. Rows of kind "path":
        solver, step, mean_bits (of the whole graph; "exact" only), mean_movement. Rows of kind
        "step" of the first replicate: step, attended_arcs, attended_before, attended_after,
        overall, in bits. All carry structure and focus.

    Raises:
        ConfigError: if a number is not positive.
    """
    if min(config.num_replicates, config.num_steps) < 1 or min(config.rate, config.tol) <= 0:
        raise ConfigError(
            "num_replicates, num_steps, rate and tol are positive; given "
            f"{config.num_replicates}, {config.num_steps}, {config.rate}, {config.tol}"
        )
    tables = run.generator("tables", without=("focus", "num_steps", "rate", "tol"))
    pdg = random_graphs(config.structure, config.num_replicates, tables)
    foci = _foci(config, run, pdg)
    labels = {"structure": config.structure, "focus": config.focus}
    recipe = _Recipe(pdg)
    first = _limit(pdg)

    def report(step: Any) -> None:
        run.progress(step.step + 1, 2 * config.num_steps, f"{config.structure} {config.focus}")

    trace = lir(pdg, foci, config.num_steps, tol=config.tol, callback=report)
    distortion = _variation(first, _limit(pdg))
    initial = trace.initial
    for row in (*_replicates(trace, distortion), *_paths(trace), *_steps(trace)):
        yield {**row, **labels}
    for step, focus in enumerate(foci):
        recipe.refocus(focus)
        run.progress(config.num_steps + step + 1, 2 * config.num_steps, "the recipe")
    for row in recipe.rows(initial, config.tol):
        yield {**row, **labels}


def _foci(config: AttentionStudyConfig, run: RunContext, pdg: PDG) -> list[Foci]:
    source = run.generator("foci", without=("rate", "tol"))
    strategies: dict[str, Refocus] = {
        "uniform": uniform(config.rate),
        "partial": partial(rate=config.rate, generator=source),
        "hub": hub(rate=config.rate, generator=source),
    }
    return list(foci_of(strategies[config.focus], pdg, config.num_steps))


def _bits(nats: Tensor) -> list[float]:
    numbers: list[float] = (nats.clamp(min=0.0) / math.log(2)).tolist()
    return numbers


def _percent(initial: float, final: float) -> float:
    return 100 * (initial - final) / initial if initial > 0 else 0.0


def _limit(pdg: PDG) -> Tensor:
    """Return the best joint that is the limit for γ → 0, (batch, worlds); others are as good."""
    joint = solve(pdg, "0+").joint
    assert joint is not None
    return joint.dense().flatten(1)


def _variation(left: Tensor, right: Tensor) -> Tensor:
    return (left - right).abs().sum(1) / 2


def _replicates(trace: Trace, distortion: Tensor) -> Iterator[dict[str, Any]]:
    last = trace.steps[-1]
    gap = max(step.gap for step in trace.steps) / math.log(2)
    numbers = zip(
        _bits(trace.initial),
        _bits(last.overall),
        distortion.tolist(),
        last.distance.tolist(),
        strict=True,
    )
    for replicate, (initial, final, moved, movement_) in enumerate(numbers):
        yield {
            "kind": "replicate",
            "solver": "exact",
            "replicate": replicate,
            "initial_bits": initial,
            "final_bits": final,
            "resolution_percent": _percent(initial, final),
            "true_initial_bits": initial,
            "true_final_bits": final,
            "distortion": moved,
            "movement": movement_,
            "gap_bits": gap,
        }


def _paths(trace: Trace) -> Iterator[dict[str, Any]]:
    distances = [0.0, *(float(step.distance.mean()) for step in trace.steps)]
    for step, moved in enumerate(distances):
        yield {
            "kind": "path",
            "solver": "exact",
            "step": step,
            "mean_bits": float(trace.overall[:, step].mean()) / math.log(2),
            "mean_movement": moved,
        }


def _steps(trace: Trace) -> Iterator[dict[str, Any]]:
    for row in trace.rows():
        if row["element"] == 0:
            bits = {
                name: None if row[name] is None else row[name] / math.log(2)
                for name in ("attended_before", "attended_after", "overall")
            }
            yield {"kind": "step", "step": row["step"], "attended_arcs": row["focus"], **bits}


class _Recipe:
    """The run of the paper's recipe on the same tables and foci."""

    def __init__(self, pdg: PDG) -> None:
        self.pdg = pdg
        self.adam = AdamRecipe(pdg)
        self.full = torch.ones(len(self.adam.logits), len(pdg.arcs), dtype=torch.float64)
        self.first = self.adam.report(self.adam.uniform(), self.full)
        self.initial = self.adam.score(self.first, self.full)
        self.joint = self.first
        self.paths = [torch.zeros(len(self.full), dtype=torch.float64)]
        self.start = tables_of(pdg)

    def refocus(self, focus: Foci) -> None:
        each = (focus,) * len(self.full) if isinstance(focus, Focus) else focus
        rates = [f.control.rates(self.pdg) for f in each]
        beta = [
            [a.beta if f.attention is None else f.attention.weigh(a).beta for a in self._arcs()]
            for f in each
        ]
        controlled = [[float(a.name in rate) for a in self._arcs()] for rate in rates]
        self.joint = self.adam.refocus(
            self.joint,
            torch.tensor(beta, dtype=torch.float64),
            torch.tensor(controlled, dtype=torch.float64),
        )
        tables = self.adam.tables(self.pdg)
        self.paths.append(movement(self.pdg, self.start, tables))

    def _arcs(self) -> list[Any]:
        return list(self.pdg.arcs.values())

    def rows(self, true: Tensor, tol: float) -> Iterator[dict[str, Any]]:
        last = self.adam.report(self.joint, self.full)
        final = self.adam.score(last, self.full)
        moved = PDG(self.pdg.variables.values())
        tables = self.adam.tables(self.pdg)
        for arc in self._arcs():
            moved.add(arc.name, arc.targets, arc.sources, cpd=tables[arc.name], alpha=0.0)
        found = solve(moved, tol=tol)
        numbers = zip(
            self.initial.tolist(),
            final.tolist(),
            _bits(true),
            _bits(found.value),
            _variation(self.first, last).tolist(),
            self.paths[-1].tolist(),
            strict=True,
        )
        for replicate, (initial, end, first, true_end, distortion, way) in enumerate(numbers):
            yield {
                "kind": "replicate",
                "solver": "adam",
                "replicate": replicate,
                "initial_bits": initial,
                "final_bits": end,
                "resolution_percent": _percent(initial, end),
                "true_initial_bits": first,
                "true_final_bits": true_end,
                "distortion": distortion,
                "movement": way,
                "gap_bits": (found.gap or 0.0) / math.log(2),
            }
        for step, path in enumerate(self.paths):
            yield {
                "kind": "path",
                "solver": "adam",
                "step": step,
                "mean_bits": None,
                "mean_movement": float(path.mean()),
            }
